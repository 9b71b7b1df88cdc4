"""Where a page shows a table."""

from __future__ import annotations

import pytest

from bench.pages import blocks

PAGE = """Before.

<!-- table: a -->
old
<!-- end -->
Between.
<!-- table: b-2 -->
<!-- end -->
"""


def test_what_stands_between_the_marks_is_replaced_and_nothing_else() -> None:
    filled = blocks.filled(PAGE, str.upper)
    assert filled == PAGE.replace("old", "A").replace("b-2 -->\n", "b-2 -->\nB-2\n")
    assert blocks.filled(filled, str.upper) == filled


def test_a_page_names_its_tables() -> None:
    assert blocks.names(PAGE) == ["a", "b-2"]
    assert blocks.names("See `<!-- table: NAME -->` for how.") == []


@pytest.mark.parametrize("removed", ["old\n<!-- end -->", "b-2 -->\n<!-- end -->"])
def test_a_table_that_does_not_end_is_refused(removed: str) -> None:
    with pytest.raises(ValueError, match=r"has no line <!-- end -->"):
        blocks.filled(PAGE.replace(removed, removed.replace("<!-- end -->", "")), str.upper)
