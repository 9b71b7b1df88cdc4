"""What is written to the terminal."""

import contextlib
import io
import sys
import warnings
from pathlib import Path

import pytest

from lswag_fast.cli import console
from lswag_fast.cli.console import _Output, any_text, say, say_error, show_table, table, warnings_once
from lswag_fast.errors import LswagWarning, StorageError, warn


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


def test_a_warning_is_shown_in_the_words_of_the_command(capsys):
    with warnings_once(lambda text: str(text).replace("batch_size", "--batch-size")):
        warnings.warn("batch_size is small", LswagWarning, stacklevel=1)
    assert capsys.readouterr().err == "lswag-fast: warning: --batch-size is small\n"


def test_a_warning_is_told_from_others_by_the_place_that_found_it(capsys):
    with warnings_once():  # all of them name the one line of the caller's
        for text, file in (("few samples", "a.py"), ("no activations", "b.py"), ("fewer samples", "a.py")):
            warn(text, (file, 1))
    assert capsys.readouterr().err == ("lswag-fast: warning: few samples\nlswag-fast: warning: no activations\n")


def test_where_a_table_is_too_wide_names_and_headings_are_folded_and_no_number_is(monkeypatch, capsys):
    monkeypatch.setattr(console, "OUT", _Output(width=40, highlight=False))
    numbers = ["1234567.8901 +- 0.0123", "12,345,678", "0.12345678"]
    rows = table("weight", "score", "parameters_of_all_layers", "x", left=("weight",))
    rows.add_row("blocks.0.attention.query.weight", *numbers)
    rows.add_row("b", "-", "1", "2")
    show_table(rows)
    out = capsys.readouterr().out
    assert all(number in out for number in numbers)
    assert "blocks.0.attention.query.weight" not in out and "parameters_of_all_layers" not in out


def test_other_warnings_pass_through():
    with pytest.warns(DeprecationWarning, match="old"), warnings_once():
        warnings.warn("old", DeprecationWarning, stacklevel=1)


def test_text_is_shown_as_it_is(capsys):
    say_error(f"[bold] :smile: {'x' * 300}")
    assert capsys.readouterr().err == f"lswag-fast: error: [bold] :smile: {'x' * 300}\n"


def test_a_terminal_that_cannot_show_a_text_gets_an_escape_and_bytes_as_they_were(monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    with any_text():
        say("caf\u00e9 \u2026 bad\udcff")
    assert out.buffer.getvalue() == b"caf\\xe9 \\u2026 bad\xff\n"
    assert out.errors == "strict"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_behind_standard_output_is_an_error_of_one_line(monkeypatch):
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(StorageError, match="cannot write to standard output: No space left on device"):
            say("much", _Output())  # keeps what it could not write
        with contextlib.suppress(OSError):
            full.close()
