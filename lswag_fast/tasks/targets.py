"""Targets of tasks, made of images and their labels; where these say nothing of a task, drawn in its form."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.random_state import drawn_normal

_BLOCKS = 8
"""Along a side of a drawn map: its regions are larger than pixels, as those of a scene are."""


def of_labels(
    images: Tensor, labels: Tensor, output_shape: tuple[int, ...], _: torch.Generator
) -> tuple[Tensor, Tensor]:
    """The labels themselves, (B,).

    Raises:
        InputError: the networks give no logits (C,).
    """
    _check_logits("classification", output_shape)
    return images, labels


def of_each_label(
    images: Tensor, labels: Tensor, output_shape: tuple[int, ...], _: torch.Generator
) -> tuple[Tensor, Tensor]:
    """For each label whether an image has it, (B, C): of images of one class that one.

    Raises:
        InputError: the networks give no logits (C,), or fewer than there are labels, or a label is below 0.
    """
    _check_logits("multi_label", output_shape)
    low, high = (int(label) for label in labels.aminmax())
    if low < 0 or high >= output_shape[0]:
        raise InputError(f"labels run from {low} to {high}, the networks have {output_shape[0]} outputs")
    return images, F.one_hot(labels, output_shape[0]).float()


def of_numbers(images: Tensor, _: Tensor, output_shape: tuple[int, ...], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Drawn numbers of mean 0 and variance 1 in the shape of the outputs, as the published room layouts are scaled."""
    return images, drawn_normal((len(images), *output_shape), rng)


def of_regions(images: Tensor, _: Tensor, output_shape: tuple[int, ...], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Drawn classes (B, H, W), in blocks.

    Raises:
        InputError: the networks give no logits (C, H, W) for images (., H, W).
    """
    _check_map("segmentation", output_shape, images)
    blocks = torch.randint(output_shape[0], (len(images), 1, *_blocks(images)), generator=rng, device="cpu")
    return images, F.interpolate(blocks.float(), size=images.shape[2:])[:, 0].long()


def of_normals(images: Tensor, _: Tensor, output_shape: tuple[int, ...], rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Drawn unit vectors (B, 3, H, W), in blocks, that face the camera (the third component is not negative).

    Departure from the benchmark, which stores (n + 1) / 2: vectors have an angle, which the loss "cosine" needs.

    Raises:
        InputError: the networks give no vectors (3, H, W) for images (., H, W).
    """
    _check_map("surface_normals", output_shape, images, channels=3)
    drawn = F.normalize(drawn_normal((len(images), 3, *_blocks(images)), rng), dim=1)
    drawn[:, 2].abs_()
    return images, F.interpolate(drawn, size=images.shape[2:])


def of_pixels(images: Tensor, _: Tensor, output_shape: tuple[int, ...], __: torch.Generator) -> tuple[Tensor, Tensor]:
    """The images themselves, their least pixel as -1 and their largest as 1, which an output of tanh reaches.

    Raises:
        InputError: the networks give no images of the shape of these.
    """
    _check_map("autoencoding", output_shape, images, channels=images.shape[1])
    low, high = images.aminmax()
    return images, (images - low) * 2 / (high - low).clamp_min(torch.finfo(images.dtype).tiny) - 1


def _blocks(images: Tensor) -> tuple[int, int]:
    height, width = (min(_BLOCKS, side) for side in images.shape[2:])
    return height, width


def _check_logits(task: str, output_shape: tuple[int, ...]) -> None:
    if len(output_shape) != 1:
        raise _other_outputs(task, "(C,)", output_shape)


def _check_map(task: str, output_shape: tuple[int, ...], images: Tensor, channels: int | None = None) -> None:
    """Refuse outputs that are no map of the images' size; `channels` None for any number."""
    if output_shape[1:] != tuple(images.shape[2:]) or output_shape[0] != (channels or output_shape[0]):
        height, width = images.shape[2:]
        raise _other_outputs(task, f"({channels or 'C'}, {height}, {width})", output_shape)


def _other_outputs(task: str, wanted: str, found: tuple[int, ...]) -> InputError:
    return InputError(f"the task {task!r} wants outputs {wanted} for each image; the networks give {found}")
