"""The options of a score on the command line follow the options of a score in Python."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import pytest

from lswag_fast.cli import main
from lswag_fast.cli.command import Parser
from lswag_fast.cli.commands import COMMANDS
from lswag_fast.cli.score_options import _WITHOUT_FEATURES, SCORE_OPTIONS, add_score_options, score_options
from lswag_fast.errors import InputError, LswagWarning
from lswag_fast.options import ScoreOptions
from lswag_fast.passes import list_passes

SCORING = ("score", "search", "evaluate")


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser()
    add_score_options(parser)
    return parser.parse_args(words)


def test_no_option_of_a_score_is_forgotten() -> None:
    assert set(SCORE_OPTIONS) == {field.name for field in fields(ScoreOptions)}


def test_what_is_not_given_is_as_in_python() -> None:
    assert score_options(parsed(), ["lswag"]) == ScoreOptions()


def test_what_is_given_is_as_it_would_be_in_python() -> None:
    words = ("--layers", "2,10", "--variance", "microbatch:4", "--pattern-samples", "16", "--chunk-size", "8")
    more = ("--gradient", "signed", "--lswag-combine", "log", "--row-fraction", "0.5", "--seed", "3")
    found = score_options(parsed(*words, *more, "--features", "blocks.*", "--nonfinite", "propagate"), ["lswag", "zen"])
    assert found == ScoreOptions(
        layers=(2, 10),
        variance="microbatch:4",
        pattern_samples=16,
        chunk_size=8,
        gradient="signed",
        combine="log",
        row_fraction=0.5,
        seed=3,
        features="blocks.*",
        nonfinite="propagate",
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--row-fraction", "2"), "--row-fraction: row_fraction must lie in"),
        (("--variance", "batch"), "--variance: variance must be"),
        (("--layers", "7,3"), "--layers: layers must be None or"),
        (("--init", "lecun"), "--init: init must be one of 'own', 'kaiming'"),
        (("--seed", "-1"), "--seed: '-1' is not a whole number from 0"),
        (("--loss", "json:nothing"), "--loss: json:nothing: "),
        (("--loss", "hinge"), "--loss: loss_fn must be one of cross_entropy, mse, l1, cosine"),
        (("--task", "detection"), "--task: there is no task 'detection'"),
    ],
)
def test_a_mistake_names_its_option(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        score_options(parsed(*words), ["lswag"])


@pytest.mark.parametrize("name", SCORING)
def test_every_command_that_scores_has_all_of_them(name: str) -> None:
    (command,) = [command for command in COMMANDS if command.name == name]
    known = {option for action in command.parser()._actions for option in action.option_strings}
    assert {flag for flag, _ in SCORE_OPTIONS.values()} <= known


def test_options_of_single_proxies() -> None:
    args = parsed("--set", "zen.batch_norm=optional", "--set", "zen.repeats=3", "--set", "reg_swap.mu=0.5")
    assert score_options(args, ["zen", "reg_swap"]).proxy_options == {
        "zen": {"batch_norm": "optional", "repeats": 3},
        "reg_swap": {"mu": 0.5},
    }
    with pytest.raises(InputError, match=r"--set: zen.repeats=3: 'zen' is not among the proxies that are scored: snip"):
        score_options(parsed("--set", "zen.repeats=3"), ["snip"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--lswag-combine", "product", "--set", "lswag.combine=log"),
            "as 'product' and as lswag.combine='log'",
        ),
        (("--set", "lswag.combine=log", "--set", "lswag.combine=product"), "is given twice, as log and as product"),
    ],
)
def test_two_values_for_one_option_are_refused(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=f"--set: .*{message}"):
        score_options(parsed(*words), ["lswag"])


def test_one_value_may_be_given_twice() -> None:
    words = ("--lswag-combine", "log", "--set", "lswag.combine=log", "--set", "lswag.combine=log")
    assert score_options(parsed(*words), ["lswag"]).proxy_options == {"lswag": {"combine": "log"}}


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


def test_a_precision_that_the_cpu_lacks_is_refused_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LSWAG_ISA", "baseline")
    words = ["--trials", "1", "--batch-size", "4", "--precision", "bfloat16", "--out", "run"]
    assert main(["search", "nasbench201", *words]) == 2
    shown = capsys.readouterr().err
    assert "error: --precision bfloat16: instruction set baseline has no products of bfloat16" in shown
    assert shown.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_features_that_nothing_looks_at_are_said() -> None:
    with pytest.warns(LswagWarning, match="--features is of no use to lswag, synflow; .*zen.* look at features"):
        score_options(parsed("--features", "blocks"), ["lswag", "synflow"])
    score_options(parsed("--features", "blocks"), ["lswag", "zen"])


def test_every_pass_is_known_to_look_at_features_or_not() -> None:
    assert {info.name for info in list_passes()} == _WITHOUT_FEATURES | {"noise_pair", "block_features"}
