"""`lswag-fast info`: what was built, what is active here."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say
from lswag_fast.cli.files import write_json

_DESCRIPTION = "Show what was built and what is active here: instruction sets, devices, threads, versions."

_EPILOG = """\
examples:
  lswag-fast info
  lswag-fast info --json - | jq .isa_active"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_json(parser, "the report")


def _run(args: argparse.Namespace) -> int:
    from lswag_fast.build_info import format_info, info

    found = info()
    if not write_json(args.json, asdict(found)):
        say(format_info(found))
    return 0


COMMAND = Command("info", "what was built, what is active here", _DESCRIPTION, _EPILOG, _add_options, _run)
