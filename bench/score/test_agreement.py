"""The compared methods compute the same numbers: a benchmark of different results would compare nothing. Not timed."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from bench.score.methods import METHODS, missing_package
from bench.score.networks import ALL_SETTINGS, TINY_SETTINGS
from bench.score.peers import GRADIENT_PEERS

# In float64 only the two running sums cancel; a weight with a relative variance of 1e-8 still keeps 8 digits.
TOLERANCE = 1e-6


def in_double(network: str) -> tuple[nn.Module, Tensor, Tensor]:
    setting = TINY_SETTINGS[network]
    images, labels = setting.batch(setting.batch_sizes[0])
    return setting.build().double(), images.double(), labels


@pytest.mark.parametrize("method", ["score", *list(GRADIENT_PEERS)[1:]])
@pytest.mark.parametrize("network", TINY_SETTINGS)
def test_same_trainability_as_the_loop(network: str, method: str) -> None:
    if package := missing_package(method):
        pytest.skip(f"{package} is not installed (pip install 'lswag-fast[bench]')")
    expected = METHODS["loop"](*in_double(network))()
    assert METHODS[method](*in_double(network))() == pytest.approx(expected, rel=TOLERANCE)


def test_the_cell_network_has_the_published_size() -> None:
    assert sum(p.numel() for p in ALL_SETTINGS["nasbench201_like"].build().parameters()) == 1_288_506


def test_the_autoformer_has_the_published_size() -> None:
    assert sum(p.numel() for p in ALL_SETTINGS["autoformer_s"].build().parameters()) == 22_005_544
