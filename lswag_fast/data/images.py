"""One labelled batch of images for a search space: `load("digits", batch_size=64, image_size=224)`."""

from __future__ import annotations

import numbers
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from lswag_fast import tasks
from lswag_fast.data import sources
from lswag_fast.data.parts import PART_NAMES
from lswag_fast.data.sources import ImageSource
from lswag_fast.errors import DataError, InputError, reason
from lswag_fast.random_state import drawn_normal
from lswag_fast.tasks.jigsaw import N_PERMUTATIONS

RGB = 3
ROUNDING = 1e-6
"""Standard deviations below this share of the largest pixel are the rounding of the resize, not content."""
SYNTHETIC_CLASSES = 10
LUMA = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey (ITU-R BT.601)."""
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class ImageBatch:
    """A labelled batch of images, and where it comes from.

    Attributes:
        images: (B, C, image_size, image_size) float32.
        labels: (B,) int64 in [0, num_classes), or the targets of a task.
        num_classes: classes of the source.
        description: the origin, in words for a person.

    Example:
        >>> drawn = load("digits", batch_size=4, image_size=8)
        >>> drawn.description
        'digits (UCI, 8 x 8), 4 of 1797 images, seed 0'
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    description: str

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """The pair (images, labels) that `score` and `search` take."""
        return self.images, self.labels


def load(
    source: str | Path = "digits",
    *,
    batch_size: int,
    image_size: int,
    seed: int = 0,
    split: str | None = None,
    num_classes: int | None = None,
    normalize: Literal["batch", "imagenet"] = "batch",
    channels: int | None = None,
    task: str | None = None,
    output_shape: tuple[int, ...] | None = None,
) -> ImageBatch:
    """Draw a batch of images from a data source.

    The batch is drawn without replacement, every image equally likely whatever its class. A file is turned as its EXIF
    data ask. Each image is cut to its central square and resized (bilinear, antialiased), and grey is repeated to as
    many channels as are asked for. Synthetic noise is normal already and left as it is.

    Args:
        source: "digits" (1,797 handwritten digits), "synthetic" (normal noise, random labels), a folder with one
            sub-folder per class, or an .npz file (see `sources.npz`).
        batch_size: number of images B.
        image_size: side of the square images in pixels.
        seed: determines, alone, which images are drawn.
        split: the part to use: the arrays x_<split> and y_<split> of a file, the sub-folder of that name of a folder.
        num_classes: number of logits of the networks, which labels must lie below; for "synthetic" the number of
            classes that labels are drawn from, 10 if not given.
        normalize: "batch" gives each channel of the drawn batch mean 0 and standard deviation 1 (a channel without
            variation becomes 0); "imagenet" uses the ImageNet constants that published networks were trained with, for
            pixels in [0, 1].
        channels: channels C of the images: grey is repeated, colours become grey for one, anything else is refused.
            None leaves them as they are, with three for grey and for synthetic noise.
        task: makes the targets, a name of `lswag_fast.tasks.names()`; None for the labels. Where images and labels say
            nothing of a task, its targets are drawn, and the description says so.
        output_shape: what the networks give for one image, where a task needs it: (C, H, W) of a segmentation.

    Returns:
        The images (B, C, image_size, image_size), and their labels (B,) or the targets of the task.

    Raises:
        InputError: an impossible argument.
        DataError: the source is missing, cannot be read, has no labels, or is too small.
        MissingExtraError: image files without pillow (`pip install lswag-fast[images]`).

    Example:
        >>> images, labels = load("digits", batch_size=4, image_size=32).batch
        >>> images.shape, labels.dtype
        (torch.Size([4, 3, 32, 32]), torch.int64)
    """
    _check_arguments(
        normalize,
        batch_size=batch_size,
        image_size=image_size,
        num_classes=SYNTHETIC_CLASSES if num_classes is None else num_classes,
        channels=RGB if channels is None else channels,
    )
    wanted = None if task is None else tasks.get(task)
    side = image_size if wanted is None else wanted.source_size(image_size)
    if source == "synthetic":
        _no_split(source, split)
        shape = batch_size, channels or RGB, side, side
        drawn = _synthetic(shape, seed, num_classes or SYNTHETIC_CLASSES)
        return drawn if wanted is None else _of_task(drawn, wanted, output_shape, seed)
    origin = _source_of(source, split)
    rows = _choose(origin, batch_size, seed)
    if wanted is None or wanted.name in _OF_CLASSES:
        check_classes(origin, num_classes)
    images = torch.stack([_read(origin, row, side, channels) for row in rows])
    drawn = ImageBatch(
        images, torch.from_numpy(origin.labels[rows]), origin.num_classes, _describe(origin, batch_size, seed)
    )
    if wanted is not None:
        drawn = _of_task(drawn, wanted, output_shape, seed)
    return replace(drawn, images=_normalized(drawn.images, origin, normalize))


_OF_CLASSES = ("classification", "multi_label")


def _of_task(drawn: ImageBatch, task: tasks.Task, output_shape: tuple[int, ...] | None, seed: int) -> ImageBatch:
    """The batch that a task makes of images and labels."""
    usual = {"autoencoding": tuple(drawn.images.shape[1:]), "jigsaw": (N_PERMUTATIONS,)}
    usual |= dict.fromkeys(_OF_CLASSES, (drawn.num_classes,))
    shape = usual.get(task.name) if output_shape is None else output_shape
    if shape is None:
        raise InputError(f"output_shape: the task {task.name!r} needs the shape of what the networks give for an image")
    images, targets = task.batch(drawn.images, drawn.labels, shape, seed)
    return replace(drawn, images=images, labels=targets, description=f"{drawn.description}; targets: {task.targets}")


def _read(source: ImageSource, row: int, side: int, channels: int | None) -> Tensor:
    """An image with the channels that are wanted; raises DataError where it has others that tell nothing of them."""
    image = read_finite(source, row)
    if len(image) == RGB and channels == 1:
        image = (image * image.new_tensor(LUMA).view(RGB, 1, 1)).sum(0, keepdim=True)
    if channels is not None and len(image) not in (1, channels):
        raise DataError(f"data {source.description}: has {len(image)} channels, the networks take {channels}")
    return prepared(image, side, channels or RGB)


def _check_arguments(normalize: str, **counts: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
            raise InputError(f"{name}: found {value!r}, expected a positive whole number")
    if normalize not in ("batch", "imagenet"):
        raise InputError(f"normalize: found {normalize!r}, expected 'batch' or 'imagenet'")


def _source_of(source: str | Path, split: str | None) -> ImageSource:
    if source == "digits":
        _no_split(source, split)
        return sources.digits()
    path = Path(source)
    try:
        return _source_of_path(path, split)
    except OSError as error:
        raise DataError(f"data {source}: cannot be read ({reason(error)})") from error


def _source_of_path(path: Path, split: str | None) -> ImageSource:
    if not path.exists():
        raise DataError(f"data {path}: no such file or folder; built in are 'digits' and 'synthetic', of images")
    if path.is_dir():
        part = path / split if split else path
        if not part.is_dir():
            raise DataError(f"data {path}: no sub-folder {split!r} for the split")
        try:
            return sources.folder(part)
        except DataError as error:
            parts = [] if split else _parts_in(path)
            if parts:
                raise DataError(f"{error}; to take a part of it, say split={parts[0]!r}") from error
            raise
    if not path.is_file():
        raise DataError(f"data {path}: is neither a file nor a folder")
    if path.suffix != ".npz":
        raise DataError(f"data {path}: expected a folder or an .npz file")
    return sources.npz(path, split)


def _parts_in(path: Path) -> list[str]:
    """The names of those sub-folders that are parts of a source, with the classes inside."""
    found = [path / name for name in PART_NAMES if (path / name).is_dir()]
    return [part.name for part in found if any(entry.is_dir() for entry in part.iterdir())]


def _no_split(source: str | Path, split: str | None) -> None:
    if split is not None:
        raise InputError(f"split: found {split!r}, but {source} has no splits")


def _choose(source: ImageSource, batch_size: int, seed: int) -> list[int]:
    n_images = len(source.labels)
    if n_images < batch_size:
        raise DataError(f"data {source.description}: found {n_images} images, too few for batch_size {batch_size}")
    return random.Random(seed).sample(range(n_images), batch_size)


def check_classes(source: ImageSource, num_classes: int | None) -> None:
    """Refuse a source with more classes than the networks tell apart; raises DataError.

    Example:
        >>> check_classes(sources.digits(), 10)
    """
    if num_classes is not None and source.num_classes > num_classes:
        wanted = source.num_classes
        raise DataError(
            f"data {source.description} has {wanted} classes, and the networks tell only {num_classes} apart; "
            f"build them with num_classes={wanted}"
        )


def read_finite(source: ImageSource, row: int) -> Tensor:
    """Read an image (C, H, W) of a source; raises DataError for pixels that are NaN or infinite.

    Example:
        >>> read_finite(sources.digits(), 0).shape
        torch.Size([1, 8, 8])
    """
    image = source.read(row)
    if not torch.isfinite(image).all():
        raise DataError(f"data {source.description}: image {row} holds NaN or infinite pixels")
    return image


def prepared(image: Tensor, image_size: int, channels: int) -> Tensor:
    """Return an image (C, H, W) as (C, image_size, image_size): central square, resized, grey with `channels`.

    Example:
        >>> prepared(torch.zeros(1, 8, 6), 4, channels=3).shape
        torch.Size([3, 4, 4])
    """
    height, width = image.shape[1:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[None, :, top : top + side, left : left + side]
    size = (image_size, image_size)
    resized = functional.interpolate(square, size=size, mode="bilinear", align_corners=False, antialias=True)
    return resized[0].expand(channels, -1, -1) if len(image) == 1 else resized[0]


def _normalized(images: Tensor, source: ImageSource, normalize: str) -> Tensor:
    if normalize == "batch":
        std, mean = torch.std_mean(images.double(), dim=(0, 2, 3), correction=0, keepdim=True)
        varies = std > ROUNDING * images.abs().max()
        return torch.where(varies, (images - mean) / std, 0.0).float()
    if not source.unit_range:
        raise DataError(
            f"data {source.description}: float pixels of unknown range; store them as uint8, or use normalize='batch'"
        )
    if images.shape[1] != RGB:
        raise DataError(
            f"data {source.description}: has {images.shape[1]} channels, and the constants of ImageNet are those of "
            "three; use normalize='batch'"
        )
    mean, std = (images.new_tensor(values).view(1, RGB, 1, 1) for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (images - mean) / std


def _synthetic(shape: tuple[int, int, int, int], seed: int, num_classes: int) -> ImageBatch:
    generator = torch.Generator().manual_seed(seed)
    images = drawn_normal(shape, generator)
    labels = torch.randint(num_classes, shape[:1], generator=generator, device="cpu")
    return ImageBatch(images, labels, num_classes, f"synthetic normal noise, {shape[0]} images, seed {seed}")


def _describe(source: ImageSource, batch_size: int, seed: int) -> str:
    return f"{source.description}, {batch_size} of {len(source.labels)} images, seed {seed}"
