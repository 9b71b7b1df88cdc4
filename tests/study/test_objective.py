import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.objective import Objective


def test_a_lower_is_better_proxy_is_turned():
    objective = Objective(("a", "b"), lower_is_better=("b",))
    assert objective.vector({"a": 1.0, "b": 2.0}) == (1.0, -2.0)
    assert Objective.from_dict(objective.to_dict()) == objective


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proxies": ()}, "one or more different proxies"),
        ({"proxies": ("a", "a")}, "one or more different proxies"),
        ({"proxies": ("a", "macs")}, "macs is a column of the results"),
        ({"proxies": ("a", "b"), "combine": "borda"}, "combine must be one of log_rank"),
    ],
)
def test_what_cannot_be_combined_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        Objective(**options)
