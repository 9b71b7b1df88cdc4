import math

import pytest

from lswag_fast.errors import BudgetError
from lswag_fast.study.budget import INSIDE, Budget, Window, format_count
from lswag_fast.study.candidate_pool import Candidate
from study.toy_space import ToySpace


@pytest.mark.parametrize(
    ("text", "lo", "hi"),
    [
        ("5M..7M", 5e6, 7e6),
        ("..7M", 0, 7e6),
        ("5M..", 5e6, math.inf),
        ("1.5k..2K", 1500, 2000),
        (" 800 .. 1g ", 800, 1e9),
        ("5e6..7000000", 5e6, 7e6),
        (".5M..0.5M", 5e5, 5e5),
    ],
)
def test_reads_windows(text, lo, hi):
    assert Window.parse(text) == Window(lo, hi)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5M",
        "..",
        "7M..5M",
        "-5M..7M",
        "5X..7M",
        "a..b",
        "5M..7M..9M",
        "5M...7M",
        "nan..5",
        "..0",
        "5 M M..",
        "inf..",
    ],
)
def test_refuses_nonsense(text):
    with pytest.raises(BudgetError):
        Window.parse(text)


def test_error_shows_text_and_form():
    with pytest.raises(BudgetError, match=r"'five'.*5M\.\.7M"):
        Window.parse("five")


@pytest.mark.parametrize("given", [(7, 5), (-1, 5), (math.nan, 5), (1, 2, 3), ("a", 2), 5])
def test_budget_refuses_bad_pairs(given):
    with pytest.raises(BudgetError):
        Budget(params=given)


def test_budget_takes_pairs_and_text():
    assert Budget(params=(5e6, None)) == Budget(params="5M..")
    assert Budget(params=(None, 7e6), macs="1G..2G").to_dict() == {"params": [0.0, 7e6], "macs": [1e9, 2e9]}


@pytest.mark.parametrize(("count", "gap"), [(50, 0.5), (100, 0), (150, 0), (200, 0), (300, 0.5)])
def test_gap_is_relative_to_the_missed_end(count, gap):
    assert Window(100, 200).gap(count) == gap


def candidate(space=None, latency=None):
    return Candidate({"widths": [5]}, space or ToySpace(n_genes=1), latency)  # 2 x 5 = 10 parameters and MACs


def test_distance_of_a_budget_adds_what_is_counted():
    assert Budget(params=(20, None), macs=(None, 5)).distance(candidate()) == (0.5 + 1.0, 0.0)
    assert Budget().distance(candidate()) == INSIDE


def test_latency_is_measured_last_and_only_where_it_matters():
    asked = []

    def latency(arch_json, arch):
        asked.append(arch_json)
        return 3.0

    known = candidate(latency=latency)
    assert Budget(params=(20, None), latency_ms="..2").distance(known) == (0.5, math.inf)
    assert Budget(params=(10, None)).distance(known) == INSIDE
    assert asked == []
    assert Budget(params=(10, None), latency_ms="..2").distance(known) == (0.0, 0.5)
    assert Budget(latency_ms="2..4").distance(known) == INSIDE
    assert asked == ['{"widths":[5]}'] * 2


def test_only_limited_quantities_are_computed():
    class NoMacs(ToySpace):
        def macs(self, arch):
            raise RuntimeError("must not be asked")

    assert Budget(params="1..").costs(candidate(NoMacs(1))) == {"params": 10}


@pytest.mark.parametrize(("count", "text"), [(5712345, "5.712345M"), (999, "999"), (2e9, "2G"), (1500, "1.5K")])
def test_format_count(count, text):
    assert format_count(count) == text


def test_text_of_a_window_reads_back():
    for text in ("5M..7M", "..7M", "1.5K..", "7.681456M..7.681457M"):
        assert str(Window.parse(text)) == text
