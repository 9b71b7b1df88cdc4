"""Registers, shared memory and spills of the CUDA kernels, as the compiler reports them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "csrc"

_KERNEL = re.compile(r"Compiling entry function '(\S+)' for '(\w+)'")
_SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


@dataclass(frozen=True)
class Usage:
    """Of one kernel: registers a thread, shared memory a block, bytes stored and loaded by spilling."""

    registers: int
    shared_bytes: int
    spilled_bytes: int


def compile_report(architectures: Sequence[str]) -> dict[tuple[str, str], Usage]:
    """Compile every kernel and read the report: (kernel, architecture) -> usage. Takes minutes, and needs nvcc."""
    found: dict[tuple[str, str], Usage] = {}
    for source in sorted((SOURCES / "cuda").rglob("*.cpp")):
        found |= parse_report(_compile(source, architectures))
    return {(_short(name), architecture): usage for (name, architecture), usage in found.items()}


def _compile(source: Path, architectures: Sequence[str]) -> str:
    numbers = [name.removeprefix("sm_") for name in architectures]
    targets = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    with tempfile.TemporaryDirectory() as folder:
        command = ["nvcc", "-x", "cu", "-std=c++17", "-O3", "-Xptxas", "-v", *targets, f"-I{SOURCES}"]
        command += ['-DLSWAG_CUDA_ARCHITECTURES=""', "-c", str(source), "-o", f"{folder}/kernel.o"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stderr


def parse_report(text: str) -> dict[tuple[str, str], Usage]:
    """(mangled name, architecture) -> usage, from what ptxas prints."""
    found = {}
    for block in re.split(r"(?=ptxas info\s*: Compiling)", text):
        kernel, spills, used = _KERNEL.search(block), _SPILLS.search(block), _USED.search(block)
        if kernel is None or spills is None or used is None:
            continue
        shared = _SHARED.search(block)
        found[kernel[1], kernel[2]] = Usage(
            int(used[1]), int(shared[1]) if shared else 0, int(spills[1]) + int(spills[2])
        )
    return found


def _short(mangled: str) -> str:
    """`GradientMoments<FusedMath<float, 8, 16>, false, true>`: the kernel without its namespaces."""
    name = subprocess.run(["c++filt", mangled], check=True, capture_output=True, text=True).stdout.strip()
    inner = re.search(r"simt::run<(.*)>\(", name)
    return re.sub(r"(lswag|cuda|simt|\(anonymous namespace\))::", "", inner[1] if inner else name).strip()
