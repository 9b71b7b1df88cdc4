"""`lswag-fast info`: what was built, what is active here."""

from __future__ import annotations

import argparse
from typing import Any

from lswag_fast.cli.console import say


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    text = "Show what was built and what is active here: instruction sets, devices, threads, versions."
    parser = commands.add_parser("info", help="what was built, what is active here", description=text)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from lswag_fast.build_info import format_info, info

    say(format_info(info()))
    return 0
