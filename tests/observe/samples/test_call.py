"""What the places of several tensors amount to."""

from __future__ import annotations

import torch

from lswag_fast.observe.samples.axis import SampleAxis
from lswag_fast.observe.samples.call import Call, Certainty, Mixed
from lswag_fast.observe.samples.rows import SampleRows

CALL = Call((1,), {"dim": 2}, torch.ones(4), [], n_samples=2)


def test_arguments_are_found_by_place_or_name() -> None:
    assert (CALL.argument(0, "input"), CALL.argument(1, "dim"), CALL.argument(2, "keepdim", default=False)) == (
        1,
        2,
        False,
    )


def test_rows_of_the_samples_in_order_are_an_axis_in_other_words() -> None:
    tokens, rows = SampleAxis(0, 1, 2), SampleRows(torch.tensor([0, 0, 1, 1]))
    assert CALL.agreed([tokens, rows]) == tokens
    assert CALL.agreed([rows, tokens]) == rows


def test_places_that_disagree_bring_samples_together() -> None:
    tokens, moved = SampleAxis(0, 1, 2), SampleRows(torch.tensor([1, 1, 0, 0]))
    assert CALL.agreed([moved, tokens]) == Mixed(tokens, Certainty.SURE)
    assert CALL.agreed([tokens, SampleAxis(0, 2, 1)]) == Mixed(None, Certainty.SURE)
    assert CALL.agreed([SampleAxis(1), SampleAxis(0)], Certainty.LIKELY) == Mixed(SampleAxis(0), Certainty.LIKELY)
    assert CALL.agreed([moved, SampleRows(torch.tensor([0, 1, 0, 1]))]) == Mixed(None, Certainty.SURE)


def test_nothing_known_is_nothing_said() -> None:
    assert CALL.agreed([]) is None
