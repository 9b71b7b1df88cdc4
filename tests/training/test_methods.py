"""Methods by name, and what they need."""

import pytest

from lswag_fast.errors import InputError
from lswag_fast.libra.stored import Selection
from lswag_fast.training.methods import METHODS, chosen_methods

SELECTION = Selection(("zico", "nwot"), "log_rank", {}, weights=(2.0, 1.0))


def test_all_that_can_be_had():
    assert [method.name for method in chosen_methods()] == ["random", "lswag", "nwot", "az_nas", "params"]
    every = chosen_methods(selection=SELECTION, has_supernet=True)
    assert tuple(method.name for method in every) == METHODS


def test_libra_is_the_selection():
    (libra,) = chosen_methods(["libra"], selection=SELECTION)
    assert (libra.proxies, libra.combine, libra.rank_weights) == (("zico", "nwot"), "log_rank", (2.0, 1.0))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["lswag", "magik"], "there is no method 'magik'; there are random, inherited_accuracy"),
        (["libra"], r"the method libra needs a selection .*: libra:FILE"),
        (["inherited_accuracy"], "needs a trained supernet: --supernet DIR"),
        (["nwot", "nwot"], "a method comes twice: nwot, nwot"),
    ],
)
def test_what_cannot_be_had(names, message):
    with pytest.raises(InputError, match=message):
        chosen_methods(names)
