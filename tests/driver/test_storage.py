import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from driver.toy_space import ToySpace
from lswag_fast.driver.storage import RunFolder
from lswag_fast.driver.study import Study
from lswag_fast.errors import StorageError


def test_result_is_replaced_whole(tmp_path):
    folder = RunFolder(tmp_path / "a" / "b")
    folder.write_result({"best": []})
    folder.write_result({"best": [1]})
    assert json.loads((folder.path / "result.json").read_text()) == {"schema_version": 1, "best": [1]}
    assert [file.name for file in folder.path.iterdir()] == ["result.json"]


def test_a_value_that_is_no_json_leaves_the_old_result(tmp_path):
    folder = RunFolder(tmp_path)
    folder.write_result({"best": [1]})
    with pytest.raises(TypeError):
        folder.write_result({"best": object()})
    assert json.loads((tmp_path / "result.json").read_text())["best"] == [1]


def test_a_folder_that_vanished_is_a_storage_error(tmp_path):
    study = Study(ToySpace(), storage=tmp_path / "run")
    (tmp_path / "run").rmdir()
    with pytest.raises(StorageError, match=r"cannot write to .*run: No such file"):
        study.tell(study.ask(), 1.0)


def test_a_path_through_a_file_is_a_storage_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        RunFolder(tmp_path / "file" / "run")


KILLED_CHILD = """
import os, signal, sys
from driver.toy_space import ToySpace, total_width
from lswag_fast.driver.search import search

def kill(study, trial):
    if trial.number == 6:
        os.kill(os.getpid(), signal.SIGKILL)

search(ToySpace(), None, proxy=total_width, n_trials=50, storage=sys.argv[1], callbacks=[kill])
"""


def test_a_killed_run_keeps_every_told_trial(tmp_path):
    folders = [str(Path(__file__).parents[1]), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_CHILD, str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with (tmp_path / "run" / "trials.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["number"] for row in table] == [str(n) for n in range(7)]
    assert all(row["start_time"] for row in table)
