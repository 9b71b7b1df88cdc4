"""What --storage names."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from lswag_fast.cli import main
from lswag_fast.cli.storage_choice import chosen_storage
from lswag_fast.study.storage import LogStorage, SQLiteStorage

SEARCH = ("search", "support.user_networks:Mlps", "--batch-size", "16", "--sampler", "random")


def test_a_new_folder_holds_what_is_named_and_sqlite_otherwise(tmp_path: Path) -> None:
    kinds = {None: SQLiteStorage, "sqlite": SQLiteStorage, "log": LogStorage}
    for kind, wanted in kinds.items():
        assert type(chosen_storage(kind, tmp_path / "new")) is wanted


def test_a_log_is_continued_without_the_option_and_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert main([*SEARCH, "--trials", "2", "--storage", "log", "--out", str(run)]) == 0
    assert main([*SEARCH, "--trials", "4", "--out", str(run)]) == 0
    assert len(pd.read_csv(run / "trials.csv")) == 4
    assert not (run / "study.sqlite").exists()
    capsys.readouterr()
    assert main(["show", str(run)]) == 0
    assert "finished, 4 of 4 trials" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "file", "other"), [("sqlite", "study.sqlite", "log"), ("log", "study.jsonl", "sqlite")]
)
def test_another_kind_in_one_folder_is_refused(
    kind: str, file: str, other: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert main([*SEARCH, "--trials", "2", "--storage", kind, "--out", str(run)]) == 0
    before = sorted(path.name for path in run.iterdir())
    assert main([*SEARCH, "--trials", "4", "--storage", other, "--out", str(run)]) == 2
    err = capsys.readouterr().err
    assert f"{run} holds a study that the other storage keeps ({file}: " in err
    assert f"--storage {kind})" in err
    assert "name the folder alone, without a storage, to continue it, or a new folder" in err
    assert sorted(path.name for path in run.iterdir()) == before


def test_a_folder_with_a_study_of_each_kind_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for kind in ("sqlite", "log"):
        assert main([*SEARCH, "--trials", "2", "--storage", kind, "--out", str(tmp_path / kind)]) == 0
    (tmp_path / "log" / "study.jsonl").rename(tmp_path / "sqlite" / "study.jsonl")
    capsys.readouterr()
    for command in (["show"], [*SEARCH, "--trials", "4", "--out"]):
        assert main([*command, str(tmp_path / "sqlite")]) == 2
        assert "holds two studies, study.sqlite and study.jsonl; move one" in capsys.readouterr().err
