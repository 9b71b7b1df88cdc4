"""Passes: how to drive a model that is left untouched, one per file, and the measurements that result."""

from lswag_fast.passes import (
    block_features,
    curvature,
    double_backward,
    empirical_fisher,
    features,
    jacobian,
    model,
    noise_pair,
    ntk,
    standard,
    synflow,
)
from lswag_fast.passes.registry import Measurements, Pass, get_pass, list_passes, register_pass
from lswag_fast.passes.shared.preserve import preserve_model_state

__all__ = ["Measurements", "Pass", "get_pass", "list_passes", "preserve_model_state", "register_pass"]

# In the order in which they run.
for _module in (
    model, standard, synflow, jacobian, ntk, double_backward, noise_pair, block_features, features, empirical_fisher,
    curvature,
):  # fmt: skip
    register_pass(_module.PASS)
