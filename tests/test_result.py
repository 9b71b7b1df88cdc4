"""The result object: a number, a dict for JSON, a picture."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest

import lswag_fast
from lswag_fast import Score
from networks import NETWORKS
from support.oracle import SHOWN


@pytest.fixture(scope="module")
def result() -> Score:
    model, batch = NETWORKS["frozen_layer"].build()
    return lswag_fast.score(model, batch, pattern_samples=SHOWN, layers=(0, 10), seed=3)


def test_a_score_is_a_number(result: Score) -> None:
    assert float(result) == result.value
    assert math.isfinite(result.value)


def test_it_says_how_it_came_about(result: Score) -> None:
    assert (result.proxy, result.n_samples, result.n_pattern_samples) == ("lswag", 6, SHOWN)
    assert (result.device, result.seed, result.error) == ("cpu", 3, None)
    assert result.isa in lswag_fast.kernels.isa_list()
    assert result.elapsed_ms > 0
    assert result.options["layers"] == (0, 10)


def test_layers_have_place_and_size(result: Score) -> None:
    first, last = result.layers
    assert (first.name, first.kind, first.depth, first.percentile, first.n_weights) == (
        "2.weight",
        "linear",
        0.5,
        5,
        64,
    )
    assert (last.depth, last.percentile) == (1.0, 10)
    assert first.activation.startswith("relu@")


def test_to_dict_survives_json(result: Score) -> None:
    back = json.loads(json.dumps(result.to_dict()))
    assert back["value"] == result.value
    assert [layer["name"] for layer in back["layers"]] == ["2.weight", "4.weight"]
    assert back["layers"][0]["trainability"] == result.layers[0].trainability
    assert back["skipped"] == [{"name": "0.weight", "reason": "frozen (requires_grad=False)"}]
    assert back["options"]["combine"] == "layerwise"


def test_a_score_cannot_be_changed(result: Score) -> None:
    with pytest.raises(FrozenInstanceError):
        result.value = 1.0  # type: ignore[misc]


def test_plot_draws_a_bar_a_layer(result: Score) -> None:
    pytest.importorskip("matplotlib")
    top, bottom = result.plot().axes
    assert [bar.get_height() for bar in top.patches] == [layer.trainability for layer in result.layers]
    assert [bar.get_height() for bar in bottom.patches] == [layer.cardinality for layer in result.layers]
    assert [text.get_text() for text in bottom.get_xticklabels()] == ["2", "4"]
    assert f"S = {SHOWN}" in top.get_title()


def test_plot_of_many_layers_leaves_the_names_out(result: Score) -> None:
    pytest.importorskip("matplotlib")
    many = replace(result, layers=result.layers * 40)
    _, bottom = many.plot().axes
    assert bottom.get_xlabel() == "layer, in order of execution"


def test_plot_can_be_saved_when_a_layer_has_no_variance(result: Score, tmp_path) -> None:
    pytest.importorskip("matplotlib")
    constant = replace(result.layers[0], trainability=-math.inf)
    broken = replace(result.layers[1], trainability=math.nan)
    picture = tmp_path / "score.png"
    replace(result, layers=(constant, broken, *result.layers), value=math.nan).plot().savefig(picture)
    assert picture.stat().st_size > 0
