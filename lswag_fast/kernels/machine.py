"""What was built, and which instruction set runs."""

from __future__ import annotations

from typing import NamedTuple

import torch

from lswag_fast.kernels.binary import core, native, require_core

_WITH_BFLOAT16 = ("avx512", "avx512_bf16", "amx")
"""The instruction sets that use products of bfloat16, where the CPU has them."""
_FLOAT32 = {"avx512_bf16": "avx512"}
"""The instruction sets that have the bits of another for all operands but bfloat16."""


class BuildFacts(NamedTuple):
    """What the binary extension was built from and with.

    Attributes:
        version: of the package.
        compiler: its name and version.
        build_type: as CMake calls it: "Release", ...
        isas: instruction sets compiled in, best first; the machine may lack some.
        cuda_toolkit: version of the CUDA compiler and runtime; empty for a CPU-only build.
        cuda_architectures: what device code was built for, "sm_80, sm_90, compute_90"; empty for a CPU-only build.
    """

    version: str
    compiler: str
    build_type: str
    isas: tuple[str, ...]
    cuda_toolkit: str = ""
    cuda_architectures: str = ""


def build_facts() -> BuildFacts:
    """What was baked into the binary extension.

    Raises:
        BackendUnavailableError: there is no extension.

    Example:
        >>> build_facts().isas[-1]
        'baseline'
    """
    require_core()
    return BuildFacts(core.version, core.compiler, core.build_type, tuple(core.isa_compiled()), *core.cuda_build())


def isa_list() -> list[str]:
    """Instruction sets that this build and this machine share, best first.

    Raises:
        BackendUnavailableError: there is no extension.

    Example:
        >>> isa_list()[-1]
        'baseline'
    """
    require_core()
    return core.isa_list()


def isa_active() -> str:
    """The instruction set in use: the best, or the one `set_isa` or the environment variable `LSWAG_ISA` names.

    Raises:
        BackendUnavailableError: that one is not available here, or there is no extension.

    Example:
        >>> isa_active() in isa_list()
        True
    """
    with native():
        return core.isa_active()


def float32_isa(isa: str) -> str:
    """The instruction set whose results in float32 are those of `isa` to the last bit: itself, or an older one.

    Example:
        >>> float32_isa("avx512_bf16"), float32_isa("amx")
        ('avx512', 'amx')
    """
    return _FLOAT32.get(isa, isa)


def bfloat16_problem() -> str | None:
    """Why this machine should not compute in bfloat16 on the CPU; None where it multiplies it by its own instructions.

    Raises:
        BackendUnavailableError: there is no extension, or the instruction set that was asked for is not available here.

    Example:
        >>> set_isa("baseline")
        >>> bfloat16_problem()
        'instruction set baseline has no products of bfloat16; they need avx512 on a CPU with AVX512_BF16 or AMX'
        >>> set_isa(None)
    """
    with native():
        active, has_products = core.isa_active(), core.has_bfloat16()
    if has_products:
        return None
    if active in _WITH_BFLOAT16:
        return "the CPU has neither AVX512_BF16 nor AMX"
    return (
        f"instruction set {active} has no products of bfloat16; they need {_WITH_BFLOAT16[0]} on a CPU with "
        "AVX512_BF16 or AMX"
    )


def set_isa(name: str | None) -> None:
    """Force an instruction set for the process, over `LSWAG_ISA`; None gives the choice back.

    Raises:
        BackendUnavailableError: there is no such set here; the message lists what is available.

    Example:
        >>> set_isa("baseline")
        >>> isa_active()
        'baseline'
        >>> set_isa(None)
    """
    with native():
        core.set_isa(name or "")


def fma_loop(isa: str, n_iterations: int, n_threads: int | None = None) -> float:
    """Run fused multiply-adds in registers and return the operations done: time it for the machine's peak.

    Args:
        isa: the instruction set to run.
        n_iterations: of the loop, on each thread.
        n_threads: torch's number of threads by default.

    Raises:
        BackendUnavailableError: there is no such set here.

    Example:
        >>> fma_loop("baseline", n_iterations=10, n_threads=1) > 10
        True
    """
    with native():
        return core.fma_loop(isa, n_iterations, n_threads or torch.get_num_threads())
