"""The standard pass: one forward and one backward of the summed loss, observed."""

from lswag_fast.passes.registry import Pass
from lswag_fast.passes.standard.measurements import run_standard

PASS = Pass(
    "standard",
    run_standard,
    ("gradients", "batch_gradient", "fisher", "patterns", "activation_codes"),
    "one forward and one backward of the summed loss, observed; without gradients the forward only",
)
