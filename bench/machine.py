"""The columns that say where a benchmark row was measured. Every row of bench/results/*.csv carries them."""

import os
import platform
from pathlib import Path

import torch

import lswag_fast
from lswag_fast import build_info


def cpu_model() -> str:
    """Name of the processor as the system gives it, or its architecture where the system says nothing."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def machine_columns(isa: str | None = None) -> dict[str, str | int]:
    """Machine, instruction set, threads and versions of this process.

    `isa` names the instruction set a row was forced to; without it the active one is given.
    """
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count() or 0,
        "isa": isa or build_info.info().isa_active,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "lswag_fast": lswag_fast.__version__,
        "compiler": build_info.info().compiler,
        "python": platform.python_version(),
    }
