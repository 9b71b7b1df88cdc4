"""One architecture of a search as files: what it is (JSON) and the weights it was scored with (safetensors)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.errors import InputError, MissingExtraError, SpaceError, StorageError
from lswag_fast.files.durable import replace_file
from lswag_fast.spaces import SearchSpace
from lswag_fast.spaces.backbones import STRIDES, level_channels
from lswag_fast.study.settings import fingerprint
from lswag_fast.study.stored import StoredStudy
from lswag_fast.study.trial import Trial

if TYPE_CHECKING:
    import torch

ARCH_FILE = "architecture.json"
WEIGHTS_FILE = "weights.safetensors"
SCHEMA_VERSION = 1
_BACKBONE_LINES = ("from lswag_fast import spaces", "backbone = spaces.backbone(model)")


@dataclass(frozen=True)
class Recipe:
    """How Python makes a space: the module to import, and the expression that returns the space."""

    module: str
    expression: str


def export_architecture(
    study: StoredStudy,
    trial: Trial,
    space: SearchSpace,
    recipe: Recipe,
    folder: str | os.PathLike[str],
    build: Callable[[Any], torch.nn.Module],
    weights: Mapping[str, torch.Tensor] | None = None,
    as_backbone: bool = False,
) -> tuple[str, ...]:
    """Write `architecture.json` and `weights.safetensors` of one trial; return the Python lines that load them.

    The weights are those that the search scored, if `build` makes the network as it did: cut out of `weights`, or
    drawn anew from the seed of the study, which gives the same bits with the same version of torch.

    Args:
        study: where the trial comes from.
        trial: the architecture.
        space: the space of the study.
        recipe: how a reader makes that space.
        folder: made if need be; files of these names in it are replaced.
        build: architecture -> the network as the search built it.
        weights: the weights that the networks of the study were cut out of, if they were not drawn.
        as_backbone: the lines also make it the backbone of a detector; the description has the channels of its maps.

    Raises:
        SpaceError: the architecture does not belong to the space, or costs something else in it; or it is to be a
            backbone, and has no maps of strides 4 to 32.
        InputError: `weights` are not those that the search cut its networks out of.
        StorageError: the folder cannot be written.
        MissingExtraError: safetensors is not installed.
    """
    arch = space.decode(trial.arch_json)
    _check_same(space, arch, trial)
    _check_weights(study, weights)
    save_model = _safetensors()
    model = build(arch)
    maps = {"backbone": {"strides": STRIDES, "channels": level_channels(model)}} if as_backbone else {}
    path = Path(folder)
    lines = (
        f"import {recipe.module}, safetensors.torch",
        f"model = {recipe.expression}.build({arch!r})",
        f"safetensors.torch.load_model(model, {str(path / WEIGHTS_FILE)!r})",
        *(_BACKBONE_LINES if as_backbone else ()),
    )
    try:
        path.mkdir(parents=True, exist_ok=True)
        aside = path / f"{WEIGHTS_FILE}.part"
        save_model(model, str(aside), metadata={"format": "pt", "arch": trial.arch_json})
        aside.replace(path / WEIGHTS_FILE)
        description = json.dumps({**_description(study, trial, lines), **maps}, indent=2) + "\n"
        replace_file(path / ARCH_FILE, description.encode())
    except OSError as error:
        raise StorageError(f"cannot write to {path}: {error.strerror or error}") from error
    return lines


def _check_same(space: SearchSpace, arch: Any, trial: Trial) -> None:
    """A space that was changed since would give another network under the same words."""
    for name, found, stored in (
        ("parameters", space.n_params(arch), trial.n_params),
        ("MACs", space.macs(arch), trial.macs),
    ):
        if found != stored:
            raise SpaceError(
                f"{space.name} gives trial {trial.number} {found:,} {name}, and the search recorded {stored:,}: "
                "it is not the space that was searched"
            )


def _check_weights(study: StoredStudy, weights: Mapping[str, torch.Tensor] | None) -> None:
    stored, found = study.settings.scoring.weights_fingerprint, None if weights is None else fingerprint(weights)
    if stored != found:
        raise InputError(
            f"the weights are not those of the search: their fingerprint was {stored or 'none, they were drawn'} and "
            f"is {found or 'none'}; where they were given in Python, export in Python (lswag_fast.study.export)"
        )


def _safetensors() -> Callable[..., None]:
    """What saves a model; asked for before anything is written."""
    try:
        from safetensors.torch import save_model
    except ImportError as error:
        raise MissingExtraError("export", "safetensors") from error
    saver: Callable[..., None] = save_model
    return saver


def _description(study: StoredStudy, trial: Trial, lines: tuple[str, ...]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "space": study.settings.space.name,
        **{key: value for key, value in trial.to_dict().items() if key not in ("state", "error", "elapsed_ms")},
        "weights": WEIGHTS_FILE,
        "python": list(lines),
        "settings": study.settings.to_json(),
        "metadata": study.metadata,
        "versions": study.versions,
    }
