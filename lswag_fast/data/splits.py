"""Images for training, validation and test, drawn once from a seed so that none is in two of them."""

from __future__ import annotations

import hashlib
import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from lswag_fast.data.images import ROUNDING, check_classes, prepared, read_finite
from lswag_fast.data.parts import PARTS, TEST, TRAIN, VALIDATION, read_parts
from lswag_fast.data.sources import ImageSource
from lswag_fast.errors import DataError, InputError

MAX_MEMORY_BYTES = 2 * 2**30
"""Images that need more than this are read again each time they are asked for."""

Row = tuple[str, int]
"""An image: the part of the source that it lies in, and its position there."""


class ImageSplit(Dataset[tuple[Tensor, int]]):
    """Some of the images, ready for a network; pairs of an image (C, H, W) and its label.

    Args:
        rows: where each image lies in the source.
        labels: (N,) int64.
        read: maps a row to its image.

    Example:
        >>> split = split_images("digits", image_size=8, channels=1).validation
        >>> image, label = split[0]
        >>> len(split), image.shape, label
        (179, torch.Size([1, 8, 8]), 7)
    """

    def __init__(self, rows: Sequence[Row], labels: Tensor, read: Callable[[Row], Tensor]) -> None:
        self.rows = tuple(rows)
        self.labels = labels
        self._read = read

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self._read(self.rows[index]), int(self.labels[index])

    def tensors(self, n: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the first `n` images (N, C, H, W) and their labels; their order is random, so these are a sample.

        Example:
            >>> images, labels = split_images("digits", image_size=8).test.tensors(4)
            >>> images.shape, labels.shape
            (torch.Size([4, 3, 8, 8]), torch.Size([4]))
        """
        rows = self.rows[:n]
        return torch.stack([self._read(row) for row in rows]), self.labels[: len(rows)]

    def drawn(self, n: int, seed: int) -> tuple[Tensor, Tensor]:
        """Return `n` of the images (N, C, H, W) and their labels, other ones for each seed.

        Raises:
            InputError: there are fewer, or `n` is below 2.

        Example:
            >>> train = split_images("digits", image_size=8).train
            >>> train.drawn(4, seed=0)[1].tolist() == train.drawn(4, seed=1)[1].tolist()
            False
        """
        if not 2 <= n <= len(self):  # one image has no variance
            raise InputError(f"batch_size: found {n}, expected 2 to {len(self)}, all that this part of the images has")
        places = random.Random(seed).sample(range(len(self)), n)
        return torch.stack([self[place][0] for place in places]), self.labels[places]


@dataclass(frozen=True)
class ImageSplits:
    """Images in three parts that share none.

    Attributes:
        train: what networks are trained on.
        validation: what choices are made on: of a step of training, of an architecture, of proxies.
        test: what the network that was chosen is judged on, and nothing else.
        mean: of each channel, over the images to train on.
        std: likewise; 1 for a channel without variation, which becomes 0.
        num_classes: labels lie below it.
        description: the origin, in words for a person.
        identity: see `to_dict`.
    """

    train: ImageSplit
    validation: ImageSplit
    test: ImageSplit
    mean: tuple[float, ...]
    std: tuple[float, ...]
    num_classes: int
    description: str
    identity: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """Return what identifies the images and their drawing, as JSON values: equal for equal splits only.

        Example:
            >>> found = split_images("digits", image_size=8).to_dict()
            >>> found["images"], found["repeated"]
            ({'train': 1439, 'validation': 179, 'test': 179}, 0)
        """
        return dict(self.identity)


def split_images(
    source: str | Path,
    *,
    image_size: int,
    channels: int = 3,
    num_classes: int | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    seed: int = 0,
) -> ImageSplits:
    """Split the images of a source for training, validation and test.

    A part that the source keeps apart itself is kept (see `lswag_fast.data.parts`); the others are drawn from the
    images to train on, of each class the same share and at least one image. Images are compared by content, grey ones
    also with copies that have all channels: those that occur more than once go into the same part with all of their
    copies, and one that also lies in the source's own test or validation part is left out of what is drawn. Each image
    is cut to its central square and resized (bilinear, antialiased), grey is repeated to `channels`, and all parts are
    scaled by the mean and the standard deviation of the training part.

    The drawing depends on the images and the seed alone, not on `image_size` or `channels`.

    Args:
        source: "digits", a folder with one sub-folder per class, or an .npz file (see `lswag_fast.data.sources.npz`).
        image_size: side of the square images in pixels.
        channels: channels of the networks.
        num_classes: logits of the networks, which labels must lie below; None for any number.
        validation: share of each class for validation.
        test: share of each class for the test.
        seed: of the drawing.

    Raises:
        InputError: an impossible argument.
        DataError: the source is missing or cannot be read, or has images of other channels, a single class, or a class
            with too few images to have one in each part.
        MissingExtraError: image files without pillow (`pip install lswag-fast[images]`).

    Example:
        >>> splits = split_images("digits", image_size=8, channels=1)
        >>> len(splits.train), len(splits.validation), len(splits.test)
        (1439, 179, 179)
        >>> splits.description
        'digits (UCI, 8 x 8): 1439 to train on, 179 for validation, 179 for the test, seed 0'
    """
    shares = _checked_shares(image_size, channels, validation, test)
    parts = read_parts(source)
    for part in parts.values():
        check_classes(part, num_classes)
    images = _Images(parts, image_size, channels)
    rows, left_out = _drawn(images, {name: share for name, share in shares.items() if name not in parts}, seed)
    mean, std = images.moments(rows[TRAIN])
    images.normalise(mean, std)
    drawn = {name: ImageSplit(rows[name], images.labels(rows[name]), images.read) for name in PARTS}
    counts = {name: len(split) for name, split in drawn.items()}
    identity = {
        "source": str(source),
        "seed": seed,
        "shares": {name: None if name in parts else share for name, share in shares.items()},
        "images": counts,
        "num_classes": parts[TRAIN].num_classes,
        "repeated": images.n_repeated,
        "left_out": left_out,
        "checksum": images.checksum,
    }
    words = "{train} to train on, {validation} for validation, {test} for the test".format(**counts)
    description = f"{parts[TRAIN].description}: {words}, seed {seed}"
    return ImageSplits(
        drawn[TRAIN], drawn[VALIDATION], drawn[TEST], mean, std, parts[TRAIN].num_classes, description, identity
    )


def split_as_before(
    identity: Mapping[str, Any], *, image_size: int, channels: int = 3, source: str | Path | None = None
) -> ImageSplits:
    """Split images as they were split when something was trained on them, so that none changes its part.

    Args:
        identity: what `ImageSplits.to_dict` returned then.
        image_size: side of the square images in pixels.
        channels: channels of the networks.
        source: where the images are now; None for where they were.

    Raises:
        DataError: they are not the same images with the same labels, or as of `split_images`.

    Example:
        >>> splits = split_images("digits", image_size=8, seed=3)
        >>> split_as_before(splits.to_dict(), image_size=8).test.rows == splits.test.rows
        True
    """
    shares = {name: share for name, share in identity["shares"].items() if share is not None}
    found = split_images(
        identity["source"] if source is None else source,
        image_size=image_size,
        channels=channels,
        seed=identity["seed"],
        **shares,
    )
    for name in ("checksum", "shares", "images"):
        if found.identity[name] != identity[name]:
            raise DataError(
                f"data {found.identity['source']}: not the images of {identity['source']} that were split before: "
                f"{name} is {found.identity[name]}, was {identity[name]}; name those images"
            )
    return found


def _checked_shares(image_size: int, channels: int, validation: float, test: float) -> dict[str, float]:
    for name, count in {"image_size": image_size, "channels": channels}.items():
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise InputError(f"{name}: found {count!r}, expected a positive whole number")
    for name, share in {"validation": validation, "test": test}.items():
        if not 0 < share < 1:
            raise InputError(f"{name}: found {share!r}, expected a share of the images between 0 and 1")
    if validation + test >= 1:
        raise InputError(f"validation {validation} and test {test} leave no images to train on; their sum is below 1")
    return {VALIDATION: validation, TEST: test}


class _Images:
    """All images of a source, each read once for its content, its mean and its variance, and kept if there is room."""

    def __init__(self, parts: Mapping[str, ImageSource], image_size: int, channels: int) -> None:
        self.parts = parts
        self._shape = channels, image_size, image_size
        self.rows = [(name, i) for name, part in parts.items() for i in range(len(part.labels))]
        n_bytes = 4 * math.prod(self._shape) * len(self.rows)  # float32
        self._kept: dict[Row, Tensor] | None = {} if n_bytes <= MAX_MEMORY_BYTES else None
        self._scale = _per_channel([0] * channels), _per_channel([1] * channels)
        self.content: dict[Row, bytes] = {}
        self._as_grey: dict[Row, bytes] = {}
        self._moments: dict[Row, tuple[Tensor, Tensor]] = {}
        for row in self.rows:
            self._look_at(row)
        self._join_colours_to_grey()

    def _look_at(self, row: Row) -> None:
        name, i = row
        raw = read_finite(self.parts[name], i)
        if len(raw) not in (1, self._shape[0]):
            raise DataError(
                f"data {self.parts[name].description}: image {i} has {len(raw)} channels, the networks take "
                f"{self._shape[0]}"
            )
        self.content[row] = _digest(raw)
        if len(raw) > 1 and (raw == raw[:1]).all():
            self._as_grey[row] = _digest(raw[:1])
        image = prepared(raw, self._shape[1], self._shape[0])
        variance, mean = torch.var_mean(image.double(), dim=(1, 2), correction=0)
        self._moments[row] = mean, variance
        if self._kept is not None:
            self._kept[row] = image.contiguous()

    def _join_colours_to_grey(self) -> None:
        """Give grey images that are stored with all channels the content of their copies with one.

        Those without such a copy keep theirs, so that the drawing of images that were split before stays as it was.
        """
        known = set(self.content.values())
        self.content |= {row: content for row, content in self._as_grey.items() if content in known}

    @property
    def n_repeated(self) -> int:
        """How many images are copies of another one."""
        return len(self.rows) - len(set(self.content.values()))

    @property
    def checksum(self) -> str:
        """16 hexadecimal digits of all pixels and labels."""
        digest = hashlib.sha256()
        for row in self.rows:
            digest.update(self.content[row] + str(self.label(row)).encode())
        return digest.hexdigest()[:16]

    def label(self, row: Row) -> int:
        name, i = row
        return int(self.parts[name].labels[i])

    def labels(self, rows: Sequence[Row]) -> Tensor:
        return torch.tensor([self.label(row) for row in rows], dtype=torch.int64, device="cpu")

    def moments(self, rows: Sequence[Row]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """The mean and standard deviation of each channel over some images."""
        means = torch.stack([self._moments[row][0] for row in rows])
        variances = torch.stack([self._moments[row][1] for row in rows])
        mean = means.mean(0)
        std = (variances + (means - mean) ** 2).mean(0).sqrt()
        std = torch.where(std > ROUNDING * mean.abs().clamp(min=1e-12), std, 1.0)
        return tuple(mean.tolist()), tuple(std.tolist())

    def normalise(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """From now on `read` gives images of that mean 0 and standard deviation 1."""
        self._scale = _per_channel(mean), _per_channel(std)
        for image in (self._kept or {}).values():
            image.sub_(self._scale[0]).div_(self._scale[1])

    def read(self, row: Row) -> Tensor:
        if self._kept is not None:
            return self._kept[row]
        name, i = row
        image = prepared(read_finite(self.parts[name], i), self._shape[1], self._shape[0])
        return (image - self._scale[0]) / self._scale[1]


def _digest(image: Tensor) -> bytes:
    pixels = str(tuple(image.shape)).encode() + image.contiguous().numpy().tobytes()
    return hashlib.blake2b(pixels, digest_size=16).digest()


def _per_channel(values: Sequence[float]) -> Tensor:
    """Numbers of the channels, (C, 1, 1), whatever torch's default dtype and device are."""
    return torch.tensor(values, dtype=torch.float32, device="cpu").view(-1, 1, 1)


def _drawn(images: _Images, shares: Mapping[str, float], seed: int) -> tuple[dict[str, list[Row]], int]:
    """The rows of each part in random order, and how many images are left out of all."""
    own, left_out = _own_rows(images)
    groups = _groups(images, own.pop(TRAIN))
    _check_groups(images, groups, 1 + len(shares))
    generator = random.Random(seed)
    rows: dict[str, list[Row]] = {TRAIN: [], **{name: [] for name in shares}, **own}
    for label in sorted(groups):
        generator.shuffle(groups[label])
        for name, cut in _cut(groups[label], shares).items():
            rows[name] += [row for group in cut for row in group]
    for part in rows.values():
        generator.shuffle(part)
    return rows, left_out


def _own_rows(images: _Images) -> tuple[dict[str, list[Row]], int]:
    """The images of the source's own parts without those that also lie in one that counts more, and how many those are.

    Nothing is taken from the test, since accuracies on it are compared with others'.
    """
    taken: set[bytes] = set()
    rows: dict[str, list[Row]] = {}
    for name in (part for part in (TEST, VALIDATION, TRAIN) if part in images.parts):
        rows[name] = [row for row in images.rows if row[0] == name and images.content[row] not in taken]
        taken |= {images.content[row] for row in rows[name]}
        if not rows[name]:
            raise DataError(f"data {images.parts[name].description}: has no image that is not in another part too")
    return rows, len(images.rows) - sum(map(len, rows.values()))


def _groups(images: _Images, rows: Sequence[Row]) -> dict[int, list[list[Row]]]:
    """Lists of equal images, by the label of the first of them."""
    by_content: dict[bytes, list[Row]] = defaultdict(list)
    for row in rows:
        by_content[images.content[row]].append(row)
    groups: dict[int, list[list[Row]]] = defaultdict(list)
    for group in by_content.values():
        groups[images.label(group[0])].append(group)
    return groups


def _cut(groups: Sequence[list[Row]], shares: Mapping[str, float]) -> dict[str, Sequence[list[Row]]]:
    """Cut a class into its parts, at least one group each."""
    found, start = {}, 0
    for still_to_cut, (name, share) in zip(range(len(shares), 0, -1), shares.items(), strict=True):
        stop = start + min(max(1, round(share * len(groups))), len(groups) - start - still_to_cut)
        found[name], start = groups[start:stop], stop
    return {**found, TRAIN: groups[start:]}


def _check_groups(images: _Images, groups: Mapping[int, list[list[Row]]], n_parts: int) -> None:
    """Refuse a source with a single class, or with a class that cannot be in every part."""
    train = images.parts[TRAIN]
    labels = sorted({int(label) for label in train.labels})
    if len(labels) < 2:  # classes
        raise DataError(f"data {train.description}: has one class, and nothing to tell apart")
    for label in labels:
        found = len(groups.get(label, ()))
        if found < n_parts:
            name = f"class {train.class_names[label]!r}" if train.class_names else f"class {label}"
            raise DataError(
                f"data {train.description}: {name} has {found} different image{'' if found == 1 else 's'}; it needs "
                f"{n_parts}, one for each of the parts that are drawn"
            )
