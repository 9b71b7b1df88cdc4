"""`lswag-fast report`: one HTML file that shows a search."""

from __future__ import annotations

import argparse

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say
from lswag_fast.cli.files import encoded, write

REPORT_FILE = "report.html"

_DESCRIPTION = """\
Write one HTML file that shows a search: its history, score against cost with the front, the best architectures and
their layers, how the proxies agree, what failed, the configuration. The file opens from the disk and needs no network.
The search is only read, so it may be running."""

_EPILOG = """\
examples:
  lswag-fast report runs/small
      writes runs/small/report.html
  lswag-fast report runs/small -o small.html"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_folder(parser)
    options.add_out(parser, f"what to write (default: {options.FOLDER}/{REPORT_FILE})")


def _run(args: argparse.Namespace) -> int:
    from lswag_fast.report.html import html_report
    from lswag_fast.study.stored import read_study

    study = read_study(args.folder)
    path = args.out or args.folder / REPORT_FILE
    write(path, encoded(html_report(study)))
    say(f"report: {path}")
    return 0


COMMAND = Command("report", "one HTML file that shows a search", _DESCRIPTION, _EPILOG, _add_options, _run)
