"""Whole scores on a CUDA device against the same on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import kernels, score, score_many
from support.device import Device

pytestmark = pytest.mark.cuda

PROXIES = ("lswag", "zico", "grad_norm", "plain", "snip", "nwot", "swap")

# 1/sigma is dominated by the smallest variances, and the gradients themselves come from other products on a device.
TRAINABILITY = 1e-3
# The activations differ in rounding: a few neurons whose value is near zero change their sign.
CARDINALITY = 1e-2
# Operands of 8 bits: the bound that docs/concepts/precision.md gives.
BFLOAT16 = 2**-6


def cnn() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 3, stride=2, groups=4),
        nn.GELU(),
        nn.Flatten(),
        nn.Linear(8 * 5 * 5, 24),
        nn.ReLU(),
        nn.Linear(24, 10),
    )


@pytest.fixture
def batch(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    return torch.randn(16, 3, 12, 12, generator=generator), torch.randint(10, (16,), generator=generator)


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_a_score(device: Device, batch: tuple[Tensor, Tensor], chunk_size: int | None) -> None:
    model = cnn()
    expected = score(model, batch, chunk_size=chunk_size)
    model.to(device.torch_device)
    put = device.put(batch[0]), device.put(batch[1])
    with device.active():
        found = score(model, put, chunk_size=chunk_size)
    assert float(found) == pytest.approx(float(expected), rel=TRAINABILITY + CARDINALITY)
    for layer, other in zip(found.layers, expected.layers, strict=True):
        assert layer.name == other.name
        assert layer.trainability == pytest.approx(other.trainability, rel=TRAINABILITY)
        assert layer.cardinality == pytest.approx(other.cardinality, rel=CARDINALITY)


def test_many_proxies(device: Device, batch: tuple[Tensor, Tensor]) -> None:
    model = cnn()
    expected = score_many(model, batch, proxies=list(PROXIES))
    model.to(device.torch_device)
    with device.active():
        found = score_many(model, (device.put(batch[0]), device.put(batch[1])), proxies=list(PROXIES))
    for proxy in PROXIES:
        assert found[proxy].error is None
        assert float(found[proxy]) == pytest.approx(float(expected[proxy]), rel=TRAINABILITY + CARDINALITY), proxy


def test_the_same_bits_again(device: Device, batch: tuple[Tensor, Tensor]) -> None:
    model = cnn().to(device.torch_device)
    put = device.put(batch[0]), device.put(batch[1])
    with device.active():
        first, second = (score(model, put) for _ in range(2))
    assert [layer.trainability for layer in first.layers] == [layer.trainability for layer in second.layers]


def test_bfloat16(device: Device, batch: tuple[Tensor, Tensor]) -> None:
    if device.emulated and (problem := kernels.bfloat16_problem()):
        pytest.skip(f"the emulator has the forward of the CPU: {problem}")
    model = cnn()
    # In the emulator the kernels get the CPU's operands; a device rounds others, and the CPU may have no bfloat16.
    expected = score(model, batch, precision="bfloat16" if device.emulated else "float32")
    model.to(device.torch_device)
    put = device.put(batch[0]), device.put(batch[1])
    with device.active():
        found, single = (score(model, put, precision=precision) for precision in ("bfloat16", "float32"))
    assert found.options["precision"] == "bfloat16"
    for layer, other, exact in zip(found.layers, expected.layers, single.layers, strict=True):
        tolerance = TRAINABILITY if device.emulated else BFLOAT16
        assert layer.trainability == pytest.approx(other.trainability, rel=tolerance)
        assert layer.trainability != exact.trainability
