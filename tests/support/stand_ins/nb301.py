"""A stand-in for the package nasbench301: a surrogate whose accuracy is counted, not learnt."""

from __future__ import annotations

import random
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


class Surrogate:
    """Predicts 90 % and a share of the separable convolutions, from the fields that the package reads."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        random.seed(1)
        np.random.seed(1)
        torch.manual_seed(1)  # as the package does

    def predict(self, config: Any, representation: str, with_noise: bool = True) -> Any:
        assert (representation, with_noise) == ("genotype", False)
        assert config.normal_concat == config.reduce_concat == [2, 3, 4, 5]
        edges = [*config.normal, *config.reduce]
        assert len(edges) == 16
        return np.float64(90 + sum(op.startswith("sep_conv") for op, _ in edges) / 4)


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, surrogate: Any = Surrogate) -> None:
    """Put the package in place, and name a folder that looks like one of its surrogates."""
    package: Any = types.ModuleType("nasbench301")
    package.load_ensemble = surrogate
    monkeypatch.setitem(sys.modules, "nasbench301", package)
    (folder / "0").mkdir(parents=True)
    (folder / "0" / "surrogate_model.model").touch()
    monkeypatch.setenv("LSWAG_NB301", str(folder))
