"""The one table of costs: names, and values as a person reads them."""

from __future__ import annotations

from dataclasses import fields

import pytest

from lswag_fast.errors import InputError
from lswag_fast.study.budget import Budget
from lswag_fast.study.costs import COSTS, get_cost, write_count
from lswag_fast.study.trial import Trial


@pytest.mark.parametrize(
    ("value", "text"),
    [(950, "950"), (1200, "1.2 K"), (5712345, "5.712 M"), (1.2e9, "1.2 G"), (2.5e12, "2.5 T"), (0, "0")],
)
def test_counts_have_four_digits_and_a_unit(value: float, text: str) -> None:
    assert write_count(value) == text


def test_costs_have_their_unit() -> None:
    assert get_cost("n_params").write(5_712_345.0) == "5.712 M"
    assert get_cost("latency_ms").write(3.14159) == "3.142 ms"
    assert get_cost("latency_ms").write(None) == "-"
    assert get_cost("latency_ms").label == "latency (ms)"


def test_every_cost_is_a_field_of_a_trial_and_a_quantity_of_a_budget() -> None:
    assert {cost.budget for cost in COSTS.values()} == {field.name for field in fields(Budget)}
    assert set(COSTS) <= {field.name for field in fields(Trial)}


def test_an_unknown_cost_is_refused() -> None:
    with pytest.raises(InputError, match="cost must be one of n_params, macs, latency_ms; found 'flops'"):
        get_cost("flops")
