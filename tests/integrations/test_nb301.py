"""Accuracies of NAS-Bench-301, by a stand-in for its package: what it is asked, and what is refused."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from lswag_fast.errors import InputError, SpaceError
from lswag_fast.integrations import load_nb301
from lswag_fast.spaces import Darts, NasBench201, SearchSpace
from support.stand_ins import nb301

SKIPS = [["skip_connect", 0], ["skip_connect", 1]] * 4
SEPARABLE = [["sep_conv_3x3", 0], ["sep_conv_5x5", 1]] * 4


def test_it_is_asked_for_the_genotype(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nb301.install(monkeypatch, tmp_path / "xgb_v1.0")
    surrogate = load_nb301(Darts())
    assert (surrogate.name, surrogate.model.folder) == ("xgb_v1.0", str(tmp_path / "xgb_v1.0"))
    found = [surrogate.accuracy({"normal": cell, "reduce": SKIPS}) for cell in (SKIPS, SEPARABLE)]
    assert found == [90.0, 92.0]
    assert [type(value) for value in found] == [float, float]


def test_the_global_generators_are_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nb301.install(monkeypatch, tmp_path / "xgb")
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()
    load_nb301(Darts())
    assert random.getstate() == before[0]
    assert (np.random.get_state()[1] == before[1]).all() and torch.equal(torch.get_rng_state(), before[2])


@pytest.mark.parametrize(
    ("edge", "words"),
    [
        (["none", 0], r"^normal: node 3 has the operation 'none', which NAS-Bench-301 lacks"),
        (["sep_conv_3x3", 1], r"^normal: node 3 reads node 1 twice, which no genotype of NAS-Bench-301 does"),
    ],
)
def test_a_genotype_that_the_benchmark_lacks_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, edge: list[Any], words: str
) -> None:
    nb301.install(monkeypatch, tmp_path / "xgb")
    surrogate = load_nb301(Darts())
    with pytest.raises(SpaceError, match=words):
        surrogate.accuracy({"normal": [*SKIPS[:2], edge, ["skip_connect", 1], *SKIPS[4:]], "reduce": SKIPS})


@pytest.mark.parametrize("space", [NasBench201(), Darts(stem="imagenet", image_size=32)], ids=lambda space: space.name)
def test_another_space_has_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, space: SearchSpace) -> None:
    nb301.install(monkeypatch, tmp_path / "xgb")
    with pytest.raises(InputError, match=f"has genotypes of the space darts, none of {space.name}$"):
        load_nb301(space)


def test_a_folder_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nb301.install(monkeypatch, tmp_path / "xgb")
    monkeypatch.setenv("LSWAG_NB301", str(tmp_path / "gone"))
    with pytest.raises(InputError, match=r"^LSWAG_NB301: there is no folder .*gone; set it to that of a surrogate"):
        load_nb301(Darts())
    (tmp_path / "gone").mkdir()
    with pytest.raises(InputError, match=r"gone holds no \*surrogate_model\.model; set it"):
        load_nb301(Darts())
    for nothing in ("", None):
        monkeypatch.delenv("LSWAG_NB301") if nothing is None else monkeypatch.setenv("LSWAG_NB301", nothing)
        with pytest.raises(InputError, match="variable LSWAG_NB301 is not set; set it to the folder of a surrogate"):
            load_nb301(Darts())


def test_a_missing_package_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nb301.install(monkeypatch, tmp_path / "xgb")
    monkeypatch.delitem(sys.modules, "nasbench301")
    (tmp_path / "site").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    with pytest.raises(InputError, match=r"this needs nasbench301, which is not installed; pip install nasbench301$"):
        load_nb301(Darts())
    (tmp_path / "site" / "nasbench301.py").write_text("import no_such_package_of_trees\n")
    with pytest.raises(InputError, match="nasbench301 needs no_such_package_of_trees, which is not installed"):
        load_nb301(Darts())
    (tmp_path / "site" / "nasbench301.py").write_text("raise AttributeError('np.float is gone')\n")
    with pytest.raises(InputError, match=r"nasbench301 .* cannot be imported \(AttributeError: np.float is gone\)$"):
        load_nb301(Darts())


def test_a_surrogate_that_cannot_be_read_or_asked_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Broken(nb301.Surrogate):
        def predict(self, config: Any, representation: str, with_noise: bool = True) -> Any:
            raise KeyError("edge_normal_0")

    class Runtime(nb301.Surrogate):
        def predict(self, config: Any, representation: str, with_noise: bool = True) -> Any:
            return 5123.5

    def unreadable(folder: str) -> None:
        raise ValueError("the model was written\nby another version")

    arch = {"normal": SKIPS, "reduce": SKIPS}
    nb301.install(monkeypatch, tmp_path / "a", unreadable)
    with pytest.raises(InputError, match=r"cannot read .*a \(ValueError: the model was written by another version\)$"):
        load_nb301(Darts())
    nb301.install(monkeypatch, tmp_path / "b", Broken)
    with pytest.raises(InputError, match=r"the surrogate b cannot predict .KeyError: 'edge_normal_0'"):
        load_nb301(Darts()).accuracy(arch)
    nb301.install(monkeypatch, tmp_path / "c", Runtime)
    with pytest.raises(InputError, match=r"the surrogate c predicts 5123\.5, which is no accuracy in percent"):
        load_nb301(Darts()).accuracy(arch)
