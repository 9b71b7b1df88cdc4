"""Trainings that are to be cut, small enough for tenths of a second.

`python -m training.runs FOLDER IMAGES` runs one, which `torchrun` does in several processes.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lswag_fast.data.splits import ImageSplits, split_images
from lswag_fast.execution import Interrupts
from lswag_fast.spaces import AutoFormer
from lswag_fast.training.loop import loop
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.recipe import RECIPES, Recipe
from lswag_fast.training.supernet import TrainedSupernet, train_supernet
from support.zoo_libraries import library

N_CLASSES = 3
CHOICES = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": 1, "mlp_ratio": (1, 2)}
SPACE = AutoFormer(**CHOICES, image_size=8, patch_size=4, num_classes=N_CLASSES)
# 48 images to train on: three steps in each of three epochs, and everything that draws.
RECIPE = RECIPES["short"].with_changes(epochs=3, batch_size=16, drop_path=0.2)
N_STEPS = 9
WEIGHTS = "weights.safetensors"


def write_images(path: Path, n: int = 60, n_classes: int = N_CLASSES, seed: int = 0) -> Path:
    """Images whose brightness tells their class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % n_classes
    images = rng.integers(0, 80, (n, 8, 8)) + 80 * labels[:, None, None]
    np.savez(path, x=np.clip(images, 0, 255).astype(np.uint8), y=labels)
    return path


def splits_of(path: Path) -> ImageSplits:
    return split_images(path, image_size=8)


class Log:
    """Remembers what it was told, and does something at a step."""

    def __init__(self, at_step: Callable[[int], None] = lambda step: None) -> None:
        self.rows: list[dict[str, float]] = []
        self.began_at = -1
        self._at_step = at_step

    def began(self, step: int, n_steps: int) -> None:
        self.began_at = step

    def stepped(self, step: int, loss: float, images_per_s: float) -> None:
        self._at_step(step)

    def ended_epoch(self, row: dict[str, float]) -> None:
        self.rows.append(row)


def run(
    folder: Path,
    images: Path,
    *,
    recipe: Recipe = RECIPE,
    log: Log | None = None,
    interrupts: Interrupts | None = None,
    **options: Any,
) -> TrainedSupernet | None:
    """Train a supernet, or continue to, on the CPU."""
    return train_supernet(
        SPACE,
        splits_of(images),
        folder,
        recipe=recipe,
        runtime=Runtime("cpu"),
        watchers=[log or Log()],
        interrupts=interrupts,
        **options,
    )


@contextmanager
def storing_each_step() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOOK_STEPS", 1)
        patch.setattr(loop, "STORE_S", 0.0)
        yield


def in_own_process(target: Callable[..., None], *arguments: Any) -> int:
    """Call a function of a module in a process of its own; return how it ended."""
    context = multiprocessing.get_context("forkserver")  # from a process that has imported torch and never used it
    context.set_forkserver_preload([__name__])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        process = context.Process(target=target, args=arguments)
        process.start()
    process.join()
    return process.exitcode or 0


def killed_at(folder: Path, images: Path, step: int, recipe: Recipe = RECIPE) -> int:
    """Train in a process of its own, which kills itself after a step; return how it ended."""
    return in_own_process(_run_to, folder, images, step, recipe)


def _run_to(folder: Path, images: Path, step: int, recipe: Recipe) -> None:
    torch.set_num_threads(1)
    if recipe.augment is not None:
        library("timm")
    log = Log(lambda now: os.kill(os.getpid(), signal.SIGKILL) if now == step else None)
    with storing_each_step():
        run(folder, images, recipe=recipe, log=log)


if __name__ == "__main__":
    torch.set_num_threads(1)
    run(Path(sys.argv[1]), Path(sys.argv[2]), recipe=RECIPE.with_changes(drop_path=0.0))
