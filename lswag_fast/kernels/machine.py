"""What was built, and which instruction set runs."""

from __future__ import annotations

from typing import NamedTuple

import torch

from lswag_fast.kernels.binary import core, native, require_core


class BuildFacts(NamedTuple):
    """What the binary extension was built from and with."""

    version: str
    compiler: str
    build_type: str
    isas: tuple[str, ...]
    """Instruction sets compiled in, best first; the machine may lack some."""
    cuda_toolkit: str = ""
    """Version of the CUDA compiler and runtime; empty for a CPU-only build."""
    cuda_architectures: str = ""


def build_facts() -> BuildFacts:
    """What was baked into the binary extension. Raises BackendUnavailableError if there is none."""
    require_core()
    return BuildFacts(core.version, core.compiler, core.build_type, tuple(core.isa_compiled()), *core.cuda_build())


def isa_list() -> list[str]:
    """Instruction sets that this build and this machine share, best first."""
    require_core()
    return core.isa_list()


def isa_active() -> str:
    """The instruction set in use: the best, or the one `set_isa` or the environment variable `LSWAG_ISA` names.

    Raises BackendUnavailableError if that one is not available here.
    """
    with native():
        return core.isa_active()


def set_isa(name: str | None) -> None:
    """Force an instruction set for the process, over `LSWAG_ISA`; None gives the choice back.

    Raises BackendUnavailableError, listing what is available, if there is no such set here.
    """
    with native():
        core.set_isa(name or "")


def fma_loop(isa: str, n_iterations: int, n_threads: int | None = None) -> float:
    """Run fused multiply-adds in registers and return the operations done: time it for the machine's peak."""
    with native():
        return core.fma_loop(isa, n_iterations, n_threads or torch.get_num_threads())
