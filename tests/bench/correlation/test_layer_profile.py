"""The profile by depth, of networks whose layers are made up."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from bench.correlation.layer_profile import STATISTICS, cluster_of, plot, profile


def layer(name: str, percentile: int, sum_inv_sigma: float) -> dict[str, Any]:
    """A layer of ten weights."""
    return {
        "name": name,
        "percentile": percentile,
        "n_weights": 10,
        "sum_inv_sigma": sum_inv_sigma,
        "sum_mu_over_sigma": 5.0,
    }


def test_the_statistics_of_a_layer() -> None:
    found = {name: of(layer("a", 0, 100.0)) for name, of in STATISTICS.items()}
    assert found == pytest.approx(
        {"mu / sigma": 0.5, "ln sigma": math.log(0.1), "1 / Lambda": 1 / math.log(100)}, rel=1e-12
    )
    assert math.isnan(STATISTICS["1 / Lambda"](layer("a", 0, 1.0)))  # Lambda is 0


def test_transformers_are_clustered_by_blocks_and_cells_by_the_nearest_number_of_layers() -> None:
    assert cluster_of('{"depth":13,"embed_dim":192}', 54) == "13 blocks"
    assert cluster_of("|none~0|", 23) == "20 layers"
    assert cluster_of('{"matrix":[],"ops":[]}', 98) == "60 layers"


def test_a_bin_has_the_median_over_networks_of_the_mean_over_its_layers() -> None:
    cells = {
        json.dumps({"depth": depth}): {
            "layers": [layer("0.qkv.weight", 4, 10 * math.e), layer("0.fc1.weight", 4, 10 * math.exp(depth))]
        }
        for depth in (1, 3, 7)
    }
    found = profile(cells)
    rows = found[found["statistic"] == "ln sigma"].set_index("cluster")[["low", "median", "high", "n"]]
    assert rows.loc["all"].tolist() == pytest.approx([-3, -2, -1.5, 3])
    assert rows.loc["7 blocks"].tolist() == pytest.approx([-4, -4, -4, 1])
    assert rows.loc["without qkv", "median"] == pytest.approx(-3)
    assert len(plot(found.assign(space="toy")).axes) == len(STATISTICS)


def test_networks_without_attention_have_no_row_without_it() -> None:
    found = profile({"|none~0|": {"layers": [layer("classifier.weight", 10, 2.0)]}})
    assert set(found["cluster"]) == {"all", "20 layers"}
