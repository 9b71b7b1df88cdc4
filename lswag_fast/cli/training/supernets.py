"""How a trained supernet, its images and what trains its networks are found by the words on the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import targets
from lswag_fast.cli.options import SPACE_OPTIONS
from lswag_fast.cli.training.recipe import recipe_of
from lswag_fast.cli.values import Assignment, naming
from lswag_fast.errors import InputError, SpaceError, UnnamedSpaceError

if TYPE_CHECKING:
    from lswag_fast.data.splits import ImageSplits
    from lswag_fast.execution import Interrupts
    from lswag_fast.spaces import SearchSpace
    from lswag_fast.training.scratch import ScratchTrainer
    from lswag_fast.training.supernet import TrainedSupernet


def find_supernet(args: argparse.Namespace) -> TrainedSupernet:
    """Return the trained supernet of `--supernet`, whose space SPACE has to be; its sizes need not be said again.

    Raises:
        SpaceError: it holds the weights of another space.
        InputError: its space has no name, so that SPACE must be what makes it.
        StorageError: it is no folder of a supernet, damaged, or its training has not ended.
    """
    from lswag_fast.training.supernet import load

    is_made = ":" in args.space or targets.space_options(args)
    space = targets.find_space(args.space, args) if is_made else None  # what is wrong with SPACE is not of --supernet
    with naming("--supernet"):
        found = load(args.supernet, space) if space is not None else _of_named_space(args)
        if space is None and found.space.name != args.space:
            raise SpaceError(f"{args.supernet} holds the weights of {found.space.name}, not of {args.space}")
        return found


def _of_named_space(args: argparse.Namespace) -> TrainedSupernet:
    """The supernet of `--supernet`, whose settings make its space."""
    from lswag_fast.training.supernet import load

    try:
        return load(args.supernet)
    except UnnamedSpaceError as error:
        raise InputError(
            f"{args.supernet} holds the weights of a space of its own, not of {args.space}; give as SPACE what makes "
            "it, package.module:factory"
        ) from error


def take_sizes(args: argparse.Namespace, supernet: TrainedSupernet) -> None:
    """Set the options of a supernet's named space to those that it was made with, as if they had been given."""
    if ":" in args.space:
        return
    for name in SPACE_OPTIONS:
        setattr(args, name, getattr(supernet.space, name, None))
    made_with = supernet.settings["metadata"].get("space_options", {})
    args.space_set = [Assignment(key, value) for key, value in made_with.items() if key not in SPACE_OPTIONS]


def images_of(data: Mapping[str, Any], space: SearchSpace, args: argparse.Namespace) -> ImageSplits:
    """Return images split as they were before, see `ImageSplits.to_dict`; `--data` says where they are now.

    Raises:
        DataError: they are gone, or are not the same.
    """
    from lswag_fast.data.splits import split_as_before

    channels, image_size, _ = space.input_shape
    with naming("--data"):
        return split_as_before(data, image_size=image_size, channels=channels, source=args.data)


def refuse_other_images(args: argparse.Namespace, of: str) -> None:
    """Refuse what asks for other images than those to train on of a split that is stored, or for other targets.

    Args:
        args: what was parsed.
        of: where the split is stored.

    Raises:
        InputError: --split or --task does.
    """
    if args.split is not None:
        raise InputError(
            f"--split: the images of {of} are split already, and proxies see those to train on; leave it out"
        )
    if args.task not in (None, "classification"):
        raise InputError(f"--task: the images of {of} have classes as their targets; leave it out")


def scratch_trainer(
    space: SearchSpace, images: ImageSplits, args: argparse.Namespace, interrupts: Interrupts, *, with_test: bool
) -> ScratchTrainer:
    """Return what trains architectures of SPACE from fresh weights by --recipe; raises InputError for its numbers."""
    from lswag_fast.training.scratch import ScratchTrainer

    recipe = recipe_of(args)
    with naming("--recipe-set"):  # which changes any number of a recipe here
        return ScratchTrainer(space, images, recipe, *targets.python_of(args.space, args), interrupts, with_test)
