"""The space of decoders: its moves and costs, and a score and a search on text."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
import torch

from lswag_fast import Budget, ScoreOptions, TokenLoss, data, score_many, search
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import Gpt, SearchSpace, TakesTokens

SPACE = Gpt(length=12)
ARCH = {"width": 64, "num_heads": [2, 8, 4], "mlp_ratio": [4, 2, 3]}


def test_it_is_a_space_of_texts() -> None:
    assert isinstance(SPACE, SearchSpace) and isinstance(SPACE, TakesTokens)
    assert (SPACE.input_shape, SPACE.vocabulary, SPACE.num_classes, SPACE.is_masked) == ((12,), 256, 256, False)


def test_costs_and_coverage_on_text() -> None:
    torch.manual_seed(0)
    batch = data.load_text(batch_size=4, length=12).batch
    scores = score_many(
        SPACE.build(ARCH), batch, proxies=["params", "flops", "lswag"], loss_fn=TokenLoss(), pattern_samples=4
    )
    assert (scores["params"].value, scores["flops"].value) == (SPACE.n_params(ARCH), SPACE.macs(ARCH))
    assert scores["lswag"].coverage == 1 and scores["lswag"].error is None


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(60)]
    for a, b in itertools.pairwise(archs):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert abs(len(mutant["num_heads"]) - len(a["num_heads"])) <= 1
        for arch in (a, mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == arch


def test_a_search_under_parameters() -> None:
    batch = data.load_text(batch_size=4, length=12).batch
    result = search(
        SPACE, batch, proxy="nwot", n_trials=3, sampler="random", budget=Budget(params="..200K"),
        options=ScoreOptions(loss_fn=TokenLoss(), pattern_samples=4),
    )  # fmt: skip
    assert [trial.state for trial in result.trials] == ["complete"] * 3
    assert max(trial.n_params for trial in result.trials) <= 200_000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 100}, "width: found 100, expected one of 64, 128"),
        ({"num_heads": [2]}, r"num_heads: found \[2\], expected a list of 2 to 8"),
        ({"mlp_ratio": [4, 2, 5]}, "mlp_ratio: found 5, expected one of 2, 3, 4"),
        ({"mlp_ratio": [4, 2]}, "lists of different lengths"),
    ],
)
def test_what_is_no_member_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SPACE.encode({**ARCH, **change})
