"""Every space that has a name, and one of the user's own of grey images, by every command that scores networks."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from lswag_fast import spaces
from lswag_fast.cli import main

CELLS = ["--image-size", "16", "--space-set", "channels=4"]
IMAGES = ["--image-size", "32", "--num-classes", "10"]
TEXTS = ["--length", "8"]
SIZES = {
    "autoformer-tiny": IMAGES,
    "autoformer-small": IMAGES,
    "autoformer-base": IMAGES,
    "nasbench101": [*CELLS, "--space-set", "cells_per_stack=1"],
    "nasbench201": [*CELLS, "--space-set", "cells_per_stage=1"],
    "transnas-micro": [*CELLS, "--image-size", "32"],
    "transnas-macro": [*CELLS, "--image-size", "64"],
    "darts": [*CELLS, "--space-set", "n_cells=3"],
    "darts-imagenet": [*CELLS, *IMAGES, "--space-set", "n_cells=3"],
    "proxylessnas": [*IMAGES, "--space-set", "stage_widths=8,8,8,8,8,8"],
    "burgerformer": IMAGES,
    "flexibert": TEXTS,
    "gpt": TEXTS,
    "grey_space:make": [],
}
"""The smallest networks of each that the command line makes."""
LARGE = {"autoformer-small", "autoformer-base", "burgerformer", "flexibert", "gpt"}
GREY = """
from torch import nn

from support.user_networks import Mlps

class Grey(Mlps):
    name = "grey"
    input_shape = (1, 8, 8)

    def macs(self, arch):
        a, b = arch["widths"]
        return 64 * a + a * b + b * 10

    def build(self, arch, weights=None):
        a, b = arch["widths"]
        return nn.Sequential(nn.Flatten(), nn.Linear(64, a), nn.ReLU(), nn.Linear(a, b), nn.ReLU(), nn.Linear(b, 10))

def make():
    return Grey()
"""


def test_every_name_is_here() -> None:
    assert set(SIZES) - {"grey_space:make"} == set(spaces.names())


@pytest.mark.filterwarnings("ignore::lswag_fast.errors.LswagWarning")  # a BatchNorm in train mode, a small batch
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LARGE else ()) for name in SIZES]
)
def test_it_is_searched_scored_evaluated_and_studied(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "grey_space.py").write_text(GREY)
    monkeypatch.chdir(tmp_path)
    given = [*SIZES[name], "--batch-size", "4"]
    scored = [*given, "--proxies", "grad_norm,params"]

    assert main(["search", name, *scored, "--trials", "2", "--sampler", "random", "--out", "run"]) == 0
    trials = pd.read_csv("run/trials.csv")
    assert len(trials) == 2 and trials["error"].isna().all()
    assert (trials["params"] == trials["n_params"]).all() and (trials["grad_norm"] > 0).all()

    arch = trials["arch"].iloc[0]
    capsys.readouterr()
    assert main(["score", f"{name}:{arch}", *scored, "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)["scores"]
    assert found["params"]["value"] == trials["params"].iloc[0] and found["grad_norm"]["value"] > 0

    trials[["arch", "n_params"]].to_csv("table.csv", index=False)
    assert main(["evaluate", name, *scored, "--table", "table.csv", "--out", "scores.csv"]) == 0
    rows = pd.read_csv("scores.csv").set_index("arch")
    assert rows["errors"].isna().all() and rows["grad_norm"].nunique() == 2
    assert (rows["params"] == rows["n_params"]).all()

    capsys.readouterr()
    assert main(["layers", name, *given, "--trials", "2", "--json", "-"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert content["n_networks"] == 2 and any(row["n"] for row in content["bins"])
