"""How much a score puts into the stream of a device: kernels and clears of memory, counted by the emulator.

The kernels are skipped, since those of whole networks would take hours there; their results are made up.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

import pytest

from bench.score.networks import ALL_SETTINGS
from lswag_fast import kernels, score
from lswag_fast.kernels.binary import core
from support.device import Device

pytestmark = pytest.mark.cuda

OF_A_WEIGHT = 4  # its tables, a look at the operands, the moments, the statistics
OF_AN_ACTIVATION = 3  # its signs; the tables and an empty set of its patterns, and their count
N_SAMPLES = 2


@pytest.fixture
def emulator(device: Device, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    if not device.emulated:
        pytest.skip("the emulator counts")
    library = ctypes.CDLL(core.__file__)
    library.simt_n_queued.restype = ctypes.c_int64
    start_gradient_stats, count_distinct = core.cuda_gradient_stats, core.cuda_count_distinct
    statistics = [0.0 if statistic.name.startswith("n_") else 1.0 for statistic in kernels.statistics()]

    def made_up_statistics(*arguments: Any) -> int:
        n_weights = start_gradient_stats(*arguments)
        (ctypes.c_double * len(statistics)).from_address(arguments[-2])[:] = statistics
        return int(n_weights)

    def made_up_count(*arguments: Any) -> None:
        count_distinct(*arguments)
        ctypes.c_int64.from_address(arguments[-2]).value = 2

    monkeypatch.setattr(core, "cuda_gradient_stats", made_up_statistics)
    monkeypatch.setattr(core, "cuda_count_distinct", made_up_count)
    library.simt_skip_kernels(True)
    yield library
    library.simt_skip_kernels(False)


@pytest.mark.parametrize(
    ("network", "image_size", "n_weights", "n_activations"),
    [("autoformer_s", 224, 54, 13), ("resnet50", 32, 54, 49), ("nasbench201_like", 32, 83, 80)],
)
def test_the_launches_of_a_score(
    device: Device, emulator: Any, network: str, image_size: int, n_weights: int, n_activations: int
) -> None:
    setting = ALL_SETTINGS[network]
    images, labels = setting.batch(N_SAMPLES)
    before = emulator.simt_n_queued()
    with device.active():
        found = score(setting.build(), (images[..., :image_size, :image_size], labels), pattern_samples=N_SAMPLES)
    n_queued = emulator.simt_n_queued() - before
    assert len(found.layers) == n_weights
    assert n_queued == OF_A_WEIGHT * n_weights + OF_AN_ACTIVATION * n_activations
