"""Searches of an earlier version, killed in the middle of a batch of proposals, and what they must end with.

`python -m golden.studies record FOLDER` wrote `studies/`; `python -m golden.studies resume NAME FOLDER` continues one
in place and writes its trials to FOLDER/continued.csv. Both run under `LSWAG_ISA=baseline`, which every x86-64 machine
has: the instruction set belongs to the settings of a study.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from lswag_fast import SearchResult, search, spaces
from lswag_fast.study.samplers import EvolutionSampler, Sampler, SteadyStateSampler

STUDIES_FOLDER = Path(__file__).with_name("studies")
N_TRIALS, KILLED_AFTER = 40, 21
VARYING = ("elapsed_ms", "start_time")
# What is called otherwise than in the version that recorded the studies.
RECORDED_NAMES = {"proposal_batch": "generation"}

_EVOLUTION = EvolutionSampler(population=8, parents=3, mutations=4, crossovers=3, crossover_failures=0)
# Parameters and operations are counted: the same everywhere. The bits of lswag belong to a kind of machine.
STUDIES: dict[str, tuple[Any, str | Sampler]] = {
    "evolution": (("params", "flops"), _EVOLUTION),
    "steady": ("params", SteadyStateSampler(population=8)),
    "random": ("flops", "random"),
    "lswag": (("lswag", "nwot"), _EVOLUTION),
}


def run(name: str, folder: Path | None, *, killed: bool = False) -> SearchResult:
    """Run a study, or continue it; a killed one ends this process after its 21st trial."""
    proxies, sampler = STUDIES[name]
    space = spaces.AutoFormer(
        embed_dim=(16, 32, 48),
        depth=(1, 2, 3),
        num_heads=(1, 2),
        mlp_ratio=(1, 2, 3.5),
        image_size=8,
        patch_size=4,
        num_classes=4,
    )
    torch.manual_seed(0)
    batch = torch.randn(16, *space.input_shape), torch.arange(16) % 4

    def die(study: Any, trial: Any) -> None:
        if killed and trial.number == KILLED_AFTER - 1:
            os._exit(9)

    return search(
        space,
        batch,
        proxy=proxies,
        n_trials=N_TRIALS,
        sampler=sampler,
        seed=3,
        storage=folder,
        callbacks=[die],
        n_threads=1,
    )


def comparable(result: SearchResult) -> str:
    """The trials as CSV, without the columns that differ between equal runs, in the words of the recorded version."""
    return str(result.dataframe().drop(columns=list(VARYING)).rename(columns=RECORDED_NAMES).to_csv(index=False))


def in_process(*arguments: str) -> int:
    """Run this module in a process of its own; its exit status."""
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    environment = {**os.environ, "LSWAG_ISA": "baseline", "PYTHONPATH": path}
    return subprocess.run([sys.executable, "-m", "golden.studies", *arguments], env=environment, check=False).returncode


def main(verb: str, *arguments: str) -> None:
    """The commands of the module."""
    if verb == "kill":
        run(arguments[0], Path(arguments[1]), killed=True)
    elif verb == "resume":
        folder = Path(arguments[1])
        (folder / "continued.csv").write_text(comparable(run(arguments[0], folder)))
    elif verb == "record":
        for name in STUDIES:
            in_process("kill", name, str(Path(arguments[0], name)))
            (Path(arguments[0]) / f"{name}.csv").write_text(comparable(run(name, None)))


if __name__ == "__main__":
    main(*sys.argv[1:])
