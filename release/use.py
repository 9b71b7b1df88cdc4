"""Uses the installed package as a first-time user does: what it was built for, then the score of a small network.

Fails where a second OpenMP runtime was loaded beside the one of torch, or where the fastest kernels that the processor
could run are not there. Needs nothing but what was installed.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import nn

import lswag_fast


def unused_instructions(supported: tuple[str, ...]) -> list[str]:
    """Return the instruction sets that Linux says this processor has and the kernels do not use."""
    path = Path("/proc/cpuinfo")
    flags = set(path.read_text(encoding="utf-8", errors="replace").split()) if path.is_file() else set()
    wanted = {"avx2": {"avx2", "fma", "bmi2"}, "avx512": {"avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl"}}
    return [isa for isa, needs in wanted.items() if needs <= flags and isa not in supported]


def main() -> None:
    """Score a network, and look at the process that did."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 10))
    batch = torch.randn(16, 3, 32, 32), torch.randint(10, (16,))
    value = lswag_fast.score(model, batch).value
    info = lswag_fast.info()
    missed = unused_instructions(info.isas_supported)
    if not value > 0 or info.problems or len(info.openmp_runtimes) > 1 or missed:
        raise SystemExit(
            f"score {value}; OpenMP runtimes {info.openmp_runtimes}; instruction sets {info.isas_supported}, without "
            f"{missed}; {'; '.join(info.problems)}"
        )
    sys.stdout.write(
        f"lswag_fast {info.version} from {lswag_fast.__path__[0]}: score {value:.3f} on {info.isa_active}, "
        f"OpenMP runtime {info.openmp_runtimes[0] if info.openmp_runtimes else 'not known'}\n"
    )


if __name__ == "__main__":
    main()
