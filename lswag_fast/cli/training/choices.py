"""The options of a training on the command line, its recipe aside, and what they ask for."""

from __future__ import annotations

import argparse
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, stopping, targets
from lswag_fast.cli.console import ERR, say
from lswag_fast.cli.training.recipe import add_recipe
from lswag_fast.cli.values import command_words, naming, positive, rate, whole
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.data.splits import ImageSplits
    from lswag_fast.execution import Interrupts
    from lswag_fast.training.loop.loop import Watcher
    from lswag_fast.training.loop.runtime import Runtime


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the images, the recipe, and where the training runs."""
    group = parser.add_argument_group("data")
    sources = "digits, a folder of images (one sub-folder per class) or an .npz file"
    group.add_argument("--data", default="digits", metavar="SOURCE", help=f"{sources} (default: digits)")
    group.add_argument("--image-size", type=positive, metavar="PX", help="side of the images in pixels")
    group.add_argument("--patch-size", type=positive, metavar="PX", help="side of a patch, where a space has patches")
    group.add_argument("--num-classes", type=positive, metavar="N", help="number of classes to tell apart")
    options.add_space_set(group)
    options.add_seed(group, "decides how the images are split, their order, and all that is drawn")
    group = parser.add_argument_group("recipe")
    add_recipe(group)
    group.add_argument("--batch-size", type=positive, metavar="B", help="images in a step, over all processes")
    group.add_argument("--lr", type=rate, metavar="RATE", help="highest learning rate")
    group.add_argument("--ema", type=rate, metavar="DECAY", help="keep the running mean of the weights, 0.9999 say")
    group = parser.add_argument_group("device")
    text = "auto is CUDA where there is any (default: auto)"
    group.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help=text)
    text = "bfloat16 computes products with 8 bits of mantissa (default: float32)"
    group.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help=text)
    text = "processes that read images ahead (default: 0, the training reads them)"
    group.add_argument("--loaders", type=whole, default=0, metavar="N", help=text)
    options.add_threads(group)
    parser.add_argument("--tensorboard", action="store_true", help="also write DIR/tensorboard for TensorBoard")


def runtime_of(args: argparse.Namespace) -> Runtime:
    """Return where the training runs."""
    from lswag_fast.training.loop.runtime import Runtime

    return Runtime(args.device, args.precision, args.loaders)


def split_of(args: argparse.Namespace, shape: tuple[int, ...], num_classes: int | None) -> ImageSplits:
    """Split the images of --data for networks that take `shape` (C, H, W).

    Raises:
        DataError, MissingExtraError: they are missing, cannot be read, or do not fit.
    """
    from lswag_fast.data.splits import split_images

    if len(shape) != 3:  # (C, H, W)
        taker = getattr(args, "space", None) or args.network.partition(":{")[0]
        raise InputError(f"{taker}: networks of images are trained here, and those of this space take texts")
    channels, _, side = shape
    with naming("--data"):
        return split_images(args.data, image_size=side, channels=channels, num_classes=num_classes, seed=args.seed)


@contextmanager
def watchers_of(args: argparse.Namespace) -> Iterator[list[Watcher]]:
    """Give what shows and records the training, and end it; raises MissingExtraError."""
    from lswag_fast.cli.training.progress import TrainingProgress

    with TrainingProgress() as progress:
        watchers: list[Any] = [progress]
        if not args.tensorboard:
            yield watchers
            return
        from lswag_fast.training.loop.tensorboard import TensorBoard

        board = TensorBoard(args.out / "tensorboard")
        try:
            yield [*watchers, board]
        finally:
            board.close()


def metadata_of(args: argparse.Namespace, command: str, name: str) -> dict[str, Any]:
    """Return what makes the space `name` again, and the command that continues the training."""
    return {
        "space_options": targets.space_options(args, name),
        "command": shlex.join(["lswag-fast", command, *command_words(args.parser, args)]),
    }


def check_out(args: argparse.Namespace) -> None:
    """Raise InputError where --out is no folder."""
    if os.path.exists(args.out) and not args.out.is_dir():  # noqa: PTH110 - what cannot be looked at is not there
        raise InputError(f"--out: {args.out} is a file; name a folder")


def stopped(runtime: Runtime, metadata: Mapping[str, Any], interrupts: Interrupts) -> int:
    """Say, in the main process alone, how a training goes on that a signal ended; return the exit code."""
    if runtime.is_main:
        say(f"stopped; the state is stored\ncontinue: {metadata['command']}", ERR)
    return stopping.exit_code(interrupts)
