"""`bench.search.fast_settings`: what its rows say about networks whose scores are made up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.search.fast_settings import KEY, SETTINGS, summary_of

N = 12


def test_a_setting_is_compared_with_the_exact_values_and_the_accuracies() -> None:
    archs = [f"net{k}" for k in range(N)]
    rows = []
    for place, samples in enumerate(SETTINGS):
        sign = -1 if place == 1 else 1  # ranks the other way round
        for k, arch in enumerate(archs):
            value = np.nan if (place, k) == (2, 0) else float(sign * k)
            row = dict(zip(KEY, (arch, *map(str, samples)), strict=True))
            rows.append({**row, "lswag": value, "zico": float(k), "seconds": 4.0 / (place + 1)})
    found = summary_of(pd.DataFrame(rows), pd.Series(np.arange(N, 0.0, -1), index=archs))
    assert len(found) == len(SETTINGS)
    assert set(found["n"]) == {N - 1}
    assert set(found["n_left_out"]) == {1}
    exact, reversed_, third = found.iloc[0], found.iloc[1], found.iloc[2]
    assert (exact["price"], reversed_["price"]) == (1, 0.5)
    assert (exact["lswag_exact"], exact["lswag_accuracy"]) == (1, -1)
    assert (reversed_["lswag_exact"], reversed_["lswag_accuracy"]) == (-1, 1)
    assert (third["zico_exact_low"], third["zico_exact_high"]) == (1, 1)
