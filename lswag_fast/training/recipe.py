"""How a network is trained: the recipe's numbers, the ones that are known by a name, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from lswag_fast.errors import InputError
from lswag_fast.option_checks import is_integer, is_number

PUBLISHED_BATCH = 512
"""The batch that the published learning rates belong to."""


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training, which with the seed, the images and the network decide its result.

    Attributes:
        name: of the recipe that these numbers come from.
        epochs: how often every image is seen.
        batch_size: images in a step, over all processes.
        lr: the highest learning rate of AdamW, of a batch of `lr_batch` images.
        lr_batch: for another batch the learning rate grows in proportion; None: it does not depend on the batch.
        first_lr: learning rate of the first step of the warm-up.
        last_lr: learning rate at the end of the cosine.
        warmup_epochs: epochs in which the learning rate rises linearly.
        weight_decay: of AdamW; see `parameter_groups` for what it leaves out.
        label_smoothing: share of the target that all classes have in equal parts.
        clip_norm: the largest norm of the gradient, which is scaled down to it; None: any.
        drop_path: probability that a residual branch of the last block is left out for an image; it rises linearly
            from 0 in the first block.
        shift: each image is shifted by up to this share of its side, its edge repeated.
        augment: how timm changes images (`timm.data.create_transform`), such as "rand-m9-mstd0.5-inc1"; None: not.
        erase: probability of random erasing, which is part of `augment`.
        mixup: alpha of mixup, 0 for none.
        cutmix: alpha of cutmix, 0 for none.
        sandwich: each step of a supernet takes the least, the largest and two drawn networks in place of one drawn
            (Yu et al., "BigNAS", ECCV 2020, without its distillation).
        ema: decay of the running mean of the weights that is kept in place of the last ones; None: the last ones.

    Example:
        >>> RECIPES["autoformer"].with_changes(batch_size=1024).peak_lr
        0.001
    """

    name: str
    epochs: int
    batch_size: int
    lr: float
    lr_batch: int | None = None
    first_lr: float = 1e-6
    last_lr: float = 1e-5
    warmup_epochs: int = 0
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    clip_norm: float | None = None
    drop_path: float = 0.0
    shift: float = 0.0
    augment: str | None = None
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    sandwich: bool = False
    ema: float | None = None

    @property
    def peak_lr(self) -> float:
        """The learning rate after the warm-up."""
        return self.lr if self.lr_batch is None else self.lr * self.batch_size / self.lr_batch

    def lr_at(self, step: int, steps_per_epoch: int) -> float:
        """Return the learning rate of a step, the first being 0: a line up, then half a cosine down.

        Example:
            >>> recipe = Recipe("mine", epochs=3, batch_size=8, lr=1.0, first_lr=0.0, last_lr=0.0, warmup_epochs=1)
            >>> [round(recipe.lr_at(step, steps_per_epoch=2), 3) for step in range(7)]
            [0.0, 0.5, 1.0, 0.854, 0.5, 0.146, 0.0]
        """
        n_warmup, n_steps = self.warmup_epochs * steps_per_epoch, self.epochs * steps_per_epoch
        if step < n_warmup:
            return self.first_lr + (self.peak_lr - self.first_lr) * step / n_warmup
        share = min(1.0, (step - n_warmup) / max(1, n_steps - n_warmup))
        return self.last_lr + (self.peak_lr - self.last_lr) * (1 + math.cos(math.pi * share)) / 2

    def with_changes(self, **changes: Any) -> Recipe:
        """Return this recipe with other numbers; those that are None are left as they are.

        A warm-up that is not among them, and that would be longer than the training, takes a tenth of it.

        Raises:
            InputError: a number that no training can have.

        Example:
            >>> RECIPES["short"].with_changes(epochs=2, batch_size=None).epochs
            2
        """
        given = {name: value for name, value in changes.items() if value is not None}
        changed = replace(self, **given)
        if "warmup_epochs" not in given and is_integer(changed.epochs):
            changed = replace(changed, warmup_epochs=min(self.warmup_epochs, math.ceil(changed.epochs / 10)))
        changed.check()
        return changed

    def check(self) -> None:
        """Raise InputError for numbers that no training can have, naming the first of them."""
        for name, (is_possible, expected) in _POSSIBLE.items():
            value = getattr(self, name)
            if not (is_possible(value) or (value is None and name in _MAY_BE_NONE)):
                raise InputError(f"{name}: found {value!r}, expected {expected}")
        if self.warmup_epochs > self.epochs:
            raise InputError(f"warmup_epochs: found {self.warmup_epochs}, more than the {self.epochs} epochs")
        if self.augment is None and self.erase:
            raise InputError(f"erase: found {self.erase!r}, which is part of augment, and there is none")
        if self.augment is not None and self.shift:
            raise InputError(f"shift: found {self.shift!r}, and augment moves images already; set it to 0")

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `to_dict` described; raises TypeError for anything else."""
        return cls(**stored)


_Check = tuple[Callable[[Any], bool], str]
_COUNT: _Check = (lambda value: is_integer(value) and value >= 1, "a whole number of at least 1")
_RATE: _Check = (lambda value: is_number(value) and 0 < value < math.inf, "a number above 0")
_AMOUNT: _Check = (lambda value: is_number(value) and 0 <= value < math.inf, "a number of at least 0")
_SHARE: _Check = (lambda value: is_number(value) and 0 <= value < 1, "a share from 0 to below 1")
_POSSIBLE: dict[str, _Check] = {
    "epochs": _COUNT,
    "batch_size": _COUNT,
    "lr": _RATE,
    "lr_batch": _COUNT,
    "first_lr": _AMOUNT,
    "last_lr": _AMOUNT,
    "warmup_epochs": (lambda value: is_integer(value) and value >= 0, "a whole number"),
    "weight_decay": _AMOUNT,
    "label_smoothing": _SHARE,
    "clip_norm": _RATE,
    "drop_path": _SHARE,
    "shift": _SHARE,
    "augment": (lambda value: isinstance(value, str) and bool(value), 'words for timm, "rand-m9-mstd0.5-inc1" say'),
    "erase": _SHARE,
    "mixup": _AMOUNT,
    "cutmix": _AMOUNT,
    "sandwich": (lambda value: isinstance(value, bool), "True or False"),
    "ema": (lambda value: is_number(value) and 0 < value < 1, "a decay between 0 and 1"),
}
_MAY_BE_NONE = ("lr_batch", "clip_norm", "augment", "ema")

RECIPES = {
    "short": Recipe(
        "short", epochs=60, batch_size=32, lr=3e-3, warmup_epochs=6, clip_norm=1.0, drop_path=0.0, shift=0.125
    ),
    "autoformer": Recipe(
        "autoformer",
        epochs=500,
        batch_size=1024,
        lr=5e-4,
        lr_batch=PUBLISHED_BATCH,
        warmup_epochs=20,
        drop_path=0.1,
        augment="rand-m9-mstd0.5-inc1",
        erase=0.25,
        mixup=0.8,
        cutmix=1.0,
    ),
}
"""The recipes by name.

"short" is for small data on a CPU: a few thousand images in minutes. "autoformer" is the published training of the
supernets on ImageNet (Chen et al., "AutoFormer", ICCV 2021); the first and the last learning rate are those of DeiT's
script, which it builds on.
"""


def parameter_groups(module: nn.Module, recipe: Recipe, undecayed: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the parameters in the two groups of AdamW: those with weight decay, and those without.

    Without it are biases, norms and other parameters of fewer than two dimensions, and those that are named.

    Args:
        module: whose parameters.
        recipe: says how much.
        undecayed: names of further parameters without weight decay, as timm's networks list them in
            `no_weight_decay()`.

    Example:
        >>> groups = parameter_groups(nn.Linear(2, 3), RECIPES["short"])
        >>> [(len(group["params"]), group["weight_decay"]) for group in groups]
        [(1, 0.05), (1, 0.0)]
    """
    named = [(name, parameter) for name, parameter in module.named_parameters() if parameter.requires_grad]
    left_out = {name for name, parameter in named if parameter.dim() < 2 or name in undecayed}
    return [
        {
            "params": [parameter for name, parameter in named if name not in left_out],
            "weight_decay": recipe.weight_decay,
        },
        {"params": [parameter for name, parameter in named if name in left_out], "weight_decay": 0.0},
    ]
