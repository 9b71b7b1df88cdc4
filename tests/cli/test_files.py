"""Files that a command writes for the user."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

from lswag_fast.cli.files import check_targets, encoded, write, write_json
from lswag_fast.errors import InputError, StorageError


def test_a_file_is_written_whole_with_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "page.html"
    write(path, b"whole")
    assert path.read_bytes() == b"whole"
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(StorageError, match="cannot write /dev/null/x"):
        write(Path("/dev/null/x"), b"")


def test_json_has_null_for_what_is_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"values": (1.5, math.nan, {"a": math.inf}), "names": frozenset({"x"})}
    wanted = {"values": [1.5, None, {"a": None}], "names": ["x"]}
    assert write_json(str(tmp_path / "a.json"), content) is False
    assert json.loads((tmp_path / "a.json").read_text()) == wanted
    assert capsys.readouterr().out == ""
    assert write_json("-", content) is True
    assert json.loads(capsys.readouterr().out) == wanted
    assert write_json(None, content) is False


def test_a_device_is_written_to_and_stays_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe", b"through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]
    if Path("/dev/full").exists():
        with pytest.raises(StorageError, match="cannot write /dev/full: No space left"):
            write(Path("/dev/full"), b"much")


def test_bytes_that_are_no_text_are_written_as_escapes() -> None:
    assert encoded("runs/\udcff \u00e9") == b"runs/\\udcff \xc3\xa9"


def test_results_take_no_place_of_each_other_or_of_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    read, there = tmp_path / "scores.csv", tmp_path / "file"
    read.touch()
    there.touch()
    check_targets({"--csv": Path("a.csv"), "--json": "-", "--plot": Path("new/folder/a.png"), "--out": None}, [read])
    with pytest.raises(InputError, match=r"--json: .*a\.csv is also what --csv names; name another file"):
        check_targets({"--csv": Path("a.csv"), "--json": str(tmp_path / "a.csv")})
    with pytest.raises(InputError, match=r"--csv: scores\.csv is what is read"):
        check_targets({"--csv": Path("./scores.csv")}, [read])
    with pytest.raises(StorageError, match=r"--csv: cannot write file/new/a\.csv: file is no folder"):
        check_targets({"--csv": Path("file/new/a.csv")})
    assert sorted(tmp_path.iterdir()) == [there, read]
