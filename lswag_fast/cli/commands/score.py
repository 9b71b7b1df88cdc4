"""`lswag-fast score`: score one network, yours, a library's or one of a space, by one proxy or by several."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options, targets
from lswag_fast.cli.command import Command
from lswag_fast.cli.files import write_json
from lswag_fast.cli.proxy_choice import add_proxies, chosen_proxies
from lswag_fast.cli.score_options import add_score_options, score_options
from lswag_fast.cli.values import naming, positive
from lswag_fast.cli.views.score import show_score, show_scores
from lswag_fast.errors import InputError, UnsupportedModelError

if TYPE_CHECKING:
    from torch import nn

    from lswag_fast.integrations import TokenInputs
    from lswag_fast.options import ScoreOptions
    from lswag_fast.spaces import SearchSpace

_FORMS = "timm:NAME, torchvision:NAME, hf:CONFIG.json, package.module:factory or SPACE:ARCHJSON"
# What a network of the user's own is fed when nothing else is said.
OWN_IMAGE_SIZE = 224

_DESCRIPTION = """\
Score one untrained network and show layer by layer how the score comes about, or score it by several proxies at once.

NETWORK is one of
  timm:NAME, torchvision:NAME     a network of these libraries
  hf:CONFIG.json                  the network that a configuration of transformers in this file describes
  package.module:factory          your own: called without arguments, it returns a torch.nn.Module;
                                  modules in the working folder are found; its attribute input_shape, where it
                                  has one, is the shape (C, H, W) of one image
  SPACE:ARCHJSON                  an architecture of a space

Its weights are random, and nothing is downloaded."""

_EPILOG = """\
examples:
  lswag-fast score timm:vit_tiny_patch16_224 --batch-size 16
      at the size of images that its configuration names; --image-size builds it for another one

  lswag-fast score hf:bert/config.json --batch-size 16
      a language model: on a text that comes with the package, its bytes as tokens; a classifier of texts, or a
      vocabulary of fewer than the bytes: on random tokens

  lswag-fast score mypackage.models:make_lm --length 64 --data book.txt
      a language model of your own, on texts of 64 bytes; --masked hides some of them, for an encoder

  lswag-fast score torchvision.models:resnet18 --image-size 64
      any function that makes a network

  lswag-fast score mypackage.models:make_model --data photos/ --batch-size 16 --num-classes 3
      on your own images, one sub-folder per class

  lswag-fast score mypackage.models:make_model --channels 1 --image-size 28 --data scans.npz --split train
      a network of grey images; colours become grey, and grey is repeated for more channels

  lswag-fast score 'autoformer-tiny:{"embed_dim":192,"depth":12,"num_heads":[3,3,3,3,3,3,3,3,3,3,3,3],
      "mlp_ratio":[4,4,4,4,4,4,4,4,4,4,4,4]}' --json -
      an architecture as trials.csv has it, for a program to read

  lswag-fast score mypackage.models:make_model --proxies all --features features
      by all proxies; some want the features before the last pooling, here of the module "features"

  lswag-fast score mypackage.models:make_model --batch-size 128 --repeats 8 --init kaiming
      how sure the score is: eight times 16 images, each with weights of its own

Scores are comparable only at the same data, batch size and options."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help=f"{_FORMS}, see above")
    add_proxies(parser)
    text = (
        "cut the batch into R equal parts, score each with a seed of its own (also of the weights that --init draws), "
        "and show the mean with its standard error (default: 1, the batch as it is)"
    )
    parser.add_argument("--repeats", type=positive, default=1, metavar="R", help=text)
    options.add_json(parser, "the whole result")
    options.add_data_options(parser, "digits for a space, else synthetic")
    options.add_network_options(parser)
    text = "channels of the images of a network of your own (default: its input_shape's, else the data's, 3 for grey)"
    parser.add_argument("--channels", type=positive, metavar="C", help=text)
    text = "hide 15 %% of the bytes of a text (token 256), which a network of your own is to tell"
    parser.add_argument("--masked", action="store_true", help=text)
    add_score_options(parser)
    options.add_threads(parser)


@dataclass(frozen=True)
class _Subject:
    """What is scored.

    Attributes:
        model: the network.
        batch: what it is scored on, `(inputs, targets)`.
        data: where the batch comes from, in words.
        space: that of the network; None where it is of none.
        networks: how they are scored, in words, for those of a space.
        takes_texts: whether the batch is of texts, so that the loss is that of tokens.
        hint: what to do where the network cannot compute with the batch, as nothing says what it takes.
    """

    model: nn.Module
    batch: Any
    data: str
    space: SearchSpace | None = None
    networks: str | None = None
    takes_texts: bool = False
    hint: str | None = None


# What a command returns that was given something which cannot be used: a proxy alone ends so by its error.
_NO_VALUE = 2


def _run(args: argparse.Namespace) -> int:
    """Score the network and print the result."""
    if ":" not in args.network:
        raise InputError(f"NETWORK must be {_FORMS}; found {args.network!r}")
    with targets.threads(args.threads):
        subject = _subject(args)
        proxies = chosen_proxies(args.proxies, None if subject.space is None else subject.space.name).parts
        given = score_options(args, proxies, None if subject.space is None else subject.space.name)
        if subject.space is not None:
            given = targets.fitting_loss(subject.space, given)
            subject = replace(subject, networks=targets.networks_in_words(subject.space, args, given))
        elif subject.takes_texts:
            given = targets.loss_of_tokens(given)
        with _hinting(subject.hint):
            score = _score_one if len(proxies) == 1 else _score_many
            return 0 if score(subject, proxies, given, args) else _NO_VALUE


_GIVEN_IMAGES = (
    "The command line gives a network of yours images (--channels, --image-size), or texts with --length; call "
    "lswag_fast.score in Python with a batch of anything else"
)
_GIVEN_TEXTS = (
    "With --length the command line gives a network of yours texts, (B, length) tokens that are bytes, 0 to 255, and "
    "with --masked also 256; leave it out for images"
)


@contextmanager
def _hinting(hint: str | None) -> Iterator[None]:
    """Where a network cannot compute with the batch, add a hint to what it said."""
    try:
        yield
    except (UnsupportedModelError, InputError) as error:
        if hint is None or error.__cause__ is None:  # torch's own error, where it could not compute
            raise
        raise type(error)(f"{error}. {hint}") from error


def _subject(args: argparse.Namespace) -> _Subject:
    """The network that NETWORK names, and its batch."""
    from lswag_fast.integrations import is_named

    member = targets.member(args.network)
    if args.channels is not None and (member is not None or is_named(args.network)):
        raise InputError(f"--channels: {args.network.partition(':')[0]} says itself what it takes; leave it out")
    if member is not None:
        return _of_space(*member, args)
    for option in ("checkpoint", "new_head", "patch_size", "space_set"):
        if getattr(args, option):
            raise InputError(f"{options.flag_of(option)} is for networks of a space; leave it out")
    return _of_library(args) if is_named(args.network) else _own(args)


def _score_one(subject: _Subject, proxies: tuple[str, ...], given: ScoreOptions, args: argparse.Namespace) -> bool:
    """Score by one proxy; return whether it has a value."""
    from lswag_fast.scoring import score

    result = score(subject.model, subject.batch, proxy=proxies[0], options=given, repeats=args.repeats)
    if not write_json(args.json, {**result.to_dict(), "data": subject.data}):
        show_score(result, subject.data, subject.networks)
    return not result.error


def _score_many(subject: _Subject, proxies: tuple[str, ...], given: ScoreOptions, args: argparse.Namespace) -> bool:
    """Score by several proxies; return whether one of them has a value."""
    from lswag_fast.scoring import score_many

    results = score_many(subject.model, subject.batch, proxies=proxies, options=given, repeats=args.repeats)
    scores = {name: result.to_dict() for name, result in results.items()}
    if not write_json(args.json, {"scores": scores, "passes": results.passes, "data": subject.data}):
        show_scores(results, subject.data, subject.networks)
    return not all(result.error for result in results.values())


def _of_space(name: str, arch_json: str, args: argparse.Namespace) -> _Subject:
    """An architecture with the weights and the batch that a search with these options gives it."""
    _refuse_masked(name, args)
    space = targets.find_space(name, args)
    with naming(name):
        arch = space.decode(arch_json)
    drawn = targets.space_batch(space, args)
    model = targets.network_builder(space, args)(arch)
    return _Subject(model, drawn.batch, drawn.description, space)


def _of_library(args: argparse.Namespace) -> _Subject:
    """A network of another library, its weights drawn from --seed, and a batch of what it takes."""
    from lswag_fast.integrations import TokenInputs, named_network

    _refuse_masked(args.network, args)
    network = named_network(args.network, num_classes=args.num_classes, image_size=args.image_size, seed=args.seed)
    model, inputs = targets.prepared(network.model, args.mode), network.inputs
    if isinstance(inputs, TokenInputs):
        inputs = replace(inputs, length=args.length or inputs.length)
        return _of_texts(model, inputs, args) or _of_random_tokens(model, inputs, network.num_classes, args)
    if args.length is not None:
        raise InputError(f"--length: {args.network} takes images, no texts; leave it out")
    source = args.data or "synthetic"
    drawn = targets.network_batch(model, source, inputs.size, network.num_classes, args, channels=inputs.channels)
    return _Subject(model, drawn.batch, drawn.description)


def _refuse_masked(network: str, args: argparse.Namespace) -> None:
    if args.masked:
        raise InputError(f"--masked: {network} says itself which tokens it tells; leave it out")


def _of_texts(model: nn.Module, inputs: TokenInputs, args: argparse.Namespace) -> _Subject | None:
    """A language model with a batch of texts; None where random tokens are to take their place.

    That is where they were asked for, and where the vocabulary does not hold the bytes.
    """
    from lswag_fast.data.texts import MASK

    if inputs.is_masked is None or inputs.vocabulary < MASK + inputs.is_masked or args.data == "synthetic":
        return None
    _refuse_images(args)
    drawn = targets.text_batch(args.network, inputs.length, inputs.is_masked, args)
    return _Subject(model, drawn.batch, drawn.description, takes_texts=True)


def _of_random_tokens(model: nn.Module, inputs: TokenInputs, num_classes: int, args: argparse.Namespace) -> _Subject:
    """A network of tokens with a batch of random ones."""
    if args.data not in (None, "synthetic") or args.split is not None:
        raise InputError(
            f"--data: {args.network} takes tokens, which are drawn at random here, as it is no language model of a "
            "vocabulary that holds the bytes of a text; to score it on texts of your own, call lswag_fast.score with "
            "them"
        )
    _refuse_images(args)
    batch = inputs.draw(args.batch_size, num_classes, args.seed)
    return _Subject(model, batch, f"random tokens, {args.batch_size} rows of {inputs.length}, seed {args.seed}")


def _refuse_images(args: argparse.Namespace) -> None:
    if args.image_size is not None:
        raise InputError(f"--image-size: {args.network} takes tokens, no images; leave it out")


def _own(args: argparse.Namespace) -> _Subject:
    """The user's network, its weights drawn from --seed, and a batch for it."""
    import torch

    torch.manual_seed(args.seed)
    model = targets.make_network(args.network)
    if args.length is not None:
        return _own_of_texts(targets.prepared(model, args.mode), args)
    for option, is_given in (("--masked", args.masked), ("--data alice", args.data == "alice")):
        if is_given:
            raise InputError(f"{option} is of texts; say with --length how many tokens they have")
    channels, side = _own_shape(model, args)
    drawn = targets.network_batch(model, args.data or "synthetic", side, args.num_classes, args, channels=channels)
    return _Subject(targets.prepared(model, args.mode), drawn.batch, drawn.description, hint=_GIVEN_IMAGES)


def _own_of_texts(model: nn.Module, args: argparse.Namespace) -> _Subject:
    """The user's language model, and texts for it."""
    for option in ("channels", "image_size", "num_classes"):
        if getattr(args, option) is not None:
            raise InputError(f"--{option.replace('_', '-')} is of images, and --length asks for texts; leave one out")
    drawn = targets.text_batch(args.network, args.length, args.masked, args)
    return _Subject(model, drawn.batch, drawn.description, takes_texts=True, hint=_GIVEN_TEXTS)


def _own_shape(model: nn.Module, args: argparse.Namespace) -> tuple[int | None, int]:
    """Channels and side of the images for a network of the user's: as the options say, else as its input_shape does.

    Raises:
        InputError: its input_shape is not that of one square image, and the options do not say both.
    """
    shape = getattr(model, "input_shape", None)
    if shape is None or (args.channels is not None and args.image_size is not None):
        return args.channels, args.image_size or OWN_IMAGE_SIZE
    is_image = isinstance(shape, (tuple, list)) and len(shape) == 3 and all(type(n) is int and n > 0 for n in shape)
    if not is_image or shape[1] != shape[2]:
        raise InputError(
            f"{args.network}: its input_shape is {shape!r}, expected (C, H, W) of one square image; say what it takes "
            "by --channels and --image-size"
        )
    return args.channels or shape[0], args.image_size or shape[1]


_SUMMARY = "score one network, yours, a library's or one of a space"
COMMAND = Command("score", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
