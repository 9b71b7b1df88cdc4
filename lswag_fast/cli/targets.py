"""How a space, a network or a batch is found by the words on the command line."""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from lswag_fast.cli.values import naming
from lswag_fast.errors import InputError, SpaceError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lswag_fast.data.images import ImageBatch
    from lswag_fast.data.splits import ImageSplits
    from lswag_fast.data.texts import TextBatch
    from lswag_fast.execution import Interrupts
    from lswag_fast.options import ScoreOptions
    from lswag_fast.spaces import SearchSpace
    from lswag_fast.training.scratch import ScratchTrainer
    from lswag_fast.training.supernet import TrainedSupernet

_SPACE_OPTIONS = ("image_size", "patch_size", "num_classes", "length")


def space_options(args: argparse.Namespace) -> dict[str, int]:
    """Return the options of the space that were given."""
    return {key: value for key in _SPACE_OPTIONS if (value := getattr(args, key, None)) is not None}


def find_space(name: str, args: argparse.Namespace) -> SearchSpace:
    """Return the space `name` with the options given, or what `package.module:factory` returns.

    Raises:
        SpaceError: there is no such space, or it does not take an option given.
        InputError: there is no such factory.
    """
    from lswag_fast import spaces

    options = space_options(args)
    if ":" not in name:
        return spaces.get(name, **options)
    space: SearchSpace = make(name)
    with naming(name):
        spaces.check_space(space)
    if options:
        raise SpaceError(f"--{next(iter(options)).replace('_', '-')}: {name} decides this itself; leave it out")
    return space


def member(network: str) -> tuple[str, str] | None:
    """Return the space and the architecture that SPACE:ARCHJSON names; None for anything else."""
    from lswag_fast import spaces

    name, _, arch = network.partition(":")
    if name in spaces.names():
        return name, arch
    # A space of the user's own is package.module:factory, too; its architecture begins at the brace.
    name, brace, fields = network.partition(":{")
    return (name, "{" + fields) if brace else None


def checkpoint(space: SearchSpace, args: argparse.Namespace) -> Mapping[str, Tensor] | None:
    """Return the supernet weights of `--checkpoint`, None when it is not given.

    Raises:
        InputError: the space reads no checkpoints, or the file cannot be read.
        SpaceError: the file holds other weights than the space's.
    """
    if args.checkpoint is None:
        return None
    load: Callable[[Any], Mapping[str, Tensor]] | None = getattr(space, "load_checkpoint", None)
    if load is None:
        raise InputError(f"--checkpoint: {space.name} reads no checkpoints; leave it out")
    with naming("--checkpoint"):
        return load(args.checkpoint)


def find_supernet(args: argparse.Namespace) -> TrainedSupernet:
    """Return the trained supernet of `--supernet`, whose space SPACE has to be; its sizes need not be said again.

    Raises:
        SpaceError: it holds the weights of another space.
        StorageError: it is no folder of a supernet, damaged, or its training has not ended.
    """
    from lswag_fast.training.supernet import load

    with naming("--supernet"):
        if ":" in args.space or space_options(args):
            return load(args.supernet, find_space(args.space, args))
        found = load(args.supernet)
        if found.space.name != args.space:
            raise SpaceError(f"{args.supernet} holds the weights of {found.space.name}, not of {args.space}")
        return found


def take_sizes(args: argparse.Namespace, space: SearchSpace) -> None:
    """Set the options of a named space to those that it was made with, as if they had been given."""
    if ":" not in args.space:
        for name in _SPACE_OPTIONS:
            setattr(args, name, getattr(space, name, None))


def images_of(data: Mapping[str, Any], space: SearchSpace, args: argparse.Namespace) -> ImageSplits:
    """Return images split as they were before, see `ImageSplits.to_dict`; `--data` says where they are now.

    Raises:
        DataError: they are gone, or are not the same.
    """
    from lswag_fast.data.splits import split_as_before

    channels, image_size, _ = space.input_shape
    with naming("--data"):
        return split_as_before(data, image_size=image_size, channels=channels, source=args.data)


def scratch_trainer(
    space: SearchSpace, images: ImageSplits, args: argparse.Namespace, interrupts: Interrupts | None = None
) -> ScratchTrainer:
    """Return what trains architectures of SPACE from fresh weights by --recipe and --epochs."""
    from lswag_fast.training.recipe import RECIPES
    from lswag_fast.training.scratch import ScratchTrainer

    recipe = RECIPES[args.recipe].with_changes(epochs=args.epochs)
    return ScratchTrainer(space, images, recipe, *python_of(args.space, args), interrupts)


def python_of(name: str, args: argparse.Namespace) -> tuple[str, str]:
    """Return what Python imports for the space `name`, and the expression that makes it with the options given."""
    if ":" in name:
        module, _, attribute = name.partition(":")
        return module, f"{module}.{attribute}()"
    written = "".join(f", {key}={value!r}" for key, value in space_options(args).items())
    return "lswag_fast", f"lswag_fast.spaces.get({name!r}{written})"


def load_batch(
    source: str, image_size: int, num_classes: int | None, args: argparse.Namespace, *, channels: int = 3
) -> ImageBatch:
    """Draw the batch that the options ask for; `channels` are those of noise and of grey images.

    Raises:
        DataError: the source is missing, unreadable, or does not fit.
    """
    from lswag_fast import data

    with naming("--data"):
        return data.load(
            source,
            batch_size=args.batch_size,
            image_size=image_size,
            seed=args.seed,
            split=args.split,
            num_classes=num_classes,
            channels=channels,
        )


def space_batch(space: SearchSpace, args: argparse.Namespace) -> ImageBatch | TextBatch:
    """Draw the batch that the options ask for, of what the networks of a space take: images or texts.

    Raises:
        InputError: --split of texts.
        DataError: the source is missing, unreadable, or does not fit.
    """
    from lswag_fast.data.texts import load_text
    from lswag_fast.spaces import TakesTokens

    if not isinstance(space, TakesTokens):
        return load_batch(args.data or "digits", space.input_shape[-1], space.num_classes, args)
    if args.split is not None:
        raise InputError(f"--split: {space.name} takes texts, which have no splits; leave it out")
    (length,) = space.input_shape
    with naming("--data"):
        return load_text(
            args.data or "alice", batch_size=args.batch_size, length=length, masked=space.is_masked, seed=args.seed
        )


def fitting_loss(space: SearchSpace, given: ScoreOptions) -> ScoreOptions:
    """Return the options of a score, for a space of texts with the loss of tokens where none was given."""
    from lswag_fast.passes.shared.loss import TokenLoss
    from lswag_fast.spaces import TakesTokens

    if not isinstance(space, TakesTokens) or given.loss_fn is not None:
        return given
    with naming("--ignore-index, --class-axis"):
        return replace(given, loss_fn=TokenLoss())


def network_builder(space: SearchSpace, args: argparse.Namespace) -> Callable[[Any], nn.Module]:
    """Return what builds the network of an architecture, as a search with these options builds it before --init.

    Raises:
        InputError, SpaceError: as of `checkpoint`.
    """
    from lswag_fast.spaces import building

    build = building.network_builder(space, checkpoint(space, args), args.seed)
    return lambda arch: prepared(build(arch), args)


def prepared(model: nn.Module, args: argparse.Namespace) -> nn.Module:
    """Set a network to --mode."""
    return model if args.mode is None else model.train(args.mode == "train")


@contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Inside, let torch use so many threads; None for as many as it does."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find(target: str) -> Callable[..., Any]:
    """Return what `package.module:name` names; modules in the working folder are found too.

    Raises:
        InputError: the module or the name does not exist, or cannot be called. What goes wrong inside the user's code
            passes through as it is.
    """
    module_name, _, attribute = target.partition(":")
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109 - sys.path holds text
        sys.path.insert(0, here)
    factory = getattr(_import(module_name, target), attribute, None)
    if not callable(factory):
        found = "nothing" if factory is None else type(factory).__name__
        raise InputError(f"{target}: {attribute!r} in {module_name} must be callable; found {found}")
    return cast("Callable[..., Any]", factory)


def make(target: str) -> Any:
    """Call `package.module:factory` and return the result.

    Raises:
        InputError: as of `find`, or it cannot be called without arguments.
    """
    factory = find(target)
    attribute = target.partition(":")[2]
    if _needs_arguments(factory):
        raise InputError(f"{target}: {attribute!r} must be callable without arguments; name a function that is")
    return factory()


def _import(module_name: str, target: str) -> Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # A module that the user's module imports and misses is not this mistake.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise InputError(f"{target}: there is no module {error.name!r} here or installed") from error
    except (TypeError, ValueError) as error:
        if module_name and not module_name.startswith("."):
            raise
        raise InputError(f"{target!r} names no module; write package.module:factory") from error


def _needs_arguments(factory: Callable[..., Any]) -> bool:
    try:
        inspect.signature(factory).bind()
    except TypeError:
        return True
    except ValueError:  # built-in callables may have no signature
        return False
    return False
