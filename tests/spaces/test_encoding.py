"""Text that is not JSON is refused in one line, whatever is wrong with it."""

from __future__ import annotations

import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.encoding import read_json


def test_any_json_is_read() -> None:
    assert read_json('{"depth": [1, 2.5, null]}') == {"depth": [1, 2.5, None]}


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, None], ids=["empty", "torn", "deep", "none"])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(SpaceError, match="architecture: not readable as JSON") as caught:
        read_json(text)
    assert len(str(caught.value)) < 300
