"""A sampler of Optuna in a search of ours: the contract of samplers, and that it learns what Optuna does."""

from __future__ import annotations

from typing import Any

import pytest

from lswag_fast import data, search, spaces
from lswag_fast.cli import main
from lswag_fast.errors import InputError, SpaceError
from lswag_fast.integrations import OptunaSampler
from lswag_fast.study import Sampler, Study
from lswag_fast.study.samplers import registry
from lswag_fast.study.stored import read_study
from lswag_fast.testing import SamplerContract
from support.user_networks import Mlps

optuna = pytest.importorskip("optuna")


class TestOptunaSampler(SamplerContract):
    def make_sampler(self) -> Sampler:
        return OptunaSampler(proposals_per_batch=4)


def convolutions(study: Study, n_trials: int) -> list[float]:
    """Tell the number of 3x3 convolutions of a cell as its score; return the scores in their order."""
    for trial in (study.ask() for _ in range(n_trials)):
        study.tell(trial, trial.arch["cell"].count("nor_conv_3x3"))
    return [trial.score for trial in study.trials]


def test_it_finds_what_scores_high() -> None:
    learnt = convolutions(Study(spaces.NasBench201(), OptunaSampler(proposals_per_batch=2), seed=1), 60)
    drawn = convolutions(Study(spaces.NasBench201(), "random", seed=1), 60)
    assert sum(learnt[-10:]) > 2 * sum(drawn[-10:])


def test_it_proposes_what_optuna_proposes_from_the_same_trials() -> None:
    space, study = spaces.NasBench201(), Study(spaces.NasBench201(), OptunaSampler(proposals_per_batch=1), seed=5)
    convolutions(study, 20)
    chance = study._pool.rng.getstate()
    proposed = study.ask()
    study._pool.rng.setstate(chance)
    theirs: Any = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=study._pool.rng.getrandbits(32))
    )
    for trial in study.trials[:-1]:
        params = space.suggested(trial.arch)
        distributions = {name: optuna.distributions.CategoricalDistribution(OPS) for name in params}
        made = optuna.trial.create_trial(value=trial.score, params=params, distributions=distributions)
        theirs.add_trial(made)
    assert space.suggest(theirs.ask()) == proposed.arch


OPS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")


def test_a_search_with_workers_to_keep_busy_and_several_proxies() -> None:
    choices = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": (1, 2), "mlp_ratio": (1, 2)}
    space = spaces.AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
    batch = data.load("digits", batch_size=16, image_size=8).batch
    sampler = OptunaSampler(proposals_per_batch=3)
    found = search(space, batch, proxy=["params", "flops"], n_trials=15, sampler=sampler)
    assert [trial.proposal_batch for trial in found.trials] == [number // 3 for number in range(15)]


def test_the_command_line_names_it_by_its_class(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_SAMPLERS", dict(registry._SAMPLERS))  # the command registers it in this process
    size = ["--image-size", "8", "--batch-size", "16", "--proxies", "params", "--trials", "4"]
    sampler = ["--sampler", "lswag_fast.integrations:OptunaSampler", "--sampler-set", "proposals_per_batch=2"]
    assert main(["search", "nasbench201", *size, *sampler, "--out", str(tmp_path / "run")]) == 0
    stored = read_study(tmp_path / "run").settings.sampler
    assert (stored.name, stored.options) == ("optuna", {"proposals_per_batch": 2})


def test_what_it_cannot_do_is_refused() -> None:
    with pytest.raises(InputError, match="proposals_per_batch must be at least 1"):
        OptunaSampler(proposals_per_batch=0)
    with pytest.raises(SpaceError, match="mlps does not say which choices"):
        Study(Mlps(), OptunaSampler()).ask()
