"""The texts of records: what is read is what was written, whichever reader reads it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lswag_fast.study.storage.protocol import decode_all, decode_list, encode

_NUMBERS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
# Text with halves of surrogate pairs too: names of files that are no UTF-8 hold them.
_TEXT = st.text(st.characters(codec=None, exclude_categories=()))
_JSON = st.recursive(_NUMBERS | _TEXT, lambda inner: st.lists(inner) | st.dictionaries(_TEXT, inner), max_leaves=8)


def exact(value: Any) -> str:
    """Text that differs wherever two values do: -0.0 and 0.0, 1 and 1.0, and the last bit of a float."""
    return json.dumps(value, sort_keys=True)


@given(st.lists(_JSON))
def test_what_is_read_is_what_was_written(values: list[Any]) -> None:
    found = decode_all(map(encode, values))
    assert exact(found) == exact(values)


@pytest.mark.parametrize("text", [b"[NaN]", b"[1e999, Infinity]", b"[1,]", b"[1", b'["\xff"]', b"1] [2"])
def test_refuses_what_no_record_holds(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_list(text)


def test_refuses_records_that_are_not_as_many_as_their_values() -> None:
    with pytest.raises(ValueError, match="2 records hold 3 values"):
        decode_all([b"1,2", b"3"])
