"""Scoring the architectures of a table with any proxies, one row each, and going on where it stopped."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import pandas as pd
import torch

from lswag_fast.errors import InputError, LswagError, LswagWarning, TableError, WorkerLostError
from lswag_fast.evaluation.initialise import check_initialisation, initialise
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.execution import open_runner, run_in_order
from lswag_fast.proxies import get_proxy, with_parts
from lswag_fast.scoring import score_many
from lswag_fast.spaces import SearchSpace

Mode = Literal["train", "eval"]
Callback = Callable[[int, int], None]
"""Called as `callback(done, total)` after each architecture."""

ERRORS, WARNINGS, ELAPSED = "errors", "warnings", "elapsed_s"
SHOWN_OF_A_WARNING = 120
"""Characters: a warning may name every layer of a deep network."""


@dataclass(frozen=True)
class Task:
    """What turns an architecture into scores: the same for all architectures of an evaluation."""

    space: SearchSpace
    batch: Any
    proxies: tuple[str, ...]
    mode: Mode = "train"
    initialisation: str = "own"
    seed: int = 0
    n_threads: int = 1
    score_options: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, arch_text: str) -> dict[str, Any]:
        """Build, initialise and score one architecture: the value of each proxy, why some have none, what was warned
        of, the seconds."""
        start = time.perf_counter()
        n_threads = torch.get_num_threads()
        torch.set_num_threads(self.n_threads)
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", LswagWarning)
                values, errors = self._values(arch_text)
        finally:
            torch.set_num_threads(n_threads)
        reasons = "; ".join(f"{name}: {error}" for name, error in errors.items())
        elapsed = round(time.perf_counter() - start, 3)
        return {**values, ERRORS: reasons, WARNINGS: _heads(caught), ELAPSED: elapsed}

    def _values(self, arch_text: str) -> tuple[dict[str, float], dict[str, str]]:
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.seed)
            model = self.space.build(self.space.decode(arch_text))
        initialise(model, self.initialisation, self.seed).train(self.mode == "train")
        try:
            found = score_many(model, self.batch, proxies=self.proxies, seed=self.seed, **self.score_options)
        except LswagError as error:
            return dict.fromkeys(self.proxies, float("nan")), {"all": _reason(error)}
        values = {name: score.value for name, score in found.items()}
        return values, {name: score.error for name, score in found.items() if score.error}


def _heads(caught: Iterable[warnings.WarningMessage]) -> str:
    """The beginning of every warning, each once."""
    texts = (str(message.message) for message in caught if issubclass(message.category, LswagWarning))
    return "; ".join(dict.fromkeys(text[:SHOWN_OF_A_WARNING] for text in texts))


def evaluate(
    task: Task,
    table: pd.DataFrame,
    out: str | os.PathLike[str],
    *,
    n: int | None = None,
    settings: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    callback: Callback | None = None,
) -> int:
    """Score `n` architectures of a table and append a row each to a CSV; returns how many were scored now.

    A row has the architecture, the columns of the table, the value of each proxy (NaN where it has none, and why in the
    column errors), the beginning of each warning and the seconds it took. Architectures that the file has already are
    left out: called again after a cut it goes on, and a larger `n` adds to it. Each network is built with fresh weights
    from the task's seed.

    Args:
        task: how to score.
        table: as of `lswag_fast.data.tables`; the index names architectures as the space's `decode` takes them.
        out: the CSV; the settings lie beside it in OUT.json.
        n: how many, a seeded random choice that a larger n extends; None for all.
        settings: what else decides the rows (the data, say), kept with the settings and compared when continuing.
        executor: where architectures are scored, each on the task's `n_threads`; None for this process, else as of
            `lswag_fast.execution.executors`. The rows are the same and in the same order.
        callback: called after each architecture.

    Raises TableError for a column with the name of a proxy, an architecture that is none of the space, or more
    architectures than the table has; StorageError for a file of other settings, or one that another process writes;
    ExecutorError when the executor cannot start or reach its processes. An architecture whose process ends each time it
    is scored has a row without values.
    """
    _check(task, table, n)
    chosen = table if n is None else table.sample(frac=1, random_state=task.seed).iloc[:n]
    columns = [str(table.index.name or "arch"), *table.columns, *task.proxies, ERRORS, WARNINGS, ELAPSED]
    rows = RowFile(out, columns, {**_settings(task), **(settings or {})})
    waiting = [str(arch) for arch in chosen.index if str(arch) not in rows.done]
    records: list[dict[Any, Any]] = chosen.to_dict(orient="records")
    own = dict(zip(map(str, chosen.index), records, strict=True))
    before = len(chosen) - len(waiting)
    with closing(rows), open_runner(task.scores, executor) as runner:
        for done, (arch, future) in enumerate(run_in_order(runner, ((arch, arch) for arch in waiting)), 1):
            rows.add({columns[0]: arch, **own[arch], **_found(task, future)})
            if callback is not None:
                callback(before + done, len(chosen))
    return len(waiting)


def _found(task: Task, future: Future[dict[str, Any]]) -> dict[str, Any]:
    try:
        return future.result()
    except WorkerLostError as error:
        values = dict.fromkeys((*task.proxies, ELAPSED), float("nan"))
        return {**values, ERRORS: f"all: {_reason(error)}", WARNINGS: ""}


def _reason(error: LswagError) -> str:
    return f"{type(error).__name__}: {error}"


def _check(task: Task, table: pd.DataFrame, n: int | None) -> None:
    check_initialisation(task.initialisation)
    for name in task.proxies:
        get_proxy(name)
        if name in table.columns:
            raise TableError(f"the table has a column {name!r}, which is the name of a proxy; rename it")
    if with_parts(task.proxies) != list(task.proxies):
        raise InputError("name the parts of ranked proxies: with_parts(proxies) has them")
    if n is not None and not 1 <= n <= len(table):
        raise TableError(f"n is {n}, the table has {len(table)} architectures")
    for row, arch in enumerate(table.index, 1):
        try:
            task.space.decode(str(arch))
        except LswagError as error:
            raise TableError(f"row {row}, column {table.index.name or 'arch'!r}: {error}") from error


def _settings(task: Task) -> dict[str, Any]:
    return {
        "space": repr(task.space),
        "proxies": list(task.proxies),
        "mode": task.mode,
        "init": task.initialisation,
        "seed": task.seed,
        "n_threads": task.n_threads,
        "score_options": dict(task.score_options),
    }
