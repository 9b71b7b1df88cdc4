"""The space of a stored search, made again, and the Python that makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lswag_fast.cli import targets
from lswag_fast.cli.values import naming
from lswag_fast.errors import InputError, SpaceError, StorageError
from lswag_fast.study.export import Recipe

if TYPE_CHECKING:
    from torch import Tensor

    from lswag_fast.spaces import SearchSpace
    from lswag_fast.study.stored import StoredStudy


def find_stored_space(study: StoredStudy) -> tuple[SearchSpace, Recipe]:
    """Make the space of a stored study; return it with the Python that does the same.

    Raises:
        InputError: the space was made in Python, so that only Python can make it again, or its factory is gone.
        SpaceError: what is made now is not the space that was searched.
    """
    argument = str(study.metadata.get("space_argument") or study.settings.space.name)
    space, recipe = _from_factory(argument) if ":" in argument else _named(argument, study)
    wanted, found = study.settings.space.choices, repr(space)
    if wanted is not None and wanted != found:
        raise SpaceError(f"the space of this search was {wanted}; {recipe.expression} now makes {found}")
    return space, recipe


def _from_factory(argument: str) -> tuple[SearchSpace, Recipe]:
    from lswag_fast import spaces

    module, _, attribute = argument.partition(":")
    space = targets.make(argument)
    with naming(argument):
        spaces.check_space(space)
    return space, Recipe(module, f"{module}.{attribute}()")


def _named(name: str, study: StoredStudy) -> tuple[SearchSpace, Recipe]:
    from lswag_fast import spaces

    if name not in spaces.names():
        raise InputError(
            f"the space {name!r} of this search was made in Python, so the command line cannot make it again; "
            "there, space.build(space.decode(trial.arch_json), weights) gives the network"
        )
    options = study.metadata.get("space_options")
    if options is None:  # searched from Python
        searched = study.settings.space
        is_text = len(searched.input_shape) == 1
        sizes = {"image_size": searched.input_shape[-1], "num_classes": searched.num_classes}
        options = {"length": searched.input_shape[0]} if is_text else sizes
    if not isinstance(options, dict):
        raise StorageError(f"the search in {study.path} does not say how its space was made: {options!r}")
    written = "".join(f", {key}={value!r}" for key, value in options.items())
    return spaces.get(name, **options), Recipe("lswag_fast", f"lswag_fast.spaces.get({name!r}{written})")


def stored_weights(study: StoredStudy, space: SearchSpace) -> Mapping[str, Tensor] | None:
    """Return the weights that a search cut its networks out of; None where it drew them from its seed.

    Raises:
        InputError: the file is gone or cannot be read, or the weights were given in Python.
        StorageError: the folder of the supernet is gone, or cannot be read.
    """
    supernet = study.metadata.get("supernet")
    if isinstance(supernet, str):
        from lswag_fast.training import supernet as supernets

        return supernets.load(Path(supernet), space).weights
    path = study.metadata.get("checkpoint")
    if path is None:
        return None
    load: Callable[..., Mapping[str, Tensor]] | None = getattr(space, "load_checkpoint", None)
    if load is None or not isinstance(path, str):
        raise InputError(f"this search names the checkpoint {path!r}, and {space.name} reads none from there")
    return load(path, **(targets.new_head(load, study.settings.seed) if study.metadata.get("new_head") else {}))
