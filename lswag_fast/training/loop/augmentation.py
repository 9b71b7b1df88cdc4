"""What a recipe does to the images before a network sees them: to each by itself, and to those of a batch together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.data import Dataset

from lswag_fast.errors import InputError
from lswag_fast.integrations.network_inputs import library
from lswag_fast.random_state import seed_all
from lswag_fast.training.loop.seeds import derived_seed
from lswag_fast.training.recipe import Recipe

RGB = 3
# How far beyond [0, 1] the pixels of an image may lie by rounding.
PIXEL_ROUNDING = 1e-3

ImageChange = Callable[[Tensor], Tensor]
BatchChange = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class ChangedImages(Dataset[tuple[Tensor, int]]):
    """Images as an epoch of a training sees them: how each is changed depends on the seed, the epoch and its index.

    Args:
        images: pairs of an image (C, H, W) and its label.
        change: what is done to an image; it may draw from the global generators.
        seed: of the training.
        epoch: its number.

    Example:
        >>> pairs = [(torch.zeros(1, 2, 2), 0)]
        >>> changed = ChangedImages(pairs, lambda image: image + torch.rand(()), seed=0, epoch=1)
        >>> torch.equal(changed[0][0], changed[0][0])
        True
    """

    def __init__(self, images: Any, change: ImageChange, seed: int, epoch: int) -> None:
        self._images, self._change, self._seed, self._epoch = images, change, seed, epoch

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self._images[index]
        seed_all(derived_seed(self._seed, "image", self._epoch, index))
        return self._change(image), label


def image_change(recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> ImageChange | None:
    """Return what a recipe does to each image; None for nothing.

    Args:
        recipe: says what.
        mean: of each channel, which was subtracted from the images.
        std: of each channel, by which they were divided.

    Raises:
        MissingExtraError, InputError: the recipe needs timm, which is not installed or cannot be loaded, or images of
            three channels; or timm knows no such changes.
    """
    if recipe.augment is not None:
        return _published(recipe, mean, std)
    return (lambda image: shifted(image, recipe.shift)) if recipe.shift else None


def shifted(image: Tensor, share: float) -> Tensor:
    """Shift an image (C, H, W) by up to a share of its side in each direction; its edge is repeated.

    Example:
        >>> shifted(torch.ones(3, 8, 8), 0.25).shape
        torch.Size([3, 8, 8])
    """
    height, width = image.shape[1:]
    most = round(share * min(height, width))
    if most == 0:
        return image
    top, left = torch.randint(2 * most + 1, (2,)).tolist()
    padded = functional.pad(image, (most, most, most, most), mode="replicate")
    return padded[:, top : top + height, left : left + width]


def _published(recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> ImageChange:
    """timm's augmentation of ImageNet, of images that were cut, resized and normalised already."""
    if len(mean) != RGB:
        raise InputError(f"recipe {recipe.name}: changes colours, and the images have {len(mean)} channels, not three")
    timm_data, transforms = library("timm").data, library("torchvision").transforms
    scale, offset = (torch.tensor(values).view(RGB, 1, 1) for values in (std, mean))

    def transform_of(side: int) -> Any:
        return timm_data.create_transform(
            side,
            is_training=True,
            auto_augment=recipe.augment,
            interpolation="bicubic",
            mean=tuple(mean),
            std=tuple(std),
            re_prob=recipe.erase,
            re_mode="pixel",
        )

    try:
        transform_of(1)
    except (AssertionError, ValueError) as error:  # what timm raises for words that it cannot read
        raise InputError(f"augment: timm has no changes called {recipe.augment!r} ({error})") from error

    def change(image: Tensor) -> Tensor:
        pixels = image * scale + offset
        if pixels.min() < -PIXEL_ROUNDING or pixels.max() > 1 + PIXEL_ROUNDING:
            raise InputError(
                f"recipe {recipe.name}: changes colours, whose values lie from 0 to 1; found {pixels.min():.3g} to "
                f"{pixels.max():.3g}; store the images as uint8"
            )
        transform = transform_of(image.shape[-1])
        return transform(transforms.functional.to_pil_image(pixels.clamp(0, 1)))  # type: ignore[no-any-return]

    return change


def batch_change(recipe: Recipe, num_classes: int) -> BatchChange | None:
    """Return what a recipe does to a batch: mixes its images and their targets; None for nothing.

    Args:
        recipe: says what.
        num_classes: of the targets, which become shares of classes.

    Raises:
        MissingExtraError, InputError: as of `image_change`; or the batches are odd, which timm mixes in pairs.
    """
    if not (recipe.mixup or recipe.cutmix):
        return None
    if recipe.batch_size % 2:
        raise InputError(f"batch_size: found {recipe.batch_size}, and recipe {recipe.name} mixes images in pairs")
    change: BatchChange = library("timm").data.Mixup(
        mixup_alpha=recipe.mixup,
        cutmix_alpha=recipe.cutmix,
        label_smoothing=recipe.label_smoothing,
        num_classes=num_classes,
    )
    return change
