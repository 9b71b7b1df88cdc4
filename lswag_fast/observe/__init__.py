"""Seeing every linear, convolution and activation call of a model's forward pass, without touching the model.

`observe` runs a forward and a backward pass under observation; `WeightRecorder` only records which tensors a forward
pass uses as weights. The calls that are seen are the entries of `lswag_fast.observe.operations`. `fast_linear_layers`
sees nothing: a pass that observes nothing multiplies as one that does.
"""

from lswag_fast.observe.calls import ActivationCall, ObservedWeight, Operands, Skipped, WeightCall
from lswag_fast.observe.capture import CaptureOptions
from lswag_fast.observe.observation import Observation, observe
from lswag_fast.observe.observed_call import fast_linear_layers
from lswag_fast.observe.operations import MacCounter
from lswag_fast.observe.operations.registered import register_activation
from lswag_fast.observe.recorder import WeightRecorder

__all__ = [
    "ActivationCall",
    "CaptureOptions",
    "MacCounter",
    "Observation",
    "ObservedWeight",
    "Operands",
    "Skipped",
    "WeightCall",
    "WeightRecorder",
    "fast_linear_layers",
    "observe",
    "register_activation",
]
