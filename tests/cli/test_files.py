"""Files that a command writes for the user."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lswag_fast.cli.files import check_targets, encoded, write_json
from lswag_fast.errors import InputError, StorageError


def test_json_has_null_for_what_is_no_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"values": (1.5, math.nan, {"a": math.inf}), "names": frozenset({"x"})}
    wanted = {"values": [1.5, None, {"a": None}], "names": ["x"]}
    assert write_json(str(tmp_path / "a.json"), content) is False
    assert json.loads((tmp_path / "a.json").read_text()) == wanted
    assert capsys.readouterr().out == ""
    assert write_json("-", content) is True
    assert json.loads(capsys.readouterr().out) == wanted
    assert write_json(None, content) is False


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
