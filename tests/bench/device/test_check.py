"""`python -m bench.device`: the report of all steps, and the whole command in the emulator where that is built."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.csv_file import rows_of
from bench.device.__main__ import check
from bench.device.plan import NAMES, steps
from bench.device.steps import Step
from lswag_fast import kernels

ROOT = Path(__file__).parents[3]
EMULATOR = ROOT / "build/emulated/tests/kernels/emulator"
# What the package depends on beside torch and numpy, and libraries that a benchmark or a test could use.
LACKING = ("msgspec", "pandas", "portalocker", "rich", "scipy", "torchvision", "timm", "hypothesis", "psutil")


@pytest.fixture
def bare_python(tmp_path: Path) -> dict[str, str]:
    """The environment of a Python that has torch, numpy and pytest, and nothing else that this project could use."""
    for name in LACKING:
        (tmp_path / "lacking" / name).mkdir(parents=True)
        (tmp_path / "lacking" / name / "__init__.py").write_text(f"raise ModuleNotFoundError('no {name} here')\n")
    return {**os.environ, "PYTHONPATH": str(tmp_path / "lacking"), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def report_of(todo: list[Step], folder: Path) -> list[tuple[str, str]]:
    (folder / "tree").mkdir()
    outcomes = check(todo, folder, folder / "tree", {"LSWAG_EMULATED": "1"}, 60)
    report = json.loads((folder / "device-check.json").read_text())
    assert report["emulated"] and report["steps"] == [outcome.as_dict() for outcome in outcomes]
    assert report["passed"] == all(outcome.status != "failed" for outcome in outcomes)
    return [(step["name"], step["status"]) for step in report["steps"]]


def test_a_failure_is_written_down_and_the_next_step_runs(tmp_path: Path) -> None:
    todo = [Step("build", ["true"], 9), Step("one", ["false"], 9), Step("two", ["true"], 9)]
    assert report_of(todo, tmp_path) == [("build", "passed"), ("one", "failed"), ("two", "passed")]


def test_nothing_runs_on_kernels_that_were_not_built(tmp_path: Path) -> None:
    todo = [Step("build", ["false"], 9), Step("one", ["touch", str(tmp_path / "ran")], 9)]
    assert report_of(todo, tmp_path) == [("build", "failed"), ("one", "left out")]
    assert not (tmp_path / "ran").exists()


def test_the_steps_have_the_names_that_can_be_asked_for(tmp_path: Path) -> None:
    assert tuple(step.name for step in steps(tmp_path, tmp_path / "csv", False, None)) == NAMES


def test_the_cases_for_the_sanitizer_exist() -> None:
    cases = [case for case in steps(Path(), Path(), True, None)[1].command if "::" in case]
    command = [sys.executable, "-m", "pytest", "-m", "cuda", "--collect-only", *cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert len({line.split("[")[0] for line in done.stdout.splitlines() if "::" in line}) == len(cases)


@pytest.mark.skipif(torch.cuda.is_available(), reason="where a device is, the command is about the device")
@pytest.mark.parametrize(
    "only", [("kernels", "search"), pytest.param(NAMES[1:], marks=pytest.mark.slow)], ids=["some", "all"]
)
def test_the_command_in_the_emulator(only: tuple[str, ...], tmp_path: Path, bare_python: dict[str, str]) -> None:
    modules = list(EMULATOR.glob("_core*.so"))
    if not modules:
        pytest.skip("the emulated kernels are not built: make emulated")
    command = [
        sys.executable,
        "-m",
        "bench.device",
        "--out",
        str(tmp_path),
        "--module",
        str(modules[0]),
        "--only",
        *only,
    ]
    done = subprocess.run(command, cwd=ROOT, env=bare_python, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Nothing below is about a device" in done.stdout
    report = json.loads((tmp_path / "device-check.json").read_text())
    statuses = {step["name"]: step["status"] for step in report["steps"]}
    assert statuses == {name: "left out" if "check" in name else "passed" for name in ("build", *only)}
    rows = rows_of(tmp_path / "device-check.csv")
    assert {row["part"] for row in rows} == {"scores", "kernels", "search"} & set(only)
    assert {row["device"] for row in rows} == {"emulator"} and not any(row["problem"] for row in rows)
    assert {row["method"] for row in rows if row["part"] == "kernels"} == {
        "gradient_stats", "pack_signs", "count_distinct", "agreement_counts",
    }  # fmt: skip
    in_bfloat16 = set() if kernels.bfloat16_problem() else {"score_bfloat16"}
    assert {row["method"] for row in rows if row["part"] == "scores"} in (
        set(),
        {"plain", "score", "score_fast"} | in_bfloat16,
    )
    assert all(float(row["median_s"] or row["candidates_s"]) > 0 for row in rows)
