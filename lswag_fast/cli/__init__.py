"""The command line, `lswag-fast COMMAND`; `--help` lists the commands.

Every mistake of the user is one line on stderr and exit code 2; anything else that goes wrong keeps its traceback.
torch and the rest of the package are loaded by the command that needs them, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from lswag_fast import __version__
from lswag_fast.cli.commands import correlate, evaluate, export, info, layers, proxies, report, score, search, show
from lswag_fast.cli.console import say_error, warnings_once
from lswag_fast.errors import InputError, LswagError

USER_ERROR = 2
INTERRUPTED = 130

_DESCRIPTION = """\
Score untrained neural networks with L-SWAG, and search architectures with that score.
No training: one forward and one backward pass a network."""

_EPILOG = """\
examples:
  lswag-fast search autoformer-tiny --params 5M..7M --trials 200
  lswag-fast show runs/tiny
  lswag-fast report runs/tiny -o tiny.html
  lswag-fast score mypackage.models:make_model --batch-size 32
  lswag-fast proxies
  lswag-fast evaluate nasbench201 --table accuracies.csv --proxies lswag,zico --n 100 --out scores.csv
  lswag-fast info

Each command has a help of its own: lswag-fast search --help"""


class _Parser(argparse.ArgumentParser):
    """Raises a mistake as an `InputError`, so that all mistakes are shown the same way."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's) and return its exit code: 0, 2 (user error) or 130 (Ctrl-C)."""
    try:
        args = _parser().parse_args(argv)
        args.argv = list(sys.argv[1:] if argv is None else argv)
        with warnings_once():
            code: int = args.run(args)
            return code
    except LswagError as error:
        say_error(error)
        return USER_ERROR
    except KeyboardInterrupt:
        say_error("interrupted")
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="lswag-fast",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lswag-fast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (score, search, show, export, report, proxies, evaluate, correlate, layers, info):
        command.add_parser(commands)
    return parser
