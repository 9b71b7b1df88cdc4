"""`lswag-fast proxies`: which proxies there are, which way is better, what they need and where they come from."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say, show_table, table
from lswag_fast.cli.files import write_json
from lswag_fast.errors import InputError

if TYPE_CHECKING:
    from lswag_fast.proxies import ProxyInfo

_DESCRIPTION = """\
List the proxies: which way is better, the passes and statistics they need, and the paper.
Proxies that need the same pass share it when they are scored together. Where there is no table of accuracies to choose
on, --proxies recommended takes those that rank the kind of space best together."""

_EPILOG = """\
examples:
  lswag-fast proxies
  lswag-fast proxies 'az_nas*'
      those whose names match

PASSES are the ways in which a network is run; "standard" is one forward and one backward pass."""


def _add_options(parser: argparse.ArgumentParser) -> None:
    text = "of names, like a pattern of file names (default: all)"
    parser.add_argument("pattern", nargs="?", default="*", metavar="PATTERN", help=text)
    options.add_json(parser, "the list")


def _run(args: argparse.Namespace) -> int:
    """Print the table; raises InputError when no name matches."""
    from lswag_fast.proxies import list_proxies

    found = list_proxies(args.pattern)
    if not found:
        known = ", ".join(info.name for info in list_proxies())
        raise InputError(f"PATTERN: no proxy matches {args.pattern!r}; there are {known}")
    if not write_json(args.json, [_facts(info) for info in found]):
        _show(found)
    return 0


def _facts(info: ProxyInfo) -> dict[str, Any]:
    return {
        "name": info.name,
        "higher_is_better": info.higher_is_better,
        "needs": {name: sorted(statistics) for name, statistics in info.needs.items()},
        "parts": info.parts,
        "summary": info.summary,
        "reference": info.reference,
    }


def _show(found: list[ProxyInfo]) -> None:
    columns = ("proxy", "better", "passes", "what it measures")
    rows = table(*columns, left=columns)
    for info in found:
        rows.add_row(info.name, "higher" if info.higher_is_better else "lower", _needs(info), info.summary)
    show_table(rows)
    _show_recommended(found)
    say("\npapers:")
    for info in found:
        if info.reference:
            say(f"  {info.name}: {info.reference}")


def _show_recommended(found: list[ProxyInfo]) -> None:
    """What is recommended where one of these proxies takes part."""
    from lswag_fast.libra.recommended import recommendations

    shown = {info.name for info in found}
    for each in (each for each in recommendations() if shown.intersection(each.proxies)):
        say(f"\nrecommended:{each.kind}, for {each.networks} ({', '.join(each.spaces)}):")
        say(f"  {', '.join(each.proxies)}; {each.why} ({each.evidence})")


def _needs(info: ProxyInfo) -> str:
    if info.parts:
        return f"ranks of {', '.join(info.parts)}"
    return ", ".join(info.needs)


_SUMMARY = "list the proxies, their direction, needs and papers"
COMMAND = Command("proxies", _SUMMARY, _DESCRIPTION, _EPILOG, _add_options, _run)
