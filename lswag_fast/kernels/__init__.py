"""Typed calls into the native kernels: the only importer of the binary extension.

Arguments are checked here once; tensors go to the kernels as plain views (address, dtype, sizes, strides), whatever
their strides. CPU tensors are computed on `torch.get_num_threads()` threads, with the same bits for any number of them;
CUDA tensors on their device, in torch's current stream, with outputs and workspaces that torch allocates.
"""

from lswag_fast.kernels.binary import MAX_DIMS
from lswag_fast.kernels.device import device_problem, require_device
from lswag_fast.kernels.gradient import (
    ROW_BLOCK,
    ConvGeometry,
    Moments,
    PendingStats,
    gradient_stats,
    start_gradient_stats,
)
from lswag_fast.kernels.machine import (
    BuildFacts,
    bfloat16_problem,
    build_facts,
    float32_isa,
    fma_loop,
    isa_active,
    isa_list,
    set_isa,
)
from lswag_fast.kernels.patterns import (
    WORD_BITS,
    PatternLayout,
    agreement_counts,
    count_distinct,
    narrow_words,
    pack_signs,
    wide_words,
)
from lswag_fast.kernels.product import float_product, has_float_product
from lswag_fast.kernels.statistics import GradientStats, Statistic, statistics

__all__ = [
    "MAX_DIMS",
    "ROW_BLOCK",
    "WORD_BITS",
    "BuildFacts",
    "ConvGeometry",
    "GradientStats",
    "Moments",
    "PatternLayout",
    "PendingStats",
    "Statistic",
    "agreement_counts",
    "bfloat16_problem",
    "build_facts",
    "count_distinct",
    "device_problem",
    "float32_isa",
    "float_product",
    "fma_loop",
    "gradient_stats",
    "has_float_product",
    "isa_active",
    "isa_list",
    "narrow_words",
    "pack_signs",
    "require_device",
    "set_isa",
    "start_gradient_stats",
    "statistics",
    "wide_words",
]
