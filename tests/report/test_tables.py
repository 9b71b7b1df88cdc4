"""The rows that the page and the terminal share."""

from __future__ import annotations

from lswag_fast.report.tables import best_table, finalists_table, trial_numbers
from support.studies import trial


def test_one_proxy_is_the_score_and_has_no_column() -> None:
    head, rows = best_table([trial(3)])
    assert head == ["rank", "score", "params", "MACs", "trial", "origin"]
    assert (rows[0][0], rows[0][-2:]) == ("1", ["3", "random"])


def test_several_proxies_have_columns_as_far_as_they_are_wanted() -> None:
    best = [trial(number, ("lswag", "zico"), latency=True) for number in (2, 1)]
    head, rows = best_table(best, with_origin=False)
    assert head == ["rank", "score", "params", "MACs", "latency", "lswag", "zico", "trial"]
    assert [row[-1] for row in rows] == ["2", "1"]
    assert rows[0][4].endswith(" ms")
    assert best_table(best, ["zico"])[0] == ["rank", "score", "params", "MACs", "latency", "zico", "trial", "origin"]


def test_only_the_first_numbers_are_shown() -> None:
    assert trial_numbers([trial(number) for number in range(3)]) == "0, 1, 2"
    assert trial_numbers([trial(number) for number in range(9)], limit=2) == "0, 1, ..."


def test_exact_scores_have_a_column_and_a_table() -> None:
    trials = [trial(0, exact_score=2.0), trial(1, exact_error="NaN"), trial(2, exact_score=3.0)]
    head, rows = best_table(trials)
    assert (head[2], [row[2] for row in rows]) == ("exact score", ["2", "failed", "3"])
    head, rows = finalists_table(trials)
    assert head == ["rank by score", "rank by exact score", "score", "exact score", "trial"]
    assert [[row[0], row[1], row[3], row[4]] for row in rows] == [
        ["1", "2", "2", "0"],
        ["2", "-", "failed", "1"],
        ["3", "1", "3", "2"],
    ]
