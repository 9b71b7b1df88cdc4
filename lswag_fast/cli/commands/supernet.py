"""`lswag-fast supernet`: train the shared weights of a space."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, stopping, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say
from lswag_fast.cli.training import choices
from lswag_fast.cli.training.recipe import recipe_of
from lswag_fast.files.shell import as_argument, pasteable

if TYPE_CHECKING:
    from lswag_fast.data.splits import ImageSplits
    from lswag_fast.training.supernet import TrainedSupernet

_DESCRIPTION = """\
Train the shared weights of a space on images: in each step one network is drawn and the weights that it uses are
trained. Afterwards every network of the space has weights of its own in them, without a training of its own.

A part of the images is kept for validation and another one for the test; neither is trained on."""

_EPILOG = """\
examples:
  lswag-fast supernet mypackage.spaces:small --data digits --epochs 60 --out runs/supernet
      a small space of your own, such as AutoFormer(embed_dim=(64, 96), depth=(2, 3), num_heads=(1, 2), ...)

  lswag-fast supernet autoformer-tiny --image-size 32 --patch-size 4 --num-classes 10 --data photos/ --out runs/tiny
      your own images, one sub-folder per class

  torchrun --nproc-per-node 8 -m lswag_fast supernet autoformer-small --recipe autoformer --data imagenet/ \\
      --precision bfloat16 --loaders 8 --out runs/small
      the published training, on eight GPUs

Ctrl-C and SIGTERM end the training after the step that is made (exit code 130 or 143), and the same command continues
it; so it does after a kill. On one process and as many --threads the weights are then those of a training that nothing
interrupted, bit for bit. The folder has log.csv with a row per epoch, and at the end weights.safetensors."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_space(parser)
    options.add_out(parser, "folder of the training, new or to continue", metavar="DIR", required=True)
    choices.add_training_options(parser)
    text = "train the least, the largest and two drawn networks in each step, which takes about four times as long"
    parser.add_argument("--sandwich", action="store_true", help=text)


def _run(args: argparse.Namespace) -> int:
    """Train, and say where the weights are; return 0, or 130 or 143 after a signal."""
    from lswag_fast.training.supernet import train_supernet

    choices.check_out(args)
    space = targets.find_space(args.space, args)
    recipe, runtime = recipe_of(args, "batch_size", "lr", "ema", "sandwich"), choices.runtime_of(args)
    splits = choices.split_of(args, space.input_shape, space.num_classes)
    metadata = choices.metadata_of(args, "supernet", args.space)
    interrupts = stopping.said_aloud("the step that is made")
    with targets.threads(args.threads), interrupts, choices.watchers_of(args) as watchers:
        trained = train_supernet(
            space,
            splits,
            args.out,
            recipe=recipe,
            seed=args.seed,
            runtime=runtime,
            watchers=watchers,
            interrupts=interrupts,
            metadata=metadata,
        )
    if trained is None:
        return choices.stopped(runtime, metadata, interrupts)
    if runtime.is_main:
        _show(trained, splits, args)
    return 0


def _show(trained: TrainedSupernet, splits: ImageSplits, args: argparse.Namespace) -> None:
    """The accuracy of the least and the largest network, and what comes next."""
    from lswag_fast.spaces.building import build_network
    from lswag_fast.training.accuracy import accuracy

    space: Any = trained.space
    say(f"trained on {splits.description}")
    for name, arch in zip(("least", "largest"), space.extremes(), strict=True):
        found = accuracy(build_network(space, arch, trained.weights), splits.validation)
        low, high = found.interval
        say(f"{name} network: {found.value:.1%} of the validation images right ({low:.1%} to {high:.1%})")
    say(f"weights: {args.out / 'weights.safetensors'}")
    line = pasteable(["lswag-fast", "train", f"{args.space}:ARCHJSON", "--init", as_argument(args.out)])
    say(f"next, train one of its networks on: {line} ... --out DIR")


COMMAND = Command("supernet", "train the shared weights of a space", _DESCRIPTION, _EPILOG, _add_options, _run)
