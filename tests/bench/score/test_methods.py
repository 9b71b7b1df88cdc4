"""The compared methods compute the same numbers: a benchmark of different results would compare nothing. Not timed."""

from __future__ import annotations

import pytest

from bench.score.methods import METHODS, missing_package
from bench.score.networks import ALL_SETTINGS, TINY_SETTINGS, WHOLE_SCORE
from bench.score.peers import GRADIENT_PEERS
from bench.score.published import PUBLISHED

# In float64 only the two running sums cancel; a weight with a relative variance of 1e-8 still keeps 8 digits.
TOLERANCE = 1e-6
# method -> the one that gives the same number.
SAME = {
    **dict.fromkeys(("score", *list(GRADIENT_PEERS)[1:]), "loop"),
    **{f"{method}_fast": "loop_fast" for method in ("score", *list(GRADIENT_PEERS)[1:])},
    **{name.replace("published", "same"): name for name in PUBLISHED},
}


def result(method: str, network: str) -> float:
    if package := missing_package(method):
        pytest.skip(f"{package} is not installed (pip install 'lswag-fast[bench]')")
    setting = TINY_SETTINGS[network]
    images, labels = setting.batch(setting.batch_sizes[0])
    return METHODS[method](setting.build().double(), images.double(), labels)()


@pytest.mark.parametrize("method", SAME)
@pytest.mark.parametrize("network", TINY_SETTINGS)
def test_the_same_number(network: str, method: str) -> None:
    assert result(method, network) == pytest.approx(result(SAME[method], network), rel=TOLERANCE)


def test_every_method_is_compared_with_another_or_is_no_rival() -> None:
    assert set(METHODS) - set(SAME) - set(SAME.values()) == {"plain", "unique", "score_rows_0.125"}


def test_the_fast_peers_take_part_of_the_batch() -> None:
    assert result("loop_fast", "cells_toy") != pytest.approx(result("loop", "cells_toy"), rel=1e-3)


@pytest.mark.parametrize(
    ("network", "n_parameters"),
    [("nasbench201_like", 1_288_506), ("autoformer_s", 22_005_544), ("resnet50", 25_557_032)],
)
def test_the_networks_have_the_published_sizes(network: str, n_parameters: int) -> None:
    assert sum(p.numel() for p in ALL_SETTINGS[network].build().parameters()) == n_parameters
    assert network in WHOLE_SCORE
