"""The figures of a study hold the numbers of its trials."""

from __future__ import annotations

import numpy as np
import pytest

from lswag_fast.errors import InputError
from support.studies import failed_trial, full_study, study, trial

pytest.importorskip("matplotlib")


def test_history_has_every_scored_trial_and_the_failed_ones() -> None:
    trials = [trial(n, score=score) for n, score in enumerate([1.0, 5.0, 3.0, 8.0])] + [failed_trial(4)]
    (axes,) = study(tuple(trials)).plot_history().axes
    assert axes.collections[0].get_offsets().tolist() == [[0, 1], [1, 5], [2, 3], [3, 8]]
    best, news, failed = axes.lines
    assert (best.get_xdata().tolist(), best.get_ydata().tolist()) == ([0, 1, 3, 4], [1, 5, 8, 8])
    assert news.get_xdata().tolist() == [0, 1, 3]
    assert failed.get_xdata().tolist() == [4]


@pytest.mark.parametrize(
    ("cost", "label"), [("n_params", "parameters"), ("macs", "MACs"), ("latency_ms", "latency (ms)")]
)
def test_front_has_every_scored_trial_and_the_leaders(cost: str, label: str) -> None:
    whole = full_study()
    (axes,) = whole.plot_front(cost).axes
    assert len(axes.collections[0].get_offsets()) == 58
    front, best = axes.lines
    assert front.get_xdata().tolist() == [getattr(found, cost) for found in whole.front(cost)]
    assert best.get_ydata().tolist() == [whole.best.score]
    assert axes.get_xlabel() == label


def test_agreement_shows_every_number() -> None:
    axes = full_study().plot_agreement().axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["score", "lswag", "zico", "te_nas_ntk", "parameters", "MACs", "latency"]
    shown = np.array([text.get_text() for text in axes.texts]).reshape(7, 7)
    assert (np.diag(shown) == "1.00").all()


def test_profile_is_that_of_the_best() -> None:
    top, _ = full_study().plot_profile().axes
    assert top.get_title(loc="left") == "trial 55"


def test_what_cannot_be_drawn_is_said() -> None:
    with pytest.raises(InputError, match="no trial has a score"):
        study((failed_trial(0),)).plot_history()
    with pytest.raises(InputError, match="latency_ms was not measured"):
        study((trial(0),)).plot_front("latency_ms")
    with pytest.raises(InputError, match="cost must be one of n_params, macs, latency_ms; found 'flops'"):
        study((trial(0),)).plot_front("flops")
    with pytest.raises(InputError, match="at least two proxies"):
        study((trial(0),)).plot_agreement()
    with pytest.raises(InputError, match="stored no profile"):
        study((trial(0),)).plot_profile()
