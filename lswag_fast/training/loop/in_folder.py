"""A training from its folder's first opening to its trained weights: what a supernet and a single network share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor

from lswag_fast.data.splits import ImageSplits
from lswag_fast.errors import needs_extra
from lswag_fast.execution import Interrupts
from lswag_fast.training.loop.augmentation import batch_change, image_change
from lswag_fast.training.loop.batches import Batches
from lswag_fast.training.loop.folder import TrainingFolder
from lswag_fast.training.loop.loop import Loop, Task, Watcher
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.loop.try_out import try_out
from lswag_fast.training.recipe import Recipe


def check_training(recipe: Recipe, splits: ImageSplits) -> None:
    """Refuse a training on images in this process, where it could only end at once.

    Args:
        recipe: how to train.
        splits: the images.

    Raises:
        InputError: the recipe does not fit the images.
        MissingExtraError: a library is not installed.

    Example:
        >>> from lswag_fast.data.splits import split_images
        >>> from lswag_fast.training.recipe import RECIPES
        >>> check_training(RECIPES["short"], split_images("digits", image_size=8))
    """
    with needs_extra("train", "lightning-fabric"):
        import lightning_fabric  # noqa: F401
    Batches(splits.train, recipe.batch_size, 0, image_change(recipe, splits.mean, splits.std))
    batch_change(recipe, splits.num_classes)


@contextmanager
def trained_in_folder(
    task: Task,
    path: Path,
    about: Mapping[str, Any],
    splits: ImageSplits,
    *,
    runtime: Runtime | None = None,
    watchers: Sequence[Watcher] = (),
    interrupts: Interrupts | None = None,
    metadata: Mapping[str, Any] | None = None,
    named: Callable[[str], str] = str,
) -> Iterator[TrainingFolder | None]:
    """Train in a folder, continue there, or find it trained; no other process writes to it inside the block.

    Args:
        task: what is trained.
        path: the folder, new or of the same training.
        about: what decides the weights beside images, recipe, seed and runtime, as JSON values.
        splits: the images that the task's are a part of.
        runtime: where it runs; this process, on CUDA if there is any, if not given.
        watchers: are told how it goes.
        interrupts: a signal ends the training after a step.
        metadata: JSON values that are stored with the settings and compared with nothing.
        named: maps the name of a weight in the module to its name in the file.

    Yields:
        The folder with the trained weights; None after a signal, and then the same call continues.

    Raises:
        InputError, NonFiniteOutputError: the recipe does not fit the images, or the module cannot be trained; there is
            no folder then.
        NetworkFailedError: the module ends in an error of its own; there is no folder if it does on the first batch.
        OtherSettingsError: the folder holds a training of other settings.
        StorageError: the folder cannot be read or written, or another process trains there.
        NonFiniteLossError: the loss is NaN or infinite.
        MissingExtraError: a library is not installed.
    """
    runtime = runtime or Runtime()
    fabric = runtime.open()
    batch_change(task.recipe, task.num_classes)
    try_out(task, runtime, fabric)  # what does not fit is refused before there is a folder
    settings = {
        **about,
        "data": splits.to_dict(),
        "recipe": task.recipe.to_dict(),
        "seed": task.seed,
        "runtime": runtime.to_dict(fabric),
    }
    with TrainingFolder.opened(path, settings, metadata, writes=runtime.is_main) as folder:
        if not folder.is_finished:
            loop = Loop(task, folder, runtime, fabric, watchers, interrupts)
            if not loop.run():
                yield None
                return
            weights: dict[str, Tensor] = {named(name): weight for name, weight in loop.weights().items()}
            folder.finish(weights)
            fabric.barrier()  # the other processes read what this one has written
        yield folder
