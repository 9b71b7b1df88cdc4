"""The README's picture shows the numbers of the CSVs."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from bench.pages import picture, reach

ROOT = Path(__file__).parents[3]


def test_the_picture_is_that_of_the_csvs() -> None:
    assert picture.digest() in (ROOT / picture.FILE).read_text(encoding="utf-8"), "draw it anew: python -m bench.pages"


def test_it_shows_each_proxy_on_both_benchmarks() -> None:
    for numbers in picture.shown().values():
        assert list(numbers.index) == list(reach.SHOWN)
        assert numbers["spearman"].between(0.5, 0.92).all(), "a point would lie outside of the picture"
        assert (numbers["price"] > 0).all()


def test_another_number_is_another_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    before = picture.digest()
    numbers = {title: table + 0.001 for title, table in picture.shown().items()}
    monkeypatch.setattr(picture, "shown", lambda: numbers)
    assert picture.digest() != before


def test_it_is_drawn_the_same_each_time_and_on_nothing() -> None:
    drawn = picture.svg()
    assert picture.svg() == drawn
    ElementTree.fromstring(drawn)
    assert "#ffffff" not in drawn.split("<defs>")[-1], "a white ground would show on a dark page"


def test_its_numbers_are_those_of_the_rows() -> None:
    numbers = picture.shown()["NAS-Bench-201: 1,000 cells, CIFAR-10"].loc["lswag"]
    scores = pd.read_csv(ROOT / "bench/results/correlation/nasbench201_correlation.csv")
    prices = pd.read_csv(ROOT / "bench/results/score/proxies.csv")
    score = scores[(scores["proxy"] == "lswag") & (scores["target"] == "cifar10_test")]["spearman"].item()
    price = prices[(prices["method"] == "proxy_lswag") & (prices["network"] == "nasbench201_like")]["ratio"].item()
    assert (numbers["spearman"], numbers["price"]) == (score, price)
