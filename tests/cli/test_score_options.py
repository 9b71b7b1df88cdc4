"""The options of a score on the command line follow the options of a score in Python."""

from __future__ import annotations

import argparse
import inspect
from pathlib import Path

import pytest

from lswag_fast.cli import main
from lswag_fast.cli.commands import COMMANDS
from lswag_fast.cli.score_options import SCORE_OPTIONS, add_score_options, score_options
from lswag_fast.errors import InputError
from lswag_fast.scoring import score

SCORING = ("score", "search", "evaluate")


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_score_options(parser)
    return parser.parse_args(words)


def test_no_option_of_a_score_is_forgotten() -> None:
    fields = set(inspect.signature(score).parameters) - {"model", "batch", "proxy", "proxies", "options"}
    assert set(SCORE_OPTIONS) == fields


def test_what_is_not_given_is_as_in_python() -> None:
    usual = {name: parameter.default for name, parameter in inspect.signature(score).parameters.items()}
    usual["proxy_options"] = {}
    assert score_options(parsed(), ["lswag"]) == {name: usual[name] for name in SCORE_OPTIONS}


@pytest.mark.parametrize("name", SCORING)
def test_every_command_that_scores_has_all_of_them(name: str) -> None:
    (command,) = [command for command in COMMANDS if command.name == name]
    known = {option for action in command.parser()._actions for option in action.option_strings}
    assert {flag for flag, _ in SCORE_OPTIONS.values()} <= known


def test_options_of_single_proxies() -> None:
    args = parsed("--set", "zen.batch_norm=optional", "--set", "zen.repeats=3", "--set", "reg_swap.mu=0.5")
    assert score_options(args, ["zen", "reg_swap"])["proxy_options"] == {
        "zen": {"batch_norm": "optional", "repeats": 3},
        "reg_swap": {"mu": 0.5},
    }
    with pytest.raises(InputError, match=r"--set: zen.repeats=3: 'zen' is not among the proxies that are scored: snip"):
        score_options(parsed("--set", "zen.repeats=3"), ["snip"])


@pytest.mark.parametrize(
    ("layers", "words"),
    [("5", "'5' is neither auto nor LO,HI"), ("7,3", "0 <= lo <= hi"), ("auto", "known for autoformer")],
)
def test_layers_of_a_score(
    layers: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other_space.py").write_text(
        "from lswag_fast.spaces import NasBench201\n\n"
        "class Other(NasBench201):\n    name = 'other'\n\n"
        "def make():\n    return Other(channels=4, cells_per_stage=1, image_size=8)\n"
    )
    assert main(["search", "other_space:make", "--trials", "1", "--batch-size", "4", "--layers", layers]) == 2
    assert words in capsys.readouterr().err
