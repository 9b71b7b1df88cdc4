"""Every recorded score comes out again, bit for bit, on the kind of machine that it was recorded on."""

from __future__ import annotations

import json

import pytest

from golden.values import INSTRUCTION_SETS, SCORES_FILE, SEED, Values, machine, networks, values_under
from lswag_fast import score_many
from lswag_fast.kernels import float32_isa, isa_list, set_isa

RECORDED = json.loads(SCORES_FILE.read_text())


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_no_bit_has_changed(isa: str) -> None:
    if machine() != RECORDED["machine"]:
        pytest.skip(f"recorded on {RECORDED['machine']}: torch's products have other bits on {machine()}")
    if isa not in isa_list():
        pytest.skip(f"this machine has no {isa}")
    recorded = RECORDED["values"][isa]
    assert of_recorded_proxies(values_under(isa), recorded) == recorded


@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
def test_instruction_sets_that_studies_take_for_one_have_the_same_bits() -> None:
    sets = [isa for isa in isa_list() if float32_isa(isa) != isa]
    if not sets:
        pytest.skip(f"there are {', '.join(isa_list())} here, each with bits of its own")
    for isa in sets:
        for name, (model, batch) in networks().items():
            found = []
            for own in (isa, float32_isa(isa)):
                set_isa(own)
                scores = score_many(model, batch, proxies=["lswag", "zico", "snip", "fisher", "nwot"], seed=SEED)
                found.append([(score.value, score.layers) for score in scores.values()])
            set_isa(None)
            assert found[0] == found[1], (isa, name)


def of_recorded_proxies(found: Values, recorded: Values) -> Values:
    """What was found of the proxies that were recorded: others may have been added since."""
    return {
        network: {
            dtype: {proxy: found[network][dtype].get(proxy) for proxy in proxies} for dtype, proxies in dtypes.items()
        }
        for network, dtypes in recorded.items()
    }
