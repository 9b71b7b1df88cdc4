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


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            "rule=\"published\" needs fewer; or take rule='halves'",
            "--rule published needs fewer; or take --rule halves",
        ),
        ("build them with num_classes=10", "build them with --num-classes 10"),
        ("batch_size: found 3, too few", "--batch-size: found 3, too few"),
        ("labels that are ignore_index= of the loss", "labels that are --ignore-index of the loss"),
        ("--batch-size: batch_size must be 2 or more", "--batch-size must be 2 or more"),
        ("latency_ms='x': the nearest has latency_ms 0.2", "--latency-ms x: the nearest has latency_ms 0.2"),
        ("proxy_options={'zen': {'batch_norm': 'optional'}} does", "--set zen.batch_norm=optional does"),
        ("the rule of thumb, in runs/rule=1/batch_size.csv", "the rule of thumb, in runs/rule=1/batch_size.csv"),
        (
            "TypeError: f(num_classes=3, rule=2) got 'num_classes'",
            "TypeError: f(num_classes=3, rule=2) got 'num_classes'",
        ),
        ("n_images was 20, now 10; n_threads was 1, now 2", "--images was 20, now 10; n_threads was 1, now 2"),
        ("normalize='batch' is no option", "normalize='batch' is no option"),
        (
            'choices was "Space(width=(3, 4), num_classes=10, name=\\"a\\")", batch_size was 3',
            'choices was "Space(width=(3, 4), num_classes=10, name=\\"a\\")", --batch-size was 3',
        ),
        (
            "Space(width=(3, 4), num_classes=10) takes num_classes=9",
            "Space(width=(3, 4), num_classes=10) takes --num-classes 9",
        ),
        ("the proxies' num_classes=9, not the networks'", "the proxies' --num-classes 9, not the networks'"),
        (
            "no number 'a'; there are epochs, batch_size, lr; batch_size: 3",
            "no number 'a'; there are epochs, batch_size, lr; --batch-size: 3",
        ),
    ],
)
def test_a_message_of_the_library_names_the_options_of_the_command(message: str, said: str) -> None:
    parser = COMMAND.parser()
    for option in ("--rule", "--num-classes", "--batch-size", "--ignore-index", "--latency-ms", "--set", "--images"):
        parser.add_argument(option)
    assert parser.in_options(message) == said


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (["--lr", "--recipe-set"], "a lower rate (--lr) or more (--recipe-set ema=...); recipe.lr was 1"),
        (["--recipe-set"], "a lower rate (--recipe-set lr=...) or more (--recipe-set ema=...); recipe.lr was 1"),
        (["--lr"], "a lower rate (recipe.lr) or more (recipe.ema); recipe.lr was 1"),
    ],
)
def test_a_number_of_a_recipe_is_named_as_the_command_takes_it(added: list[str], said: str) -> None:
    parser = COMMAND.parser()
    for option in added:
        parser.add_argument(option)
    assert parser.in_options("a lower rate (recipe.lr) or more (recipe.ema); recipe.lr was 1") == said
