"""What is recommended for a kind of space."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from lswag_fast import spaces
from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import AGGREGATES
from lswag_fast.libra.recommended import recommendations, recommended
from lswag_fast.proxies import get_proxy

ROOT = Path(__file__).parents[2]
OF_NO_KIND = {"burgerformer", "flexibert", "gpt"}
"""Spaces of networks that are neither kind, for which nothing is recommended."""


def test_every_other_space_has_one_recommendation_of_proxies_that_score_one_network() -> None:
    listed = [space for each in recommendations() for space in each.spaces]
    assert sorted(listed) == sorted(set(spaces.names()) - OF_NO_KIND)
    for each in recommendations():
        assert not any(get_proxy(name).parts for name in each.proxies)
        assert each.combine in AGGREGATES
        assert (ROOT / each.evidence).is_file(), each.evidence


def test_how_many_cells_the_figures_are_of_is_that_of_the_evidence() -> None:
    each = recommended("cnn")
    with (ROOT / each.evidence).open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if set(row["members"].split()) == set(each.proxies)]
    assert {(row["study"], row["n"]) for row in rows} == {("no labels", "951")}
    assert "on the 951 of 1,000 cells where all proxies have values" in each.why


def test_it_is_found_by_the_space_and_by_the_kind() -> None:
    assert recommended("autoformer-small") is recommended("vit")
    assert recommended("nasbench201") is recommended("cnn")
    assert set(recommended("cnn").proxies) >= {"lswag", "az_nas_expressivity", "az_nas_trainability"}


def test_another_space_is_told_what_to_type() -> None:
    with pytest.raises(
        InputError, match=r"nothing is recommended for mine; .* recommended:cnn for .* or recommended:vit"
    ):
        recommended("mine")
