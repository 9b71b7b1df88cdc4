"""A search in a storage of Optuna, read back by Optuna."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from lswag_fast import Study, spaces
from lswag_fast.cli import main
from lswag_fast.errors import StorageError
from lswag_fast.integrations import export_to_optuna
from lswag_fast.integrations.optuna_trials import MAX_CHOICES
from lswag_fast.study import Budget
from lswag_fast.study.objective import Objective
from lswag_fast.study.storage import MemoryStorage
from lswag_fast.study.stored import StoredStudy, read_study
from support.user_networks import Mlps

optuna = pytest.importorskip("optuna")
JournalFileBackend = pytest.importorskip("optuna.storages.journal").JournalFileBackend

CHOICES = {"embed_dim": (16, 32), "depth": (1, 3), "num_heads": (1, 2), "mlp_ratio": (1.0, 2.5)}
SPACE = spaces.AutoFormer(**CHOICES, image_size=8, patch_size=4, num_classes=10)


def stored(space: Any = SPACE, n_trials: int = 12, **options: Any) -> StoredStudy:
    """A study of two proxies, every fourth trial of which failed."""
    storage, objective = MemoryStorage(), Objective(("lswag", "ntk"), lower_is_better=("ntk",))
    study = Study(space, "random", storage, objective=objective, **options)
    for trial in (study.ask() for _ in range(n_trials)):
        if trial.number % 4 == 3:
            study.tell(trial, error="it was broken")
        else:
            study.tell(trial, {"lswag": trial.n_params / 7, "ntk": trial.macs % 11})
    return read_study(storage)


def journal(file: Any) -> Any:
    return optuna.storages.JournalStorage(JournalFileBackend(str(file)))


@pytest.mark.parametrize(("space", "scheme"), [(SPACE, ""), (None, "sqlite:///")])
def test_optuna_reads_back_what_was_found(space: Any, scheme: str, tmp_path: Path) -> None:
    study, storage = stored(), f"{scheme}{tmp_path / 'optuna'}"
    export_to_optuna(study, storage, name="found", space=space)
    read = optuna.load_study(study_name="found", storage=storage if scheme else journal(storage))
    assert [direction.name for direction in read.directions] == ["MAXIMIZE"]
    assert read.user_attrs["settings"] == study.settings.to_json()
    assert len(read.trials) == len(study.trials) == 12
    for theirs, ours in zip(read.trials, study.trials, strict=True):
        assert theirs.state.name == {"complete": "COMPLETE", "failed": "FAIL"}[ours.state]
        assert theirs.value == ours.score
        assert theirs.params == SPACE.suggested(ours.arch)
        assert theirs.user_attrs == {
            **ours.values, "arch": ours.arch_json, "number": ours.number, "origin": ours.origin,
            "n_params": ours.n_params, "macs": ours.macs, **({"error": ours.error} if ours.error else {}),
        }  # fmt: skip
        start = theirs.datetime_start.astimezone(timezone.utc)
        assert start == datetime.fromisoformat(ours.start_time)
        assert abs(theirs.duration.total_seconds() * 1e3 - ours.elapsed_ms) < 1e-3
    assert read.best_trial.user_attrs["arch"] == study.best.arch_json


def test_the_choices_are_those_of_the_space_or_those_that_were_seen() -> None:
    study = stored(n_trials=3, budget=Budget(params=(None, 19_000)))
    seen = {trial.arch["embed_dim"] for trial in study.trials}
    assert seen == {16}
    for space, expected in ((SPACE, (16, 32)), (None, (16,))):
        made = export_to_optuna(study, optuna.storages.InMemoryStorage(), name="x", space=space)
        assert made.trials[0].distributions["embed_dim"].choices == expected


def test_a_field_of_too_many_values_is_left_to_the_attribute() -> None:
    study = stored(spaces.NasBench201(), n_trials=MAX_CHOICES + 1)
    made = export_to_optuna(study, optuna.storages.InMemoryStorage())
    assert made.study_name == "nasbench201"
    assert [trial.params for trial in made.trials] == [{}] * (MAX_CHOICES + 1)
    assert [trial.user_attrs["arch"] for trial in made.trials] == [trial.arch_json for trial in study.trials]


def test_latencies_are_attributes_where_they_were_measured() -> None:
    study = stored(n_trials=2, budget=Budget(latency_ms=(0, 9)), latency=lambda arch: 2.5)
    made = export_to_optuna(study, optuna.storages.InMemoryStorage())
    assert [trial.user_attrs["latency_ms"] for trial in made.trials] == [2.5, 2.5]


def test_what_optuna_refuses_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study, file = stored(), str(tmp_path / "optuna.log")
    export_to_optuna(study, file, name="first")
    with pytest.raises(StorageError, match="has a study named 'first' already; delete it there"):
        export_to_optuna(study, file, name="first")
    missing = f"{tmp_path}/missing/optuna"
    for wrong in (missing, f"sqlite:///{missing}", "nosuch://x"):
        with pytest.raises(StorageError, match="Optuna cannot write there") as caught:
            export_to_optuna(study, wrong, name="first")
        assert "\n" not in str(caught.value)

    def full(*_: object) -> None:
        raise optuna.exceptions.StorageInternalError("the disk is full")

    monkeypatch.setattr(optuna.Study, "add_trials", full)
    with pytest.raises(StorageError, match="the disk is full"):
        export_to_optuna(study, file, name="second")
    assert optuna.get_all_study_names(journal(file)) == ["first"]


@pytest.mark.parametrize("content", ["my notes\n", "{}\n", "7\n", "arch,score\n1,2\n", "\xff\n"])
def test_a_file_of_another_kind_is_left_as_it_is(content: str, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(StorageError, match=r"notes\.txt: is no journal of Optuna, and is left as it is"):
        export_to_optuna(stored(), str(file))
    assert file.read_text(encoding="latin-1") == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_damaged_journal_is_one_line(tmp_path: Path) -> None:
    study, file = stored(), tmp_path / "optuna.log"
    export_to_optuna(study, str(file), name="first")
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], "damaged\n", *lines[1:]]))
    with pytest.raises(StorageError, match="Optuna cannot write there"):
        export_to_optuna(study, str(file), name="second")


def test_the_command_line_exports_with_the_choices_of_the_space(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, file = tmp_path / "run", str(tmp_path / "optuna.log")
    size = ["--image-size", "8", "--batch-size", "16", "--proxies", "params", "--trials", "3"]
    assert main(["search", "nasbench201", *size, "--out", str(run)]) == 0
    capsys.readouterr()
    assert main(["export", str(run), "--optuna", file]) == 0
    assert capsys.readouterr().out == f"3 trials: study 'run' in {file}\n"
    read = optuna.load_study(study_name="run", storage=journal(file))
    assert [trial.params for trial in read.trials] == [
        spaces.NasBench201().suggested(trial.arch) for trial in read_study(run).trials
    ]
    assert main(["export", str(run), "--optuna", file, "--format", "csv"]) == 2
    assert "--format is not for --optuna" in capsys.readouterr().err


def test_a_space_that_was_made_in_python_is_exported_by_its_fields(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Study(Mlps(), "random", tmp_path / "run") as study:
        told = study.tell(study.ask(), 1.0)
    assert main(["export", str(tmp_path / "run"), "--optuna", str(tmp_path / "optuna.log")]) == 0
    read = optuna.load_study(study_name="run", storage=journal(tmp_path / "optuna.log"))
    assert read.best_params == {f"widths_{place}": width for place, width in enumerate(told.arch["widths"])}
