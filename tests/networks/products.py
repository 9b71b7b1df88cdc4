"""Networks that multiply with a parameter themselves, without a module or function of torch for it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network

WIDTH = 8


class Product(nn.Module):
    """A parameter used by a plain matrix product; optionally by `F.linear` as well."""

    def __init__(self, also_linear: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(WIDTH, WIDTH) / 3)
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.also_linear = also_linear

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(F.linear(x, self.weight)) if self.also_linear else x
        return self.head(F.relu(torch.matmul(x, self.weight)))


@network("matmul", "products", observed=("weight", "head.weight"))
def matmul() -> Made:
    return Product(also_linear=False), torch.randn(6, WIDTH), labels(6)


@network("linear_and_matmul", "products", "shared", "views", observed=("weight", "head.weight"))
def linear_and_matmul() -> Made:
    return Product(also_linear=True), torch.randn(6, WIDTH), labels(6)


class Einsum(nn.Module):
    """A parameter used by einsum, beside an observed layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, WIDTH)
        self.mix = nn.Parameter(torch.randn(WIDTH, N_CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        return torch.einsum("bi,io->bo", F.relu(self.inner(x)), self.mix)


@network("einsum", "products", observed=("inner.weight", "mix"))
def einsum() -> Made:
    return Einsum(), torch.randn(5, 5), labels(5)


class TransposedLinear(nn.Module):
    """A linear layer that stores its weight (I, O) and flattens its input, as GPT-2 does."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_in, n_out) / 3)
        self.bias = nn.Parameter(torch.randn(n_out))

    def forward(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x.view(-1, x.size(-1)), self.weight).view(*x.shape[:-1], -1)


class Mean(nn.Module):
    """The mean over the tokens of (B, T, C)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


@network("addmm", "products", "ambiguous", observed=("0.weight", "2.weight", "4.weight"))
def addmm() -> Made:
    layers = (TransposedLinear(5, WIDTH), nn.GELU(), TransposedLinear(WIDTH, WIDTH), Mean())
    return nn.Sequential(*layers, nn.Linear(WIDTH, N_CLASSES)), torch.randn(6, 7, 5), labels(6)


class LowRank(nn.Module):
    """A frozen layer with a trained product of two thin matrices beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
        self.down = nn.Parameter(torch.randn(WIDTH, 2) / 2)
        self.up = nn.Parameter(torch.randn(2, WIDTH) / 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.base(x) + 0.5 * (x @ self.down @ self.up)


@network(
    "low_rank_adapter",
    "products",
    observed=("0.weight", "2.down", "2.up", "4.weight"),
    skipped=("2.base.weight",),
)
def low_rank_adapter() -> Made:
    layers = (nn.Linear(5, WIDTH), nn.ReLU(), LowRank(), nn.ReLU(), nn.Linear(WIDTH, N_CLASSES))
    return nn.Sequential(*layers), torch.randn(6, 5), labels(6)


class Similarity(nn.Module):
    """Two views of the tokens compared by a bilinear form."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Linear(5, WIDTH)
        self.right = nn.Linear(5, 6)
        self.form = nn.Bilinear(WIDTH, 6, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.form(F.gelu(self.left(x)), F.gelu(self.right(x))).mean(1)


@network("bilinear", "products", observed=("left.weight", "right.weight", "form.weight"))
def bilinear() -> Made:
    return Similarity(), torch.randn(6, 7, 5), labels(6)


class Heads(nn.Module):
    """Attention whose projections are 3-d: to heads, and from them."""

    def __init__(self) -> None:
        super().__init__()
        self.to_heads = nn.Parameter(torch.randn(3, 2, 5, 4) / 2)
        self.from_heads = nn.Parameter(torch.randn(2, 4, WIDTH) / 2)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = torch.einsum("bti,phid->pbhtd", x, self.to_heads)
        mixed = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        return self.head(F.silu(torch.einsum("bhtd,hdo->bto", mixed, self.from_heads)).mean(1))


@network("einsum_heads", "products", "attention", observed=("to_heads", "from_heads", "head.weight"))
def einsum_heads() -> Made:
    return Heads(), torch.randn(6, 7, 5), labels(6)


class Experts(nn.Module):
    """Every token goes through all experts, whose weights are one batch of matrices; a gate mixes what they say."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(5, 3)
        self.up = nn.Parameter(torch.randn(3, 5, WIDTH) / 2)
        self.down = nn.Parameter(torch.randn(3, WIDTH, N_CLASSES) / 2)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(-1, 5).expand(3, -1, -1)
        outputs = torch.bmm(F.gelu(torch.bmm(tokens, self.up)), self.down).transpose(0, 1)  # (tokens, experts, classes)
        gates = self.gate(x).softmax(-1).reshape(-1, 3, 1)
        return (gates * outputs).sum(1).unflatten(0, (len(x), -1)).mean(1)


@network("dense_experts", "products", "ambiguous", observed=("gate.weight", "up", "down"))
def dense_experts() -> Made:
    return Experts(), torch.randn(6, 7, 5), labels(6)
