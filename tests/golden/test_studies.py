"""Studies that an earlier version was killed in continue, and end as if they had never been interrupted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from golden.studies import KILLED_AFTER, N_TRIALS, STUDIES, STUDIES_FOLDER, in_process
from golden.values import SCORES_FILE, machine
from lswag_fast.kernels import isa_list


@pytest.mark.parametrize("name", STUDIES)
def test_a_killed_study_ends_like_an_uninterrupted_one(name: str, tmp_path: Path) -> None:
    recorded = json.loads(SCORES_FILE.read_text())["machine"]
    if name == "lswag" and machine() != recorded:
        pytest.skip(f"recorded on {recorded}: torch's products have other bits on {machine()}")
    if "baseline" not in isa_list():
        pytest.skip("the studies were recorded under the instruction set baseline")
    folder = tmp_path / name
    shutil.copytree(STUDIES_FOLDER / name, folder)
    assert in_process("resume", name, str(folder)) == 0
    found = (folder / "continued.csv").read_text()
    assert len(found.splitlines()) == 1 + N_TRIALS > 1 + KILLED_AFTER
    assert found == (STUDIES_FOLDER / f"{name}.csv").read_text()
