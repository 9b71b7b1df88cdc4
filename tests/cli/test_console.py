"""What is written to the terminal."""

import warnings

import pytest

from lswag_fast.cli.console import say_error, warnings_once
from lswag_fast.errors import LswagWarning


def test_warnings_appear_once_and_on_one_line(capsys):
    with warnings_once():
        for _ in range(2):
            warnings.warn("the batch\nis small", LswagWarning, stacklevel=1)
        warnings.warn("another", LswagWarning, stacklevel=1)
        for name in ("0.weight", "1.weight"):
            warnings.warn(f"from one place: {name}", LswagWarning, stacklevel=1)
    assert capsys.readouterr().err == (
        "lswag-fast: warning: the batch is small\nlswag-fast: warning: another\n"
        "lswag-fast: warning: from one place: 0.weight\n"
    )


def test_other_warnings_pass_through():
    with pytest.warns(DeprecationWarning, match="old"), warnings_once():
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def test_text_is_shown_as_it_is(capsys):
    say_error(f"[bold] :smile: {'x' * 300}")
    assert capsys.readouterr().err == f"lswag-fast: error: [bold] :smile: {'x' * 300}\n"
