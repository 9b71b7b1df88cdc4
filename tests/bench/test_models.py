"""The command that scores public networks, and the page that its CSV becomes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.csv_file import rows_of
from bench.score.models import PUBLIC_MODELS
from bench.score.models.apart import apart
from bench.score.models.table import KINDS, page
from support.zoo_libraries import library

ROOT = Path(__file__).parents[2]
CSV, PAGE = ROOT / "bench/results/score/models.csv", ROOT / "docs/results/models.md"
TINY = ("timm/resnet10t", "torchvision/mnasnet0_5", "transformers/SwinForImageClassification")


def test_the_page_is_that_of_the_csv() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(rows_of(CSV)), "write it anew with bench.pages"


def test_each_network_that_is_known_was_measured_once() -> None:
    measured = [f"{row['library']}/{row['model']}" for row in rows_of(CSV)]
    assert sorted(measured) == sorted(model.label for model in PUBLIC_MODELS)
    assert {model.kind for model in PUBLIC_MODELS} == set(KINDS)


def test_the_page_says_what_its_rows_say() -> None:
    row = {**rows_of(CSV)[0], "library": "timm", "model": "one", "family": "F", "n_layers": "7", "n_constant": "0"}
    row |= {"n": "1", "load": ""}  # as before loads were written down
    other = {**row, "library": "torchvision", "n_layers": "9", "n_constant": "2"}
    text = " ".join(page([row, other]).split())
    assert "All of them score" in text
    assert "one pair, so that a single price may be far off" in text
    assert "measured beside much other work" in text
    assert "*rescue*" not in text
    assert "| F | timm/one, torchvision/one |" in text
    assert "| 7, 9 (2) |" in text

    changes = {"n": "5", "load": "1.30", "init": "rescue", "coverage": "0.8000"}
    text = " ".join(page([{**row, **changes}, {**other, **changes, "error": "no"}]).split())
    assert "1 of them score, all but one (0.800) with a coverage of 0.9 or more" in text
    assert "median of 5 pairs measured in turn" in text
    assert "cores was 1.3 in the median" in text
    assert "timm/one (*rescue*)" in text
    assert "*rescue*: no gradient varies in any of its layers" in text
    assert "other work" not in text


@pytest.mark.parametrize("label", TINY)
def test_a_network_is_measured_once_and_not_again(label: str, tmp_path: Path) -> None:
    library(label.partition("/")[0])
    out = tmp_path / "models.csv"
    command = [sys.executable, "-m", "bench.score.models", "--out", str(out), "--only", label, "--rounds", "1"]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    (row,) = rows_of(out)
    assert row["error"] == row["unlisted"] == ""
    assert row["left_as_it_was"] == "True"
    assert 0.9 <= float(row["coverage"]) <= 1
    assert int(row["n_layers"]) > 0
    assert min(float(row[column]) for column in ("ratio", "plain_mb", "score_mb", "macs", "parameters")) > 0
    assert "| family |" in page([row])

    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert rows_of(out) == [row]


def _fail() -> dict[str, object]:
    raise ValueError("of two\nlines")


def test_what_fails_apart_is_the_error_of_its_row() -> None:
    assert apart(_fail, 60) == {"error": "ValueError: of two lines"}


def test_what_ends_its_process_is_the_error_of_its_row() -> None:
    assert apart(lambda: sys.exit(3), 60) == {"error": "the process ended with exit code 3"}


def test_what_does_not_end_is_given_up() -> None:
    def wait() -> dict[str, object]:
        while True:
            pass

    assert apart(wait, 0.1) == {"error": "no result within 0.1 s"}
