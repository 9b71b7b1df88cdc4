"""The options that several commands share, and what they mean for the package."""

from __future__ import annotations

import argparse
import shlex
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lswag_fast.errors import InputError, LswagWarning

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"  # --proxy all
AUTO = "auto"

# Options that decide a score, as `repeat` writes them back.
_DECIDING = (
    *("data", "split", "batch_size", "image_size", "patch_size", "num_classes", "seed"),
    *("checkpoint", "proxy", "pattern_samples", "row_fraction", "layers"),
)


def add_command(commands: Any, name: str, *, summary: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """Add a command to the parser's commands: its texts are shown as they are, its options written out in full."""
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def positive(text: str) -> int:
    """Read a whole number of at least 1 (for argparse)."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def add_data_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add the options that decide the batch; `default` says in words what --data is when it is not given."""
    group = parser.add_argument_group("data")
    sources = "digits, synthetic, a folder of images (one sub-folder a class) or an .npz file"
    group.add_argument("--data", metavar="D", help=f"{sources} (default: {default})")
    group.add_argument("--split", metavar="NAME", help="part of the data: sub-folder NAME, or arrays x_NAME and y_NAME")
    group.add_argument("--batch-size", type=positive, default=32, metavar="B", help="samples (default: 32)")
    group.add_argument("--seed", type=int, default=0, metavar="S", help="of all that is drawn (default: 0)")


def add_network_options(parser: argparse.ArgumentParser, with_checkpoint: bool = True) -> None:
    """Add the options that decide the shape and, if they are shared, the weights of the networks."""
    group = parser.add_argument_group("networks")
    group.add_argument("--image-size", type=positive, metavar="PX", help="side of the images in pixels")
    group.add_argument("--patch-size", type=positive, metavar="PX", help="side of a patch, where a space has patches")
    group.add_argument("--num-classes", type=positive, metavar="N", help="number of classes to tell apart")
    if not with_checkpoint:
        return
    group.add_argument(
        "--checkpoint", type=Path, metavar="FILE", help="trained supernet weights of the space, not drawn ones"
    )


def add_executor_options(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add the options of where networks are scored, none of which changes a score; return their group."""
    group = parser.add_argument_group("processes")
    group.add_argument(
        "--workers", type=positive, default=1, metavar="N", help="processes on this machine (default: 1, this one)"
    )
    group.add_argument(
        "--dask", metavar="ADDRESS", help="the workers of a Dask cluster instead, by its scheduler: tcp://HOST:8786"
    )
    return group


def add_score_options(parser: argparse.ArgumentParser, several: str = "") -> None:
    """Add the options of the score itself; `several` says in words what --proxy takes beside one name."""
    group = parser.add_argument_group("score")
    text = f"what to score with, see `lswag-fast proxies`{several} (default: lswag)"
    group.add_argument("--proxy", default="lswag", metavar="NAME", help=text)
    add_pattern_options(group)


def add_pattern_options(parser: argparse._ActionsContainer) -> None:
    """Add the options of how much a score looks at."""
    parser.add_argument(
        "--pattern-samples",
        type=_pattern_samples,
        default="auto",
        metavar="S",
        help="samples in an activation pattern (default: auto, from the largest activation)",
    )
    parser.add_argument(
        "--row-fraction",
        type=float,
        default=1.0,
        metavar="F",
        help="part of each weight's rows to measure; less is faster, and 0.125 ranks nearly the same (default: 1)",
    )
    parser.add_argument(
        "--layers",
        type=_layers,
        metavar="LO,HI",
        help="score these percentile bins of depth only (0 to 10), or auto: those known for the space (default: all)",
    )


def score_options(args: argparse.Namespace, space: str | None = None) -> dict[str, Any]:
    """Return the options of the score as keywords of `lswag_fast.score`; `space` is the one that --layers auto means.

    Raises InputError for --layers auto without a space, or for one whose interval is not known.
    """
    keywords = {"pattern_samples": args.pattern_samples, "row_fraction": args.row_fraction}
    if args.layers is None:
        return keywords
    return {**keywords, "layers": _interval(space) if args.layers == AUTO else args.layers}


def _interval(space: str | None) -> tuple[int, int] | None:
    from lswag_fast.evaluation.intervals import interval_of

    if space is None:
        raise InputError("--layers auto is for networks of a space; give LO,HI")
    return interval_of(space)


def repeat(args: argparse.Namespace) -> str:
    """Return the options given that decide a score, as text for a shell; defaults are left out."""
    defaults = argparse.ArgumentParser()
    for add in (add_network_options, add_score_options):
        add(defaults)
    add_data_options(defaults, "")
    usual = vars(defaults.parse_args([]))
    given = {name: getattr(args, name) for name in _DECIDING if getattr(args, name) != usual[name]}
    return "".join(f" --{name.replace('_', '-')} {shlex.quote(_written(value))}" for name, value in given.items())


def _written(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _pattern_samples(text: str) -> str | int:
    return text if text == AUTO else positive(text)


def _layers(text: str) -> str | tuple[int, int]:
    """Read "auto" or LO,HI (for argparse)."""
    low, comma, high = text.partition(",")
    if text != AUTO and not (comma and low.isdecimal() and high.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor LO,HI")
    return text if text == AUTO else (int(low), int(high))


def proxy_option(text: str) -> tuple[str, str, float | str]:
    """Read PROXY.OPTION=VALUE, the value a number where it is one."""
    key, equals, value = text.partition("=")
    proxy, dot, option = key.partition(".")
    if not (equals and dot and proxy and option and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not PROXY.OPTION=VALUE")
    try:
        return proxy, option, float(value)
    except ValueError:
        return proxy, option, value


def add_proxy_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that single proxies take."""
    parser.add_argument(
        "--features", metavar="MODULE", help="module, or pattern of modules, whose outputs zen and az_nas look at"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=proxy_option,
        metavar="PROXY.OPTION=VALUE",
        help="an option of one proxy, e.g. zen.batch_norm=optional; may be given several times",
    )


def chosen_proxy_options(args: argparse.Namespace, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The options of --set by proxy; raises InputError for one of a proxy that is not scored."""
    given: dict[str, dict[str, Any]] = {}
    for name, option, value in args.set:
        if name not in names:
            raise InputError(f"--set {name}.{option}: {name!r} is not among the proxies that are scored")
        given.setdefault(name, {})[option] = value
    return given


def proxy_names(text: str) -> list[str]:
    """The proxies of NAME,NAME,... or "all", ranked ones by their parts; raises InputError for an unknown name."""
    from lswag_fast.proxies import get_proxy, list_proxies, with_parts

    known = [info.name for info in list_proxies()] if text == ALL else [get_proxy(name).name for name in listed(text)]
    return with_parts(known)


def columns_of(table: pd.DataFrame, text: str | None) -> list[str]:
    """The columns of NAME,NAME,..., or those named like a known proxy that hold a value; warns of the others."""
    from lswag_fast.proxies import list_proxies

    if text:
        return listed(text)
    known = {info.name for info in list_proxies()}
    found = [name for name in table.columns if name in known]
    empty = [name for name in found if table[name].isna().all()]
    if empty:
        left_out = f"without a value for any architecture, left out: {', '.join(empty)}"
        warnings.warn(left_out, LswagWarning, stacklevel=2)
    return [name for name in found if name not in empty]


def listed(text: str) -> list[str]:
    """The items of a list with commas."""
    return [item.strip() for item in text.split(",")]
