"""The pages of a training and of a comparison: the numbers of the log and of the rows, and what is said of both."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from lswag_fast.errors import StorageError
from lswag_fast.report.trainings import comparison_report, is_training, training_report
from lswag_fast.training.loop.folder import State, TrainingFolder
from lswag_fast.training.recipe import RECIPES
from report.test_html import EVIL, charts_of, headings

go = pytest.importorskip("plotly.graph_objects")

N_EPOCHS = 3
LOG = [
    {
        "epoch": epoch,
        "loss": 2.0 / epoch,
        "accuracy": 0.25 * epoch,
        "validation_accuracy": 0.2 * epoch,
        "lr": 1e-3 / epoch,
        "images_per_s": 100.0,
    }
    for epoch in range(1, N_EPOCHS + 1)
]
RESULT = {"test": {"correct": 9, "n": 10, "accuracy": 0.9, "interval": [0.5958, 0.9821]}}
RUNS = """\
run,method,seed,arch,n_params,n_macs,n_trials,search_s,correct,n_images,test_accuracy,\
test_accuracy_low,test_accuracy_high
random-0,random,0,a,1000,1,1,0.5,90,100,0.9,0.83,0.94
random-1,random,1,b,3000,1,1,1.5,80,100,0.8,0.71,0.87
libra-0,libra,0,c,2000,1,4,70,95,100,0.95,0.89,0.98
"""


def training_folder(path: Path, *, is_finished: bool = True, name: str = "small", rows: Any = LOG) -> Path:
    """The folder of a network, without any training."""
    images = {"train": 800, "validation": 100, "test": 100}
    settings = {
        "kind": "network",
        "network": {"python": "m.make()", "space": name},
        "data": {"source": "digits", "images": images},
        "recipe": RECIPES["short"].with_changes(epochs=N_EPOCHS).to_dict(),
    }
    with TrainingFolder.opened(path, settings) as folder:
        folder.store(State(1, rows, {}, {"a": torch.zeros(1)}))
        if is_finished:
            folder.finish({"a": torch.zeros(1)})
            folder.write("result.json", json.dumps(RESULT).encode())
    return path


def comparison_folder(path: Path) -> Path:
    """The folder of a comparison, without any search."""
    path.mkdir()
    (path / "comparison.csv").write_text(RUNS)
    return path


def check_plotly_knows(page: str) -> None:
    for chart in charts_of(page).values():
        text = json.dumps(chart).replace('"@font"', '"Arial"')
        go.Figure(json.loads(re.sub(r'"@\w+"', '"#123456"', text)))  # raises on anything unknown


def test_the_curves_are_the_log(tmp_path: Path) -> None:
    page = training_report(training_folder(tmp_path / "run"))
    assert headings(page) == ["Course of the training", "Configuration"]
    charts = charts_of(page)
    found = {name: [trace["y"] for trace in chart["data"]] for name, chart in charts.items()}
    assert found == {
        "chart-loss": [[row["loss"] for row in LOG]],
        "chart-accuracy": [[row["accuracy"] for row in LOG], [row["validation_accuracy"] for row in LOG]],
        "chart-lr": [[row["lr"] for row in LOG]],
    }
    assert all(trace["x"] == [1, 2, 3] for chart in charts.values() for trace in chart["data"])
    assert "of 10 images; 95 %: 59.58% to 98.21%" in page and "had not ended" not in page
    check_plotly_knows(page)


def test_a_training_that_goes_on_says_so(tmp_path: Path) -> None:
    page = training_report(training_folder(tmp_path / "run", is_finished=False, rows=LOG[:1]))
    assert "1 epoch of 3 by the recipe short" in page
    assert "This training had not ended" in page and "test accuracy" not in page


def test_before_the_first_epoch_there_is_the_configuration(tmp_path: Path) -> None:
    page = training_report(training_folder(tmp_path / "run", is_finished=False, rows=[]))
    assert headings(page) == ["Configuration"] and "recipe.epochs" in page


def test_no_text_breaks_out_of_the_page(tmp_path: Path) -> None:
    page = training_report(training_folder(tmp_path / "run", name=EVIL))
    assert "<script>alert" not in page and "<img" not in page


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    folder = training_folder(tmp_path / "run")
    (folder / "result.json").write_text("{")
    with pytest.raises(StorageError, match=r"result\.json cannot be read"):
        training_report(folder)


def test_methods_lie_side_by_side_with_their_intervals(tmp_path: Path) -> None:
    page = comparison_report(comparison_folder(tmp_path / "compared"))
    assert headings(page) == ["Methods side by side", "Runs"]
    seeds, means = charts_of(page)["chart-methods"]["data"]
    assert seeds["x"] == [0.9, 0.8, 0.95]
    assert seeds["error_x"]["array"] == pytest.approx([0.04, 0.07, 0.03])
    assert seeds["error_x"]["arrayminus"] == pytest.approx([0.07, 0.09, 0.06])
    assert (means["x"], means["y"]) == (pytest.approx([0.85, 0.95]), [0, 1])
    assert charts_of(page)["chart-methods"]["layout"]["yaxis"]["ticktext"] == ["random", "LIBRA-NAS"]
    for words in ("85.00%", "71.00%", "94.00%", "1 min 10 s", "2 K", "90 of 100"):
        assert words in page
    check_plotly_knows(page)


def test_a_folder_of_something_else_is_no_training(tmp_path: Path) -> None:
    assert is_training(training_folder(tmp_path / "run"))
    assert not is_training(comparison_folder(tmp_path / "compared")) and not is_training(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["network", "recipe", "data"])
def test_settings_that_lack_something_are_named(tmp_path: Path, name: str) -> None:
    path = training_folder(tmp_path / "run") / "settings.json"
    settings = json.loads(path.read_bytes())
    del settings[name]
    path.write_text(json.dumps(settings))
    with pytest.raises(StorageError, match=rf"settings\.json is damaged: it has no '{name}\."):
        training_report(tmp_path / "run")
