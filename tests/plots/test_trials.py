"""Scores in the order of a search, and scores against a cost."""

from __future__ import annotations

from pathlib import Path

import pytest

from lswag_fast.errors import InputError
from lswag_fast.plots import plot_front, plot_history

pytest.importorskip("matplotlib")

SCORED = [(0, 1.0), (1, 5.0), (2, 3.0), (3, 8.0)]
BEST = [(0, 1.0), (1, 5.0), (3, 8.0)]


def test_history_has_a_dot_per_score_and_the_best_so_far(tmp_path: Path) -> None:
    figure = plot_history(SCORED, BEST, failed=[4])
    (axes,) = figure.axes
    assert axes.collections[0].get_offsets().tolist() == [[0, 1], [1, 5], [2, 3], [3, 8]]
    best, news, failed = axes.lines
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([0, 1, 3, 4], [1, 5, 8, 8])
    assert news.get_xdata().tolist() == [0, 1, 3]
    assert failed.get_xdata().tolist() == [4]
    assert axes.get_title(loc="left") == "best 8, trial 3"
    figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 0


def test_front_writes_costs_as_it_is_told() -> None:
    (axes,) = plot_front([(5e6, 1.0), (7e6, 3.0)], [(5e6, 1.0), (7e6, 3.0)], "weights", lambda cost: f"{cost:.0e}").axes
    front, best = axes.lines
    assert front.get_xdata().tolist() == [5e6, 7e6]
    assert best.get_ydata().tolist() == [3.0]
    assert axes.get_xlabel() == "weights"
    assert axes.xaxis.get_major_formatter()(5e6) == "5e+06"


def test_nothing_to_draw_is_said() -> None:
    for draw in (plot_history, plot_front):
        with pytest.raises(InputError, match="no trial has a score"):
            draw([], [])
