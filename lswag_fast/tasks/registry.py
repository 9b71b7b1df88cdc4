"""The tasks by name."""

from __future__ import annotations

import difflib

from lswag_fast.errors import InputError
from lswag_fast.tasks import jigsaw, metrics, targets
from lswag_fast.tasks.losses import CROSS_ENTROPY
from lswag_fast.tasks.task import Task

_TASKS = (
    Task(
        "classification",
        "one class for each image",
        CROSS_ENTROPY,
        "the labels of the images",
        targets.of_labels,
        metrics.accuracy,
        "accuracy",
        ("class_object", "class_scene"),
    ),
    Task(
        "multi_label",
        "yes or no for each of several labels",
        "binary_cross_entropy",
        "the labels of the images, one each",
        targets.of_each_label,
        metrics.f1,
        "F1",
    ),
    Task(
        "regression",
        "numbers for each image",
        "mse",
        "drawn at random",
        targets.of_numbers,
        metrics.negative_mse,
        "negative mean square error",
        ("room_layout",),
    ),
    Task(
        "segmentation",
        "a class for each pixel",
        CROSS_ENTROPY,
        "drawn at random",
        targets.of_regions,
        metrics.mean_iou,
        "mean IoU",
        ("segmentsemantic",),
    ),
    Task(
        "surface_normals",
        "the direction of the surface at each pixel",
        "l1",
        "drawn at random",
        targets.of_normals,
        metrics.ssim,
        "SSIM",
        ("normal",),
    ),
    Task(
        "autoencoding",
        "the image itself",
        "l1",
        "the images",
        targets.of_pixels,
        metrics.ssim,
        "SSIM",
        ("autoencoder",),
    ),
    Task(
        "jigsaw",
        "in which of 1,000 orders the nine tiles of an image lie",
        CROSS_ENTROPY,
        "the orders of the tiles, drawn at random and applied",
        jigsaw.puzzles,
        metrics.accuracy,
        "accuracy",
        source_size=jigsaw.source_size,
    ),
)
_BY_NAME = {name: task for task in _TASKS for name in (task.name, *task.aliases)}


def names() -> tuple[str, ...]:
    """Return the names of the tasks.

    Example:
        >>> names()
        ('classification', 'multi_label', 'regression', 'segmentation', 'surface_normals', 'autoencoding', 'jigsaw')
    """
    return tuple(task.name for task in _TASKS)


def get(name: str) -> Task:
    """Return a task.

    Args:
        name: one of `names()`, or the name that a task has in TransNAS-Bench-101.

    Raises:
        InputError: there is no such task.

    Example:
        >>> get("room_layout").name, get("autoencoding").loss
        ('regression', 'l1')
    """
    if not isinstance(name, str) or name not in _BY_NAME:
        near = difflib.get_close_matches(str(name), _BY_NAME, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"there is no task {name!r}; {hint}known are {', '.join(_BY_NAME)}")
    return _BY_NAME[name]
