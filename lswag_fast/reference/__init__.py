"""The definitions of every number, in float64 and plain torch: slow, short, and the oracle of the tests.

Nothing here uses the kernels or the observer. Each module of `lswag_fast.proxies` has its definitions in the module of
that name; `kernels` defines what the native kernels compute, `models` runs a model for the others.
"""

from lswag_fast.reference import az_nas, features, vkdnw
from lswag_fast.reference.gradient import fisher, grad_norm, plain, snip, weights_and_gradients
from lswag_fast.reference.grasp import grasp, grasp_terms
from lswag_fast.reference.jacobian import epe_nas, input_jacobian, jacov
from lswag_fast.reference.kernels import (
    agreement,
    conv_gradients,
    gradient_statistics,
    is_rounding,
    least_deviation,
    linear_gradients,
    neuron_patterns,
    round_to_bfloat16,
    rounding_error,
)
from lswag_fast.reference.lswag import lswag, n_pattern_samples, trainability
from lswag_fast.reference.models import micro_batches, per_sample_gradients
from lswag_fast.reference.patterns import nwot, reg_swap, swap
from lswag_fast.reference.size import l2_norm
from lswag_fast.reference.synflow import dss, logsynflow, positive_weights_and_gradients, synflow, t_cet
from lswag_fast.reference.te_nas import ntk, te_nas_ntk, te_nas_regions
from lswag_fast.reference.zen import zen
from lswag_fast.reference.zico import xi_gsnr, zico

__all__ = [
    "agreement",
    "az_nas",
    "conv_gradients",
    "dss",
    "epe_nas",
    "features",
    "fisher",
    "grad_norm",
    "gradient_statistics",
    "grasp",
    "grasp_terms",
    "input_jacobian",
    "is_rounding",
    "jacov",
    "l2_norm",
    "least_deviation",
    "linear_gradients",
    "logsynflow",
    "lswag",
    "micro_batches",
    "n_pattern_samples",
    "neuron_patterns",
    "ntk",
    "nwot",
    "per_sample_gradients",
    "plain",
    "positive_weights_and_gradients",
    "reg_swap",
    "round_to_bfloat16",
    "rounding_error",
    "snip",
    "swap",
    "synflow",
    "t_cet",
    "te_nas_ntk",
    "te_nas_regions",
    "trainability",
    "vkdnw",
    "weights_and_gradients",
    "xi_gsnr",
    "zen",
    "zico",
]
