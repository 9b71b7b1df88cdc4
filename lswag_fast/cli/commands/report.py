"""`lswag-fast report`: one HTML file that shows a search, a training or a comparison."""

from __future__ import annotations

import argparse
from pathlib import Path

from lswag_fast.cli import options
from lswag_fast.cli.command import Command
from lswag_fast.cli.console import say
from lswag_fast.cli.files import encoded
from lswag_fast.files.durable import write_whole

REPORT_FILE = "report.html"

_DESCRIPTION = """\
Write one HTML file that shows a search: its history, score against cost with the front, the best architectures and
their layers, how the proxies agree, what failed, the configuration. Of a supernet or a trained network it shows loss,
accuracy and learning rate by epoch, of a comparison the methods side by side. The file opens from the disk and needs no
network. The folder is only read, so what fills it may be running."""

_EPILOG = """\
examples:
  lswag-fast report runs/small
      writes runs/small/report.html
  lswag-fast report runs/small -o small.html
  lswag-fast report runs/supernet
  lswag-fast report runs/compared"""


def _add_options(parser: argparse.ArgumentParser) -> None:
    options.add_folder(parser, "the folder of a search, of a supernet, of a trained network or of a comparison")
    options.add_out(parser, f"what to write (default: {options.FOLDER}/{REPORT_FILE})")


def _run(args: argparse.Namespace) -> int:
    path = args.out or args.folder / REPORT_FILE
    write_whole(path, encoded(_page(args.folder)))
    say(f"report: {path}")
    return 0


def _page(folder: Path) -> str:
    """The page of whatever a folder holds."""
    from lswag_fast.report.html import html_report
    from lswag_fast.report.trainings import comparison_report, is_training, training_report
    from lswag_fast.study.stored import read_study

    if _is_comparison(folder):
        return comparison_report(folder)
    return training_report(folder) if is_training(folder) else html_report(read_study(folder))


def _is_comparison(folder: Path) -> bool:
    from lswag_fast.training.compare import ROWS_FILE

    try:
        return (folder / ROWS_FILE).exists()
    except OSError:  # a name that no folder can have; whoever reads a study says so
        return False


COMMAND = Command(
    "report", "one HTML file that shows a search or a training", _DESCRIPTION, _EPILOG, _add_options, _run
)
