"""No architecture twice, and none that is the same function as an earlier one."""

from __future__ import annotations

import pytest

from lswag_fast.spaces import NasBench201
from lswag_fast.study.known import Known
from study.toy_space import ToySpace

SPACE = NasBench201()
CONV = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
SAME = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
OTHER = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"


def claimed(known: Known, *cells: str) -> list[bool]:
    return [known.claim(cell, SPACE.decode(cell)) for cell in cells]


def test_only_the_first_of_a_function_is_taken_and_the_others_are_counted() -> None:
    known = Known(SPACE, keep_isomorphic=False)
    assert claimed(known, CONV, SAME, CONV, OTHER, SAME) == [True, False, False, True, False]
    assert known.n_isomorphic == 2  # SAME twice; CONV itself is known by its text
    assert len(known) == 2 and CONV in known and SAME not in known


@pytest.mark.parametrize("space", [SPACE, ToySpace()], ids=["kept", "a space that does not tell"])
def test_all_are_taken_where_isomorphic_ones_are_kept(space: object) -> None:
    known = Known(space, keep_isomorphic=space is SPACE)  # type: ignore[arg-type]
    assert known.keeps
    assert claimed(known, CONV, SAME, CONV) == [True, True, False]
    assert known.n_isomorphic == 0 and known.pending_functions == []


def test_what_was_not_kept_is_forgotten() -> None:
    known = Known(SPACE, keep_isomorphic=False)
    claimed(known, CONV)
    known.keep()
    claimed(known, SAME, OTHER)
    known.undo()
    assert len(known) == 1 and known.n_isomorphic == 0
    assert claimed(known, SAME, OTHER) == [False, True]


def test_what_an_earlier_run_knew_is_known() -> None:
    earlier, known = Known(SPACE, keep_isomorphic=False), Known(SPACE, keep_isomorphic=False)
    claimed(earlier, CONV, SAME)
    known.restore([CONV], earlier.pending_functions, earlier.n_isomorphic)
    assert claimed(known, SAME, OTHER) == [False, True] and known.n_isomorphic == 2
