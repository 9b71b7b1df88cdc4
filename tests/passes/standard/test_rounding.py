"""Rounding errors in real layers: what a score makes of gradients that are zero in theory."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import reference

B, D = 16, 32


class OneToken(nn.Module):
    """Attention over one token: whatever queries and keys are, the softmax is 1."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.qkv, self.head = nn.Linear(12, D), nn.Linear(D, 3 * D), nn.Linear(D, 4)

    def forward(self, x: Tensor) -> Tensor:
        heads = (part.unflatten(-1, (4, -1)).transpose(1, 2) for part in self.qkv(F.gelu(self.embed(x))).chunk(3, -1))
        attended = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return self.head(F.gelu(attended)[:, 0])


class Cancelled(nn.Module):
    """A convolution that sees the same at all positions, before a normalisation over them: its output is always 0."""

    def __init__(self) -> None:
        super().__init__()
        self.narrow, self.wide = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(3, 8, 1, bias=False)
        self.norm, self.head = nn.InstanceNorm2d(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        constant = self.norm(self.wide(x.mean((2, 3), keepdim=True).expand(x.shape)))
        return self.head(F.gelu(self.narrow(x) + constant).mean((2, 3)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("chunk_size", [None, 5])
def test_attention_over_one_token(dtype: torch.dtype, chunk_size: int | None) -> None:
    """Only the values' third of the rows has a gradient; the others have 1e-9 of it in float32, 1e-18 in float64."""
    torch.manual_seed(0)
    model, batch = OneToken(), (torch.randn(B, 1, 12), torch.arange(B) % 4)
    exact = reference.per_sample_gradients(model, batch, ["qkv.weight"])["qkv.weight"]
    found = lswag_fast.score(model.to(dtype), (batch[0].to(dtype), batch[1]), chunk_size=chunk_size).layers[1]
    assert (found.name, found.n_zero_variance) == ("qkv.weight", 2 * D * D)
    # Rounding of float32 in the gradients themselves.
    assert found.trainability == pytest.approx(reference.trainability(exact[:, 2 * D :]), abs=1e-4)


class SeparateHeads(nn.Module):
    """The same with a weight for each of query, key and value."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(12, D), nn.Linear(D, 4)
        self.query, self.key, self.value = (nn.Linear(D, D) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.embed(x))
        heads = (part(x).unflatten(-1, (4, -1)).transpose(1, 2) for part in (self.query, self.key, self.value))
        return self.head(F.gelu(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))[:, 0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_over_one_token_with_weights_of_its_own(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model, batch = SeparateHeads(), (torch.randn(B, 1, 12), torch.arange(B) % 4)
    exact = reference.per_sample_gradients(model, batch, ["value.weight"])["value.weight"]
    result = lswag_fast.score(model.to(dtype), (batch[0].to(dtype), batch[1]))
    found = {layer.name: layer.trainability for layer in result.layers}
    assert [skip.name for skip in result.skipped] == ["query.weight", "key.weight"]
    assert found["value.weight"] == pytest.approx(reference.trainability(exact), abs=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_normalisation_that_cancels_its_input(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x, y = torch.randn(B, 3, 9, 9), torch.arange(B) % 4
    model = Cancelled()
    with pytest.warns(lswag_fast.errors.LswagWarning, match=r"in 1 of 3 layers \(wide.weight\)"):
        layers = {layer.name: layer for layer in lswag_fast.score(model.to(dtype), (x.to(dtype), y)).layers}
    assert (layers["wide.weight"].n_zero_variance, layers["wide.weight"].trainability) == (24, -math.inf)
    assert layers["narrow.weight"].n_zero_variance == 0


class Faint(nn.Module):
    """Half of the hidden neurons reach the output by weights of 1e-8: their gradients are small, and right."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(12, D), nn.Linear(D, 4)
        with torch.no_grad():
            self.head.weight[:, ::2] *= 1e-8

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.gelu(self.embed(x)).mean(1))


def test_float64_keeps_what_float32_cannot_tell_from_noise() -> None:
    torch.manual_seed(0)
    model, x, y = Faint(), torch.randn(B, 5, 12), torch.arange(B) % 4
    exact = reference.per_sample_gradients(model, (x, y), ["embed.weight"])["embed.weight"]
    single = lswag_fast.score(model, (x, y)).layers[0]
    assert (single.name, single.n_zero_variance) == ("embed.weight", D // 2 * 12)
    double = lswag_fast.score(model.double(), (x.double(), y)).layers[0]
    assert double.n_zero_variance == 0
    assert double.trainability == pytest.approx(reference.trainability(exact), abs=1e-10)  # sums in another order


class SaturatedGelu(nn.Module):
    """A neuron whose GELU has a derivative of some 1e-55, beside others."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(12, D), nn.Linear(D, 4)
        with torch.no_grad():
            self.embed.bias[0] = -16

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.gelu(self.embed(x)))


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_gradients_beyond_the_range_of_float32_count_in_neither_precision(chunk_size: int | None) -> None:
    torch.manual_seed(0)
    model, x, y = SaturatedGelu(), torch.randn(B, 12), torch.arange(B) % 4
    exact = reference.per_sample_gradients(model, (x, y), ["embed.weight"])["embed.weight"]
    assert 1e-100 < float(exact[:, 0].abs().max()) < 1e-30
    for dtype, within in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        found = lswag_fast.score(model.to(dtype), (x.to(dtype), y), chunk_size=chunk_size).layers[0]
        assert (found.name, found.n_zero_variance) == ("embed.weight", 12)
        assert found.trainability == pytest.approx(reference.trainability(exact[:, 1:]), abs=within)
