import random

import pytest

from lswag_fast.errors import BudgetError
from lswag_fast.spaces import NasBench201
from lswag_fast.study.budget import Budget
from lswag_fast.study.candidate_pool import CandidatePool, Known, SpaceExhaustedError, check_reachable
from study.toy_space import ToySpace


def pool(space, seed=0, **budget):
    return CandidatePool(space, Budget(**budget), random.Random(seed))


def drain(source):
    found = []
    with pytest.raises(SpaceExhaustedError) as caught:
        while True:
            found.append(source.draw().arch)
    return found, str(caught.value)


def test_a_small_space_is_handed_out_whole_and_once():
    space = ToySpace(n_genes=2, max_width=4)
    found, message = drain(pool(space))
    assert len({space.encode(arch) for arch in found}) == len(found) == space.size == 16
    assert message == "all 16 architectures of toy were proposed"


def test_a_budget_is_handed_out_whole_and_once():
    space = ToySpace(n_genes=2, max_width=4)
    inside = [(a, b) for a in range(1, 5) for b in range(1, 5) if 8 <= 2 * a + a * b <= 12]
    found, message = drain(pool(space, params=(8, 12)))
    assert sorted(tuple(arch["widths"]) for arch in found) == inside
    assert f"after {len(inside)}" in message


def test_a_rare_corner_is_found():
    # One architecture in 8^8 meets it: chance alone would need 16 million draws.
    space = ToySpace(n_genes=8, max_width=8)
    most = space.n_params({"widths": [8] * 8})
    assert pool(space, params=(most, most)).draw().arch == {"widths": [8] * 8}


@pytest.mark.parametrize(
    ("budget", "nearest"),
    [({"params": "..2"}, "params 3"), ({"params": "1K.."}, "params 80"), ({"macs": "100..200"}, "macs 80")],
)
def test_an_impossible_budget_names_the_nearest_cost(budget, nearest):
    space = ToySpace(n_genes=2)  # from 2 + 1 to 16 + 64 parameters
    with pytest.raises(BudgetError, match=f"the nearest has {nearest}"):
        pool(space, **budget).draw()


def test_budgets_that_exclude_each_other_are_refused():
    with pytest.raises(BudgetError, match=r"params \.\.10, macs 50\.\..*the nearest has params \d+, macs \d+"):
        pool(ToySpace(n_genes=2), params="..10", macs="50..").draw()


def test_claim_refuses_what_is_known_or_too_dear():
    source = pool(ToySpace(n_genes=1), params="..10")
    assert source.claim({"widths": [5]})
    assert not source.claim({"widths": [5]})
    assert not source.claim({"widths": [6]})


class Listed(ToySpace):
    """Lists its parameter counts; drawing would tell nothing new."""

    def n_params_values(self):
        return (10, 20, 40)

    def sample(self, rng):
        raise RuntimeError("must not be drawn")


@pytest.mark.parametrize(
    ("window", "nearest"), [("..5", "10"), ("50..", "40"), ("21..39", "20 and 40"), ("11..19", "10 and 20")]
)
def test_a_space_that_lists_its_counts_names_both_neighbours(window, nearest):
    with pytest.raises(BudgetError, match=rf"nearest feasible: {nearest} \(the space reaches from 10 to 40\)"):
        check_reachable(Listed(), Budget(params=window), seed=0)


@pytest.mark.parametrize("window", ["..10", "10..", "40..", "15..20", "1..100"])
def test_a_listed_count_inside_the_window_is_enough(window):
    with pytest.raises(RuntimeError, match="must not be drawn"):
        check_reachable(Listed(), Budget(params=window), seed=0)


CELLS = NasBench201()
CONV = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|skip_connect~1|none~2|"
SAME = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"
OTHER = "|none~0|+|none~0|none~1|+|nor_conv_1x1~0|none~1|none~2|"


def claimed(known: Known, *cells: str) -> list[bool]:
    return [known.claim(cell, CELLS.decode(cell)) for cell in cells]


def test_only_the_first_of_a_function_is_taken_and_the_others_are_counted() -> None:
    known = Known(CELLS, keep_isomorphic=False)
    assert claimed(known, CONV, SAME, CONV, OTHER, SAME) == [True, False, False, True, False]
    assert known.n_isomorphic == 2  # SAME twice; CONV itself is known by its text
    assert len(known) == 2 and CONV in known and SAME not in known


@pytest.mark.parametrize("space", [CELLS, ToySpace()], ids=["kept", "a space that does not tell"])
def test_all_are_taken_where_isomorphic_ones_are_kept(space: object) -> None:
    known = Known(space, keep_isomorphic=space is CELLS)  # type: ignore[arg-type]
    assert known.keeps
    assert claimed(known, CONV, SAME, CONV) == [True, True, False]
    assert known.n_isomorphic == 0 and known.pending_functions == []


def test_what_was_not_kept_is_forgotten() -> None:
    known = Known(CELLS, keep_isomorphic=False)
    claimed(known, CONV)
    known.keep()
    claimed(known, SAME, OTHER)
    known.undo()
    assert len(known) == 1 and known.n_isomorphic == 0
    assert claimed(known, SAME, OTHER) == [False, True]


def test_what_an_architecture_computes_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    canonical = NasBench201.canonical
    monkeypatch.setattr(NasBench201, "canonical", lambda space, arch: asked.append(arch) or canonical(space, arch))
    known = Known(CELLS, keep_isomorphic=False)
    assert claimed(known, CONV, SAME, SAME, SAME) == [True, False, False, False]
    assert len(asked) == 2 and known.n_isomorphic == 3
    known.undo()  # and with it what SAME was the same as
    assert claimed(known, SAME, CONV) == [True, False]


def test_what_an_earlier_run_knew_is_known() -> None:
    earlier, known = Known(CELLS, keep_isomorphic=False), Known(CELLS, keep_isomorphic=False)
    claimed(earlier, CONV, SAME)
    known.restore([CONV], earlier.pending_functions, earlier.n_isomorphic)
    assert claimed(known, SAME, OTHER) == [False, True] and known.n_isomorphic == 2
