"""`lswag-fast score`: score one network, yours or one of a space, by one proxy layer by layer, or by several."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lswag_fast.cli import options, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.files import write_json
from lswag_fast.cli.proxy_choice import add_proxies, chosen_proxies
from lswag_fast.cli.score_options import add_score_options, score_options
from lswag_fast.cli.values import naming
from lswag_fast.cli.views.score import show_score, show_scores
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from lswag_fast.data.images import ImageBatch
    from lswag_fast.options import ScoreOptions

# What a network of the user's own is fed when nothing else is said.
OWN_IMAGE_SIZE = 224

_DESCRIPTION = """\
Score one untrained network and show layer by layer how the score comes about, or score it by several proxies at once.

NETWORK is your own, package.module:factory (called without arguments, it returns a torch.nn.Module;
modules in the working folder are found), or an architecture of a space, SPACE:ARCHJSON."""

_EPILOG = """\
examples:
  lswag-fast score torchvision.models:resnet18 --image-size 64
      any function that makes a network

  lswag-fast score mypackage.models:make_model --data photos/ --batch-size 16 --num-classes 3
      on your own images, one sub-folder per class

  lswag-fast score 'autoformer-tiny:{"embed_dim":192,"depth":12,"num_heads":[3,3,3,3,3,3,3,3,3,3,3,3],
      "mlp_ratio":[4,4,4,4,4,4,4,4,4,4,4,4]}' --json -
      an architecture as trials.csv has it, for a program to read

  lswag-fast score mypackage.models:make_model --proxies all --features features
      by all proxies; some want the features before the last pooling, here of the module "features"

Scores are comparable only at the same data, batch size and options."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="package.module:factory or SPACE:ARCHJSON")
    add_proxies(parser)
    options.add_json(parser, "the whole result")
    options.add_data_options(parser, "digits for a space, synthetic for a network of your own")
    options.add_network_options(parser)
    add_score_options(parser)
    options.add_threads(parser)


def _run(args: argparse.Namespace) -> int:
    """Score the network and print the result."""
    if ":" not in args.network:
        raise InputError(f"NETWORK must be package.module:factory or SPACE:ARCHJSON; found {args.network!r}")
    member = _member(args.network)
    with targets.threads(args.threads):
        model, batch, space = _own(args) if member is None else _of_space(*member, args)
        proxies = chosen_proxies(args.proxies, space).parts
        given = score_options(args, proxies, space)
        if len(proxies) == 1:
            _score_one(model, batch, proxies[0], given, args.json)
        else:
            _score_many(model, batch, proxies, given, args.json)
    return 0


def _member(network: str) -> tuple[str, str] | None:
    """The space and the architecture that NETWORK names; None for a factory of networks."""
    from lswag_fast import spaces

    name, _, arch = network.partition(":")
    if name in spaces.names():
        return name, arch
    # A space of the user's own is package.module:factory, too; its architecture begins at the brace.
    name, brace, fields = network.partition(":{")
    return (name, "{" + fields) if brace else None


def _score_one(model: nn.Module, batch: ImageBatch, proxy: str, given: ScoreOptions, json: str | None) -> None:
    from lswag_fast.scoring import score

    result = score(model, batch.batch, proxy=proxy, options=given)
    if not write_json(json, {**result.to_dict(), "data": batch.description}):
        show_score(result, batch.description)


def _score_many(
    model: nn.Module, batch: ImageBatch, proxies: tuple[str, ...], given: ScoreOptions, json: str | None
) -> None:
    from lswag_fast.scoring import score_many

    results = score_many(model, batch.batch, proxies=proxies, options=given)
    scores = {name: result.to_dict() for name, result in results.items()}
    if not write_json(json, {"scores": scores, "passes": results.passes, "data": batch.description}):
        show_scores(results, batch.description)


def _of_space(name: str, arch_json: str, args: argparse.Namespace) -> tuple[nn.Module, ImageBatch, str]:
    """An architecture with the weights and the batch that a search with these options gives it; its space."""
    space = targets.find_space(name, args)
    with naming(name):
        arch = space.decode(arch_json)
    batch = targets.load_batch(args.data or "digits", space.input_shape[-1], space.num_classes, args)
    return targets.network_builder(space, args)(arch), batch, space.name


def _own(args: argparse.Namespace) -> tuple[nn.Module, ImageBatch, None]:
    """The user's network, its weights drawn from --seed, and a batch for it."""
    import torch

    for option in ("checkpoint", "patch_size"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option.replace('_', '-')} is for networks of a space; leave it out")
    torch.manual_seed(args.seed)
    model = targets.make(args.network)
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"{args.network} returned {type(model).__name__}; it must return a torch.nn.Module")
    side = args.image_size or OWN_IMAGE_SIZE
    batch = targets.load_batch(args.data or "synthetic", side, args.num_classes, args)
    return targets.prepared(model, args), batch, None


_SUMMARY = "score one network, yours or one of a space"
COMMAND = Command("score", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
