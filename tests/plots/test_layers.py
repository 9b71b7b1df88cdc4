"""The layers of a network, grouped by what they do, and drawn."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lswag_fast.errors import InputError, MissingExtraError
from lswag_fast.plots import plot_layer_study, plot_profile
from lswag_fast.plots.layers import roles
from support.studies import layer, profile

pytest.importorskip("matplotlib")


def test_layers_are_grouped_by_what_they_do() -> None:
    found = {role.name: role.places for role in roles(profile())}
    assert found["blocks.*.attn.qkv"] == tuple(range(2, 50, 4))
    assert found["patch_embed_super.proj"] == (1,)
    assert sum(map(len, found.values())) == 49


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("0.weight", "*"),
        ("layer1.0.conv2.weight", "layer1.*.conv2"),
        ("cells.3.edges.11.op", "cells.*.edges.*.op"),
        ("head.weight", "head"),
    ],
)
def test_only_numbers_that_are_a_part_of_the_name_are_left_open(name: str, role: str) -> None:
    layer = {**profile()[0], "name": name}
    assert roles([layer])[0].name == role


def test_profile_joins_layers_of_one_role_and_leaves_gaps() -> None:
    top, bottom = plot_profile(profile(), "trial 55").axes
    assert top.get_title(loc="left") == "trial 55"
    assert [line.get_label() for line in top.lines] == [
        "blocks.*.attn.qkv",
        "blocks.*.attn.proj",
        "blocks.*.fc1",
        "blocks.*.fc2",
        "patch_embed_super.proj",
    ]
    assert np.isnan(bottom.lines[0].get_ydata()).all()  # no activation behind qkv
    assert not np.isnan(bottom.lines[1].get_ydata()).any()


def test_few_layers_are_named_on_the_axis_and_many_are_not() -> None:
    _, bottom = plot_profile(profile()).axes
    assert [text.get_text() for text in bottom.get_xticklabels()][:2] == ["patch_embed_super.proj", "blocks.0.attn.qkv"]
    _, bottom = plot_profile(profile() * 2).axes
    assert "blocks.0.attn.qkv" not in [text.get_text() for text in bottom.get_xticklabels()]


def test_a_layer_without_variance_leaves_a_gap(tmp_path: Path) -> None:
    layers = [layer(1, "0.weight", trainability=float("-inf")), layer(2, "1.weight")]
    figure = plot_profile(layers)
    assert np.isnan(figure.axes[0].lines[0].get_ydata()).tolist() == [True, False]
    figure.savefig(tmp_path / "profile.png")
    assert (tmp_path / "profile.png").stat().st_size > 0


def test_a_profile_without_layers_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="no layer to draw"):
        plot_profile([])


def test_a_layer_study_has_every_bin_and_marks_the_spike() -> None:
    means, spreads = {0: -6.0, 4: -5.5, 10: -3.0}, {0: 0.5, 4: 0.25, 10: 0.0}
    (axes,) = plot_layer_study(means, spreads, n_bins=11, interval=(10, 10), title="two networks").axes
    assert axes.lines[0].get_xydata().tolist() == [[0, -6], [4, -5.5], [10, -3]]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["spike"]
    assert len(axes.get_xticks()) == 11
    (plain,) = plot_layer_study(means, spreads, n_bins=11).axes
    assert plain.get_legend() is None


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"lswag-fast\[plot\]"):
        plot_profile(profile())
