"""The definitions of every number, in float64 and plain torch: slow, short, and the oracle of the tests.

Nothing here uses the kernels or the observer. One module a family of proxies.
"""

from lswag_fast.reference import az_nas
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
from lswag_fast.reference.synflow import dss, logsynflow, positive_weights_and_gradients, synflow, t_cet
from lswag_fast.reference.te_nas import ntk, te_nas_ntk, te_nas_regions

__all__ = [
    "agreement",
    "az_nas",
    "conv_gradients",
    "dss",
    "epe_nas",
    "fisher",
    "grad_norm",
    "gradient_statistics",
    "grasp",
    "grasp_terms",
    "input_jacobian",
    "jacov",
    "linear_gradients",
    "logsynflow",
    "lswag",
    "micro_batches",
    "n_pattern_samples",
    "ntk",
    "nwot",
    "patterns",
    "per_sample_gradients",
    "plain",
    "positive_weights_and_gradients",
    "reg_swap",
    "snip",
    "swap",
    "synflow",
    "t_cet",
    "te_nas_ntk",
    "te_nas_regions",
    "trainability",
    "weights_and_gradients",
    "xi_gsnr",
    "zen",
    "zico",
]
