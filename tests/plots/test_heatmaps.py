"""Heatmaps of rank correlations."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lswag_fast.errors import InputError
from lswag_fast.plots import plot_agreement, plot_correlations

pytest.importorskip("matplotlib")


def test_agreement_shows_every_number_and_a_dash_for_none() -> None:
    axes, _ = plot_agreement(["score", "zico"], [[1.0, math.nan], [-0.456, 1.0]], "over 7 trials").axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["score", "zico"]
    assert [text.get_text() for text in axes.texts] == ["1.00", "-", "-0.46", "1.00"]
    assert axes.get_title(loc="left") == "over 7 trials"


def test_correlations_show_the_best_proxy_on_average_first(tmp_path: Path) -> None:
    columns = {"a": {"x": 0.1, "y": 0.9, "z": math.nan}, "b": {"x": 0.2, "y": -0.5}}
    figure = plot_correlations(columns)
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["y", "x", "z"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert [text.get_text() for text in axes.texts] == ["0.90", "-0.50", "0.10", "0.20", "-", "-"]
    figure.savefig(tmp_path / "heatmap.png")
    assert (tmp_path / "heatmap.png").stat().st_size > 0


def test_numbers_that_do_not_fit_their_names_are_refused() -> None:
    with pytest.raises(InputError, match=r"2 x 2 names, shape \(2, 1\)"):
        plot_agreement(["a", "b"], [[1.0], [1.0]])
    with pytest.raises(InputError, match="no correlation to draw"):
        plot_correlations({})
