"""A damaged write-ahead log is told from what a killed process leaves, and what SQLite drops of it is said."""

from __future__ import annotations

import shutil
import sqlite3
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from lswag_fast.errors import LswagWarning
from lswag_fast.study.storage.sqlite import SQLiteStorage
from lswag_fast.study.storage.wal import LostEnd, lost_end
from lswag_fast.study.stored import read_study
from lswag_fast.study.study import Study
from study.toy_space import ToySpace

PAGE = 4096
HEAD, FRAME = 32, 24 + PAGE
N_TOLD = 6


def log_of(folder: Path) -> Path:
    return folder / "study.sqlite-wal"


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a killed run, whose log holds a whole number of frames."""
    place = tmp_path_factory.mktemp("cut")
    study = Study(ToySpace(5, 6), "random", place / "run", seed=4)
    for _ in range(N_TOLD):
        study.tell(study.ask(), 1.0)
    shutil.copytree(place / "run", place / "cut")
    study.close()
    for name in ("study.lock", "study.sqlite-shm"):
        (place / "cut" / name).unlink()
    assert (log_of(place / "cut").stat().st_size - HEAD) % FRAME == 0
    return place / "cut"


@pytest.fixture
def folder(cut: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(cut, tmp_path / "run"))


def flip(log: Path, place: int) -> None:
    content = bytearray(log.read_bytes())
    content[place] ^= 0x10
    log.write_bytes(content)


def frame_starts(log: Path) -> range:
    return range(HEAD, log.stat().st_size, FRAME)


def n_taken(folder: Path) -> int:
    """How many frames SQLite itself takes."""
    connection = sqlite3.connect(folder / "study.sqlite")
    (_, n_frames, _) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    connection.close()
    return int(n_frames)


def test_a_whole_log_and_none_are_not_damaged(folder: Path) -> None:
    assert lost_end(log_of(folder)) is None
    assert lost_end(folder / "no log") is None


# Of the first, a middle and a late frame: the number of its page, whether it commits, its salt, its sum, its page.
PLACES = [(which, place) for which in (0, 3, -3) for place in (3, 7, 9, 20, 24, 24 + 2000)]


@pytest.mark.parametrize(("which", "place"), PLACES)
def test_one_flipped_bit_in_any_frame_is_seen(folder: Path, which: int, place: int) -> None:
    starts = frame_starts(log_of(folder))
    flip(log_of(folder), starts[which] + place)
    lost = lost_end(log_of(folder))
    taken = n_taken(folder)
    assert lost == LostEnd(taken, len(starts) - taken)
    assert lost.n_frames <= range(len(starts))[which]


def test_damage_in_the_last_transaction_cannot_be_told_from_a_killed_process(folder: Path) -> None:
    flip(log_of(folder), frame_starts(log_of(folder))[-1] + 100)
    assert lost_end(log_of(folder)) is None


@pytest.mark.parametrize("place", range(0, HEAD, 3))
def test_one_flipped_bit_in_the_head_loses_everything(folder: Path, place: int) -> None:
    flip(log_of(folder), place)
    assert lost_end(log_of(folder)) == LostEnd(0, None)
    assert n_taken(folder) == 0


def test_a_log_that_was_cut_short_is_what_a_killed_process_leaves(folder: Path) -> None:
    content = log_of(folder).read_bytes()
    for size in range(0, len(content), 1013):
        log_of(folder).write_bytes(content[:size])
        assert lost_end(log_of(folder)) is None


def unfinished(content: bytes) -> bytes:
    """The last transaction without the frame that ends it."""
    return content[:-FRAME]


def half_written(content: bytes) -> bytes:
    """A frame of which its process wrote half, over one of an earlier use of the file."""
    older = bytearray(content[-FRAME:])
    older[8:16] = struct.pack(">2I", *struct.unpack(">2I", bytes(s - 1 for s in older[8:16])))
    return content[: HEAD + FRAME] + content[HEAD + FRAME :][:2000] + bytes(older)[2000:] + bytes(older)


@pytest.mark.parametrize("leave", [unfinished, half_written])
def test_an_unfinished_transaction_is_what_a_killed_process_leaves(folder: Path, leave: object) -> None:
    log = log_of(folder)
    log.write_bytes(leave(log.read_bytes()))  # type: ignore[operator]
    assert lost_end(log) is None


def test_frames_of_an_earlier_use_of_the_log_are_not_lost(tmp_path: Path) -> None:
    database = tmp_path / "study.sqlite"
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    for _ in range(20):
        connection.execute("INSERT INTO t VALUES (zeroblob(3000))")
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    connection.execute("INSERT INTO t VALUES (1)")
    log = tmp_path / "kept-wal"
    shutil.copy(log_of(tmp_path), log)
    connection.close()
    assert lost_end(log) is None
    assert log.stat().st_size > HEAD + 10 * FRAME


@pytest.fixture
def damaged(folder: Path) -> Iterator[Path]:
    flip(log_of(folder), frame_starts(log_of(folder))[-3] + 100)
    yield folder


def test_opening_says_what_is_lost_in_one_line_and_keeps_a_copy(damaged: Path) -> None:
    content = log_of(damaged).read_bytes()
    with pytest.warns(LswagWarning, match=r"study.sqlite-wal is damaged after \d+ of its \d+ pages") as caught:
        study = Study(ToySpace(5, 6), "random", damaged, seed=4)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert study.n_told < N_TOLD
    copy = damaged / "study.sqlite-wal.damaged-1"
    assert copy.name in str(caught[0].message)
    assert copy.read_bytes() == content
    study.close()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Study(ToySpace(5, 6), "random", damaged, seed=4).close()


def test_a_damaged_head_is_said_without_a_number_of_pages(folder: Path) -> None:
    flip(log_of(folder), 9)
    with pytest.warns(LswagWarning, match=r"study.sqlite-wal is damaged in its head: all that it held is lost"):
        SQLiteStorage(folder).open()


def test_no_copy_takes_the_place_of_an_earlier_one(damaged: Path) -> None:
    (damaged / "study.sqlite-wal.damaged-1").write_text("mine")
    with pytest.warns(LswagWarning, match="damaged-2"):
        SQLiteStorage(damaged).open()
    assert (damaged / "study.sqlite-wal.damaged-1").read_text() == "mine"


def test_a_reader_says_it_too_and_changes_nothing(damaged: Path) -> None:
    before = {path.name: path.read_bytes() for path in damaged.iterdir()}
    with pytest.warns(LswagWarning, match=r"is damaged after \d+ of its \d+ pages"):
        assert len(read_study(damaged).trials) < N_TOLD
    after = {path.name: path.read_bytes() for path in damaged.iterdir()}
    assert {name: after[name] for name in before} == before
    assert not [name for name in after if "damaged" in name]
