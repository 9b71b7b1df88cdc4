"""`lswag-fast score`: score one network, yours or one of a space, by one proxy layer by layer, or by several."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, targets
from lswag_fast.cli.console import say
from lswag_fast.cli.score_view import plain, show_score, show_scores
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from torch import nn

    from lswag_fast.data.images import ImageBatch

# What a network of the user's own is fed when nothing else is said.
OWN_IMAGE_SIZE = 224

_DESCRIPTION = """\
Score one untrained network and show layer by layer how the score comes about, or by several proxies at once.

NETWORK is your own, package.module:factory (called without arguments, it returns a torch.nn.Module;
modules in the working folder are found), or an architecture of a space, SPACE:ARCHJSON."""

_EPILOG = """\
examples:
  lswag-fast score torchvision.models:resnet18 --image-size 64
      any function that makes a network

  lswag-fast score mypackage.models:make_model --data photos/ --batch-size 16 --num-classes 3
      on your own images, one sub-folder a class

  lswag-fast score 'autoformer-tiny:{"embed_dim":192,"depth":12,"num_heads":[3,3,3,3,3,3,3,3,3,3,3,3],
      "mlp_ratio":[4,4,4,4,4,4,4,4,4,4,4,4]}' --json
      an architecture as trials.csv has it, for a program to read

  lswag-fast score mypackage.models:make_model --proxy all --features features
      by every proxy there is; some want the features before the last pooling, here of the module "features"

Scores compare only at the same data, batch size and options."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands,
        "score",
        summary="score one network, yours or one of a space",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("network", metavar="NETWORK", help="package.module:factory or SPACE:ARCHJSON")
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON instead of tables")
    parser.add_argument("--eval", action="store_true", help="score in eval mode: BatchNorm then keeps samples apart")
    options.add_proxy_options(parser)
    options.add_data_options(parser, "digits for a space, synthetic for a network of your own")
    options.add_network_options(parser)
    options.add_score_options(parser, several="; several with commas, or all")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Score the network and print the result."""
    if ":" not in args.network:
        raise InputError(f"NETWORK must be package.module:factory or SPACE:ARCHJSON; found {args.network!r}")
    # A space of the user's own is package.module:factory, too; its architecture begins at the brace.
    name, is_member, arch_fields = args.network.partition(":{")
    model, batch = _of_space(name, "{" + arch_fields, args) if is_member else _own(args)
    if args.eval:
        model.eval()
    names = options.proxy_names(args.proxy)
    keywords = {
        "seed": args.seed,
        "features": args.features,
        "proxy_options": options.chosen_proxy_options(args, names),
        **options.score_options(args, name if is_member else None),
    }
    show = _score_one if len(names) == 1 else _score_many
    show(model, batch, names, args, keywords)
    return 0


def _score_one(
    model: nn.Module, batch: ImageBatch, names: list[str], args: argparse.Namespace, keywords: dict[str, Any]
) -> None:
    from lswag_fast.scoring import score

    result = score(model, batch.batch, proxy=names[0], **keywords)
    if args.json:
        say(json.dumps({**plain(result.to_dict()), "data": batch.description}, indent=2, allow_nan=False))
    else:
        show_score(result, batch.description)


def _score_many(
    model: nn.Module, batch: ImageBatch, names: list[str], args: argparse.Namespace, keywords: dict[str, Any]
) -> None:
    from lswag_fast.scoring import score_many

    results = score_many(model, batch.batch, proxies=names, **keywords)
    if args.json:
        scores = {name: plain(result.to_dict()) for name, result in results.items()}
        content = {"scores": scores, "passes": results.passes, "data": batch.description}
        say(json.dumps(content, indent=2, allow_nan=False))
    else:
        show_scores(results, batch.description)


def _of_space(name: str, arch_json: str, args: argparse.Namespace) -> tuple[nn.Module, ImageBatch]:
    """Return an architecture with the weights and the batch that a search with these options gives it."""
    from lswag_fast.score_job import candidate_builder

    space = targets.find_space(name, args)
    arch = space.decode(arch_json)
    batch = targets.load_batch(args.data or "digits", space.input_shape[-1], space.num_classes, args)
    return candidate_builder(space, targets.checkpoint(space, args), args.seed)(arch), batch


def _own(args: argparse.Namespace) -> tuple[nn.Module, ImageBatch]:
    """Return the user's network, its weights drawn from --seed, and a batch for it."""
    import torch

    if args.checkpoint is not None or args.patch_size is not None:
        raise InputError("--checkpoint and --patch-size are for networks of a space; leave them out")
    torch.manual_seed(args.seed)
    model = targets.make(args.network)
    if not isinstance(model, torch.nn.Module):
        raise InputError(f"{args.network} returned {type(model).__name__}; it must return a torch.nn.Module")
    side = args.image_size or OWN_IMAGE_SIZE
    return model, targets.load_batch(args.data or "synthetic", side, args.num_classes, args)
