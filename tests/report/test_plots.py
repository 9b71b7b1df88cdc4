"""The matplotlib figures hold the numbers that they are given."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from lswag_fast.errors import InputError, LswagError
from lswag_fast.report import plots
from report.studies import failed_trial, full_study, layer, trial

pytest.importorskip("matplotlib")


def test_history_has_a_dot_a_trial_and_the_best_so_far(tmp_path: Path) -> None:
    trials = [trial(n, score=score) for n, score in enumerate([1.0, 5.0, 3.0, 8.0])] + [failed_trial(4)]
    figure = plots.plot_history(trials)
    (axes,) = figure.axes
    assert axes.collections[0].get_offsets().tolist() == [[0, 1], [1, 5], [2, 3], [3, 8]]
    best, news, lost = axes.lines
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([0, 1, 3, 4], [1, 5, 8, 8])
    assert news.get_xdata().tolist() == [0, 1, 3]
    assert lost.get_xdata().tolist() == [4]
    assert axes.get_title(loc="left") == "best 8, trial 3"
    figure.savefig(tmp_path / "history.png")
    assert (tmp_path / "history.png").stat().st_size > 0


@pytest.mark.parametrize("cost", ["n_params", "macs", "latency_ms"])
def test_front_has_every_scored_trial_and_the_leaders(cost: str) -> None:
    study = full_study()
    (axes,) = plots.plot_front(study.trials, cost).axes
    leaders = study.front(cost)
    assert len(axes.collections[0].get_offsets()) == 58
    front, best = axes.lines
    assert front.get_xdata().tolist() == [getattr(found, cost) for found in leaders]
    assert best.get_ydata().tolist() == [study.best.score]


def test_agreement_shows_every_number() -> None:
    study = full_study()
    axes = plots.plot_agreement(study.trials, study.settings["lower_is_better"]).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["score", "lswag", "zico", "te_nas_ntk", "parameters", "MACs", "latency"]
    shown = np.array([text.get_text() for text in axes.texts]).reshape(7, 7)
    assert (np.diag(shown) == "1.00").all()


def test_profile_joins_layers_of_one_role_and_leaves_gaps() -> None:
    study = full_study()
    top, bottom = plots.plot_profile(study.profile or [], "trial 55").axes
    assert [line.get_label() for line in top.lines] == [
        "blocks.*.attn.qkv",
        "blocks.*.attn.proj",
        "blocks.*.fc1",
        "blocks.*.fc2",
        "patch_embed_super.proj",
    ]
    assert np.isnan(bottom.lines[0].get_ydata()).all()  # no activation behind qkv
    assert not np.isnan(bottom.lines[1].get_ydata()).any()


def test_a_layer_without_variance_can_be_drawn(tmp_path: Path) -> None:
    layers = [layer(1, "0.weight", trainability=float("-inf")), layer(2, "1.weight")]
    plots.plot_profile(layers).savefig(tmp_path / "profile.png")
    assert (tmp_path / "profile.png").stat().st_size > 0


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(InputError, match="no trial has a score"):
        plots.plot_history([failed_trial(0)])
    with pytest.raises(InputError, match="latency_ms was not measured"):
        plots.plot_front([trial(0)], "latency_ms")
    with pytest.raises(InputError, match="cost must be one of n_params, macs, latency_ms; found 'flops'"):
        plots.plot_front([trial(0)], "flops")
    with pytest.raises(InputError, match="at least two proxies"):
        plots.plot_agreement([trial(0)])
    with pytest.raises(InputError, match="no layer to draw"):
        plots.plot_profile([])


def test_without_matplotlib_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(LswagError, match=r"lswag-fast\[plot\]"):
        plots.plot_history([trial(0)])
