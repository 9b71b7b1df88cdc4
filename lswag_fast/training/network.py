"""Training one network to the end: its accuracy on images that nothing was chosen on, and its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lswag_fast.data.splits import ImageSplits
from lswag_fast.errors import StorageError, names_failure, reason
from lswag_fast.execution import Interrupts
from lswag_fast.study.settings import fingerprint
from lswag_fast.training.accuracy import Accuracy, accuracy
from lswag_fast.training.loop.drop_path import add_drop_path
from lswag_fast.training.loop.folder import LOG_FILE, WEIGHTS_FILE, TrainingFolder
from lswag_fast.training.loop.in_folder import trained_in_folder
from lswag_fast.training.loop.loop import Task, Watcher, check_logits
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.recipe import Recipe

KIND = "network"
RESULT_FILE = "result.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Origin:
    """What makes a network again.

    Attributes:
        module: what Python imports for it.
        expression: what returns it, its weights aside.
        about: what it is, as JSON values: its space and architecture, say.

    Example:
        >>> Origin("mymodels", "mymodels.make()").lines(Path("runs/net"))[1]
        'model = mymodels.make()'
    """

    module: str
    expression: str
    about: Mapping[str, Any] | None = None

    def lines(self, folder: Path) -> tuple[str, str, str]:
        """Return the Python that builds the trained network."""
        return (
            f"import {self.module}, safetensors.torch",
            f"model = {self.expression}",
            f"model.load_state_dict(safetensors.torch.load_file({str(folder / WEIGHTS_FILE)!r}))",
        )


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that was trained.

    Attributes:
        model: the network, in eval mode, on the CPU.
        validation: its accuracy on the validation split.
        test: its accuracy on the test split; None where that was not asked for.
        epochs: the rows of the log.
        lines: the Python that builds it.
    """

    model: nn.Module
    validation: Accuracy
    test: Accuracy | None
    epochs: list[dict[str, float]]
    lines: tuple[str, ...]


def train_network(
    network: nn.Module,
    origin: Origin,
    splits: ImageSplits,
    folder: Path,
    *,
    recipe: Recipe,
    seed: int = 0,
    runtime: Runtime | None = None,
    watchers: Sequence[Watcher] = (),
    interrupts: Interrupts | None = None,
    metadata: Mapping[str, Any] | None = None,
    with_test: bool = True,
) -> TrainedNetwork | None:
    """Train a network on the training split, or continue to, and measure it on the other two.

    Args:
        network: images (B, C, H, W) -> logits (B, classes), with its initial weights. Trained in place.
        origin: what makes it again.
        splits: the images. Those for the test are seen once, at the end.
        folder: the folder of the training, new or to continue; afterwards it has `weights.safetensors` and
            `result.json` too.
        recipe: how to train.
        seed: of the order of the images and of what is done to them.
        runtime: where it runs; this process, on CUDA if there is any, if not given.
        watchers: are told how it goes.
        interrupts: a signal ends the training after a step.
        metadata: JSON values that are stored with the settings and compared with nothing.
        with_test: False where something is to be chosen by its accuracy: the test split is then left unseen.

    Returns:
        The trained network; None after a signal, and then the same call continues.

    Raises:
        InputError: the network returns no logits, has nothing to train or a state that is no tensor, or the recipe
            does not fit it or the images; there is no folder then.
        NetworkFailedError: the network ends in an error of its own; there is no folder if it does on the first batch.
        NonFiniteOutputError: a logit is NaN or infinite in eval mode.
        OtherSettingsError: the folder holds a training of other settings, or of other initial weights.
        StorageError: the folder cannot be read or written, or another process trains there.
        NonFiniteLossError: the loss is NaN or infinite.
        MissingExtraError: a library is not installed.

    Example:
        >>> import tempfile
        >>> from lswag_fast.data.splits import split_images
        >>> from lswag_fast.training.recipe import RECIPES
        >>> network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
        >>> splits = split_images("digits", image_size=8, channels=1)
        >>> recipe = RECIPES["short"].with_changes(epochs=5, lr=0.01)
        >>> trained = train_network(network, Origin("m", "m.f()"), splits, Path(tempfile.mkdtemp(), "a"), recipe=recipe)
        >>> trained.test.n, trained.test.value > 0.5
        (179, True)
    """
    _try_out(network, splits)
    named = getattr(network, "no_weight_decay", None)
    task = Task(
        network,
        splits.train,
        splits.num_classes,
        splits.mean,
        splits.std,
        recipe,
        seed,
        set(named()) if callable(named) else (),
        measure=lambda kept: {"validation_accuracy": accuracy(kept, splits.validation).value},
    )
    about = {
        "kind": KIND,
        "network": {
            "python": origin.expression,
            **(origin.about or {}),
            "initial_weights": fingerprint(dict(network.state_dict())),
        },
    }
    handles = add_drop_path(network, recipe.drop_path) if recipe.drop_path else []
    try:
        with trained_in_folder(
            task,
            folder,
            about,
            splits,
            runtime=runtime,
            watchers=watchers,
            interrupts=interrupts,
            metadata=metadata,
        ) as trained:
            if trained is None:
                return None
            network.load_state_dict(trained.weights())
            return _measured(network.cpu().eval(), origin, splits, trained, with_test)
    finally:
        for handle in handles:
            handle.remove()


def _try_out(network: nn.Module, splits: ImageSplits) -> None:
    """Refuse a network that returns no logits for the images (InputError) or fails; it is left as it was."""
    images = splits.train[0][0].unsqueeze(0)
    modes = [(module, module.training) for module in network.modules()]
    network.eval()  # BatchNorm takes no statistics
    try:
        with torch.no_grad(), names_failure(f"the network fails on an image of shape {tuple(images.shape[1:])}"):
            logits = network(images)
        check_logits(logits, 1, splits.num_classes)
    finally:
        for module, mode in modes:
            module.training = mode


def _measured(
    network: nn.Module, origin: Origin, splits: ImageSplits, folder: TrainingFolder, with_test: bool
) -> TrainedNetwork:
    lines = origin.lines(folder.path)
    validation, test = stored = _stored_accuracies(folder.path / RESULT_FILE)
    validation = validation or accuracy(network, splits.validation)
    if with_test:
        test = test or accuracy(network, splits.test)
    if folder.writes and stored != (validation, test):
        content = {
            "schema_version": SCHEMA_VERSION,
            **(origin.about or {}),
            "validation": _described(validation),
            "test": test and _described(test),
            "mean": list(splits.mean),
            "std": list(splits.std),
            "python": list(lines),
        }
        folder.write(RESULT_FILE, (json.dumps(content, indent=2) + "\n").encode())
    has_log = (folder.path / LOG_FILE).exists()  # the network is whole without it
    return TrainedNetwork(network, validation, test, folder.epochs() if has_log else [], lines)


def _described(found: Accuracy) -> dict[str, Any]:
    return {**asdict(found), "accuracy": found.value, "interval": list(found.interval)}


def _stored_accuracies(path: Path) -> tuple[Accuracy | None, Accuracy | None]:
    """The accuracies of a training that was called again after its end, those that were measured then."""
    try:
        content = json.loads(path.read_bytes())
        parts = (content["validation"], content["test"])
        validation, test = (found and Accuracy(found["correct"], found["n"]) for found in parts)
        return validation, test
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StorageError(f"{path} cannot be read ({reason(error)}); delete it to have it made again") from error
