"""Trials and whole studies of this package as those of Optuna."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from lswag_fast.errors import LswagError, StorageError
from lswag_fast.integrations.optuna_library import optuna, quiet
from lswag_fast.spaces import SearchSpace, Suggests
from lswag_fast.study.storage import Storage
from lswag_fast.study.stored import StoredStudy, read_study
from lswag_fast.study.trial import COMPLETE, Trial

MAX_CHOICES = 100
"""Different values of a field that Optuna can still show as choices; each trial is stored with all of them."""
_LONGEST_LINE = 1_000_000  # the first line of a journal, which makes its study, has a few hundred bytes


def export_to_optuna(
    study: StoredStudy | Storage | str | os.PathLike[str],
    storage: Any,
    *,
    name: str | None = None,
    space: SearchSpace | None = None,
) -> Any:
    """Write the finished trials of a search as a study of Optuna, for its dashboard and its plots.

    The score is the value, to be maximised; a failed trial is one that failed in Optuna, too. The parameters are the
    choices that the space names. Without such a space they are the fields of the architectures, those left out that
    have more than `MAX_CHOICES` different values. The text of the architecture, the values of the proxies, the costs,
    the number, the origin and the error are attributes of the trial; the settings of the search are one of the study.
    The search is only read, so it may be running.

    Args:
        study: a study that was read, or the folder or storage to read it from.
        storage: the storage of Optuna: the file of a journal, such as "optuna.log"; the URL of a data base, such as
            "sqlite:///optuna.db", into which Optuna writes many times slower; or an object of `optuna.storages`.
        name: of the study there; None for the name of the folder.
        space: the space that was searched; it names its choices if it has `lswag_fast.spaces.Suggests`.

    Returns:
        The `optuna.Study`.

    Raises:
        StorageError: the folder holds no study, the storage cannot be written or is a file of another kind, or it has a
            study of this name.
        MissingExtraError: Optuna is not installed.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> from lswag_fast.study.storage import MemoryStorage
        >>> import optuna
        >>> space, storage = spaces.NasBench201(), MemoryStorage()
        >>> study = Study(space, "random", storage)
        >>> told = study.tell(study.ask(), 0.5)
        >>> exported = export_to_optuna(storage, optuna.storages.InMemoryStorage(), name="first", space=space)
        >>> exported.best_value, sorted(exported.best_params)[0]
        (0.5, 'op_0')
    """
    stored = study if isinstance(study, StoredStudy) else read_study(study)
    name = name or (stored.path.resolve().name if stored.path is not None else stored.settings.space.name)
    trials = _as_optuna_trials(stored, space)
    with quiet(), _refused_in_one_line(storage, name):
        storage = _opened(storage)
        made = optuna().create_study(storage=storage, study_name=name, direction="maximize")
        try:
            made.set_user_attr("settings", stored.settings.to_json())
            made.add_trials(trials)
        except BaseException:
            optuna().delete_study(study_name=name, storage=storage)
            raise
    return made


def as_optuna_trial(trial: Trial, space: Suggests) -> Any:
    """Return a finished trial as one of Optuna, with the choices that the space names as its parameters."""
    params = space.suggested(trial.arch)
    asked = optuna().trial.FixedTrial(params)
    space.suggest(asked)
    return _optuna_trial(trial, params, asked.distributions)


def _opened(storage: Any) -> Any:
    """A storage of Optuna; a text without a scheme is the file of a journal."""
    if not isinstance(storage, str) or "://" in storage:
        return optuna().storages.get_storage(storage)
    from optuna.storages.journal import JournalFileBackend

    _check_journal(storage)
    return optuna().storages.JournalStorage(JournalFileBackend(storage))


def _check_journal(file: str) -> None:
    """Refuse a file that is no journal of Optuna, which would append to it whatever it holds.

    Raises:
        StorageError: it exists, and does not begin as one.
    """
    path = Path(file)
    if not path.is_file() or not path.stat().st_size:
        return
    with path.open("rb") as lines:
        first = lines.readline(_LONGEST_LINE)
    try:
        is_journal = "op_code" in json.loads(first)
    except (TypeError, ValueError):
        is_journal = False
    if not is_journal:
        raise StorageError(f"{file}: is no journal of Optuna, and is left as it is; name a new file")


def _as_optuna_trials(stored: StoredStudy, space: SearchSpace | None) -> list[Any]:
    if isinstance(space, Suggests):
        return [as_optuna_trial(trial, space) for trial in stored.trials]
    found = [_fields(trial.arch) for trial in stored.trials]
    distributions = _observed(found)
    shown = [{name: value for name, value in fields.items() if name in distributions} for fields in found]
    return [
        _optuna_trial(trial, fields, {name: distributions[name] for name in fields})
        for trial, fields in zip(stored.trials, shown, strict=True)
    ]


def _fields(value: Any, name: str = "") -> dict[str, Any]:
    """The numbers and texts in an architecture, each by the way to it: `num_heads_3`."""
    if isinstance(value, Mapping):
        parts = list(value.items())
    elif isinstance(value, Sequence) and not isinstance(value, str):
        parts = list(enumerate(value))
    else:
        return {name: value}
    found: dict[str, Any] = {}
    for key, part in parts:
        found |= _fields(part, f"{name}_{key}" if name else str(key))
    return found


def _observed(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A choice among the values that a field has in any trial, for each field that has not too many."""
    values: dict[str, dict[Any, None]] = {}
    for fields in found:
        for name, value in fields.items():
            values.setdefault(name, {})[value] = None
    categorical = optuna().distributions.CategoricalDistribution
    return {
        name: categorical(sorted(choices, key=lambda value: (str(type(value)), value)))
        for name, choices in values.items()
        if len(choices) <= MAX_CHOICES
    }


def _optuna_trial(trial: Trial, params: Mapping[str, Any], distributions: Mapping[str, Any]) -> Any:
    is_complete = trial.state == COMPLETE
    states = optuna().trial.TrialState
    made = optuna().trial.create_trial(
        state=states.COMPLETE if is_complete else states.FAIL,
        value=trial.score if is_complete else None,
        params=dict(params),
        distributions=dict(distributions),
        user_attrs=_attributes(trial),
    )
    begun = datetime.fromisoformat(trial.start_time).astimezone().replace(tzinfo=None)  # Optuna's are local times
    made.datetime_start = begun
    made.datetime_complete = begun + timedelta(milliseconds=trial.elapsed_ms or 0.0)
    return made


def _attributes(trial: Trial) -> dict[str, Any]:
    names = ("number", "origin", "n_params", "macs", "latency_ms", "error")
    known = {name: getattr(trial, name) for name in names}
    given = {name: value for name, value in known.items() if value not in (None, "")}
    return {**trial.values, "arch": trial.arch_json, **given}


@contextmanager
def _refused_in_one_line(storage: Any, name: str) -> Iterator[None]:
    """Say what a storage of Optuna refuses as a `StorageError`."""
    exceptions = optuna().exceptions
    from sqlalchemy.exc import SQLAlchemyError  # which comes with Optuna

    try:
        yield
    except LswagError:
        raise
    except exceptions.DuplicatedStudyError as error:
        raise StorageError(
            f"{storage} has a study named {name!r} already; delete it there (optuna delete-study), or name another "
            "storage"
        ) from error
    except (exceptions.OptunaError, SQLAlchemyError, ImportError, OSError, ValueError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise StorageError(f"{storage}: Optuna cannot write there ({lines[0]})") from error
