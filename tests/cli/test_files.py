"""Files that a command writes for the user."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from lswag_fast.cli.files import write, write_json
from lswag_fast.errors import StorageError


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
