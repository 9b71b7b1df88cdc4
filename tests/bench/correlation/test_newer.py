"""The newer proxies beside the packaged scores of the same networks, and among some of them."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.correlation.newer import RANKED, correlations, is_whole
from lswag_fast.libra.windows import ComparisonWindow

INDEX = pd.Index([f"cell {k}" for k in range(24)], name="arch")
UP = pd.Series(range(24), index=INDEX, dtype=float)


def test_own_columns_stay_packaged_ones_are_joined_and_the_ranked_proxy_is_made_of_its_parts() -> None:
    scores = pd.DataFrame({"accuracy": UP, "params": -UP, "vkdnw_single": UP, "elapsed_s": UP})
    parts = dict.fromkeys(("jacov", "az_nas_expressivity", "az_nas_trainability", "flops"), UP)
    packaged = pd.DataFrame({"params": UP, "lswag": -UP, **parts})
    found = correlations(scores, ["accuracy"], packaged).set_index("proxy")["spearman"]
    expected = {"params": -1, "vkdnw_single": 1, "lswag": -1, **dict.fromkeys(parts, 1), RANKED: 1}
    assert found.round(9).to_dict() == expected
    assert RANKED not in set(correlations(scores.drop(columns="vkdnw_single"), ["accuracy"], packaged)["proxy"])


def test_groups_of_a_column_are_correlated_apart_and_small_ones_left_out() -> None:
    depth = pd.Series([2.0] * 12 + [4.0] * 10 + [6.0] * 2, index=INDEX)
    scores = pd.DataFrame({"accuracy": UP, "params": UP.where(depth == 2, -UP), "depth": depth})
    found = correlations(scores, ["accuracy"], by="depth").set_index("among")
    assert found["n"].to_dict() == {"all": 24, "depth 2": 12, "depth 4": 10}
    assert found["spearman"].round(9)[["depth 2", "depth 4"]].tolist() == [1, -1]


def test_a_window_adds_what_is_inside_it() -> None:
    scores = pd.DataFrame({"accuracy": UP, "params": 100 + UP})
    found = correlations(scores, ["accuracy"], window=ComparisonWindow("params", 0.2))
    assert found["inside"].round(9).tolist() == [1]


@pytest.mark.parametrize(
    ("cell", "whole"),
    [
        ("|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|none~1|skip_connect~2|", True),
        ("|none~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|", True),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|", True),  # no operation, none cut off
        ("|nor_conv_3x3~0|+|none~0|none~1|+|avg_pool_3x3~0|none~1|none~2|", False),  # nothing reads node 1
        ("|none~0|+|none~0|nor_conv_3x3~1|+|avg_pool_3x3~0|none~1|skip_connect~2|", False),  # nothing feeds node 1
    ],
)
def test_a_cell_is_whole_where_each_operation_leads_from_the_input_to_the_output(cell: str, whole: bool) -> None:
    assert is_whole(cell) is whole
