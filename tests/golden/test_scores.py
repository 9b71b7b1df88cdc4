"""Every recorded score comes out again, bit for bit, on the kind of machine that it was recorded on."""

from __future__ import annotations

import json

import pytest

from golden.values import INSTRUCTION_SETS, SCORES_FILE, machine, values_under
from lswag_fast.kernels import isa_list

RECORDED = json.loads(SCORES_FILE.read_text())


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_no_bit_has_changed(isa: str) -> None:
    if machine() != RECORDED["machine"]:
        pytest.skip(f"recorded on {RECORDED['machine']}: torch's products have other bits on {machine()}")
    if isa not in isa_list():
        pytest.skip(f"this machine has no {isa}")
    assert values_under(isa) == RECORDED["values"][isa]
