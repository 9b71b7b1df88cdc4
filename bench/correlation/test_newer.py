"""The newer proxies beside the packaged scores of the same cells."""

from __future__ import annotations

import pandas as pd

from bench.correlation.newer import RANKED, correlations


def test_own_columns_stay_packaged_ones_are_joined_and_the_ranked_proxy_is_made_of_its_parts() -> None:
    index = pd.Index([f"cell {k}" for k in range(12)], name="arch")
    up = pd.Series(range(12), index=index, dtype=float)
    scores = pd.DataFrame({"accuracy": up, "params": -up, "vkdnw_single": up, "elapsed_s": up})
    parts = dict.fromkeys(("jacov", "az_nas_expressivity", "az_nas_trainability", "flops"), up)
    packaged = pd.DataFrame({"params": up, "lswag": -up, **parts})
    found = correlations(scores, packaged, ["accuracy"]).set_index("proxy")["spearman"]
    assert found.to_dict() == {"params": -1, "vkdnw_single": 1, "lswag": -1, RANKED: 1}
    assert RANKED not in set(correlations(scores.drop(columns="vkdnw_single"), packaged, ["accuracy"])["proxy"])
