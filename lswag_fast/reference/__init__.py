"""The definitions of every number, in float64 and plain torch: slow, short, and the oracle of the tests.

Nothing here uses the kernels or the observer. One module a family of proxies.
"""

from lswag_fast.reference.activation_patterns import nwot, reg_swap, swap
from lswag_fast.reference.double_backward import grasp, grasp_terms
from lswag_fast.reference.gradient import (
    fisher,
    grad_norm,
    plain,
    snip,
    weights_and_gradients,
    xi_gsnr,
    zico,
)
from lswag_fast.reference.jacobian import epe_nas, input_jacobian, jacov
from lswag_fast.reference.lswag import (
    agreement,
    conv_gradients,
    gradient_statistics,
    linear_gradients,
    lswag,
    micro_batches,
    n_pattern_samples,
    patterns,
    per_sample_gradients,
    trainability,
)
from lswag_fast.reference.noise_pair import zen

__all__ = [
    "agreement",
    "conv_gradients",
    "epe_nas",
    "fisher",
    "grad_norm",
    "gradient_statistics",
    "grasp",
    "grasp_terms",
    "input_jacobian",
    "jacov",
    "linear_gradients",
    "lswag",
    "micro_batches",
    "n_pattern_samples",
    "nwot",
    "patterns",
    "per_sample_gradients",
    "plain",
    "reg_swap",
    "snip",
    "swap",
    "trainability",
    "weights_and_gradients",
    "xi_gsnr",
    "zen",
    "zico",
]
