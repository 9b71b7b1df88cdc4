"""What the README shows runs: its Python as one program, its commands in their order, and its links lead somewhere."""

from __future__ import annotations

import random
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from lswag_fast.cli import main
from lswag_fast.data.sources import digits
from lswag_fast.spaces import NasBench201
from support.zoo_libraries import library

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
N_CELLS = 20
# Commands as they stand take minutes; the same with less of everything take seconds.
SMALLER = {
    "--trials 200": "--trials 2",
    "--trials 1000": f"--trials {N_CELLS}",
    "--batch-size 16": "--batch-size 4",
    "--batch-size 32": "--batch-size 4",
    "--batch-size 64": "--batch-size 4",
    "--image-size 64 --patch-size 8": "--image-size 8 --patch-size 4",
    "--out runs/supernet": "--epochs 4 --out runs/supernet",
    "--out runs/compared": "--seeds 1 --epochs 1 --out runs/compared",
}


def commands() -> list[list[str]]:
    """The words of each `lswag-fast ...` of the indented blocks."""
    blocks = re.findall(r"(?:^    .*\n)+", README, re.MULTILINE)
    text = "".join(blocks).replace("\\\n", " ")
    for usual, smaller in SMALLER.items():
        text = text.replace(usual, smaller)
    lines = (line.strip() for line in text.splitlines())
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("lswag-fast ")]


def write_photos(path: Path, n: int = 300, n_classes: int = 5) -> None:
    """Handwritten digits as files, one sub-folder per class."""
    source = digits()
    few = [i for i, label in enumerate(source.labels) if label < n_classes]
    for i in few[:n]:
        folder = path / f"class-{source.labels[i]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((source.read(i)[0] * 255).byte().numpy()).save(folder / f"{i}.png")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the commands read."""
    rng = random.Random(0)
    cells = list(dict.fromkeys(NasBench201().sample(rng)["cell"] for _ in range(2 * N_CELLS)))
    accuracies = np.linspace(50, 90, len(cells))
    pd.DataFrame({"arch": cells, "cifar10_test": accuracies}).to_csv(tmp_path / "nb201_accuracy.csv.gz", index=False)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "cifar10_subset.npz", x_train=pixels, y_train=np.arange(40) % 10)
    write_photos(tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_python_runs() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == README.count("```python")
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["scores"].passes == ("standard", "synflow")
    assert names["result"].best.arch in (trial.arch for trial in names["result"].trials)


@pytest.mark.filterwarnings("ignore::lswag_fast.errors.LswagWarning")
def test_the_commands_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = [words for words in commands() if words[0] != "score"]
    for words in found:
        assert main(words) == 0, (words, capsys.readouterr().err)
    assert {words[0] for words in found} == {
        "search", "show", "report", "export", "evaluate", "correlate", "libra", "supernet", "benchmark", "compare"
    }  # fmt: skip
    assert all((folder / name).is_file() for name in ("trials.csv", "scores.csv", "selection.json"))
    compared = pd.read_csv(folder / "runs" / "compared" / "comparison.csv")
    assert list(compared["method"]) == ["libra", "lswag", "params", "random"]
    assert set(compared["n_images"]) == {30}  # a tenth of the photos


@pytest.mark.filterwarnings("ignore::lswag_fast.errors.LswagWarning")
def test_a_network_of_timm_is_scored_by_its_name() -> None:
    library("timm")
    (words,) = (words for words in commands() if words[0] == "score")
    assert words[1].startswith("timm:")
    assert main(words) == 0


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = re.findall(r"`make ([\w-]+)`", README)
    assert named
    assert [target for target in named if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_the_links_lead_to_files() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_it_is_short() -> None:
    assert len(README.splitlines()) <= 200
