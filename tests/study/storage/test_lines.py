"""The lines of a log: what is whole, and that a file of many is verified by its last line."""

from __future__ import annotations

import zlib

import pytest

from lswag_fast.errors import StorageError
from lswag_fast.study.storage import Record
from lswag_fast.study.storage.lines import BEGINNING, check_lines, checked_end, line_of, records_text

GROUPS = [[Record("a", 1, [2.5]), Record("b", "x", '],"crc32":')], [Record("a", 2, None)], [Record("a", 1, {})]]


@pytest.fixture
def lines() -> list[bytes]:
    lines: list[bytes] = []
    for group in GROUPS:
        lines.append(line_of(group, zlib.crc32(b"".join(lines))))
    return lines


def test_records_come_back_one_after_the_other(lines: list[bytes]) -> None:
    assert records_text(b"".join(lines)) == b'["a",1,[2.5],"b","x","],\\"crc32\\":","a",2,null,"a",1,{}]'
    assert all(line.startswith(BEGINNING) for line in lines)
    assert records_text(b"") == b"[]"


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(StorageError, match="JSON"):
        line_of([Record("a", 1, float("nan"))], 0)


def test_a_file_is_verified_up_to_its_last_whole_line(lines: list[bytes]) -> None:
    content = b"".join(lines)
    assert checked_end(content) == len(content)
    assert checked_end(content + b"torn") == len(content)
    assert checked_end(content[:-1]) == len(content) - len(lines[-1])
    assert checked_end(b"torn") is None
    assert checked_end(b"") is None


def test_every_bit_counts_and_only_the_line_it_is_in(lines: list[bytes]) -> None:
    content = b"".join(lines)
    for place in range(len(content)):
        bad = bytearray(content)
        bad[place] ^= 0x80
        assert checked_end(bytes(bad)) != len(content)
        n_line = [place < len(lines[0]), place < len(lines[0] + lines[1]), True].index(True)
        whole = list(check_lines(bytes(bad)))
        wanted = [number != n_line for number in range(len(lines))]
        if bad.count(b"\n") < len(lines):  # the end of a line: it is one with the next, or torn where it is the last
            del wanted[min(n_line + 1, len(lines) - 1)]
        assert whole == wanted
