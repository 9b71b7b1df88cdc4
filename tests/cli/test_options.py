"""The options that several commands share."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import pytest

from lswag_fast.cli import options
from lswag_fast.errors import InputError


def test_tables_are_read_and_joined_by_their_key(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("arch,accuracy\nx,1\ny,2\n")
    (tmp_path / "b.csv").write_text("arch,params\ny,20\nx,10\n")
    parser = argparse.ArgumentParser()
    options.add_tables(parser)
    table = options.read_tables(parser.parse_args([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]))
    assert table.loc["y"].to_dict() == {"accuracy": 2, "params": 20}


def test_a_figure_has_three_decimals_and_nan_is_a_dash() -> None:
    assert [options.figure(value) for value in (0.12345, -1, math.nan)] == ["0.123", "-1.000", "-"]


@pytest.mark.parametrize("n_threads", [None, 1])
def test_threads_are_what_a_command_says_unless_they_are_given(n_threads: int | None) -> None:
    parser = argparse.ArgumentParser()
    options.add_executor_options(parser, n_threads=n_threads)
    assert parser.parse_args([]).threads == n_threads
    assert parser.parse_args(["--threads", "3"]).threads == 3


def test_a_further_option_of_a_space_is_given_once_and_not_by_another_flag() -> None:
    parser = argparse.ArgumentParser()
    options.add_space_set(parser)
    given = ["--space-set", "mlp_ratio=3,4", "--space-set", "qkv_dim=192"]
    assert options.space_set(parser.parse_args(given)) == {"mlp_ratio": [3, 4], "qkv_dim": 192}
    assert options.space_set(parser.parse_args([])) == options.space_set(argparse.Namespace()) == {}
    with pytest.raises(InputError, match="--space-set qkv_dim is given twice; leave one out"):
        options.space_set(parser.parse_args([*given, "--space-set", "qkv_dim=256"]))
    for name, flag in (("image_size", "--image-size"), ("task", "--task")):
        with pytest.raises(InputError, match=f"--space-set {name}=8: give this as {flag}"):
            options.space_set(parser.parse_args(["--space-set", f"{name}=8"]))
