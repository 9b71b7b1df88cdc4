"""The command line, `lswag-fast COMMAND`; `--help` lists the commands.

Every mistake of the user is one line on stderr and exit code 2; anything else that goes wrong keeps its traceback.
torch and the rest of the package are loaded by the command that needs them, so that `--help` is quick.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from lswag_fast import __version__
from lswag_fast.cli.command import Parser
from lswag_fast.cli.commands import COMMANDS
from lswag_fast.cli.console import any_text, say_error, warnings_once
from lswag_fast.errors import LswagError

USER_ERROR = 2
INTERRUPTED = 130

_DESCRIPTION = """\
Score untrained neural networks with L-SWAG and other zero-cost proxies, search architectures with these scores, and
train what was found. A score takes one forward and one backward pass, and trains nothing."""

_EPILOG = """\
examples:
  lswag-fast score mypackage.models:make_model --batch-size 32
  lswag-fast search autoformer-tiny --params 5M..7M --trials 200 --out runs/tiny
  lswag-fast show runs/tiny
  lswag-fast report runs/tiny -o tiny.html
  lswag-fast evaluate nasbench201 --table accuracies.csv --proxies lswag,zico --trials 100 --out scores.csv

Each command has its own help: lswag-fast search --help"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (default: the process's) and return its exit code: 0, 2 (user error) or 130 (Ctrl-C)."""
    in_words: Callable[[object], str] = str
    with any_text():
        try:
            args = make_parser().parse_args(argv)
            in_words = args.parser.in_options
            with warnings_once(in_words):
                code: int = args.run(args)
                return code
        except LswagError as error:
            say_error(in_words(error))
            return USER_ERROR
        except KeyboardInterrupt:
            say_error("interrupted")
            return INTERRUPTED


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="lswag-fast",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"lswag-fast {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser
