"""The page in a real browser: it loads from the disk, draws its charts and asks the network for nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from lswag_fast.report.html import html_report
from lswag_fast.report.trainings import comparison_report, training_report
from report.browser import CHROMIUM, Visit, visit
from report.test_html import EVIL, evil_study
from report.test_trainings import N_EPOCHS, comparison_folder, training_folder
from support.studies import full_study, study, trial

pytest.importorskip("plotly")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="neither chromium nor google-chrome is installed")

DARK = "--blink-settings=preferredColorScheme=0"


def opened(text: str, folder: Path, *flags: str) -> Visit:
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return visit(path, *flags)


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_a_full_report_draws_all_its_points(tmp_path: Path, flags: tuple[str, ...]) -> None:
    whole = full_study()
    seen = opened(html_report(whole), tmp_path, *flags)
    assert seen.console == []
    assert seen.requests == []
    drawn = {name: classes["point"] for name, classes in seen.dom.charts.items()}
    fronts = {cost: 58 + len(whole.front(cost)) + 1 for cost in ("n_params", "macs", "latency_ms")}
    layers = {"trainability": 49, "cardinality": 37}
    best = sum(t.score == max(u.score or 0 for u in whole.trials[: t.number + 1]) for t in whole.trials)
    assert drawn == {"history": 58 + best + 2, **fronts, **layers, "agreement": 0}
    assert seen.dom.charts["agreement"]["heatmap-label"] == 49
    assert "Search history" in seen.dom.text


def test_one_trial_is_drawn(tmp_path: Path) -> None:
    seen = opened(html_report(study((trial(0),))), tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    assert {name: classes["point"] for name, classes in seen.dom.charts.items()} == {
        "history": 2,
        "n_params": 3,
        "macs": 3,
    }


@pytest.mark.parametrize("flags", [(), (DARK,)], ids=["light", "dark"])
def test_the_curves_of_a_training_are_drawn(tmp_path: Path, flags: tuple[str, ...]) -> None:
    seen = opened(training_report(training_folder(tmp_path / "run")), tmp_path, *flags)
    assert (seen.console, seen.requests) == ([], [])
    drawn = {name: classes["point"] for name, classes in seen.dom.charts.items()}
    assert drawn == {"loss": N_EPOCHS, "accuracy": 2 * N_EPOCHS, "lr": N_EPOCHS}


def test_the_methods_of_a_comparison_are_drawn(tmp_path: Path) -> None:
    seen = opened(comparison_report(comparison_folder(tmp_path / "compared")), tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    assert seen.dom.charts["methods"]["point"] == 3 + 2  # runs and means


def test_nothing_of_a_study_runs(tmp_path: Path) -> None:
    seen = opened(html_report(evil_study()), tmp_path)
    assert (seen.console, seen.requests) == ([], [])
    assert EVIL.removesuffix("&amp;") in seen.dom.text


def test_a_page_that_misbehaves_is_noticed(tmp_path: Path) -> None:
    """The eyes of this test, tried on a page that does what a report must not do."""
    bad = "<img src='https://example.invalid/x.png'><script>throw new Error('boom')</script>"
    seen = opened(bad, tmp_path)
    assert seen.requests == ["https://example.invalid/x.png"]
    assert any("boom" in line for line in seen.console)
    blocked = opened(html_report(study((trial(0),))).replace("<body>", f"<body>{bad}"), tmp_path)
    assert blocked.requests == []
    assert len(blocked.console) == 2  # the picture and the script were refused
