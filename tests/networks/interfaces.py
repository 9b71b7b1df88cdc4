"""Networks with unusual inputs and outputs, and with parts that are skipped or refused."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from networks.registry import N_CLASSES, Made, labels, network

WIDTH = 8


class TwoInputs(nn.Module):
    """Takes `image` and `mask`; subclasses say what it returns."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def logits(self, image: Tensor, mask: Tensor) -> Tensor:
        return self.head(F.gelu(self.inner(image)) * mask)

    def forward(self, image: Tensor, mask: Tensor) -> Any:
        return self.logits(image, mask)


def image_and_mask(n_samples: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n_samples, 5), (torch.rand(n_samples, WIDTH) > 0.3).float()


INNER_AND_HEAD = ("inner.weight", "head.weight")


@network("tuple_input", "interface", observed=INNER_AND_HEAD)
def tuple_input() -> Made:
    return TwoInputs(), image_and_mask(6), labels(6)


@network("dict_input", "interface", observed=INNER_AND_HEAD)
def dict_input() -> Made:
    image, mask = image_and_mask(6)
    return TwoInputs(), {"mask": mask, "image": image}, labels(6)


class TupleOutput(TwoInputs):
    def forward(self, image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.logits(image, mask), mask


def first_item_loss(outputs: tuple[Tensor, ...], targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs[0], targets, reduction="none")


@network("tuple_output", "interface", "loss", observed=INNER_AND_HEAD, loss_fn=first_item_loss)
def tuple_output() -> Made:
    return TupleOutput(), image_and_mask(5), labels(5)


class DictOutput(TwoInputs):
    def forward(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        return {"scores": self.logits(image, mask), "mask": mask}


def scores_item_loss(outputs: dict[str, Tensor], targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs["scores"], targets, reduction="none")


@network("dict_output", "interface", "loss", observed=INNER_AND_HEAD, loss_fn=scores_item_loss)
def dict_output() -> Made:
    image, mask = image_and_mask(6)
    return DictOutput(), {"image": image, "mask": mask}, labels(6)


@dataclass
class Prediction:
    logits: Tensor
    features: Tensor


class DataclassOutput(TwoInputs):
    def forward(self, image: Tensor, mask: Tensor) -> Prediction:
        return Prediction(self.logits(image, mask), image)


@network("dataclass_output", "interface", observed=INNER_AND_HEAD)
def dataclass_output() -> Made:
    return DataclassOutput(), image_and_mask(6), labels(6)


@network("frozen_layer", "skips", observed=("2.weight", "4.weight"), skipped=("0.weight",))
def frozen_layer() -> Made:
    layers = nn.Sequential(
        nn.Linear(5, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, N_CLASSES)
    )
    layers[0].requires_grad_(False)
    return layers, torch.randn(6, 5), labels(6)


@network("frozen_middle", "skips", observed=("0.weight", "4.weight"), skipped=("2.weight",))
def frozen_middle() -> Made:
    """The gradient must still flow through the frozen layer."""
    layers, inputs, targets = frozen_layer.make()
    layers.requires_grad_(True)[2].requires_grad_(False)
    return layers, inputs, targets


class UnusedLayer(TwoInputs):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Linear(WIDTH, WIDTH)


@network("unused_layer", "skips", observed=INNER_AND_HEAD, skipped=("spare.weight",))
def unused_layer() -> Made:
    return UnusedLayer(), image_and_mask(6), labels(6)


class NoGradStem(TwoInputs):
    """The first layer runs under no_grad, as a fixed feature extractor."""

    def logits(self, image: Tensor, mask: Tensor) -> Tensor:
        with torch.no_grad():
            features = F.gelu(self.inner(image))
        return self.head(features * mask)


@network("no_grad_stem", "skips", observed=("head.weight",), skipped=("inner.weight",))
def no_grad_stem() -> Made:
    return NoGradStem(), image_and_mask(6), labels(6)


class Checkpointed(nn.Module):
    """A block that is computed again in the backward pass, outside of any mode the forward ran under."""

    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.inner = nn.Linear(5, WIDTH)
        self.block = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.use_reentrant = use_reentrant

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.inner(x))
        return self.head(F.relu(checkpoint(self.block, x, use_reentrant=self.use_reentrant)))


@network("checkpoint", "refused", observed=(), refused=True)
def checkpointed() -> Made:
    return Checkpointed(use_reentrant=False), torch.randn(6, 5), labels(6)


@network("checkpoint_reentrant", "refused", observed=(), refused=True)
def checkpointed_reentrant() -> Made:
    return Checkpointed(use_reentrant=True), torch.randn(6, 5), labels(6)


class CheckpointedBody(nn.Module):
    """All but the head is checkpointed, so that autograd never comes to what would be recomputed."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
        self.head = nn.Linear(8, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch says that no input of the checkpoint requires a gradient
            return self.head(checkpoint(self.body, x, use_reentrant=True))


@network("checkpoint_reentrant_body", "refused", observed=(), refused=True)
def checkpointed_body() -> Made:
    return CheckpointedBody(), torch.randn(6, 5), labels(6)


class AutocastInside(nn.Module):
    """The middle of the network runs in bfloat16 (float64 inputs are left alone by autocast)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTH, 3, padding=1)
        self.inner = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            features = F.relu(self.stem(x)).mean((2, 3))
            hidden = F.gelu(self.inner(features))
        return self.head(hidden.to(x.dtype))


@network("autocast", "autocast", observed=("stem.weight", "inner.weight", "head.weight"))
def autocast_inside() -> Made:
    return AutocastInside(), torch.randn(6, 3, 6, 6), labels(6)
