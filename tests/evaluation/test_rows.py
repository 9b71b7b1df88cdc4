"""The file of an evaluation: whole rows, one writer, the settings beside it."""

from __future__ import annotations

import errno
import io
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.evaluation.rows import RowFile, named_rows

COLUMNS = ("arch", "value")
SETTINGS: dict[str, Any] = {"seed": 0, "options": {"layers": (3, 4)}}


def write(path: Path, *archs: str, settings: dict[str, Any] = SETTINGS) -> frozenset[str]:
    """Open the file, add a row for each architecture; what it had before."""
    rows = RowFile(path, COLUMNS, settings)
    for arch in archs:
        rows.add({"value": 0.1, "arch": arch})
    rows.close()
    return rows.done


def test_what_was_added_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "scores.csv"
    assert write(path, "a", 'b,"c"') == frozenset()
    assert path.read_bytes().count(b"\n") == 3
    assert write(path, "d") == {"a", 'b,"c"'}
    assert json.loads((tmp_path / "new" / "scores.csv.json").read_text())["options"] == {"layers": [3, 4]}


def test_a_file_cut_at_any_byte_keeps_its_whole_rows(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write(path, "a", "b")
    content = path.read_bytes()
    header = content.index(b"\n") + 1
    for cut in range(header, len(content) + 1):
        path.write_bytes(content[:cut])
        assert len(write(path)) == content[:cut].count(b"\n") - 1
        assert path.read_bytes() == content[: content.rfind(b"\n", 0, cut) + 1]


def test_a_run_killed_before_its_first_row_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    (tmp_path / "scores.csv.json").write_text("{}")  # written before the file itself
    assert write(path, "a") == frozenset()
    assert write(path) == {"a"}


@pytest.mark.parametrize("content", ["{", "[]", "1", "\N{BELL}"])
def test_settings_that_are_none_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scores.csv"
    write(path, "a")
    (tmp_path / "scores.csv.json").write_text(content)
    with pytest.raises(StorageError, match=r"its settings .*scores\.csv\.json cannot be read"):
        write(path)


def test_every_difference_is_shown_and_the_file_is_left_free(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write(path, "a")
    with pytest.raises(StorageError, match=r"seed was 0, now 1; options\.layers was \[3, 4\], now nothing"):
        write(path, settings={"seed": 1, "options": {}})
    assert write(path) == {"a"}


@pytest.mark.parametrize("content", [b"arch,value\n\xff,1\n", b"arch,value\n" + b"a" * 200_000 + b",1\n"])
def test_what_is_no_csv_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scores.csv"
    write(path)
    path.write_bytes(content + b"torn")
    with pytest.raises(StorageError, match=r"scores\.csv cannot be read as CSV"):
        write(path)
    assert path.read_bytes() == content + b"torn"


def test_the_names_of_a_files_rows_are_those_of_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    write(path, "a", 'b,"c"')
    path.write_bytes(path.read_bytes() + b"torn")
    assert named_rows(path) == {"a", 'b,"c"'}
    with pytest.raises(StorageError, match="cannot read"):
        named_rows(tmp_path)


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    rows = RowFile(path, COLUMNS, SETTINGS)
    with pytest.raises(StorageError, match=r"scores\.csv is being written by process"):
        RowFile(path, COLUMNS, SETTINGS)
    rows.close()
    write(path)


class NearlyFull(io.FileIO):
    """A file on a disk with room for so many more bytes, of which a write takes what fits."""

    room = 0

    def write(self, content: Any) -> int:
        taken = min(len(content), self.room)
        self.room -= taken
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(content[:taken])


def test_a_row_that_does_not_fit_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scores.csv"
    write(path, "a")
    before = path.read_bytes()
    rows = RowFile(path, COLUMNS, SETTINGS)
    file = NearlyFull(path, "ab")
    monkeypatch.setattr(rows, "_file", file)
    file.room = 3
    with pytest.raises(StorageError, match=r"cannot write to .*scores\.csv: No space left on device"):
        rows.add({"arch": "b", "value": 0.1})
    assert path.read_bytes() == before
    file.room = 1000
    rows.add({"arch": "c", "value": 0.1})
    rows.close()
    assert write(path) == {"a", "c"}


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"cannot write to .*scores\.csv"):
        write(tmp_path / "file" / "scores.csv")


@pytest.mark.parametrize("n_rows", [0, 1])
def test_a_refusal_takes_a_file_without_rows_away(tmp_path: Path, n_rows: int) -> None:
    path = tmp_path / "scores.csv"
    write(path, *"a" * n_rows)
    rows = RowFile(path, COLUMNS, SETTINGS)
    with closing(rows), pytest.raises(StorageError, match="no"), rows.discarded_if_refused():
        raise StorageError("no")
    assert path.exists() == (tmp_path / "scores.csv.json").exists() == bool(n_rows)
    assert write(path) == frozenset("a" * n_rows)  # the lock was given back


def test_the_first_error_is_the_one_that_is_raised(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    rows = RowFile(path, COLUMNS, SETTINGS)
    with closing(rows), pytest.raises(StorageError, match="no"), rows.discarded_if_refused():
        path.write_bytes(b"\xff\n")  # not to be read
        raise StorageError("no")


def test_what_else_ends_a_run_leaves_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "scores.csv"
    rows = RowFile(path, COLUMNS, SETTINGS)
    with closing(rows), pytest.raises(KeyboardInterrupt), rows.discarded_if_refused():
        raise KeyboardInterrupt
    assert path.exists()
