"""The folder of a training: what it refuses, and what it leaves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from lswag_fast.errors import OtherSettingsError, StorageError, StorageVersionError
from lswag_fast.training.loop.folder import State, TrainingFolder

SETTINGS = {"recipe": {"epochs": 3}, "seed": 0}
ROW = {"epoch": 1, "loss": 0.1 + 0.2, "lr": 1e-3, "images_per_s": 10.0}


def state(step: int = 4) -> State:
    tensors = {"weights/a": torch.arange(3.0), "optimizer/a/step": torch.tensor(4.0)}
    return State(step, [ROW], {"loss": 1 / 3}, tensors, {"schedule": {"last_epoch": step}})


def test_a_state_comes_back_as_it_was(tmp_path: Path) -> None:
    with TrainingFolder.opened(tmp_path / "a" / "b", SETTINGS, {"note": "x"}) as folder:
        assert folder.state() is None and not folder.is_finished
        folder.store(state())
        found = folder.state()
    assert found is not None and (found.step, found.epochs, found.begun, found.values) == (
        4,
        [ROW],
        {"loss": 1 / 3},
        {"schedule": {"last_epoch": 4}},
    )
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in state().tensors.items())
    assert folder.epochs() == [ROW]
    assert folder.settings()["metadata"] == {"note": "x"}


def test_the_same_settings_continue_and_others_are_refused(tmp_path: Path) -> None:
    for metadata in (None, {"note": "another"}):
        with TrainingFolder.opened(tmp_path / "run", SETTINGS, metadata):
            pass
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()}
    with (
        pytest.raises(OtherSettingsError, match=r"recipe\.epochs was 3, now 4; name another folder"),
        TrainingFolder.opened(tmp_path / "run", {"recipe": {"epochs": 4}, "seed": 0}),
    ):
        pass
    assert {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir()} == before


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    with (
        TrainingFolder.opened(tmp_path / "run", SETTINGS),
        pytest.raises(StorageError, match="is being written by process"),
        TrainingFolder.opened(tmp_path / "run", SETTINGS),
    ):
        pass
    with TrainingFolder.opened(tmp_path / "run", SETTINGS):
        pass


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(StorageError, match="is no folder of a training"), TrainingFolder.opened(tmp_path, SETTINGS):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["photo.png"]


def test_what_a_kill_left_of_the_first_settings_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "settings.json.part").write_text('{"schema_ver')
    with TrainingFolder.opened(tmp_path, SETTINGS) as folder:
        assert folder.settings()["seed"] == 0
    assert sorted(file.name for file in tmp_path.iterdir()) == ["lock", "settings.json"]


def test_a_folder_that_may_not_be_looked_into_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(StorageError, match=r"cannot write to .*: File name too long"),
        TrainingFolder.opened(tmp_path / ("x" * 300), SETTINGS),
    ):
        pass

    def forbidden(path: Path) -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", forbidden)
    with pytest.raises(StorageError, match=r"cannot read .*: Permission denied"):
        TrainingFolder.opened(tmp_path, SETTINGS).__enter__()


def test_a_folder_that_cannot_be_begun_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: TrainingFolder, name: str, content: bytes) -> None:
        raise StorageError("no space")

    monkeypatch.setattr(TrainingFolder, "write", full)
    with pytest.raises(StorageError, match="no space"), TrainingFolder.opened(tmp_path / "a" / "b", SETTINGS):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"kind": "supernet"}', b"\xff"])
def test_damaged_settings_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.json").write_bytes(content)
    with pytest.raises(StorageError, match=r"settings\.json"):
        TrainingFolder(tmp_path).settings()


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text(json.dumps({"schema_version": 2}))
    with pytest.raises(StorageVersionError, match="later version"):
        TrainingFolder(tmp_path).settings()


@pytest.mark.parametrize("length", [0, 7, 100, -1])
def test_a_state_that_is_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    with TrainingFolder.opened(tmp_path / "run", SETTINGS) as folder:
        folder.store(state())
        path = tmp_path / "run" / "state.safetensors"
        path.write_bytes(path.read_bytes()[:length])
        with pytest.raises(StorageError, match=r"state\.safetensors cannot be read"):
            folder.state()


def test_the_end_leaves_the_weights(tmp_path: Path) -> None:
    with TrainingFolder.opened(tmp_path / "run", SETTINGS) as folder:
        folder.store(state())
        with pytest.raises(StorageError, match="has not ended; run its command again"):
            folder.weights()
        folder.finish({"a": torch.ones(2)})
    assert torch.equal(folder.weights()["a"], torch.ones(2))
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == [
        "lock",
        "log.csv",
        "settings.json",
        "weights.safetensors",
    ]
