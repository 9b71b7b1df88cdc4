"""The FlexiBERT space: its text and moves, the published parameter counts, and its costs."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pandas as pd
import pytest
import torch

from lswag_fast import TokenLoss, data, score_many
from lswag_fast.errors import SpaceError
from lswag_fast.spaces import FlexiBert, SearchSpace, TakesTokens, get
from support.published import published_file

SPACE = FlexiBert(length=16)
MIXED = ["SA-WMA-2-512-1", "DSC-9-4-512-3", "LT-DCT-4-512-1", "LT-DFT-2-512-1"]


def test_it_is_a_space_of_texts() -> None:
    assert isinstance(SPACE, SearchSpace) and isinstance(SPACE, TakesTokens)
    assert repr(get("flexibert", length=32)) == "FlexiBert(length=32, vocabulary=30522)"
    assert SPACE.size == 10_621_440  # as published
    with pytest.raises(SpaceError, match="image_size: cannot be set for flexibert; allowed are length"):
        get("flexibert", image_size=32)


def test_parameters_of_the_published_encoders() -> None:
    """Exact for every row. The published counts are of networks whose hidden size is 256 and width 1,024 throughout."""
    published = pd.read_csv(published_file("flexibert", "flexibert_250_glue.csv.gz"))
    layers = published["layers(op-param-heads-ffdim-nff)"].str.replace("-512-", "-1024-")
    counted = [SPACE.n_params(SPACE.decode(f"256:{text}")) for text in layers]
    assert counted == list(published["number_of_parameters"])


@pytest.mark.parametrize("hidden_size", [128, 256])
@pytest.mark.parametrize("layers", [MIXED, ["DSC-5-2-1024-1", "SA-SDP-4-1024-3"]], ids=["mixed", "two"])
def test_costs_are_those_that_the_passes_count(hidden_size: int, layers: list[str]) -> None:
    space = FlexiBert(length=16, vocabulary=300)
    arch = {"hidden_size": hidden_size, "layers": layers}
    batch = torch.arange(32).reshape(2, 16), torch.zeros(2, 16, dtype=torch.long)
    scores = score_many(space.build(arch), batch, proxies=["params", "flops"])
    assert (scores["params"].value, scores["flops"].value) == (space.n_params(arch), space.macs(arch))


def test_moves_stay_in_the_space() -> None:
    rng = random.Random(0)
    archs = [SPACE.sample(rng) for _ in range(60)]
    for a, b in itertools.pairwise(archs):
        mutant, child = SPACE.mutate(a, rng), SPACE.crossover(a, b, rng)
        assert mutant != a
        assert child["hidden_size"] in (a["hidden_size"], b["hidden_size"])
        assert all(
            layer in pair for layer, *pair in itertools.zip_longest(child["layers"], a["layers"], b["layers"]) if layer
        )
        for arch in (a, mutant, child):
            assert SPACE.decode(SPACE.encode(arch)) == arch


@pytest.mark.parametrize(
    ("arch", "message"),
    [
        ({"layers": MIXED}, "expected an object with the fields hidden_size, layers"),
        ({"hidden_size": 64, "layers": MIXED}, "hidden_size: found 64, expected 128 or 256"),
        ({"hidden_size": 128.0, "layers": MIXED}, r"hidden_size: found 128\.0"),
        ({"hidden_size": 128, "layers": MIXED[:3]}, "expected a list of 2 or 4 layers"),
        ({"hidden_size": 128, "layers": ["SA-DFT-2-512-1"] * 2}, "layers: found 'SA-DFT-2-512-1', expected OPERATION"),
        ({"hidden_size": 128, "layers": [["SA"]] * 2}, "layers: found .* expected OPERATION"),
    ],
)
def test_what_is_no_member_is_refused(arch: dict[str, Any], message: str) -> None:
    with pytest.raises(SpaceError, match=message):
        SPACE.encode(arch)


def test_sizes_are_checked() -> None:
    with pytest.raises(SpaceError, match="length: found 513, the networks have 512 positions"):
        FlexiBert(length=513)
    with pytest.raises(SpaceError, match="vocabulary: found 256, expected more"):
        FlexiBert(vocabulary=256)
    with pytest.raises(SpaceError, match="the networks of flexibert share none"):
        SPACE.build(SPACE.sample(random.Random(0)), weights={})


def test_it_is_scored_on_text() -> None:
    torch.manual_seed(0)
    space = FlexiBert(length=16, vocabulary=300)
    model = space.build({"hidden_size": 128, "layers": MIXED})
    batch = data.load_text(batch_size=8, length=16, masked=True).batch
    names = ["lswag", "zico", "nwot", "head_confidence", "w_pca", "dextr"]
    scores = score_many(model, batch, proxies=names, loss_fn=TokenLoss(), pattern_samples=8)
    assert scores["lswag"].coverage == 1
    assert {name for name in names if scores[name].error is not None} == {"dextr"}
    assert "no floating-point samples" in str(scores["dextr"].error)
