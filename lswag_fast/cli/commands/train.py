"""`lswag-fast train`: train one network, measure it on a test split, and write its files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, stopping, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import ERR, say
from lswag_fast.cli.training import choices
from lswag_fast.cli.training.recipe import recipe_of
from lswag_fast.cli.values import naming, positive
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from lswag_fast.data.splits import ImageSplits
    from lswag_fast.training.accuracy import Accuracy
    from lswag_fast.training.network import Origin, TrainedNetwork

FRESH = "fresh"
RGB = 3
ONNX_FILE = "network.onnx"
# Images that the ONNX file is compared on.
N_COMPARED = 8

_DESCRIPTION = """\
Train one network on images, and say at the end how many of the test images, which nothing else sees, it tells right.

NETWORK is one of
  SPACE:ARCHJSON                  an architecture of a space, as trials.csv of a search has it
  package.module:factory          your own: called without arguments, it returns a torch.nn.Module from images
                                  (B, C, H, W) to logits (B, classes)"""

_EPILOG = """\
examples:
  lswag-fast train 'mypackage.spaces:small:{"embed_dim":64,"depth":2,"num_heads":[1,2],"mlp_ratio":[2,2]}' \\
      --data digits --out runs/winner
      from fresh weights

  lswag-fast train "nasbench201:$(cat arch.json)" --image-size 32 --num-classes 10 --data cifar10.npz --out runs/cell
      of NAS-Bench-201, on images of an .npz file

  lswag-fast train "autoformer-tiny:$(cat arch.json)" --init runs/tiny --epochs 10 --lr 1e-4 --data photos/ \\
      --image-size 32 --patch-size 4 --num-classes 10 --out runs/tuned --onnx
      from the weights that it inherits from a trained supernet; also as an ONNX file

  lswag-fast train mypackage.models:make_model --image-size 64 --data photos/ --out runs/own

Ctrl-C and SIGTERM end the training after the step that is made, and the same command continues it. The folder has
log.csv with a row per epoch, and at the end weights.safetensors and result.json."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="SPACE:ARCHJSON or package.module:factory, see above")
    text = "fresh, or the folder of a trained supernet to inherit the weights from (default: fresh)"
    parser.add_argument("--init", default=FRESH, metavar="fresh|DIR", help=text)
    options.add_out(parser, "folder of the training, new or to continue", metavar="DIR", required=True)
    choices.add_training_options(parser)
    text = "channels of the images of a network of your own; grey is repeated (default: 3)"
    parser.add_argument("--channels", type=positive, default=RGB, metavar="C", help=text)
    parser.add_argument("--onnx", action="store_true", help="also write DIR/network.onnx, compared with torch")


def _run(args: argparse.Namespace) -> int:
    """Train, and say how good the network is and how Python builds it; return 0, or 130 or 143 after a signal."""
    from lswag_fast.training.network import train_network

    choices.check_out(args)
    if args.onnx:
        from lswag_fast.training.onnx_file import check_libraries

        check_libraries()
    recipe, runtime = recipe_of(args, "batch_size", "lr", "ema"), choices.runtime_of(args)
    member = targets.member(args.network)
    network, origin, splits = _own(args) if member is None else _of_space(*member, args)
    metadata = choices.metadata_of(args, "train", args.network if member is None else member[0])
    interrupts = stopping.said_aloud("the step that is made")
    with targets.threads(args.threads), interrupts, choices.watchers_of(args) as watchers:
        trained = train_network(
            network,
            origin,
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
        _show(trained, splits)
        if args.onnx:
            _write_onnx(trained, splits, args.out / ONNX_FILE)
    return 0


def _of_space(name: str, arch_json: str, args: argparse.Namespace) -> tuple[nn.Module, Origin, ImageSplits]:
    """A network of a space, with the weights that --init asks for."""
    from lswag_fast.random_state import seed_all
    from lswag_fast.spaces.building import build_network
    from lswag_fast.training import supernet
    from lswag_fast.training.network import Origin

    space = targets.find_space(name, args)
    with naming(name):
        arch = space.decode(arch_json)
    splits = choices.split_of(args, space.input_shape, space.num_classes)
    weights = None
    if args.init != FRESH:
        with naming("--init"):
            inherited = supernet.load(Path(args.init), space)
        weights, splits = inherited.weights, _as_there(splits, inherited.data, args)
    seed_all(args.seed)
    network = build_network(space, arch, weights)
    module, expression = targets.python_of(name, args)
    about = {"space": name, "arch": space.encode(arch), "init": args.init}
    return network, Origin(module, f"{expression}.build({arch!r})", about), splits


def _as_there(splits: ImageSplits, there: Mapping[str, Any], args: argparse.Namespace) -> ImageSplits:
    """The images as a supernet's training split them if they are the same, so that its weights saw none of the test."""
    from lswag_fast.data.splits import split_as_before

    own = splits.to_dict()
    if own["checksum"] != there["checksum"] or {**own, "source": None} == {**there, "source": None}:
        return splits
    channels, side, _ = splits.train[0][0].shape
    say(f"the images are split as for {args.init}, which was trained on them: seed {there['seed']}", ERR)
    return split_as_before(there, image_size=side, channels=channels, source=args.data)


def _own(args: argparse.Namespace) -> tuple[nn.Module, Origin, ImageSplits]:
    """The user's network, its weights drawn from --seed."""
    from lswag_fast.random_state import seed_all
    from lswag_fast.training.network import Origin

    if ":" not in args.network:
        raise InputError(f"NETWORK must be SPACE:ARCHJSON or package.module:factory; found {args.network!r}")
    if args.init != FRESH:
        raise InputError(f"--init: {args.network} is not of a space, so there is no supernet of it; leave it out")
    for option in ("patch_size", "space_set"):
        if getattr(args, option):
            raise InputError(f"{options.flag_of(option)} is for networks of a space; leave it out")
    seed_all(args.seed)
    network = targets.make_network(args.network)
    if args.image_size is None:
        raise InputError(f"--image-size: say which side in pixels the images for {args.network} are to have")
    splits = choices.split_of(args, (args.channels, args.image_size, args.image_size), args.num_classes)
    module, _, attribute = args.network.partition(":")
    return network, Origin(module, f"{module}.{attribute}()", {"factory": args.network}), splits


def _show(trained: TrainedNetwork, splits: ImageSplits) -> None:
    """Its accuracies, and how Python builds it."""
    say(f"trained on {splits.description}")
    say(f"validation: {_said(trained.validation)}\ntest:       {_said(trained.test)}\n\nIn Python:")
    for line in trained.lines:
        say(f"    {line}")


def _said(found: Accuracy | None) -> str:
    if found is None:
        return "not measured"
    low, high = found.interval
    return f"{found.value:.2%} of {found.n} images right, 95 % interval {low:.2%} to {high:.2%}"


def _write_onnx(trained: TrainedNetwork, splits: ImageSplits, path: Path) -> None:
    from lswag_fast.training.onnx_file import write_onnx

    images, _ = splits.validation.tensors(N_COMPARED)
    difference = write_onnx(trained.model, images, path)
    say(f"\n{path}: its logits differ from torch's by {difference:.1g} of the largest")


_SUMMARY = "train one network and measure it on a test split"
COMMAND = Command("train", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
