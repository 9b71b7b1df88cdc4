"""The log: torn at any byte, damaged in the middle, read while it grows."""

from __future__ import annotations

import json
import warnings
import zlib
from pathlib import Path

import pytest

from lswag_fast.errors import LswagWarning, StorageError, StorageVersionError
from lswag_fast.study.storage import LogStorage, Record, get_storage
from lswag_fast.study.storage.log import LOG_FILE

FIRST = [Record("attr", "a", 1)]
LATER = [[Record("result", number, [number, "x"])] for number in range(3)]


@pytest.fixture
def log(tmp_path: Path) -> bytes:
    """The content of a log of five lines: version, first group, three more."""
    storage = LogStorage(tmp_path / "whole")
    storage.open()
    storage.begin(FIRST)
    for records in LATER:
        storage.write(records)
    storage.close()
    return (tmp_path / "whole" / LOG_FILE).read_bytes()


def folder_with(content: bytes, folder: Path) -> Path:
    folder.mkdir()
    (folder / LOG_FILE).write_bytes(content)
    return folder


def test_a_torn_end_is_cut_at_every_byte_said_once_and_kept(log: bytes, tmp_path: Path) -> None:
    ends = [place + 1 for place, byte in enumerate(log) if byte == ord("\n")]
    for size in range(len(log)):
        folder = folder_with(log[:size], tmp_path / str(size))
        whole = max((end for end in ends if end <= size), default=0)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            storage = LogStorage(folder)
            found = storage.open()
            storage.close()
        n_results = max(0, ends.index(whole) - 1) if whole else 0
        assert len((found or {}).get("result", {})) == n_results
        assert (folder / LOG_FILE).read_bytes() == log[:whole]
        if whole == size:
            assert not caught
        else:
            (warning,) = caught
            assert issubclass(warning.category, LswagWarning)
            assert "\n" not in str(warning.message)
            assert warning.filename == __file__
            assert (folder / f"{LOG_FILE}.torn-{whole}").read_bytes() == log[whole:size]


def test_a_reader_leaves_a_torn_end_alone(log: bytes, tmp_path: Path) -> None:
    folder = folder_with(log[:-5], tmp_path / "run")
    assert len(LogStorage(folder).read()["result"]) == 2
    assert (folder / LOG_FILE).read_bytes() == log[:-5]


def test_a_flipped_bit_is_refused_where_whole_lines_follow(log: bytes, tmp_path: Path) -> None:
    last = log[:-1].rfind(b"\n")
    for place in range(0, last, 7):
        bad = log[:place] + bytes([log[place] ^ 0x80]) + log[place + 1 :]
        folder = folder_with(bad, tmp_path / str(place))
        for use in (LogStorage(folder).open, LogStorage(folder).read):
            with pytest.raises(StorageError, match=r"damaged|not a study") as caught:
                use()
            assert "\n" not in str(caught.value)
        assert (folder / LOG_FILE).read_bytes() == bad


def test_damage_of_the_last_whole_line_is_cut_off_and_kept(log: bytes, tmp_path: Path) -> None:
    last = log[:-1].rfind(b"\n") + 1
    for place in range(last, len(log), 5):
        bad = log[:place] + bytes([log[place] ^ 0x80]) + log[place + 1 :]
        folder = folder_with(bad, tmp_path / str(place))
        with pytest.warns(LswagWarning, match="ended in the middle of a record"):
            storage = LogStorage(folder)
            assert len((storage.open() or {})["result"]) == 2
        storage.write(LATER[2])  # the sums continue with what is left
        storage.close()
        assert (folder / LOG_FILE).read_bytes() == log
        assert (folder / f"{LOG_FILE}.torn-{last}").read_bytes() == bad[last:]


def test_every_line_is_json_with_its_length_and_the_sum_of_all_before(log: bytes) -> None:
    end = 0
    for line in log.splitlines(keepends=True):
        found = json.loads(line)
        assert int(found["length"], 16) + len("[]") == len(json.dumps(found["records"], separators=(",", ":")))
        end += len(line)
        summed = log[: end - len('00000000"}\n')]
        assert int(found["crc32"], 16) == zlib.crc32(summed)


@pytest.mark.parametrize("content", [b"mine\n", b"\x00" * 100, b'{"a": 1}\n'])
def test_another_programs_file_is_left_alone(content: bytes, tmp_path: Path) -> None:
    folder = folder_with(content, tmp_path / "run")
    with pytest.raises(StorageError, match="not a study of lswag-fast"):
        LogStorage(folder).open()
    assert (folder / LOG_FILE).read_bytes() == content


def test_a_later_version_is_refused(log: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = folder_with(log, tmp_path / "run")
    monkeypatch.setattr("lswag_fast.study.storage.schema.SCHEMA_VERSION", 1)
    with pytest.raises(StorageVersionError, match="schema version 2, this lswag-fast reads up to 1"):
        LogStorage(folder).read()


def test_a_folder_with_a_log_is_recognised(log: bytes, tmp_path: Path) -> None:
    assert isinstance(get_storage(folder_with(log, tmp_path / "run")), LogStorage)


def test_a_write_that_fails_leaves_no_part_of_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lswag_fast.study.storage import log as module

    storage = LogStorage(tmp_path / "run")
    storage.open()
    storage.begin(FIRST)
    write = module.os.write
    before = (tmp_path / "run" / LOG_FILE).read_bytes()

    def full(descriptor: int, data: bytes) -> int:
        write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "write", full)
        with pytest.raises(StorageError, match="No space left on device"):
            storage.write(LATER[0])
    assert (tmp_path / "run" / LOG_FILE).read_bytes() == before
    with pytest.raises(StorageError, match="JSON"):
        storage.write([Record("attr", "a", object())])
    storage.write(LATER[1])
    storage.close()
    assert list(LogStorage(tmp_path / "run").read()["result"]) == [1]


def test_other_line_ends_are_damage_and_not_a_torn_end(log: bytes, tmp_path: Path) -> None:
    (tmp_path / LOG_FILE).write_bytes(log.replace(b"\n", b"\r\n"))
    with pytest.raises(StorageError, match="damaged: line 1 is not what was written"):
        LogStorage(tmp_path).open()
    assert [path.name for path in tmp_path.glob("*.torn-*")] == []
