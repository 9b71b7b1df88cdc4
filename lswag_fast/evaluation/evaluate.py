"""Scoring the architectures of a table by any proxies, one row each, continuing where it stopped."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import asdict
from typing import Any

import pandas as pd

from lswag_fast.data.tables import checked_table
from lswag_fast.errors import InputError, JobAbortedError, JobTimeoutError, LswagError, TableError, WorkerLostError
from lswag_fast.evaluation.kept import check_kept
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.execution import open_runner, run_in_order
from lswag_fast.score_job import ScoreJob, ScoreReport
from lswag_fast.study.settings import SpaceSettings
from lswag_fast.study.trial import shortened

Callback = Callable[[int, int], None]
"""`callback(done, total)`."""

COVERAGE, ERRORS, WARNINGS, ELAPSED = "coverage", "errors", "warnings", "elapsed_s"
SHOWN_OF_A_WARNING = 120
"""Characters: a warning may name every layer of a deep network."""
BETWEEN_WARNINGS = "; "
"""Those of a row; inside of one stands a comma instead."""


def evaluate(
    job: ScoreJob,
    table: pd.DataFrame,
    out: str | os.PathLike[str],
    *,
    n: int | None = None,
    settings: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    callback: Callback | None = None,
) -> int:
    """Score `n` architectures of a table by a job's proxies and append one row per architecture to a CSV.

    A row has the architecture, the columns of the table, the value of each proxy (NaN where it has none, and why in the
    column errors), the share of the weights that was observed, the beginning of each warning and the seconds it took.
    Architectures that the file has already are left out: called again after a cut it continues, and a larger `n` adds
    to it. An architecture whose process ends each time it is scored, or has to be ended, has a row without values.

    Args:
        job: how to score. With `weights="fresh"` each network has weights of its own, as published tables have it.
        table: as of `lswag_fast.data.tables`; the index names architectures as the space's `decode` takes them.
        out: the CSV. The settings lie beside it in OUT.json, the lock in OUT.lock.
        n: how many, a seeded random choice that a larger n extends; None for all.
        settings: what else decides the rows (the data, say), stored with the settings and compared when continuing.
        executor: where architectures are scored, each on the job's `n_threads`; None for this process, else as
            `lswag_fast.execution.open_executor` makes it. The rows are the same and in the same order.
        callback: called as `callback(done, total)` after each architecture.

    Returns:
        How many were scored now.

    Raises:
        InputError: the job has a function in the place of proxies.
        TableError: two columns of the file would have one name, an architecture is named twice or is none of the
            space, or the table has fewer architectures than `n`.
        StorageError: the file belongs to other settings (the difference is shown) or has rows that the table no longer
            has so, or another process writes it.
        ExecutorError: the executor cannot start or reach its processes.

    Example:
        >>> import random, tempfile
        >>> from lswag_fast import data, spaces
        >>> space = spaces.NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=10)
        >>> batch = data.load("digits", batch_size=8, image_size=8).batch
        >>> job = ScoreJob(space, batch, ("params",), weights="fresh")
        >>> cells = [space.encode(space.sample(random.Random(seed))) for seed in range(3)]
        >>> table = pd.DataFrame({"accuracy": [90.5, 88.0, 93.1]}, index=pd.Index(cells, name="arch"))
        >>> out = os.path.join(tempfile.mkdtemp(), "scores.csv")
        >>> evaluate(job, table, out, n=2), evaluate(job, table, out)
        (2, 1)
        >>> list(pd.read_csv(out).columns)
        ['arch', 'accuracy', 'params', 'coverage', 'errors', 'warnings', 'elapsed_s']
    """
    _check(job, table, n)
    chosen = drawn_rows(table, n, job.seed)
    columns = [str(table.index.name or "arch"), *table.columns, *job.proxies, COVERAGE, ERRORS, WARNINGS, ELAPSED]
    rows = RowFile(out, columns, {**_settings(job), **(settings or {})})
    with closing(rows), rows.discarded_if_refused():
        check_kept(rows, table)
        return _score(job, chosen, rows, executor, callback)


def _score(
    job: ScoreJob, chosen: pd.DataFrame, rows: RowFile, executor: Executor | None, callback: Callback | None
) -> int:
    """Add a row for each architecture that has none; how many."""
    waiting = [str(arch) for arch in chosen.index if str(arch) not in rows.done]
    records: list[dict[Any, Any]] = chosen.to_dict(orient="records")
    own = dict(zip(map(str, chosen.index), records, strict=True))
    before = len(chosen) - len(waiting)
    with open_runner(job.report, executor) as runner:
        for done, (arch, future) in enumerate(run_in_order(runner, ((arch, arch) for arch in waiting)), 1):
            rows.add({rows.columns[0]: arch, **own[arch], **_columns(_report(job, future))})
            if callback is not None:
                callback(before + done, len(chosen))
    return len(waiting)


def drawn_rows(table: pd.DataFrame, n: int | None, seed: int) -> pd.DataFrame:
    """Return the rows that an evaluation of `n` architectures scores, which are among those of a larger n.

    Example:
        >>> table = pd.DataFrame({"accuracy": [1.0, 2.0, 3.0]}, index=["a", "b", "c"])
        >>> set(drawn_rows(table, 1, seed=0).index) < set(drawn_rows(table, 2, seed=0).index)
        True
    """
    return table if n is None else table.sample(frac=1, random_state=seed).iloc[:n]


def _report(job: ScoreJob, future: Future[ScoreReport]) -> ScoreReport:
    try:
        return future.result()
    except (WorkerLostError, JobTimeoutError, JobAbortedError) as error:
        return ScoreReport.failed(job.proxies, error)


def _columns(report: ScoreReport) -> dict[str, Any]:
    return {
        **report.values,
        COVERAGE: report.coverage,
        ERRORS: shortened("; ".join(f"{name}: {error}" for name, error in report.errors.items())),
        WARNINGS: BETWEEN_WARNINGS.join(dict.fromkeys(map(_shown, report.warnings))),
        ELAPSED: round(report.elapsed_s, 3),
    }


def _shown(warning: str) -> str:
    return warning[:SHOWN_OF_A_WARNING].replace(BETWEEN_WARNINGS, ", ")


def _check(job: ScoreJob, table: pd.DataFrame, n: int | None) -> None:
    if not isinstance(job, ScoreJob):
        raise InputError(f"an evaluation scores by a ScoreJob(...), got {job!r}")
    checked_table(table)
    if not job.proxies:
        raise InputError("an evaluation scores by proxies; register a function of your own with register_proxy")
    for name in job.proxies:
        if name in table.columns:
            raise TableError(f"the table has a column {name!r}, which is the name of a proxy; rename it")
    _check_columns(table)
    if n is not None and not 1 <= n <= len(table):
        raise TableError(f"n is {n}, the table has {len(table)} architectures")
    job.check_batch()
    for row, arch in enumerate(table.index, 1):
        try:
            job.space.decode(str(arch))
        except LswagError as error:
            raise TableError(f"row {row}, column {table.index.name or 'arch'!r}: {error}") from error


def _check_columns(table: pd.DataFrame) -> None:
    """Refuse columns that would be two of one name in the file, which nothing reads."""
    names = [str(name) for name in table.columns]
    for name in (str(table.index.name or "arch"), COVERAGE, ERRORS, WARNINGS, ELAPSED):
        if name in names:
            raise TableError(f"the table has a column {name!r}, which an evaluation writes; rename it or leave it out")
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise TableError(f"several columns of the table are named {repeated[0]!r}; keep one of them")


def _settings(job: ScoreJob) -> dict[str, Any]:
    return {
        "space": asdict(SpaceSettings.of(job.space)),
        "proxies": list(job.proxies),
        "weights": "given" if isinstance(job.weights, Mapping) else job.weights,
        "seed": job.seed,
        **asdict(job.settings()),
    }
