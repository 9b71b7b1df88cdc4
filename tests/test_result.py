"""The result object: a number, a dict for JSON, a picture."""

from __future__ import annotations

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest

import lswag_fast
from lswag_fast import Score
from lswag_fast.errors import InputError
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


def test_printed_it_is_one_line(result: Score) -> None:
    assert str(result) == f"Score(proxy='lswag', value={result.value!r}, 2 layers, coverage=1.0, error=None)"
    failed = replace(result, value=math.nan, layers=result.layers[:1], coverage=0.5, error="first\nsecond")
    assert repr(failed) == "Score(proxy='lswag', value=nan, 1 layer, coverage=0.5, error='first\\nsecond')"


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
    assert back["skipped"] == [{"name": "0.weight", "reason": "frozen (requires_grad=False)", "is_activation": False}]
    assert back["options"]["combine"] == "layerwise"


def test_a_score_cannot_be_changed(result: Score) -> None:
    with pytest.raises(FrozenInstanceError):
        result.value = 1.0  # type: ignore[misc]


def test_plot_draws_every_layer(result: Score) -> None:
    pytest.importorskip("matplotlib")
    top, bottom = result.plot().axes
    for axes, quantity in ((top, "trainability"), (bottom, "cardinality")):
        drawn = sorted(xy for line in axes.lines for xy in line.get_xydata().tolist())
        assert drawn == [[place, getattr(layer, quantity)] for place, layer in enumerate(result.layers, start=1)]
    assert [text.get_text() for text in bottom.get_xticklabels()] == ["2", "4"]
    assert f"S = {SHOWN}" in top.get_title(loc="left")


def test_a_score_without_layers_cannot_be_drawn(result: Score) -> None:
    with pytest.raises(InputError, match="no layer to draw"):
        replace(result, layers=()).plot()
