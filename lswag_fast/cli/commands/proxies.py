"""`lswag-fast proxies`: which proxies there are, which way is better, what they need and where they come from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options
from lswag_fast.cli.console import OUT, say, table
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.proxies import ProxyInfo

_DESCRIPTION = """\
List the proxies: which way is better, the passes and statistics they need, and the paper.
Proxies that need the same pass share it when they are scored together."""

_EPILOG = """\
examples:
  lswag-fast proxies
  lswag-fast proxies 'az_nas*'
      those whose names match

PASSES are the ways in which a network is driven; "standard" is one forward and one backward pass."""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands,
        "proxies",
        summary="list the proxies, their direction, needs and papers",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help="of names, as of files (default: *)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table; raises InputError when no name matches."""
    from lswag_fast.proxies import list_proxies

    found = list_proxies(args.pattern)
    if not found:
        known = ", ".join(info.name for info in list_proxies())
        raise InputError(f"no proxy matches {args.pattern!r}; there are {known}")
    rows = table(
        "proxy", "better", "passes", "what it measures", left=("proxy", "better", "passes", "what it measures")
    )
    for info in found:
        rows.add_row(info.name, "higher" if info.higher_is_better else "lower", _needs(info), info.summary)
    OUT.print(rows)
    say("\npapers:")
    for info in found:
        if info.reference:
            say(f"  {info.name}: {info.reference}")
    return 0


def _needs(info: ProxyInfo) -> str:
    if info.parts:
        return f"ranks of {', '.join(info.parts)}"
    return "; ".join(f"{recipe} ({', '.join(sorted(statistics))})" for recipe, statistics in info.needs.items())
