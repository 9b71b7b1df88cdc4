"""The arithmetic behind bench/kernels/roofline.md, on made-up reports of the compiler."""

from __future__ import annotations

from bench.kernels.ptxas import Usage, parse_report
from bench.kernels.roofline import GPUS, predict, resident_blocks

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function '_Z3oneN' for 'sm_80'
ptxas info    : Function properties for _Z3oneN
    16 bytes stack frame, 48 bytes spill stores, 28 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 2048 bytes smem, 408 bytes cmem[0]
ptxas info    : Compiling entry function '_Z3twoN' for 'sm_90'
ptxas info    : Function properties for _Z3twoN
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers, used 0 barriers
"""


def test_the_compilers_report() -> None:
    assert parse_report(REPORT) == {("_Z3oneN", "sm_80"): Usage(40, 2048, 76), ("_Z3twoN", "sm_90"): Usage(8, 0, 0)}


def test_what_a_multiprocessor_holds() -> None:
    assert resident_blocks(Usage(168, 18432, 0)) == 3  # registers: 65536 / (168 * 128)
    assert resident_blocks(Usage(32, 60000, 0)) == 2  # shared memory
    assert resident_blocks(Usage(16, 0, 0)) == 16  # threads


def test_no_prediction_exceeds_a_peak() -> None:
    for gpu in GPUS:
        for dtype in ("f32", "bf16", "f64"):
            found = predict(gpu, dtype, "qkv", Usage(168, 18432, 0))
            assert 0 < found.fraction <= 1
            assert found.gflop == 2 * 32 * 197 * 384 * 1152 / 1e9
