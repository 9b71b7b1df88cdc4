"""Which parts a source of images has of its own: images to train on, and maybe others for validation and test."""

from __future__ import annotations

from pathlib import Path

from lswag_fast.data import sources
from lswag_fast.data.sources import ImageSource
from lswag_fast.errors import DataError, reason

TRAIN, VALIDATION, TEST = PARTS = ("train", "validation", "test")
# The names under which sources have them.
_SPELLINGS = {VALIDATION: ("validation", "valid", "val"), TEST: ("test",)}
PART_NAMES = (TRAIN, *(name for spellings in _SPELLINGS.values() for name in spellings))


def read_parts(source: str | Path) -> dict[str, ImageSource]:
    """Return the images to train on and the parts that the source keeps apart itself, by the names in `PARTS`.

    A folder keeps them as `train/`, `test/`, `val/` with the classes inside, an .npz file as `x_train` and `y_train`,
    `x_test` and `y_test`, `x_val` and `y_val`.

    Args:
        source: "digits", a folder or an .npz file.

    Raises:
        DataError: it is missing or cannot be read, has no images to train on, or its parts do not fit together.

    Example:
        >>> list(read_parts("digits"))
        ['train']
    """
    if source == "digits":
        return {TRAIN: sources.digits()}
    path = Path(source)
    if source == "synthetic":
        raise DataError("data synthetic: is noise, of which nothing can be learned; name a folder, an .npz or 'digits'")
    try:
        parts = _parts_of_path(path)
    except OSError as error:
        raise DataError(f"data {source}: cannot be read ({reason(error)})") from error
    for part in parts.values():
        _check_fit(parts[TRAIN], part)
    return parts


def _parts_of_path(path: Path) -> dict[str, ImageSource]:
    if path.is_dir():
        return _parts_of_folder(path)
    if not path.exists():
        raise DataError(f"data {path}: no such file or folder; built in is 'digits'")
    if not path.is_file() or path.suffix != ".npz":
        raise DataError(f"data {path}: expected a folder or an .npz file")
    return _parts_of_npz(path)


def _parts_of_folder(path: Path) -> dict[str, ImageSource]:
    train = path / TRAIN
    if not train.is_dir() or not any(entry.is_dir() for entry in train.iterdir()):
        return {TRAIN: sources.folder(path)}  # its sub-folders are classes, whatever they are called
    found = {TRAIN: sources.folder(train)}
    for part, spellings in _SPELLINGS.items():
        name = _only(path, [word for word in spellings if (path / word).is_dir()])
        if name is not None:
            found[part] = sources.folder(path / name)
    return found


def _parts_of_npz(path: Path) -> dict[str, ImageSource]:
    names = sources.npz_names(path)
    if "x_test" in names and not {"x", "x_train"} & names:
        raise DataError(f"data {path}: has images to test on (x_test) and none to train on; expected x_train or x")
    found = {TRAIN: sources.npz(path, None)}
    for part, spellings in _SPELLINGS.items():
        name = _only(path, [word for word in spellings if f"x_{word}" in names])
        if name is not None:
            found[part] = sources.npz(path, name)
    return found


def _only(path: Path, found: list[str]) -> str | None:
    if len(found) > 1:
        raise DataError(f"data {path}: has {' and '.join(found)}, which mean the same; keep one of them")
    return found[0] if found else None


def _check_fit(train: ImageSource, part: ImageSource) -> None:
    """Refuse a part whose labels or pixels mean something else than those to train on."""
    if part.class_names != train.class_names:
        odd = sorted(set(part.class_names) ^ set(train.class_names))
        raise DataError(f"data {part.description}: its classes are not those to train on; different: {', '.join(odd)}")
    if part.num_classes > train.num_classes:
        raise DataError(
            f"data {part.description}: holds the label {part.num_classes - 1}; those to train on end at "
            f"{train.num_classes - 1}"
        )
    if part.unit_range != train.unit_range:
        raise DataError(
            f"data {part.description}: pixels are of another type than those to train on; store both as uint8 or "
            "both as float"
        )
