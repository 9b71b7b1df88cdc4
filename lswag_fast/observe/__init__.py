"""Seeing every linear, convolution and activation call of a model's forward pass, without touching the model."""

from lswag_fast.observe.calls import ActivationCall, ObservedWeight, Skipped, WeightCall
from lswag_fast.observe.mode import CaptureOptions, ObservingMode
from lswag_fast.observe.observation import Observation, outcome
from lswag_fast.observe.recorder import WeightRecorder

__all__ = [
    "ActivationCall",
    "CaptureOptions",
    "Observation",
    "ObservedWeight",
    "ObservingMode",
    "Skipped",
    "WeightCall",
    "WeightRecorder",
    "outcome",
]
