"""What a packaged selection is worth: a row for each way, whatever the selection is made of."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from bench.libra.packaged_selection import add_figures, figures, with_figures
from lswag_fast.libra.held_out import Figure, HeldOut

FOUND = HeldOut(
    selection=Figure(0.3, -0.1, 0.5),
    best_alone=Figure(0.29, -0.1, 0.4),
    alone={"fisher": Figure(0.4, 0.2, 0.5), "params": Figure(0.1, 0.0, 0.3)},
    n_rows=73,
    n_halves=20,
    members=Figure(0.4, 0.2, 0.5),
)


def test_one_proxy_does_not_stand_for_what_the_rule_selects() -> None:
    rows = figures(FOUND, "autoformer-base", ["fisher"]).set_index("way")
    assert rows["rho"].to_dict() == {"rule": 0.3, "best_member": 0.29, "fisher": 0.4, "params": 0.1}


def test_figures_of_a_space_replace_its_older_ones(tmp_path: Path) -> None:
    path = tmp_path / "packaged.csv"
    for space in ("nasbench201", "autoformer-base", "nasbench201"):
        add_figures(figures(FOUND, space, ["fisher", "params"]), path)
    found = pd.read_csv(path)
    assert list(found["space"]) == ["autoformer-base"] * 5 + ["nasbench201"] * 5
    assert list(found["way"][:5]) == ["rule", "best_member", "fisher params", "fisher", "params"]


def test_a_selection_that_is_kept_has_other_figures_only(tmp_path: Path) -> None:
    path = tmp_path / "space.json"
    stored = {"selection": ["zico"], "fitted_on": {"n_rows": 50}, "held_out": {"n_rows": 50}}
    path.write_text(json.dumps(stored))
    found = with_figures(path, FOUND)
    assert {**found, "held_out": None} == {**stored, "held_out": None}
    assert found["held_out"]["n_rows"] == FOUND.n_rows
