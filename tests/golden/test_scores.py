"""Every recorded score comes out again, bit for bit, on the kind of machine that it was recorded on."""

from __future__ import annotations

import json

import pytest

from golden.values import INSTRUCTION_SETS, SCORES_FILE, Values, machine, values_under
from lswag_fast.kernels import isa_list

RECORDED = json.loads(SCORES_FILE.read_text())


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_no_bit_has_changed(isa: str) -> None:
    if machine() != RECORDED["machine"]:
        pytest.skip(f"recorded on {RECORDED['machine']}: torch's products have other bits on {machine()}")
    if isa not in isa_list():
        pytest.skip(f"this machine has no {isa}")
    recorded = RECORDED["values"][isa]
    assert of_recorded_proxies(values_under(isa), recorded) == recorded


def of_recorded_proxies(found: Values, recorded: Values) -> Values:
    """What was found of the proxies that were recorded: others may have been added since."""
    return {
        network: {
            dtype: {proxy: found[network][dtype].get(proxy) for proxy in proxies} for dtype, proxies in dtypes.items()
        }
        for network, dtypes in recorded.items()
    }
