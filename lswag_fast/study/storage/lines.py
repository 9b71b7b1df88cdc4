"""The lines of a log: groups of records that know when they are damaged."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

from lswag_fast.study.storage.protocol import Record, encode

_HEAD = b'{"length":"%08x","records":['
_TAIL = b'],"crc32":"%08x"}\n'
_HEAD_BYTES, _TAIL_BYTES = len(_HEAD % 0), len(_TAIL % 0)
_SUMMED = _TAIL.index(b"%")  # bytes of the tail that its own sum covers
_END = _TAIL[_SUMMED:].replace(b"%08x", b"")
_SUM = re.compile(b"[0-9a-f]{8}")
BEGINNING = _HEAD[: _HEAD.index(b"%")]
"""Of every log."""


def line_of(records: Iterable[Record], checksum: int) -> bytes:
    """Return records as a line of a file that has this checksum so far. Raises StorageError for what is no JSON."""
    body = b",".join(encode(list(record))[1:-1] for record in records)
    line = _HEAD % len(body) + body
    return line + _TAIL % zlib.crc32(_TAIL[:_SUMMED], zlib.crc32(line, checksum))


def records_text(content: bytes) -> bytes:
    """Return the records of whole lines as one JSON list: kind, key, value, kind, key, value, ..."""
    lines = content.split(b"\n")
    lines.pop()
    return b"[" + b",".join([line[_HEAD_BYTES : 1 - _TAIL_BYTES] for line in lines]) + b"]"


def checked_end(content: bytes) -> int | None:
    """Return where the last line ends when all lines are what was written; None where that is not so."""
    end = content.rfind(b"\n") + 1
    if not content[:end].endswith(_END):
        return None
    summed = memoryview(content)[: max(0, end - _TAIL_BYTES + _SUMMED)]
    return end if zlib.crc32(summed) == _stored(content[:end]) else None


def check_lines(content: bytes) -> Iterator[bool]:
    """Yield for each line of a damaged file whether it is what was written.

    Its sum continues that of the line before, as that line says it, or as it should be where only that was damaged.
    """
    befores = {0}
    for text in content.split(b"\n")[:-1]:
        line = text + b"\n"
        sums = {zlib.crc32(line[: _SUMMED - _TAIL_BYTES], before) for before in befores}
        stored = _stored(line)
        is_whole = stored in sums and line.endswith(_END)
        yield is_whole
        # Of a damaged line both are guesses, and one each is enough.
        found = [stored] if is_whole else [min(sums), stored]
        befores = {zlib.crc32((_TAIL % checksum)[_SUMMED:], checksum) for checksum in found if checksum is not None}


def _stored(line: bytes) -> int | None:
    """The sum that a line holds at its end; None where there is none."""
    digits = line[_SUMMED - _TAIL_BYTES : -len(_END)]
    return int(digits, 16) if _SUM.fullmatch(digits) else None
