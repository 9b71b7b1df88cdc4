"""What people use today for the same numbers: `pytest bench/score/test_peers.py -k "nasbench201_like and vmap"`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bench.score.networks import ALL_SETTINGS
from bench.score.peers import PEERS

CELLS = [(network, size) for network, setting in ALL_SETTINGS.items() for size in setting.batch_sizes]


@pytest.mark.parametrize("method", PEERS)
@pytest.mark.parametrize(("network", "batch_size"), CELLS)
def test_peer(against_plain: Callable[[str, int, str], None], network: str, batch_size: int, method: str) -> None:
    against_plain(network, batch_size, method)
