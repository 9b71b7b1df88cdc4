"""The page: what it says for full and for meagre studies, and that nothing of a study can break out of it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from dataclasses import replace
from typing import Any

import pytest

from lswag_fast.errors import LswagError
from lswag_fast.report.html import html_report
from lswag_fast.study.objective import Objective
from lswag_fast.study.settings import ScoringSettings
from lswag_fast.study.stored import StoredStudy
from support.studies import SETTINGS, failed_trial, full_study, layer, study, trial

go = pytest.importorskip("plotly.graph_objects")

EVIL = """</script><script>alert(1)</script><img src=x onerror="alert('2')">&amp;"""


def charts_of(page: str) -> dict[str, Any]:
    return dict(json.loads(re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, re.S)[1]))


def headings(page: str) -> list[str]:
    return re.findall(r"<h2>(.*?)</h2>", page)


@pytest.fixture(scope="module")
def page() -> str:
    return html_report(full_study())


def test_a_full_study_fills_every_section(page: str) -> None:
    assert headings(page) == [
        "Search history",
        "Score against cost",
        "The best architectures",
        "Layer by layer",
        "Do the proxies agree?",
        "Failures",
        "Configuration",
        "Next steps",
    ]
    assert list(charts_of(page)) == [
        *("chart-history", "chart-n_params", "chart-macs", "chart-latency_ms"),
        *("chart-trainability", "chart-cardinality", "chart-agreement"),
    ]


def test_every_chart_is_one_that_plotly_knows(page: str) -> None:
    for chart in charts_of(page).values():
        text = re.sub(r'"@font"', '"Arial"', json.dumps(chart))
        go.Figure(json.loads(re.sub(r'"@\w+"', '"#123456"', text)))  # raises on anything unknown


def test_every_colour_is_one_of_the_page(page: str) -> None:
    named = set(re.findall(r'"@(\w+)"', json.dumps(charts_of(page))))
    assert named
    assert named <= set(re.findall(r"--(\w+):", page))


def test_history_has_every_trial(page: str) -> None:
    scored, line, best, lost = charts_of(page)["chart-history"]["data"]
    whole = full_study()
    assert scored["x"] == [t.number for t in whole.trials if t.score is not None]
    assert scored["y"] == [t.score for t in whole.trials if t.score is not None]
    assert (line["x"][-1], line["y"][-1]) == (59, whole.best.score)
    assert best["y"] == sorted(best["y"])
    assert lost["x"] == [17, 40]


def test_front_and_best(page: str) -> None:
    scored, line, front, ring = charts_of(page)["chart-macs"]["data"]
    whole = full_study()
    assert line["x"] == front["x"] == [t.macs for t in whole.front("macs")]
    assert ring["meta"] == [whole.best.number]
    assert len(scored["x"]) == 58


def test_the_best_score_of_combined_proxies_says_what_it_is_made_of(page: str) -> None:
    (small,) = re.findall(r"<dt>best score</dt><dd>[^<]*<small>(.*?)</small>", page)
    assert re.fullmatch(r"trial \d+; 3 proxies by log_rank, at most 0", small)
    alone = html_report(study((trial(0),)))
    assert re.findall(r"<dt>best score</dt><dd>[^<]*<small>(.*?)</small>", alone) == ["trial 0"]


def test_every_point_has_its_text(page: str) -> None:
    texts = json.loads(re.search(r'id="hover">(.*?)</script>', page, re.S)[1])
    drawn = {str(n) for chart in charts_of(page).values() for trace in chart["data"] for n in trace.get("meta", ())}
    assert drawn == set(texts)
    assert "trial 17" in texts["17"]
    assert "NonFiniteGradientError" in texts["17"]
    assert all(name in texts["3"] for name in ("lswag", "zico", "embed_dim", "parameters", "MACs", "latency"))


def test_the_best_are_a_table(page: str) -> None:
    table = re.search(r"<h2>The best architectures</h2>.*?</section>", page, re.S)[0]
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", table, re.S)
    assert len(rows) == 11
    cells = [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", rows[1], re.S)]
    best = full_study().best
    assert cells[:2] == ["1", f"{best.score:.6g}"]
    assert cells[8] == str(best.number)
    assert "embed_dim" in cells[-1]


def test_settings_versions_and_steps_are_there(page: str) -> None:
    for text in (
        "sampler.options.population",
        "params 5M..7M",
        "2.13.0",
        "digits (UCI",
        "--arch best -o best",
    ):
        assert text in page


def test_failures_have_reasons(page: str) -> None:
    found = re.search(r"<h2>Failures</h2>.*?</section>", page, re.S)[0]
    assert "NonFiniteGradientError: the loss is NaN" in found
    assert "17, 40" in found


def test_one_trial_alone(page: str) -> None:
    one = html_report(study((trial(0),)))
    assert headings(one) == [
        *("Search history", "Score against cost", "The best architectures", "Configuration", "Next steps")
    ]
    assert "it rose 0 times after the first trial" in one
    assert "Rank correlation" not in one


def test_all_failed() -> None:
    lost = html_report(study((failed_trial(0), failed_trial(1))))
    assert headings(lost) == ["Failures", "Configuration", "Next steps"]
    assert "No architecture has a score yet." in lost
    assert "Plotly.react" not in lost
    assert charts_of(lost) == {}


def test_nothing_yet() -> None:
    empty = html_report(study((), status="running", n_trials_wanted=50))
    assert headings(empty) == ["Configuration", "Next steps"]
    assert "still running" in empty
    assert "of 50; 0 failed" in empty


@pytest.mark.parametrize("status", ["interrupted", "killed", "failed"])
def test_a_search_that_was_cut_can_be_continued(status: str) -> None:
    command = "lswag-fast search autoformer-tiny --trials 1 --out runs/tiny"
    cut = html_report(study((trial(0),), status=status, metadata={"command": command}))
    assert "says how to continue" in cut
    assert f"<h3>Continue the search</h3><pre>{command}</pre>" in cut.replace("\n", "")


def test_no_patterns_no_cardinality() -> None:
    layers = [layer(n, f"blocks.{n}.qkv.weight") for n in range(1, 4)]
    made = charts_of(html_report(study((trial(0),), profile=layers, profile_trial=0)))
    assert "chart-trainability" in made
    assert "chart-cardinality" not in made


def test_a_layer_without_variance_leaves_a_gap() -> None:
    layers = [layer(1, "0.weight", trainability=float("-inf")), layer(2, "1.weight")]
    made = charts_of(html_report(study((trial(0),), profile=layers, profile_trial=0)))
    assert made["chart-trainability"]["data"][0]["y"][0] is None


def test_many_trials_are_thinned() -> None:
    scored = trial(0)
    trials = tuple(replace(scored, number=number, score=float(number % 997)) for number in range(20_000))
    whole = study(trials)
    made = html_report(whole)
    history, *_ = charts_of(made)["chart-history"]["data"]
    assert 3000 <= len(history["x"]) <= 4000
    assert "About 3,000 of the 20,000 scored trials" in made
    assert len(made) < 7_000_000


def evil_study() -> StoredStudy:
    bad = trial(0, ("lswag", EVIL), arch={EVIL: EVIL}, arch_json=json.dumps({"a": EVIL}), origin=EVIL)
    trials = (bad, trial(1, ("lswag", EVIL)), trial(2, ("lswag", EVIL)), failed_trial(3, EVIL))
    space = replace(SETTINGS.space, name=EVIL, choices=EVIL)
    scoring = ScoringSettings(function=EVIL, options={EVIL: EVIL})
    settings = replace(SETTINGS, space=space, scoring=scoring, objective=Objective(("lswag", EVIL)))
    return study(
        trials,
        settings=settings,
        metadata={"data": EVIL, "command": EVIL, EVIL: EVIL},
        versions={EVIL: EVIL},
        profile=[layer(1, EVIL, kind=EVIL)],
        profile_trial=0,
    )


def test_nothing_of_a_study_becomes_markup() -> None:
    page = html_report(evil_study())
    assert "<img" not in page
    assert "<script>alert" not in page
    assert page.count("</script>") == 4  # the charts, the hover texts, plotly, the page's own
    assert "&lt;/script&gt;&lt;script&gt;alert(1)" in page


def test_what_plotly_shows_is_escaped_for_plotly_too() -> None:
    """Plotly reads tags in texts: links and line breaks."""
    page = html_report(evil_study())
    texts = json.loads(re.search(r'id="hover">(.*?)</script>', page, re.S)[1])
    assert all("<img" not in text and "<script" not in text for text in texts.values())
    made = charts_of(page)
    assert all("&quot;" not in text for text in texts.values())  # plotly would show it so
    assert "<img" not in json.dumps([made["chart-agreement"]["data"][0]["x"], made["chart-trainability"]["data"]])


def test_the_page_may_load_nothing_and_runs_only_its_own_scripts(page: str) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy" content="(.*?)"', page)[1]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.S)
    assert len(scripts) == 2
    for code in scripts:
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    shell = re.sub(r"<script>.*?</script>", "", page, flags=re.S)
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:|//)""", shell)
    assert "url(" not in shell


def test_without_plotly_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly.offline", None)
    with pytest.raises(LswagError, match=r"plotly.*pip install 'lswag-fast\[report\]'"):
        html_report(full_study())


def test_finalists_are_a_section_with_both_scores() -> None:
    trials = tuple(trial(n, exact_values={"lswag": 1.0}, exact_score=float(n)) for n in range(4))
    searched = study((*trials, trial(4, exact_error="the loss is NaN")), settings=replace(SETTINGS, n_finalists=5))
    page = html_report(searched)
    assert "Scored exactly" in headings(page)
    assert "Fidelity: fast (gradients of 8 samples); the 5 best were scored exactly, 1 of them without success." in page
    assert "Trial 4 has no exact score: the loss is NaN." in page
    assert "best exact score" in page
    assert html_report(study(trials)).count("Scored exactly") == 0
