"""Runs that are compared, on tables whose answer is known."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.correlation.runs import compared, named

ACCURACY = np.arange(30, dtype=float)


def test_a_run_is_compared_with_the_first_on_the_proxies_that_both_have():
    first = pd.DataFrame({"acc": ACCURACY, "lswag": ACCURACY, "te_nas_ntk": -ACCURACY, "zen": 1.0, "elapsed_s": 2.0})
    turned = pd.DataFrame({"acc": ACCURACY, "lswag": -ACCURACY, "zico": ACCURACY, "elapsed_s": 0.5})
    found = compared({"first": first, "turned": turned}, ["acc"], resamples=20, seed=0)
    assert found[["run", "proxy"]].to_numpy().tolist() == [
        ["first", "lswag"],
        ["first", "te_nas_ntk"],
        ["turned", "lswag"],
    ]
    assert found["spearman"].tolist() == pytest.approx([1, 1, -1])  # lower is better for the second
    assert found["difference"].tolist() == pytest.approx([0, 0, -2])
    assert found["agreement"].tolist() == pytest.approx([1, 1, -1])
    assert found["price"].tolist() == [1, 1, 0.25]
    assert found["difference_low"].tolist() == pytest.approx([0, 0, -2])


def test_the_words_of_a_run():
    assert named("seed-1=a/b=c.csv") == ("seed-1", Path("a/b=c.csv"))
    for word in ("a.csv", "=a.csv", "seed-1="):
        with pytest.raises(argparse.ArgumentTypeError, match="expected NAME=FILE"):
            named(word)
