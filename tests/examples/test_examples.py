"""Every example runs at its tiny size, without a network, and says what it found."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from bench.score.models import libraries
from support.offline import refuse_network
from support.zoo_libraries import torchvision_with_operators

EXAMPLES = Path(__file__).parents[2] / "examples"
# What each prints, in part, and the library that it needs.
SCRIPTS = {
    "score_timm_networks.py": ("vit_tiny_patch16_224", "timm"),
    "text_classifier.py": ("tokens: ", "transformers"),
    "segmentation_network.py": ("Dice: ", None),
    "own_space.py": ("parameters", None),
    "choose_proxies.py": ("chosen: ", None),
    "image_folder.py": ("with other weights: ", "PIL"),
}


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.filterwarnings("default::lswag_fast.errors.LswagWarning")
def test_it_runs(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, needed = SCRIPTS[script]
    if needed is not None and not libraries.is_installed(needed):
        pytest.skip(f"{needed} is not installed")
    if needed in libraries.LIBRARIES:
        libraries.library(needed)
    refuse_network(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [script, "--tiny"])
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    assert words in capsys.readouterr().out


def test_a_detector_takes_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not libraries.is_installed("torchvision"):
        pytest.skip("torchvision is not installed")
    torchvision_with_operators(monkeypatch)
    refuse_network(monkeypatch)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["mask_rcnn.py", "--tiny"])
    runpy.run_path(str(EXAMPLES / "mask_rcnn.py"), run_name="__main__")
    assert re.fullmatch(r"epoch 1: loss [0-9.]+\nweights: mask_rcnn.pt\n", capsys.readouterr().out)


@pytest.mark.filterwarnings("default::lswag_fast.errors.LswagWarning")
def test_the_cluster_is_one_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["cluster.py", "--tiny"])
    runpy.run_path(str(EXAMPLES / "cluster.py"), run_name="__main__")
    assert "4 trials, finished" in capsys.readouterr().out


@pytest.mark.parametrize("notebook", sorted(path.name for path in EXAMPLES.glob("*.ipynb")))
def test_a_notebook_runs(notebook: str, tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    content = nbformat.read(EXAMPLES / notebook, as_version=4)
    client = nbclient.NotebookClient(content, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises the error of a cell


def test_the_job_is_a_script_of_bash() -> None:
    script = EXAMPLES / "cluster.sbatch"
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert "examples/cluster.py --scheduler-file" in script.read_text()


def test_the_list_names_each_of_them() -> None:
    listed = (EXAMPLES / "README.md").read_text()
    files = {path.name for path in EXAMPLES.iterdir() if path.is_file()} - {"README.md"}
    assert {name for name in files if f"({name})" not in listed} == set()
    assert files >= SCRIPTS.keys()
