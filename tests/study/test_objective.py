import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.objective import Objective


def test_a_lower_is_better_proxy_is_turned():
    objective = Objective(("a", "b"), lower_is_better=("b",))
    assert objective.vector({"a": 1.0, "b": 2.0}) == (1.0, -2.0)
    assert Objective.from_dict(objective.to_dict()) == objective


def test_weights_are_stored_where_there_are_some():
    weighed = Objective(("a", "b"), rank_weights=(0.25, 0.75))
    assert Objective.from_dict(weighed.to_dict()) == weighed
    assert weighed.to_dict()["rank_weights"] == [0.25, 0.75]
    assert "rank_weights" not in Objective(("a", "b")).to_dict()  # a study without them is what it was


def test_a_proxy_with_a_weight_below_0_counts_against():
    assert Objective(("a", "b"), rank_weights=(0.75, -0.25)).against == ("b",)
    assert Objective(("a", "b"), rank_weights=(0.75, 0.25)).against == Objective(("a", "b")).against == ()
    with pytest.raises(InputError, match="a cannot count against without another proxy"):
        Objective(("a",), rank_weights=(-1.0,))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": ()}, "one or more different proxies"),
        ({"proxies": ("a", "a")}, "one or more different proxies"),
        ({"proxies": ("a", "macs")}, "macs is a column of the results"),
        ({"proxies": ("a", "b"), "combine": "borda"}, "combine must be one of log_rank"),
        ({"proxies": ("a", "b"), "rank_weights": (1.0,)}, "a number other than 0 for each of a, b"),
        ({"proxies": ("a", "b"), "rank_weights": (1.0, 0.0)}, "a number other than 0 for each of a, b"),
        ({"proxies": ("a", "b"), "rank_weights": (1, 2), "combine": "product"}, "rank weights are for log_rank"),
    ],
)
def test_what_cannot_be_combined_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Objective(**options)
