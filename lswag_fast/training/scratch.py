"""Networks trained from drawn weights: the winners of a comparison, and some of a benchmark for a check."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lswag_fast.data.splits import ImageSplits
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.execution import Interrupts
from lswag_fast.spaces import SearchSpace
from lswag_fast.spaces.building import network_builder
from lswag_fast.training.accuracy import Accuracy
from lswag_fast.training.loop.in_folder import check_training
from lswag_fast.training.network import Origin, TrainedNetwork, train_network
from lswag_fast.training.recipe import Recipe

RETRAINED_ACCURACY = "retrained_accuracy"
_COLUMNS = ("arch", RETRAINED_ACCURACY, f"{RETRAINED_ACCURACY}_low", f"{RETRAINED_ACCURACY}_high")
Callback = Callable[[int, int], None]
"""`callback(done, total)`."""


class Measured(Protocol):
    """What became of a training."""

    @property
    def validation(self) -> Accuracy:
        """On the validation split."""

    @property
    def test(self) -> Accuracy | None:
        """On the test split; None where something is to be chosen by the validation split."""


class Trainer(Protocol):
    """Trains one architecture from drawn weights, and measures it."""

    def __call__(self, arch: Any, folder: Path, seed: int) -> Measured | None:
        """Return its accuracies; None after a signal, and then the same call continues."""

    def settings(self) -> Mapping[str, Any]:
        """Return what decides the result beside architecture, images and seed, as JSON values."""


@dataclass(frozen=True)
class ScratchTrainer:
    """Trains architectures of a space from weights drawn anew.

    Attributes:
        space: the space.
        images: split; trained on the first part, measured on the others.
        recipe: how.
        module: what Python imports for the space.
        expression: what makes the space in Python.
        interrupts: a signal ends a training after a step.
        with_test: whether they are measured on the test split too.

    Raises:
        InputError: the recipe does not fit the images; said here, before anything is searched or measured.
        MissingExtraError: a training needs a library that is not installed.
    """

    space: SearchSpace
    images: ImageSplits
    recipe: Recipe
    module: str
    expression: str
    interrupts: Interrupts | None = None
    with_test: bool = True

    def __post_init__(self) -> None:
        check_training(self.recipe, self.images)

    def __call__(self, arch: Any, folder: Path, seed: int) -> TrainedNetwork | None:
        """Train an architecture in a folder, new or to continue.

        Args:
            arch: a member of the space.
            folder: of the training.
            seed: of the initial weights, the order of the images and what is done to them.

        Returns:
            The trained network; None after a signal.
        """
        network = network_builder(self.space, "fresh", seed)(arch)
        about = {"space": self.space.name, "arch": self.space.encode(arch)}
        origin = Origin(self.module, f"{self.expression}.build({arch!r})", about)
        return train_network(
            network,
            origin,
            self.images,
            folder,
            recipe=self.recipe,
            seed=seed,
            interrupts=self.interrupts,
            with_test=self.with_test,
        )

    def settings(self) -> dict[str, Any]:
        """Return the recipe as JSON values."""
        return self.recipe.to_dict()


def retrain(
    archs: Sequence[str],
    space: SearchSpace,
    train: Trainer,
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    callback: Callback | None = None,
) -> bool:
    """Train architectures from drawn weights and append the accuracy of each on the validation split to a CSV.

    Beside the CSV, in the folder OUT.trained, lies the training of each. Called again after a cut it continues inside
    of one, and more architectures add to it.

    Args:
        archs: as the space's `encode` writes them.
        space: the space.
        train: how they are trained.
        out: the CSV.
        seed: of every training.
        settings: what else decides the rows, stored beside the CSV and compared.
        callback: called as `callback(done, total)` after each.

    Returns:
        Whether all are trained; False after a signal.

    Raises:
        StorageError: the file belongs to other settings, or cannot be written.
    """
    given = {"training": dict(train.settings()), "seed": seed, **(settings or {})}
    rows = RowFile(out, _COLUMNS, json.loads(json.dumps(given)))
    folder = Path(f"{os.fspath(out)}.trained")
    with closing(rows):
        for number, text in enumerate(archs):
            if text not in rows.done:
                found = train(space.decode(text), folder / str(number), seed)
                if found is None:
                    return False
                values = (text, found.validation.value, *found.validation.interval)
                rows.add(dict(zip(_COLUMNS, values, strict=True)))
            if callback is not None:
                callback(number + 1, len(archs))
    return True
