"""`lswag-fast report`: one HTML file that shows a search."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from lswag_fast.cli import options
from lswag_fast.cli.console import say
from lswag_fast.cli.files import write

REPORT_FILE = "report.html"

_DESCRIPTION = """\
Write one HTML file that shows a search: its history, score against costs with the front, the best architectures and
their layers, how the proxies agree, what failed, the configuration. It needs no network and opens from the disk.
It reads only: a running search can be looked at."""

_EPILOG = """\
examples:
  lswag-fast report runs/small
      writes runs/small/report.html
  lswag-fast report runs/small -o small.html"""


def add_parser(commands: Any) -> None:
    """Add the command to the parser's commands."""
    parser = options.add_command(
        commands, "report", summary="one HTML file that shows a search", description=_DESCRIPTION, epilog=_EPILOG
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a search")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help=f"what to write (default: DIR/{REPORT_FILE})")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the report and say where it lies."""
    from lswag_fast.report.html import html_report
    from lswag_fast.study.stored import read_study

    study = read_study(args.folder)
    path = args.out or args.folder / REPORT_FILE
    write(path, html_report(study).encode())
    say(f"report: {path}")
    return 0
