"""The accuracies that methods reached."""

from __future__ import annotations

import pytest

from lswag_fast.errors import InputError
from lswag_fast.plots import plot_methods

pytest.importorskip("matplotlib")


def test_a_dot_and_an_interval_for_each_seed_and_a_mean() -> None:
    (axes,) = plot_methods({"random": [(0.90, 0.88, 0.92), (0.94, 0.93, 0.95)], "nwot": [(0.5, 0.4, 0.6)]}).axes
    lines = [line.get_xdata() for line in axes.lines]
    assert [list(line) for line in lines] == [
        [0.88, 0.92],
        [0.90],
        [0.93, 0.95],
        [0.94],
        [pytest.approx(0.92)],
        [0.4, 0.6],
        [0.5],
        [0.5],
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["random", "nwot"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is above


def test_nothing_to_draw_is_said() -> None:
    with pytest.raises(InputError, match="no accuracy to draw"):
        plot_methods({"random": []})
