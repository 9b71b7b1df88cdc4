"""The steps of a check, in order: first what everything needs, last what takes as long as it is given."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from bench.device.steps import Step

PARTS = ("scores", "kernels", "search")
TESTS = "tests/kernels/cuda"
# A case of each kernel, with sizes that no tile divides.
SMALL_CASES = (
    "test_gradient_stats.py::test_sizes",
    "test_gradient_stats.py::test_several_calls",
    "test_gradient_stats.py::test_tf32_where_torch_allows_it",
    "test_gradient_stats.py::test_convolutions[grouped-dtype1-channels_last]",
    "test_patterns.py::test_packing_of_odd_sizes[65]",
    "test_patterns.py::test_counting[130]",
    "test_patterns.py::test_agreements[65]",
    "test_score.py::test_the_same_bits_again",
    "test_score.py::test_bfloat16",
)
CHECKS = {"memcheck": "wrong accesses of memory", "racecheck": "races in shared memory"}
NAMES = ("build", "tests", *PARTS, *CHECKS)
# Of the kernels only ours are instrumented: torch's would take most of the time. Without torch's cache of memory each
# tensor is an allocation of its own, so that an access beyond it is one that memcheck sees.
SANITIZER_OPTIONS = ("--kernel-name", "kns=lswag", "--error-exitcode", "9", "--print-limit", "20")
UNCACHED = ("env", "PYTORCH_NO_CUDA_MEMORY_CACHING=1")
SANITIZER = Path("/usr/local/cuda/bin/compute-sanitizer")


def steps(work: Path, csv: Path, emulated: bool, module: Path | None) -> list[Step]:
    """All steps; `module` is a binary extension that is built already."""
    python = sys.executable
    build = [python, "-m", "bench.device.build", "--tree", str(work / "tree"), "--cmake", str(work / "cmake")]
    build += ["--emulated"] if emulated else []
    build += ["--module", str(module)] if module is not None else []
    cases = [f"{TESTS}/{case}" for case in SMALL_CASES]
    pytest = [python, "-m", "pytest", "-m", "cuda", "-p", "no:cacheprovider"]
    measure = [python, "-m", "bench.device.measure", "--csv", str(csv), *(["--tiny"] if emulated else [])]
    return [
        Step(NAMES[0], build, 360),
        Step(NAMES[1], [*pytest, *(cases if emulated else [TESTS])], 120),
        *(Step(part, [*measure, part], 120) for part in PARTS),
        *(sanitizer_step(tool, [*pytest, *cases], emulated) for tool in CHECKS),
    ]


def sanitizer_step(tool: str, command: list[str], emulated: bool) -> Step:
    """The small cases under compute-sanitizer."""
    found = shutil.which("compute-sanitizer") or (str(SANITIZER) if SANITIZER.exists() else None)
    left_out = None
    if emulated:
        left_out = f"the emulator itself finds {CHECKS[tool]}"
    elif found is None:
        left_out = f"compute-sanitizer is neither on the PATH nor at {SANITIZER}"
    sanitizer = [*UNCACHED, found or "compute-sanitizer", "--tool", tool, *SANITIZER_OPTIONS]
    return Step(tool, [*sanitizer, *command], 120, left_out)
