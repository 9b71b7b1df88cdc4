"""The options of a training."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from lswag_fast.cli.command import Parser
from lswag_fast.cli.training import choices
from lswag_fast.errors import DataError, InputError, MissingExtraError


def parsed(*words: str) -> argparse.Namespace:
    parser = Parser(prog="train")
    choices.add_training_options(parser)
    args = parser.parse_args(words)
    args.parser = parser
    return args


@pytest.mark.parametrize("words", ["--epochs=0", "--lr=0", "--lr=nan", "--lr=x", "--loaders=-1", "--ema=2"])
def test_impossible_numbers_are_refused(words: str) -> None:
    with pytest.raises(InputError, match=words.partition("=")[0]):
        parsed(words)


def test_where_it_runs() -> None:
    found = choices.runtime_of(parsed("--device", "cpu", "--precision", "bfloat16", "--loaders", "2"))
    assert (found.device, found.precision, found.n_loaders) == ("cpu", "bfloat16", 2)


def test_images_are_split_for_the_networks() -> None:
    splits = choices.split_of(parsed("--seed", "3"), (1, 8, 8), 10)
    assert tuple(splits.train[0][0].shape) == (1, 8, 8)
    assert splits.to_dict()["seed"] == 3
    with pytest.raises(DataError, match=r"--data: .*10 classes"):
        choices.split_of(parsed(), (1, 8, 8), 2)
    with pytest.raises(DataError, match=r"--data: data no/such: no such file"):
        choices.split_of(parsed("--data", "no/such"), (1, 8, 8), 2)


def test_tensorboard_is_asked_for_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    args = parsed("--tensorboard")
    args.out = tmp_path / "run"
    with choices.watchers_of(args) as watchers:
        assert len(watchers) == 2
    assert not args.out.exists()
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"lswag-fast\[train\]"), choices.watchers_of(args):
        pass


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    args = argparse.Namespace(out=tmp_path / "file")
    choices.check_out(args)
    args.out.touch()
    with pytest.raises(InputError, match="is a file; name a folder"):
        choices.check_out(args)
