"""Networks whose rows are not the samples in order: routed by the data, of no sample, on another path when trained."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, labels, network

WIDTH, N_TOKENS = 8, 3


class ClassEmbeddings(nn.Module):
    """Logits by similarity to projected embeddings of the classes, as many as there are samples."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(5, WIDTH)
        self.classes = nn.Parameter(torch.randn(6, 12))
        self.proj = nn.Linear(12, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x)) @ self.proj(self.classes).t()


@network("class_embeddings", "routing", observed=("body.weight",), skipped=("proj.weight",))
def class_embeddings() -> Made:
    return ClassEmbeddings(), torch.randn(6, 5), labels(6)


class Mixture(nn.Module):
    """A mixture of experts: each token goes to the expert that its first three features choose."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.flatten(0, 1)
        chosen, mixed = rows[:, :3].argmax(1), torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            (places,) = torch.where(chosen == number)
            mixed = mixed.index_add(0, places, F.relu(expert(rows[places])))
        return self.head((x + mixed.view_as(x)).mean(1))


@network(
    "mixture", "routing",
    observed=("experts.0.weight", "experts.1.weight", "experts.2.weight", "head.weight"),
)  # fmt: skip
def mixture() -> Made:
    """Expert 0 gets as many tokens as there are samples, but three from one of them; expert 1 none of some samples."""
    x = torch.randn(4, N_TOKENS, WIDTH)
    chosen = torch.tensor([[0, 0, 0], [1, 1, 2], [0, 2, 2], [2, 2, 1]])
    x[..., :3] = x[..., :3].abs().neg().scatter(2, chosen[..., None], x[..., :1].abs() + 0.5)
    return Mixture(), x, labels(4)


class TrainPath(nn.Module):
    """An auxiliary head that only training uses, and an operation that evaluation would choose otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(5, WIDTH)
        self.choices = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.aux = nn.Linear(WIDTH, N_CLASSES)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(torch.flipud(torch.flipud(x))))
        x = F.gelu(self.choices[0 if self.training else 1](x))
        return self.head(x) + 0.3 * self.aux(x) if self.training else self.head(x)


@network(
    "train_path", "routing", "ambiguous", train=True,
    observed=("stem.weight", "choices.0.weight", "aux.weight", "head.weight"), skipped=("choices.1.weight",),
)  # fmt: skip
def train_path() -> Made:
    """The place of the samples is told by experiment (nobody follows `flipud`), in the mode that is scored."""
    return TrainPath(), torch.randn(8, 5), labels(8)


class Energy(nn.Module):
    """Features from the gradient of an energy, formed inside of the forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(5, WIDTH), nn.Tanh(), nn.Linear(WIDTH, 1))
        self.head = nn.Linear(5, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            (force,) = torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)
        return self.head(force)


@network("energy", "routing", "refused", observed=(), refused=True)
def energy() -> Made:
    return Energy(), torch.randn(6, 5), labels(6)
