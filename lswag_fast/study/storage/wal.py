"""SQLite's write-ahead log, read as a file: whether it holds transactions that SQLite will not take.

SQLite takes the frames of a log up to the first whose checksum is wrong and drops the rest without a word, since that
is what a killed process leaves of a transaction that it had not finished. A bit that flips in the middle of the log
looks the same to it, although whole transactions follow. Those can be told: each frame's checksum continues that of the
frame before, and its head says whether it ended a transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# https://www.sqlite.org/fileformat2.html#the_write_ahead_log
_MAGIC = {0x377F0682: "<u4", 0x377F0683: ">u4"}  # the order of bytes of the checksums
_HEAD_BYTES, _HEAD_SUMMED = 32, 24
_FRAME_HEAD_BYTES, _FRAME_SUMMED = 24, 8
_SMALLEST_PAGE, _LARGEST_PAGE = 512, 65536
# Of the big-endian words in the head of the log and of a frame.
_PAGE_SIZE, _LOG_SALT, _LOG_SUM = 2, slice(4, 6), slice(6, 8)
_SIZE_AFTER_COMMIT, _SALT, _SUM = 1, slice(2, 4), slice(4, 6)

Words = NDArray[np.uint32]


@dataclass(frozen=True)
class LostEnd:
    """The part of a log that SQLite will not take although it was written.

    Attributes:
        n_frames: how many frames SQLite takes.
        n_lost: how many frames follow them; None where the head of the log, which says how long they are, is damaged.
    """

    n_frames: int
    n_lost: int | None


def lost_end(path: Path) -> LostEnd | None:
    """Return what of a log is lost by damage; None for a whole log, or none, or what a killed process leaves.

    Damage is what no killed process leaves: a transaction that is whole by itself behind the place where the log
    breaks, or frames behind a head that is none. What cannot be told: a log that was cut short, and damage in its very
    last transaction. A process that is killed while it writes a frame over one of an earlier use of the file leaves the
    same.

    Args:
        path: `study.sqlite-wal`, which no process writes.

    Raises:
        OSError: it cannot be read.
    """
    content = path.read_bytes() if path.exists() else b""
    if len(content) < _HEAD_BYTES:
        return None
    head = np.frombuffer(content, ">u4", _HEAD_BYTES // 4)
    page_size = int(head[_PAGE_SIZE])
    if not _is_head(content, head):
        has_frames = len(content) - _HEAD_BYTES >= _FRAME_HEAD_BYTES + _SMALLEST_PAGE
        return LostEnd(0, None) if has_frames else None
    size = _FRAME_HEAD_BYTES + page_size
    n_frames = (len(content) - _HEAD_BYTES) // size
    if not n_frames:
        return None
    frames = np.frombuffer(content, np.uint8, n_frames * size, _HEAD_BYTES).reshape(n_frames, size)
    return _lost_frames(frames, head)


def _lost_frames(frames: NDArray[np.uint8], head: Any) -> LostEnd | None:
    heads = np.ascontiguousarray(frames[:, :_FRAME_HEAD_BYTES]).view(">u4")
    is_present = (heads[:, _SALT] == head[_LOG_SALT]).all(axis=1)
    is_commit = heads[:, _SIZE_AFTER_COMMIT] != 0
    order = _MAGIC[int(head[0])]
    before = np.concatenate([head[None, _LOG_SUM], heads[:-1, _SUM]]).astype(np.uint32)
    text = np.concatenate([frames[:, :_FRAME_SUMMED], frames[:, _FRAME_HEAD_BYTES:]], axis=1).view(order)
    follows = (_checksums(before, text) == heads[:, _SUM]).all(axis=1) & is_present
    n_whole = len(frames) if follows.all() else int(follows.argmin())
    if n_whole == len(frames):
        return None
    commits = np.flatnonzero(is_commit[:n_whole])
    n_taken = int(commits[-1]) + 1 if len(commits) else 0
    if (follows & is_commit)[n_whole:].any():
        return LostEnd(n_taken, len(frames) - n_taken)
    return None


def _is_head(content: bytes, head: Any) -> bool:
    order = _MAGIC.get(int(head[0]))
    page_size = int(head[_PAGE_SIZE])
    if order is None or not _SMALLEST_PAGE <= page_size <= _LARGEST_PAGE or page_size & (page_size - 1):
        return False
    text = np.frombuffer(content, order, _HEAD_SUMMED // 4)[None]
    return bool((_checksums(np.zeros((1, 2), np.uint32), text) == head[_LOG_SUM]).all())


def _checksums(before: Words, text: Any) -> Words:
    """SQLite's checksums of texts (n, words), each continuing one (n, 2): s0 += x + s1, s1 += y + s0 for each x, y.

    Each step is linear modulo 2**32, so that each word counts with a weight of its own.
    """
    n_pairs = text.shape[1] // 2
    weights = np.zeros((n_pairs + 1, 2, 2), dtype=np.uint32)
    weights[n_pairs] = np.eye(2)
    step = np.array([[1, 1], [1, 2]], dtype=np.uint32)  # (s0, s1) -> (s0 + s1, s0 + 2 s1)
    for pair in range(n_pairs - 1, -1, -1):
        weights[pair] = weights[pair + 1] @ step
    sums = before @ weights[0].T
    # x is added to both sums, y to the second.
    of_x = weights[1:] @ np.array([1, 1], dtype=np.uint32)
    of_y = weights[1:] @ np.array([0, 1], dtype=np.uint32)
    words = text.astype(np.uint32)
    checksums: Words = sums + words[:, 0::2] @ of_x + words[:, 1::2] @ of_y
    return checksums
