"""A score as the objective of Optuna, against the score itself."""

from __future__ import annotations

from typing import Any

import pytest

from lswag_fast import data, score, spaces
from lswag_fast.errors import InputError, LswagError, SpaceError
from lswag_fast.integrations import OptunaObjective
from lswag_fast.spaces.building import network_builder
from lswag_fast.study import Budget
from support.user_networks import Mlps

optuna = pytest.importorskip("optuna")

SPACE = spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8)
BATCH = data.load("digits", batch_size=16, image_size=8).batch
EMPTY = {f"op_{edge}": "none" for edge in range(6)}
FULL = {f"op_{edge}": "nor_conv_3x3" for edge in range(6)}


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def study_of(objective: OptunaObjective, *params: dict[str, Any]) -> Any:
    study = optuna.create_study(directions=objective.directions)
    for chosen in params:
        study.enqueue_trial(chosen)
    study.optimize(objective, n_trials=len(params), catch=(LswagError,))
    return study


def test_the_values_are_the_scores_of_the_networks() -> None:
    objective = OptunaObjective(SPACE, BATCH, ("lswag", "te_nas_ntk"), mode="eval", seed=3)
    assert objective.directions == ["maximize", "minimize"]
    (trial,) = study_of(objective, FULL).trials
    arch = SPACE.decode(trial.user_attrs["arch"])
    assert SPACE.ops(arch) == ["nor_conv_3x3"] * 6
    model = network_builder(SPACE, seed=3)(arch).eval()
    assert trial.values == [score(model, BATCH, proxy=name, seed=3).value for name in objective.proxies]
    assert (trial.user_attrs["n_params"], trial.user_attrs["macs"]) == (SPACE.n_params(arch), SPACE.macs(arch))


def test_what_has_no_score_fails_and_the_study_goes_on() -> None:
    states = [trial.state.name for trial in study_of(OptunaObjective(SPACE, BATCH, mode="eval"), EMPTY, FULL).trials]
    assert states == ["FAIL", "COMPLETE"]


def test_what_costs_too_much_is_pruned_before_it_is_scored() -> None:
    limit = SPACE.n_params(SPACE.suggest(optuna.trial.FixedTrial(FULL))) - 1
    study = study_of(OptunaObjective(SPACE, BATCH, ("params",), Budget(params=(None, limit))), FULL, EMPTY)
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]
    assert study.trials[0].user_attrs["n_params"] == limit + 1


def test_a_transformer_of_any_depth_is_chosen() -> None:
    choices = {"embed_dim": (16, 32), "depth": (1, 3), "num_heads": (1, 2), "mlp_ratio": (1.0, 2.0)}
    space = spaces.AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
    objective = OptunaObjective(space, BATCH, ("params",))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    for trial in study.trials:
        arch = space.decode(trial.user_attrs["arch"])
        assert trial.params == space.suggested(arch)
        assert trial.value == space.n_params(arch)
    assert {trial.params["depth"] for trial in study.trials} == {1, 3}


def test_mistakes_are_seen_before_a_study_is_begun() -> None:
    with pytest.raises(InputError, match="name the parts of ranked proxies"):
        OptunaObjective(SPACE, BATCH, ("az_nas",))
    with pytest.raises(InputError, match="magic"):
        OptunaObjective(SPACE, BATCH, ("magic",))
    with pytest.raises(InputError, match=r"options must be ScoreOptions\(...\), got {}"):
        OptunaObjective(SPACE, BATCH, options={})
    with pytest.raises(InputError, match="proxies must be a list of names, got 'lswag'"):
        OptunaObjective(SPACE, BATCH, "lswag")
    with pytest.raises(InputError, match="budget must be a Budget"):
        OptunaObjective(SPACE, BATCH, budget="..1M")
    with pytest.raises(SpaceError, match="int is not a search space"):
        OptunaObjective(3, BATCH)
    with pytest.raises(SpaceError, match="mlps does not say which choices"):
        OptunaObjective(Mlps(), BATCH)
    with pytest.raises(InputError, match="batch"):
        OptunaObjective(SPACE, "digits")
