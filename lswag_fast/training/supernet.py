"""Training the shared weights of a space, one drawn network a step, and reading them back.

Source: Chen, Peng, Fu, Ling, "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021: in each step one
network is drawn uniformly, its weights are cut out of the shared ones, and the gradient flows back into that cut.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from lswag_fast.data.splits import ImageSplits
from lswag_fast.errors import InputError, SpaceError, StorageError, UnnamedSpaceError, names_failure
from lswag_fast.execution import Interrupts
from lswag_fast.files.differences import differences
from lswag_fast.spaces import Arch, EntanglesWeights, SearchSpace
from lswag_fast.spaces import get as get_space
from lswag_fast.spaces import names as space_names
from lswag_fast.spaces.building import build_network, made_network
from lswag_fast.study.settings import SpaceSettings
from lswag_fast.training.loop.drop_path import add_drop_path
from lswag_fast.training.loop.folder import TrainingFolder
from lswag_fast.training.loop.in_folder import trained_in_folder
from lswag_fast.training.loop.loop import Task, Watcher, check_logits
from lswag_fast.training.loop.runtime import Runtime
from lswag_fast.training.loop.seeds import derived_seed
from lswag_fast.training.recipe import Recipe

KIND = "supernet"
_PREFIX = "weights."
# What is read out of the settings: the space, how to make it by its name, and how the images are split again.
_READ = (
    *(f"space.{name}" for name in ("name", "input_shape", "num_classes")),
    *(f"data.{name}" for name in ("source", "seed", "shares", "images", "checksum")),
    "metadata",
)
N_DRAWN_BY_SANDWICH = 2
"""Networks between the least and the largest."""


class Supernet(nn.Module):
    """The shared weights of a space as a module that runs any of its networks.

    Args:
        space: whose networks; it entangles their weights.
        weights: the shared weights, which become parameters.
        drop_path: probability that a residual branch of the last block is dropped in train mode.

    Example:
        >>> from lswag_fast.spaces import AutoFormer
        >>> space = AutoFormer(embed_dim=(32, 64), depth=1, num_heads=1, mlp_ratio=1, image_size=32, num_classes=10)
        >>> supernet = Supernet(space, space.init_weights(0))
        >>> supernet(torch.zeros(2, 3, 32, 32), space.extremes()).shape
        torch.Size([4, 10])
    """

    def __init__(self, space: Any, weights: Mapping[str, Tensor], drop_path: float = 0.0) -> None:
        super().__init__()
        self._space, self._drop_path = space, drop_path
        self.weights = nn.ParameterDict({_as_key(name): nn.Parameter(weight) for name, weight in weights.items()})
        self._names = [_as_name(key) for key in self.weights]
        largest: Any = build_network(space, self.extremes()[1], weights)
        self._n_blocks = len(largest.residual_branches()) if drop_path else None
        undecayed = set(getattr(largest, "no_weight_decay", set)())
        self.undecayed = {f"{_PREFIX}{_as_key(name)}" for name in undecayed}

    def extremes(self) -> tuple[Arch, Arch]:
        """Return the architectures that use the least and the most of the weights."""
        with names_failure(f"{self._space.name}: extremes failed"):
            least, largest = self._space.extremes()
        return least, largest

    def shared(self) -> dict[str, Tensor]:
        """Return the shared weights by their names in the space."""
        return dict(zip(self._names, self.weights.parameters(), strict=True))

    def forward(self, images: Tensor, archs: Sequence[Arch]) -> Tensor:
        """Map images (B, C, H, W) to the logits of each network, one after the other: (len(archs) * B, classes)."""
        shared = self.shared()
        return torch.cat([self._logits(arch, images, shared) for arch in archs])

    def _logits(self, arch: Arch, images: Tensor, shared: Mapping[str, Tensor]) -> Tensor:
        network, cut = self._built(arch, shared)
        network.train(self.training)
        if self._drop_path:
            add_drop_path(network, self._drop_path, self._n_blocks)
        with names_failure(f"{self._space.name}: the network of {arch} fails on images of shape {tuple(images.shape)}"):
            logits: Tensor = functional_call(network, cut, (images,), tie_weights=False)  # each has its own tensor
        return logits

    def _built(self, arch: Arch, shared: Mapping[str, Tensor]) -> tuple[nn.Module, dict[str, Tensor]]:
        """A network, and what it is to run with in the place of its parameters."""
        if hasattr(self._space, "entangled"):
            return made_network(self._space, arch, "entangled", shared), {}
        network = build_network(self._space, arch, shared)
        with names_failure(f"{self._space.name}: cut of {arch} failed"):
            return network, self._space.cut(arch, shared)


@dataclass(frozen=True)
class TrainedSupernet:
    """The trained shared weights of a space.

    Attributes:
        space: whose networks they hold.
        weights: by name, for `space.build(arch, weights)`.
        data: what identifies the images that they were trained on, see `ImageSplits.to_dict`.
        settings: everything that decided the weights.
    """

    space: SearchSpace
    weights: dict[str, Tensor]
    data: dict[str, Any]
    settings: dict[str, Any]


def train_supernet(
    space: SearchSpace,
    splits: ImageSplits,
    folder: Path,
    *,
    recipe: Recipe,
    seed: int = 0,
    runtime: Runtime | None = None,
    watchers: Sequence[Watcher] = (),
    interrupts: Interrupts | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> TrainedSupernet | None:
    """Train the shared weights of a space on the training split, or continue to.

    Args:
        space: its shared weights can be trained (`spaces.EntanglesWeights`).
        splits: the images; only those to train on are seen.
        folder: the folder of the training, new or to continue.
        recipe: how to train.
        seed: of the initial weights, the order of the images and the networks drawn.
        runtime: where it runs; this process, on CUDA if there is any, if not given.
        watchers: are told how it goes.
        interrupts: a signal ends the training after a step.
        metadata: JSON values that are stored with the settings and compared with nothing; `space_options` are what
            `spaces.get` needs beside the name of the space.

    Returns:
        The trained weights; None after a signal, and then the same call continues.

    Raises:
        SpaceError: the shared weights of the space cannot be trained.
        InputError: the recipe does not fit the space or the images, or a network returns no logits.
        NetworkFailedError: the space or a network ends in an error of its own; before there is a folder, where it is
            the least network or the largest.
        OtherSettingsError: the folder holds a training of other settings.
        StorageError: the folder cannot be read or written, or another process trains there.
        NonFiniteLossError: the loss is NaN or infinite.
        MissingExtraError: a library is not installed.

    Example:
        >>> import tempfile
        >>> from lswag_fast.data.splits import split_images
        >>> from lswag_fast.spaces import AutoFormer
        >>> from lswag_fast.training.recipe import RECIPES
        >>> sizes = {"image_size": 8, "patch_size": 4, "num_classes": 10}
        >>> space = AutoFormer(embed_dim=(16, 32), depth=1, num_heads=1, mlp_ratio=1, **sizes)
        >>> splits, recipe = split_images("digits", image_size=8), RECIPES["short"].with_changes(epochs=1)
        >>> trained = train_supernet(space, splits, Path(tempfile.mkdtemp(), "run"), recipe=recipe)
        >>> trained.space.build(space.extremes()[0], trained.weights).head.out_features
        10
    """
    if not isinstance(space, EntanglesWeights):
        raise SpaceError(f"{space.name} has no shared weights that can be trained; the AutoFormer spaces have")
    _check_images(space, splits)
    with names_failure(f"{space.name}: init_weights failed"):
        weights = space.init_weights(seed)
    supernet = Supernet(space, weights, recipe.drop_path)
    _try_out(supernet, space, weights, splits)
    task = Task(
        supernet,
        splits.train,
        splits.num_classes,
        splits.mean,
        splits.std,
        recipe,
        seed,
        supernet.undecayed,
        lambda step: (drawn(space, recipe, seed, step),),
    )
    with trained_in_folder(
        task,
        folder,
        {"kind": KIND, "space": asdict(SpaceSettings.of(space))},
        splits,
        runtime=runtime,
        watchers=watchers,
        interrupts=interrupts,
        metadata=metadata,
        named=lambda key: _as_name(key.removeprefix(_PREFIX)),
    ) as trained:
        if trained is None:
            return None
        return TrainedSupernet(space, trained.weights(), splits.to_dict(), trained.settings())


def drawn(space: Any, recipe: Recipe, seed: int, step: int) -> list[Arch]:
    """Return the networks of a step: one that is drawn, or those of the sandwich rule."""
    rng = random.Random(derived_seed(seed, "network", step))
    if not recipe.sandwich:
        return [space.sample(rng)]
    return [*space.extremes(), *(space.sample(rng) for _ in range(N_DRAWN_BY_SANDWICH))]


def load(folder: Path, space: SearchSpace | None = None) -> TrainedSupernet:
    """Read the trained weights of a supernet.

    Args:
        folder: of `train_supernet` or `lswag-fast supernet`.
        space: the space that they belong to; it may be left out where it has a name (`spaces.names()`).

    Raises:
        StorageError: it is no folder of a supernet, damaged, or its training has not ended.
        SpaceError: the weights are those of another space.
        UnnamedSpaceError: the space has no name, so it must be given.

    Example:
        >>> import tempfile
        >>> from lswag_fast.data.splits import split_images
        >>> from lswag_fast.spaces import AutoFormer
        >>> from lswag_fast.training.recipe import RECIPES
        >>> sizes = {"image_size": 8, "patch_size": 4, "num_classes": 10}
        >>> space = AutoFormer(embed_dim=(16, 32), depth=1, num_heads=1, mlp_ratio=1, **sizes)
        >>> splits, recipe = split_images("digits", image_size=8), RECIPES["short"].with_changes(epochs=1)
        >>> folder = Path(tempfile.mkdtemp(), "supernet")
        >>> trained = train_supernet(space, splits, folder, recipe=recipe)
        >>> found = load(folder, space)
        >>> torch.equal(found.weights["head.bias"], trained.weights["head.bias"]), found.data["images"]["train"]
        (True, 1439)
    """
    opened = TrainingFolder(Path(folder), writes=False)
    settings = opened.settings()
    if settings.get("kind") != KIND:
        raise StorageError(f"{folder} is the folder of a trained {settings.get('kind')}, not of a supernet")
    opened.check_has(settings, *_READ)
    stored = settings["space"]
    space = space or _named(settings)
    found = list(differences({"space": stored}, {"space": _as_json(SpaceSettings.of(space))}))
    if found:
        raise SpaceError(f"{folder} holds the weights of another space: {'; '.join(found)}")
    return TrainedSupernet(space, opened.weights(), settings["data"], settings)


def _named(settings: Mapping[str, Any]) -> SearchSpace:
    stored = settings["space"]
    if stored["name"] not in space_names():
        raise UnnamedSpaceError(f"the supernet's space {stored['name']!r} has no name to make it by; pass it (space=)")
    sizes = {"image_size": stored["input_shape"][-1], "num_classes": stored["num_classes"]}
    return get_space(stored["name"], **settings["metadata"].get("space_options", sizes))


def _as_key(name: str) -> str:
    """The name of a parameter may have no dots."""
    return name.replace(".", "/")


def _as_name(key: str) -> str:
    return key.replace("/", ".")


def _as_json(settings: SpaceSettings) -> dict[str, Any]:
    return {**asdict(settings), "input_shape": list(settings.input_shape)}


def _try_out(supernet: Supernet, space: SearchSpace, weights: Mapping[str, Tensor], splits: ImageSplits) -> None:
    """Refuse a space whose least or largest network returns no logits, or fails, before anything is written."""
    image = splits.train[0][0].unsqueeze(0)
    supernet.eval()  # nothing is dropped
    with torch.no_grad():
        for arch in supernet.extremes():
            check_logits(supernet(image, [arch]), 1, splits.num_classes)
            build_network(space, arch, weights)  # what is measured after the training
    supernet.train()


def _check_images(space: SearchSpace, splits: ImageSplits) -> None:
    shape = tuple(splits.train[0][0].shape)
    if shape != tuple(space.input_shape):
        raise InputError(f"images: have the shape {shape}, the networks of {space.name} take {space.input_shape}")
    if splits.num_classes > space.num_classes:
        raise InputError(
            f"images: have {splits.num_classes} classes, the networks of {space.name} tell {space.num_classes} apart"
        )
