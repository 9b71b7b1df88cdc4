"""Stored selections: what is read back, what is refused, and what is packaged."""

from __future__ import annotations

import json
import pickle
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lswag_fast import Libra, list_proxies
from lswag_fast.errors import InputError, StorageError
from lswag_fast.libra.held_out import Figure, HeldOut
from lswag_fast.libra.stored import SCHEMA_VERSION, Selection, packaged_selection, read_selection
from support.stand_ins.full_disk import fill

WORDS: dict[str, Any] = {
    "schema_version": SCHEMA_VERSION,
    "selection": ["lswag", "jacov", "params"],
    "combine": "mean_rank",
    "fitted_on": {"target": "acc", "n_rows": 40},
}


def written(folder: Path, content: Any) -> Path:
    path = folder / "selection.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_what_libra_saves_is_read_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    acc = rng.normal(size=40)
    columns = {name: acc + 0.2 * rng.normal(size=40) for name in ("params", "nwot", "zen", "snip")}
    libra = Libra(rule="halves", combine="mean_rank").fit(pd.DataFrame({"acc": acc, **columns}), "acc")
    libra.save(tmp_path / "selection.json")
    found = read_selection(tmp_path / "selection.json")
    assert found.proxies == libra.selection
    assert found.combine == "mean_rank"
    assert found.fitted_on == libra.to_dict()["fitted_on"]


def test_a_full_disk_leaves_the_old_selection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, WORDS)
    values = np.arange(20.0)
    libra = Libra().fit(pd.DataFrame(dict.fromkeys(("acc", "params", "nwot", "zen"), values)), "acc")
    fill(monkeypatch)
    with pytest.raises(StorageError, match=r"cannot write .*selection\.json: No space left on device"):
        libra.save(path)
    assert read_selection(path).proxies == ("lswag", "jacov", "params")
    assert list(tmp_path.iterdir()) == [path]


def test_a_selection_travels_between_processes(tmp_path: Path) -> None:
    found = read_selection(written(tmp_path, WORDS))
    assert found == Selection(("lswag", "jacov", "params"), "mean_rank", {"target": "acc", "n_rows": 40})
    assert pickle.loads(pickle.dumps(found)) == found


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"schema_version": 3}, StorageError, "has version 3, this package reads 1 and 2"),
        ({"schema_version": None}, StorageError, "has version None"),
        ({"selection": "lswag"}, StorageError, "'selection' is 'lswag', expected names of proxies"),
        ({"selection": []}, StorageError, r"'selection' is \[\]"),
        ({"selection": ["lswag", 3]}, StorageError, r"'selection' is \['lswag', 3\]"),
        ({"fitted_on": None}, StorageError, "'fitted_on' is None"),
        ({"selection": ["lswag", "nwott"]}, InputError, "there is no proxy 'nwott'; did you mean 'nwot'"),
        ({"selection": ["lswag", "az_nas"]}, InputError, "az_nas is made of ranks .* az_nas_expressivity"),
        ({"selection": ["lswag", "nwot", "lswag"]}, InputError, "'lswag' is selected twice"),
        ({"combine": "sum"}, InputError, "combine must be one of log_rank, .* got 'sum'"),
        ({"weights": [0.5, 0.5, 0.5]}, InputError, "rank weights are for log_rank, the combination is mean_rank"),
        ({"weights": [10**400, 2, 1], "combine": "log_rank"}, InputError, "a number other than 0 for each of lswag"),
        ({"weights": [1, 2], "combine": "log_rank"}, InputError, "a number other than 0 for each of lswag, jacov"),
        ({"weights": "equal"}, StorageError, "'weights' is 'equal', expected a number for each proxy"),
        ({"held_out": {"n_rows": 3}}, StorageError, "held-out figures cannot be read"),
        ({"held_out": [1]}, StorageError, "held-out figures cannot be read"),
        ({"combine": None}, InputError, "combine must be one of log_rank, .* got None"),
    ],
)
def test_what_is_no_selection_is_refused(
    change: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words) as raised:
        read_selection(written(tmp_path, {**WORDS, **change}))
    assert "selection.json" in str(raised.value)


def test_a_selection_of_version_1_has_no_held_out_figures(tmp_path: Path) -> None:
    assert read_selection(written(tmp_path, {**WORDS, "schema_version": 1})).held_out is None


def test_held_out_figures_are_read_with_the_selection(tmp_path: Path) -> None:
    figure = Figure(0.5, 0.25, 0.75)
    found = HeldOut(figure, figure, {"lswag": figure}, 40, 100, "inside windows of params +-8 %")
    assert read_selection(written(tmp_path, {**WORDS, "held_out": asdict(found)})).held_out == found


@pytest.mark.parametrize(
    ("content", "words"), [("{", "is not JSON"), ([], "holds no selection"), ({"schema_version": 1}, "no selection")]
)
def test_other_files_are_refused(content: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=words):
        read_selection(written(tmp_path, content))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing\.json: cannot be read"):
        read_selection(tmp_path / "missing.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(StorageError, match=r"bytes\.json: cannot be read"):
        read_selection(tmp_path / "bytes.json")


@pytest.mark.parametrize("space", ["autoformer-tiny", "autoformer-small", "autoformer-base", "nasbench201"])
def test_a_packaged_selection_comes_with_its_provenance(space: str) -> None:
    found = packaged_selection(space)
    known = {info.name for info in list_proxies()}
    assert set(found.proxies) <= known
    assert {"target", "n_rows", "space", "accuracies", "scores"} <= set(found.fitted_on)
    assert found.held_out is not None
    assert {*found.proxies, "params"} == set(found.held_out.alone)


def test_a_space_without_a_selection_names_those_that_have_one() -> None:
    with pytest.raises(InputError, match=r"for autoformer-base, .*, nasbench201, not for mine"):
        packaged_selection("mine")
