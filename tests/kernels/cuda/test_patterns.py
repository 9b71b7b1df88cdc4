"""pack_signs, count_distinct and agreement_counts on a CUDA device against the CPU kernels: exact."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kernels.cpu.pattern_support import random_words
from kernels.cpu.test_pack_signs import LAYOUTS, activation
from lswag_fast import kernels
from support.device import Device

pytestmark = pytest.mark.cuda

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def check_packing(device: Device, y: Tensor, n_samples: int) -> None:
    for layout in ("neuron", "sample"):
        expected = kernels.pack_signs(y, n_samples, layout)
        with device.active():
            packed = kernels.pack_signs(device.put(y), n_samples, layout)
        assert torch.equal(packed.cpu(), expected), layout


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_packing_of_layouts(device: Device, layout: str, dtype: torch.dtype) -> None:
    check_packing(device, LAYOUTS[layout](activation((37, 5, 6, 11), dtype)), 35)


@pytest.mark.parametrize("n_neurons", [1, 31, 33, 63, 64, 65, 1000])
def test_packing_of_odd_sizes(device: Device, n_neurons: int) -> None:
    for n_samples in (1, 32, 63, 64, 65, 130):
        check_packing(device, activation((130, n_neurons)), n_samples)


def test_packing_of_expanded_axes_and_of_nothing(device: Device) -> None:
    check_packing(device, activation((6, 1, 7)).expand(6, 5, 7), 6)
    check_packing(device, activation((1, 70)).expand(66, 70), 66)
    check_packing(device, torch.empty(70, 3, 0), 70)


@pytest.mark.parametrize("n_bits", [1, 20, 63, 64, 65, 130, 192])
def test_counting(device: Device, n_bits: int) -> None:
    arrays = [random_words(n, 3, seed=n) % 50 for n in (3000, 1, 0, 77)]
    expected = kernels.count_distinct(arrays, n_bits)
    with device.active():
        assert kernels.count_distinct([device.put(a) for a in arrays], n_bits) == expected


@pytest.mark.parametrize("n_neurons", [0, 1, 64, 65, 1000, 70000])
def test_agreements(device: Device, n_neurons: int) -> None:
    words = random_words(33, -(-n_neurons // 64) + 1, seed=n_neurons)
    with device.active():
        found = kernels.agreement_counts(device.put(words), n_neurons)
    assert torch.equal(found.cpu(), kernels.agreement_counts(words, n_neurons))
