"""The variants of L-SWAG on networks whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bench.libra.layer_variants import DEFAULT, HELD_OUT, measured

N = 60
RNG = np.random.default_rng(0)
Y = RNG.normal(size=N)
TABLE = pd.DataFrame({"top1": Y, "params": np.repeat([1.0, 2.0], N // 2), "embed_dim": np.tile([1, 2], N // 2)})
SCORES = pd.DataFrame({DEFAULT: RNG.normal(size=N), "right": Y, "turned": -Y, "proxy best": Y})


def test_the_right_variant_is_chosen_on_every_half_and_worth_as_much_on_the_other() -> None:
    found = measured(SCORES, TABLE, "top1", "embed_dim", resamples=20, halves=8).set_index("variant")
    assert found["inside_window"][["right", "turned"]].tolist() == pytest.approx([1, -1])
    assert found.loc["right", ["over_all", "within_embed_dim"]].tolist() == pytest.approx([1, 1])
    assert found.loc[[DEFAULT], ["difference", "low", "high"]].to_numpy().tolist() == [[0, 0, 0]]
    assert found["low"]["right"] > 0
    assert found["chosen"].fillna(0).to_dict() == {DEFAULT: 0, "right": 8, "turned": 0, "proxy best": 0, HELD_OUT: 0}
    assert found["inside_window"][HELD_OUT] == pytest.approx(1)
    assert found["difference"][HELD_OUT] == pytest.approx(1 - found["inside_window"][DEFAULT], abs=0.3)  # of halves
