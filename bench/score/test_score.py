"""`score` against one plain forward and backward pass: `pytest bench/score/test_score.py -k "autoformer_s-32"`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.score.methods import SAMPLED_ROWS
from bench.score.networks import ALL_SETTINGS

CELLS = [(network, size) for network, setting in ALL_SETTINGS.items() for size in setting.batch_sizes]


@pytest.mark.parametrize("method", ["plain", "score", f"score_rows_{SAMPLED_ROWS}"])
@pytest.mark.parametrize(("network", "batch_size"), CELLS)
def test_score(against_plain: Callable[[str, int, str], None], network: str, batch_size: int, method: str) -> None:
    against_plain(network, batch_size, method)
