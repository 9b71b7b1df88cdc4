"""What every command shares: a parser that raises, and help that is made late."""

from __future__ import annotations

import pytest

from lswag_fast.cli.command import Command
from lswag_fast.errors import InputError

made = []


def late() -> str:
    made.append(1)
    return "made late"


COMMAND = Command(
    "greet", "say hello", "Say hello.", "examples:\n  lswag-fast greet", lambda parser: None, lambda args: 0, late
)


def test_late_help_is_made_when_it_is_asked_for_and_once() -> None:
    parser = COMMAND.parser()
    parser.parse_args([])
    assert made == []
    assert parser.format_help().count("made late\n\nexamples:") == 1
    assert parser.format_help().count("made late") == 1
    assert made == [1]


def test_a_mistake_is_an_error_of_the_package() -> None:
    with pytest.raises(InputError, match=r"unrecognized arguments: --loud \(see lswag-fast greet --help\)"):
        COMMAND.parser().parse_args(["--loud"])


def test_what_was_parsed_knows_its_command() -> None:
    parser = COMMAND.parser()
    args = parser.parse_args([])
    assert (args.run(args), args.parser) == (0, parser)
