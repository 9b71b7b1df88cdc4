"""Where images come from: each source becomes an `ImageSource`, of which only the chosen images are decoded.

No source runs code from a file: arrays are read with `allow_pickle=False`, images by pillow.
"""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lswag_fast.data.decoding import UINT8_MAX, decode
from lswag_fast.errors import DataError

Array = npt.NDArray[Any]

DIGITS_MAX = 16.0
"""Grey levels of the digits run from 0 to 16."""
IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
CHANNEL_COUNTS = (1, 3)
MAX_CLASSES = 2**31
N_NAMED = 5
"""Of faulty sub-folders, how many a message names."""
MAX_ARRAY_BYTES = 4 * 2**30
"""Of an array in an .npz file, which is read whole."""
MAX_UNPACKED_BYTES = 256 * 2**20
MAX_RATIO = 200
"""A larger array that unpacks to more times its size in the file holds no images."""
_OF_OBJECTS = (
    "holds pickled objects, which are never loaded: its type is object; store images as uint8 or float, labels as "
    "whole numbers"
)
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True)
class ImageSource:
    """Labelled images that have not been read yet.

    Attributes:
        labels: (N,) int64.
        num_classes: number of classes; labels lie below it.
        read: maps i to image i as float32 (C, H, W).
        unit_range: whether the pixels lie in [0, 1].
        description: the origin, in words for a person.
        class_names: of the classes 0, 1, ... where the source names them.

    Example:
        >>> source = digits()
        >>> source.read(0).shape, source.num_classes
        (torch.Size([1, 8, 8]), 10)
    """

    labels: npt.NDArray[np.int64]
    num_classes: int
    read: Callable[[int], Tensor]
    unit_range: bool
    description: str
    class_names: tuple[str, ...] = ()


def digits() -> ImageSource:
    """Return the 1,797 handwritten digits that come with the package, 8 x 8, ten classes.

    They are the test set of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI Machine Learning
    Repository, 1998), CC BY 4.0; `digits.LICENSE.txt` lies beside them.

    Example:
        >>> len(digits().labels)
        1797
    """
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as arrays:
        pixels = arrays["images"][:, None].astype(np.float32) / np.float32(DIGITS_MAX)
        labels = arrays["labels"].astype(np.int64)
    return ImageSource(labels, 10, lambda i: torch.from_numpy(pixels[i]), True, "digits (UCI, 8 x 8)")


def folder(path: Path) -> ImageSource:
    """Return the images of a folder with one sub-folder per class.

    Args:
        path: the folder; its sub-folders in alphabetical order are the classes 0, 1, ...

    Raises:
        DataError: there is no sub-folder, or no image in one of them.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as path:
        ...     for name in ("cat", "dog"):
        ...         Path(path, name).mkdir()
        ...         Path(path, name, "1.png").touch()
        ...     source = folder(Path(path))
        >>> source.labels.tolist()
        [0, 1]
    """
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise DataError(f"data {path}: found no sub-folder; expected one per class, with the images in it")
    images = [_images_in(entry) for entry in classes]
    _refuse_empty(path, classes, images)
    files = [(file, label) for label, found in enumerate(images) for file in found]
    labels = np.array([label for _, label in files], dtype=np.int64)
    names = tuple(entry.name for entry in classes)

    def read(i: int) -> Tensor:
        return decode(files[i][0], str(files[i][0]))

    return ImageSource(labels, len(classes), read, True, f"folder {path}", names)


def _refuse_empty(path: Path, classes: list[Path], images: list[list[Path]]) -> None:
    """Refuse classes without an image: networks would be built and trained for one class fewer than there are."""
    empty = [entry.name for entry, found in zip(classes, images, strict=True) if not found]
    formats = ", ".join(sorted(IMAGE_SUFFIXES))
    if len(empty) == len(classes):
        raise DataError(f"data {path}: found no image in its {len(classes)} sub-folders ({formats})")
    if empty:
        named = ", ".join(empty[:N_NAMED]) + (f" and {len(empty) - N_NAMED} more" if len(empty) > N_NAMED else "")
        raise DataError(
            f"data {path}: found no image in {named}; each sub-folder is a class: add images ({formats}) or remove it"
        )


def _images_in(entry: Path) -> list[Path]:
    files = sorted(file for file in entry.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES and file.name[0] != ".")
    for file in files:
        if not file.is_file():  # a pipe would be waited for
            raise DataError(f"data {file}: has the name of an image and is no file; remove or rename it")
    return files


def npz(path: Path, split: str | None) -> ImageSource:
    """Return the images of an .npz file.

    Layouts: `x` and `y`, `x_<split>` and `y_<split>` (images uint8, or float of any width, which become float32 when
    they are read; N x C x H x W, N x H x W x C or N x H x W, with 1 or 3 channels, or square ones with any number;
    labels N whole numbers, or one-hot rows), or `jpeg_bytes` and `offsets` (file i starts at byte offsets[i] and ends
    before offsets[i + 1], its label is i).

    Args:
        path: the file.
        split: which arrays to take; None takes the first of x, x_train, x_test, jpeg_bytes.

    Raises:
        DataError: an array is missing, pickled, of a wrong shape or type, or too large (see `MAX_ARRAY_BYTES`).

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        ...     np.savez(file.name, x_test=np.zeros((2, 8, 8), np.uint8), y_test=np.array([0, 2]))
        ...     source = npz(Path(file.name), split="test")
        >>> source.num_classes, source.read(1).shape
        (3, torch.Size([1, 8, 8]))
    """
    with closing(_Npz(path)) as arrays:
        if split is None and "jpeg_bytes" in arrays.names and not {"x", "x_train", "x_test"} & arrays.names:
            return _jpegs(arrays)
        suffix = _suffix(arrays, split)
        images, labels = _channels_first(arrays, f"x{suffix}"), _labels(arrays, f"y{suffix}")
    if len(images) != len(labels):
        raise DataError(f"data {path}: found {len(images)} images in x{suffix} and {len(labels)} labels in y{suffix}")
    is_uint8 = images.dtype == np.uint8
    scale = UINT8_MAX if is_uint8 else 1.0

    def read(i: int) -> Tensor:
        with np.errstate(over="ignore", invalid="ignore"):  # such a pixel is infinite, and refused
            return torch.from_numpy(images[i].astype(np.float32)) / scale

    return ImageSource(labels, int(labels.max(initial=-1)) + 1, read, is_uint8, f"{path} (x{suffix})")


def npz_names(path: Path) -> frozenset[str]:
    """Return the names of the arrays of an .npz file; raises DataError where it is none.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile(suffix=".npz") as file:
        ...     np.savez(file.name, x=np.zeros(1), y=np.zeros(1))
        ...     print(sorted(npz_names(Path(file.name))))
        ['x', 'y']
    """
    with closing(_Npz(path)) as arrays:
        return frozenset(arrays.names)


class _Npz:
    """The arrays of an .npz file, read one by one, every failure a DataError that names file and array."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = self._guarded("file", lambda: np.load(path, allow_pickle=False))
        if not isinstance(self._file, np.lib.npyio.NpzFile):
            raise DataError(f"data {path}: not an .npz archive of arrays")
        self.names = set(self._file)

    def close(self) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> Array:
        if name not in self.names:
            raise DataError(f"data {self.path}: no array {name!r}; found {', '.join(sorted(self.names)) or 'none'}")
        self._check_size(name, *self._guarded(name, lambda: self._sizes(name)))
        return np.asarray(self._guarded(name, lambda: self._file[name]))

    def _sizes(self, name: str) -> tuple[int, int, int]:
        """The bytes of an array as its header says, as the archive says, and as they lie in the file."""
        member = self._file.zip.getinfo(f"{name}.npy" if f"{name}.npy" in self._file.zip.namelist() else name)
        with self._file.zip.open(member) as file:
            version = np.lib.format.read_magic(file)
            read = _HEADERS.get(version)
            shape, _, dtype = read(file) if read else ((member.file_size,), False, np.dtype(np.uint8))
        declared = 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize  # pickled, of any size
        return declared, member.file_size, member.compress_size

    def _check_size(self, name: str, declared: int, held: int, packed: int) -> None:
        """Refuse what would fill the memory, before any of it is read."""
        if declared > held:
            raise DataError(f"data {self.path}: {name} claims {_size(declared)}, the file holds {_size(held)} of it")
        if held > MAX_ARRAY_BYTES:
            raise DataError(
                f"data {self.path}: {name} has {_size(held)}, the limit is {_size(MAX_ARRAY_BYTES)}; "
                "store part of it, or images as files in a folder, of which only the chosen ones are read"
            )
        if held > MAX_UNPACKED_BYTES and held > MAX_RATIO * packed:
            raise DataError(
                f"data {self.path}: {name} unpacks from {_size(packed)} to {_size(held)}; above "
                f"{_size(MAX_UNPACKED_BYTES)} the limit is {MAX_RATIO} times the size in the file"
            )

    def _guarded(self, what: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except (
            OSError,
            ValueError,
            EOFError,
            KeyError,
            MemoryError,
            NotImplementedError,
            RuntimeError,
            zipfile.BadZipFile,
            zlib.error,
        ) as error:
            reason = _OF_OBJECTS if "pickle" in str(error) else f"unreadable ({error})"
            raise DataError(f"data {self.path}: {what} {reason}") from error


def _size(n_bytes: int) -> str:
    """A number of bytes for people.

    Example:
        >>> _size(300), _size(3 * 2**30)
        ('300 B', '3.0 GiB')
    """
    size, unit = float(n_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"


def _suffix(arrays: _Npz, split: str | None) -> str:
    """Return what follows x and y in the names of the arrays to read."""
    if split is not None:
        return f"_{split}"
    found = [suffix for suffix in ("", "_train", "_test") if f"x{suffix}" in arrays.names]
    if not found:
        names = ", ".join(sorted(arrays.names)) or "none"
        raise DataError(f"data {arrays.path}: found the arrays {names}; expected x and y, or x_train and y_train")
    return found[0]


def _channels_first(arrays: _Npz, name: str) -> Array:
    """Return images as (N, C, H, W), whichever of the two orders they are stored in; see `npz`."""
    images = arrays[name]
    found = images.shape
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise DataError(f"data {arrays.path}: {name} has type {images.dtype}, expected uint8 or float")
    if found and not found[0]:
        raise DataError(f"data {arrays.path}: {name} has shape {found}, and with it no images")
    if images.ndim == 3:
        images = images[:, None]
    axis = _channel_axis(images.shape[1:]) if images.ndim == 4 else None  # N and three more
    if axis is None:
        raise DataError(
            f"data {arrays.path}: {name} has shape {found}, expected N x C x H x W, N x H x W x C or N x H x W, with "
            "1 or 3 channels, or square images of another number of them"
        )
    if 0 in images.shape[1:]:
        raise DataError(f"data {arrays.path}: {name} has shape {found}, and with it no pixels")
    return np.moveaxis(images, axis + 1, 1)


def _channel_axis(shape: tuple[int, ...]) -> int | None:
    """Which of three axes, the first or the last, holds the channels: 1 or 3, or those beside a square; or None."""
    first, second, third = shape
    if first in CHANNEL_COUNTS or third in CHANNEL_COUNTS:
        return 0 if first in CHANNEL_COUNTS else 2
    if (first == second) == (second == third):
        return None
    return 0 if second == third else 2


def _labels(arrays: _Npz, name: str) -> npt.NDArray[np.int64]:
    if name not in arrays.names:
        raise DataError(f"data {arrays.path}: labels are missing, no array {name!r}")
    labels = arrays[name]
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    elif labels.ndim == 2 and labels.size and _is_one_hot(labels):
        labels = labels.argmax(1)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise DataError(
            f"data {arrays.path}: {name} is {labels.dtype} of shape {labels.shape}, expected N whole numbers"
        )
    if labels.size and labels.max() >= MAX_CLASSES:
        raise DataError(f"data {arrays.path}: {name} holds the label {labels.max()}, more than any network has classes")
    if labels.size and labels.min() < 0:
        raise DataError(f"data {arrays.path}: {name} holds the label {labels.min()}, labels count from 0")
    return labels.astype(np.int64)


def _is_one_hot(labels: Array) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(1) == 1).all())


def _jpegs(arrays: _Npz) -> ImageSource:
    data, offsets = arrays["jpeg_bytes"], arrays["offsets"]
    if data.ndim != 1 or data.dtype != np.uint8 or not _is_rising(offsets, len(data)):
        raise DataError(
            f"data {arrays.path}: jpeg_bytes is {data.dtype} of shape {data.shape}, offsets {offsets.dtype} of shape "
            f"{offsets.shape}; expected a row of uint8 and rising offsets into it"
        )
    n_images = len(offsets) - 1

    def read(i: int) -> Tensor:
        return decode(io.BytesIO(data[offsets[i] : offsets[i + 1]].tobytes()), f"{arrays.path} image {i}")

    return ImageSource(np.arange(n_images, dtype=np.int64), n_images, read, True, f"{arrays.path} (jpeg_bytes)")


def _is_rising(offsets: Array, end: int) -> bool:
    if offsets.ndim != 1 or offsets.size < 2 or offsets.dtype.kind not in "iu":
        return False
    return bool(offsets[0] >= 0 and offsets[-1] <= end and (offsets[1:] > offsets[:-1]).all())
