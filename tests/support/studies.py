"""Studies as a viewer reads them, made up: random transformers with scores that lean to the larger ones."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from lswag_fast.spaces import AutoFormer
from lswag_fast.study.budget import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.settings import SamplerSettings, ScoringSettings, SpaceSettings, StudySettings
from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.trial import COMPLETE, FAILED, Trial

SPACE = AutoFormer("tiny", image_size=32, patch_size=4, num_classes=10)
SETTINGS = StudySettings(
    space=SpaceSettings("autoformer-tiny", repr(SPACE), SPACE.size, SPACE.input_shape, SPACE.num_classes),
    sampler=SamplerSettings("evolution", {"population": 20, "parents": 10, "mutations": 10, "crossovers": 10}),
    budget=Budget(params=(5e6, 7e6)),
    seed=0,
    objective=Objective(("lswag",)),
    scoring=ScoringSettings(options={"pattern_samples": 16}),
)
METADATA = {"data": "digits (UCI, 8 x 8), 32 of 1797 images"}
POPULATION = 20


def trial(number: int, proxies: tuple[str, ...] = ("lswag",), latency: bool = False, **changes: Any) -> Trial:
    rng = random.Random(number)
    arch = SPACE.sample(rng)
    size = SPACE.n_params(arch) / 1e6
    values = {name: 10 * size + rng.gauss(0, 4 + place) + number / 9 for place, name in enumerate(proxies)}
    made = {
        "number": number,
        "arch": arch,
        "arch_json": SPACE.encode(arch),
        "origin": "random" if number < POPULATION else rng.choice(("mutation", "crossover")),
        "proposal_batch": number // POPULATION,
        "n_params": SPACE.n_params(arch),
        "macs": SPACE.macs(arch),
        "start_time": "2026-01-01T00:00:00.000+00:00",
        "state": COMPLETE,
        "values": values,
        "score": sum(values.values()) / len(values),
        "elapsed_ms": 900.0,
        "latency_ms": 4 + size + rng.random() if latency else None,
    }
    return Trial(**{**made, **changes})


def failed_trial(number: int, error: str = "NonFiniteGradientError: the loss is NaN") -> Trial:
    return trial(number, state=FAILED, score=None, values={}, error=error)


def layer(number: int, name: str, **changes: Any) -> dict[str, Any]:
    made = {
        "name": name,
        "kind": "linear",
        "depth": number / 49,
        "percentile": number // 5,
        "n_weights": 36864,
        "trainability": 14.0 + number % 4 + number / 30,
        "cardinality": None if name.endswith("qkv.weight") else 1000 + 10 * number,
    }
    return {**made, **changes}


def profile() -> list[dict[str, Any]]:
    names = ["patch_embed_super.proj.weight"]
    parts = ("attn.qkv.weight", "attn.proj.weight", "fc1.weight", "fc2.weight")
    names += [f"blocks.{block}.{part}" for block in range(12) for part in parts]
    return [layer(place, name) for place, name in enumerate(names, start=1)]


def study(trials: tuple[Trial, ...], folder: Path = Path("runs/tiny"), **changes: Any) -> StoredStudy:
    made = {
        "path": folder,
        "settings": SETTINGS,
        "metadata": METADATA,
        "versions": {"python": "3.11.2", "lswag-fast": "0.1.0", "torch": "2.13.0"},
        "trials": trials,
        "status": "finished",
        "n_trials_wanted": len(trials),
        "elapsed_ms": 1e3 * len(trials),
        "profile": None,
        "profile_trial": None,
    }
    return StoredStudy(**{**made, **changes})


def full_study(folder: Path = Path("runs/tiny")) -> StoredStudy:
    """Three proxies, latencies, a profile, two failures."""
    proxies = ("lswag", "zico", "te_nas_ntk")
    trials = [trial(number, proxies, latency=True) for number in range(60)]
    trials[17] = failed_trial(17)
    trials[40] = failed_trial(40)
    objective = Objective(proxies, "log_rank", ("te_nas_ntk",))
    settings = replace(SETTINGS, objective=objective, budget=Budget(params=(5e6, 7e6), latency_ms=(0.0, 20.0)))
    return study(tuple(trials), folder, settings=settings, profile=profile(), profile_trial=55)
