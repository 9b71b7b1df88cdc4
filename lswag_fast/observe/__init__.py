"""Seeing every linear, convolution and activation call of a model's forward pass, without touching the model."""

from lswag_fast.observe.calls import ActivationCall, ObservedWeight, Skipped, WeightCall
from lswag_fast.observe.mode import ObservingMode
from lswag_fast.observe.outcome import Outcome, outcome

__all__ = ["ActivationCall", "ObservedWeight", "ObservingMode", "Outcome", "Skipped", "WeightCall", "outcome"]
