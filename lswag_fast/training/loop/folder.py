"""The folder of a training: its settings, the state to continue from, a log, and at the end the weights.

    settings.json            what decides the result; compared when the training is continued
    state.safetensors        weights, optimiser and schedule of the last stored step, replaced whole
    log.csv                  a row per epoch
    weights.safetensors      the weights, once the training has ended; the state is then removed
    lock                     held by the process that trains

Nothing in it is a pickle.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from lswag_fast.errors import OtherSettingsError, StorageError, StorageVersionError, needs_extra, reason
from lswag_fast.files.differences import differences
from lswag_fast.files.durable import aside_of, replace_file
from lswag_fast.files.lock import FileLock

SCHEMA_VERSION = 1
SETTINGS_FILE, STATE_FILE, LOG_FILE = "settings.json", "state.safetensors", "log.csv"
WEIGHTS_FILE, LOCK_FILE = "weights.safetensors", "lock"
# What lies in the folder of a training that was killed while it began; a folder with no more is as good as empty.
_BEFORE_SETTINGS = {LOCK_FILE, aside_of(Path(SETTINGS_FILE)).name}
_STATE, _METADATA = "state", "metadata"


@dataclass(frozen=True)
class State:
    """Where a training is.

    Attributes:
        step: steps that were made.
        epochs: a row of the log for each epoch that ended.
        begun: what the log's next row is made of so far.
        tensors: weights, optimiser and running mean, by names that the loop gives.
        values: what else the loop stores, as JSON values.
    """

    step: int
    epochs: list[dict[str, float]]
    begun: dict[str, float]
    tensors: dict[str, Tensor] = field(repr=False)
    values: dict[str, Any] = field(default_factory=dict)


class TrainingFolder:
    """The folder of a training; `opened` gives one to write to.

    Args:
        path: the folder.
        writes: whether this process is the one that writes.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path = path
        self.writes = writes

    @classmethod
    @contextmanager
    def opened(
        cls, path: Path, settings: Mapping[str, Any], metadata: Mapping[str, Any] | None = None, *, writes: bool = True
    ) -> Iterator[TrainingFolder]:
        """Make a folder, or open that of the same training; one that is refused is left as it was.

        Args:
            path: the folder.
            settings: what decides the result, as JSON values.
            metadata: what else is stored when it is begun, likewise.
            writes: False in the further processes of a training.

        Raises:
            OtherSettingsError: it holds a training of other settings.
            StorageError: another process trains there, it holds something else, or it cannot be written.
            StorageVersionError: a later version wrote it.
            MissingExtraError: safetensors is not installed.
        """
        _safetensors()  # not only when the first state is stored
        folder = cls(path, writes)
        if not writes:
            yield folder
            return
        made = _missing(path)
        lock = None
        try:
            folder._check(settings)
            lock = folder._make()
            folder._check(settings)  # once more: it may have been begun meanwhile
            if not (path / SETTINGS_FILE).exists():
                folder.write(SETTINGS_FILE, _json({**settings, _METADATA: metadata or {}}))
        except StorageError:
            if lock is not None:
                lock.release()
            folder._remove(made)
            raise
        try:
            yield folder
        finally:
            lock.release()

    def _make(self) -> FileLock:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot write to {self.path}: {reason(error)}") from error
        return FileLock(self.path / LOCK_FILE, self.path)

    def _remove(self, made: Sequence[Path]) -> None:
        """Remove the folders that were made for a training that did not begin."""
        if self.path in made and not (self.path / SETTINGS_FILE).exists():
            with suppress(OSError):
                (self.path / LOCK_FILE).unlink(missing_ok=True)
                for folder in made:
                    folder.rmdir()

    def _check(self, settings: Mapping[str, Any]) -> None:
        if not names_in(self.path) - _BEFORE_SETTINGS:
            return
        stored, given = self.settings(), json.loads(_json(settings))
        found = list(differences({**stored, _METADATA: None}, given))
        if found:
            raise OtherSettingsError(
                f"{self.path} holds a training with other settings: {'; '.join(found)}; name another folder"
            )

    def settings(self) -> dict[str, Any]:
        """Return the settings that it was begun with.

        Raises:
            StorageError: it is no folder of a training, or damaged.
            StorageVersionError: a later version wrote it.
        """
        try:
            stored: dict[str, Any] = json.loads((self.path / SETTINGS_FILE).read_bytes())
        except FileNotFoundError:
            raise StorageError(f"{self.path} is no folder of a training: it has no {SETTINGS_FILE}") from None
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.path / SETTINGS_FILE} cannot be read ({reason(error)})") from error
        version = stored.get("schema_version") if isinstance(stored, dict) else None
        if type(version) is not int:
            raise StorageError(f"{self.path / SETTINGS_FILE} is not that of a training")
        if version > SCHEMA_VERSION:
            raise StorageVersionError(f"{self.path} was written by a later version of lswag_fast; update it")
        return stored

    def check_has(self, settings: Mapping[str, Any], *names: str) -> None:
        """Raise StorageError unless the settings have these names, nested ones with a dot."""
        for name in names:
            found: Any = settings
            for key in name.split("."):
                if not isinstance(found, dict) or key not in found:
                    raise StorageError(f"{self.path / SETTINGS_FILE} is damaged: it has no {name!r}")
                found = found[key]

    def write(self, name: str, content: bytes) -> None:
        """Replace a file whole; raises StorageError."""
        try:
            replace_file(self.path / name, content)
        except OSError as error:
            raise StorageError(f"cannot write to {self.path / name}: {reason(error)}") from error

    def store(self, state: State) -> None:
        """Replace the state, and the log, which has a row for each epoch; raises StorageError."""
        about = {"step": state.step, "epochs": state.epochs, "begun": state.begun, "values": state.values}
        self.write(STATE_FILE, packed(state.tensors, {_STATE: json.dumps(about)}))
        if state.epochs:
            self.write(LOG_FILE, _csv(state.epochs))

    def state(self) -> State | None:
        """Return the state to continue from; None before the first one was stored.

        Raises:
            StorageError: it is damaged.
        """
        path = self.path / STATE_FILE
        if not path.exists():
            return None
        tensors, about = unpacked(path)
        try:
            found = json.loads(about[_STATE])
            return State(found["step"], found["epochs"], found["begun"], tensors, found["values"])
        except (KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{path} is not the state of a training; name another folder") from error

    def finish(self, weights: Mapping[str, Tensor]) -> None:
        """Write the weights of a training that ended, and remove the state; raises StorageError."""
        if not self.writes:
            return
        self.write(WEIGHTS_FILE, packed(weights, {"format": "pt"}))
        try:
            (self.path / STATE_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"cannot remove {self.path / STATE_FILE}: {reason(error)}") from error

    @property
    def is_finished(self) -> bool:
        """Whether the training has ended."""
        return (self.path / WEIGHTS_FILE).exists()

    def weights(self) -> dict[str, Tensor]:
        """Return the weights of a training that ended.

        Raises:
            StorageError: it has not ended, or the file is damaged.
        """
        if not self.is_finished:
            self.settings()
            raise StorageError(f"the training in {self.path} has not ended; run its command again to continue it")
        return unpacked(self.path / WEIGHTS_FILE)[0]

    def epochs(self) -> list[dict[str, float]]:
        """Return the rows of the log."""
        try:
            with (self.path / LOG_FILE).open(newline="") as file:
                return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
        except (OSError, ValueError) as error:
            raise StorageError(f"{self.path / LOG_FILE} cannot be read ({reason(error)})") from error


def names_in(folder: Path) -> set[str]:
    """Return the names of what lies in a folder, none where there is no folder; raises StorageError.

    Example:
        >>> names_in(Path("missing"))
        set()
    """
    try:
        return {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    except OSError as error:
        raise StorageError(f"cannot read {folder}: {reason(error)}") from error


def _missing(path: Path) -> list[Path]:
    """The folders that are to be made for a path, the inner ones first; raises StorageError."""
    try:
        return [folder for folder in (path, *path.parents) if not folder.exists()]
    except OSError as error:  # a folder above that may not be looked into, a name that is too long
        raise StorageError(f"cannot write to {path}: {reason(error)}") from error


def packed(tensors: Mapping[str, Tensor], about: dict[str, str]) -> bytes:
    """Return tensors, each with memory of its own, in the format of safetensors; raises MissingExtraError."""
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content: bytes = _safetensors().torch.save(own, about)
    return content


def unpacked(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a file, and what it says about them; raises StorageError, MissingExtraError."""
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, safetensors.SafetensorError) as error:
        raise StorageError(
            f"{path} cannot be read ({reason(error)}); it is damaged or no file of safetensors"
        ) from error


def _safetensors() -> Any:
    with needs_extra("train", "safetensors"):
        import safetensors.torch
    return safetensors


def _json(settings: Mapping[str, Any]) -> bytes:
    return (json.dumps({"schema_version": SCHEMA_VERSION, **settings}, indent=2, allow_nan=False) + "\n").encode()


def _csv(rows: Sequence[Mapping[str, float]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
