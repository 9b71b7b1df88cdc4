"""A benchmark table of one's own data: architectures of all sizes, and their accuracy with inherited weights."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lswag_fast.errors import (
    JobAbortedError,
    JobTimeoutError,
    NonFiniteOutputError,
    StorageError,
    WorkerLostError,
    reason,
)
from lswag_fast.evaluation.rows import RowFile
from lswag_fast.execution import open_runner, run_in_order
from lswag_fast.score_job import ScoreJob
from lswag_fast.spaces import SearchSpace
from lswag_fast.study.objective import SCORE
from lswag_fast.study.settings import SpaceSettings
from lswag_fast.study.trial import shortened
from lswag_fast.training.accuracy import Accuracy
from lswag_fast.training.drawing import draw_by_size
from lswag_fast.training.inherited import INHERITED_ACCURACY

Callback = Callable[[int, int], None]
"""`callback(done, total)`."""

ARCH, N_PARAMS, N_MACS, LOW, HIGH, N_IMAGES, FAILURE = (
    "arch",
    "n_params",
    "n_macs",
    f"{INHERITED_ACCURACY}_low",
    f"{INHERITED_ACCURACY}_high",
    "n_images",
    "failure",
)
# What keeps one architecture from having an accuracy, and no other one.
_FAILURES = (NonFiniteOutputError, WorkerLostError, JobTimeoutError, JobAbortedError)


def benchmark(
    job: ScoreJob,
    out: str | os.PathLike[str],
    n: int,
    *,
    seed: int = 0,
    settings: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    callback: Callback | None = None,
) -> int:
    """Measure architectures of all sizes with inherited weights and append one row each to a CSV.

    A row has the architecture, the fields of it that are one number, its parameters and multiply-accumulates,
    the accuracy with Wilson's interval, the number of images it was measured on, and what went wrong. `evaluate` takes
    the file as its table, `correlate` and `libra` what `evaluate` makes of it. Called again after a cut it continues,
    and a larger `n` adds to it.

    Args:
        job: as of `inherited_accuracy_job`.
        out: the CSV. The settings lie beside it in OUT.json, the lock in OUT.lock.
        n: how many architectures, see `draw_by_size`.
        seed: of the architectures.
        settings: what else decides the rows (the supernet, say), stored with the settings and compared.
        executor: where architectures are measured; None for this process, else as `open_executor` makes it. The rows
            are the same and in the same order.
        callback: called as `callback(done, total)` after each architecture.

    Returns:
        How many were measured now.

    Raises:
        InputError: the space has fewer architectures than `n`, or the images do not fit the networks.
        StorageError: the file belongs to other settings (the difference is shown), or another process writes it.
        ExecutorError: the executor cannot start or reach its processes.

    Example:
        >>> import tempfile
        >>> from lswag_fast import spaces
        >>> from lswag_fast.data.splits import split_images
        >>> from lswag_fast.training.inherited import inherited_accuracy_job
        >>> choices = {"embed_dim": (16, 32), "depth": (1, 2), "num_heads": 1, "mlp_ratio": 2}
        >>> space = spaces.AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
        >>> job = inherited_accuracy_job(space, space.init_weights(0), split_images("digits", image_size=8))
        >>> out = os.path.join(tempfile.mkdtemp(), "table.csv")
        >>> benchmark(job, out, 2), benchmark(job, out, 4)
        (2, 2)
    """
    space = job.space
    archs = draw_by_size(space, n, seed)
    fields = _fields(space, archs[0])
    columns = [ARCH, *fields, N_PARAMS, N_MACS, INHERITED_ACCURACY, LOW, HIGH, N_IMAGES, FAILURE]
    rows = RowFile(out, columns, {**_settings(job, seed), **(settings or {})}, newer=(N_IMAGES,))
    waiting = [arch for arch in archs if arch not in rows.done]
    before = len(archs) - len(waiting)
    with closing(rows), rows.discarded_if_refused(), open_runner(job, executor) as runner:
        for done, (text, future) in enumerate(run_in_order(runner, ((arch, arch) for arch in waiting)), 1):
            arch = space.decode(text)
            own = {name: arch.get(name) for name in fields}
            costs = {N_PARAMS: space.n_params(arch), N_MACS: space.macs(arch)}
            rows.add({ARCH: text, **own, **costs, **_measured(future, len(job.batch[1]))})
            if callback is not None:
                callback(before + done, len(archs))
    return len(waiting)


def images_of_table(path: str | os.PathLike[str]) -> dict[str, Any] | None:
    """Return which images a table was measured on and how they were split, see `ImageSplits.to_dict`.

    Args:
        path: of a table of `lswag-fast benchmark`, or of what `lswag-fast evaluate` made of one.

    Returns:
        None where nothing beside the table says so.

    Raises:
        StorageError: the settings beside it cannot be read.

    Example:
        >>> images_of_table("nasbench201.csv") is None
        True
    """
    beside = Path(f"{os.fspath(path)}.json")
    try:
        settings = json.loads(beside.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise StorageError(f"{beside} says which images {path} is of, and cannot be read ({reason(error)})") from error
    found = settings.get("data") if isinstance(settings, dict) else None
    return found if isinstance(found, dict) and {"source", "shares", "checksum"} <= set(found) else None


def _fields(space: SearchSpace, text: str) -> list[str]:
    """The fields of an architecture that are one number, as columns to compare inside of."""
    arch = space.decode(text)
    taken = {ARCH, N_PARAMS, N_MACS, INHERITED_ACCURACY, LOW, HIGH, N_IMAGES, FAILURE}
    return [name for name, value in arch.items() if isinstance(value, (int, float)) and name not in taken]


def _measured(future: Future[dict[str, float]], n_images: int) -> dict[str, Any]:
    try:
        value = future.result()[SCORE]
    except _FAILURES as error:
        nothing = dict.fromkeys((INHERITED_ACCURACY, LOW, HIGH), math.nan)
        return {**nothing, N_IMAGES: n_images, FAILURE: shortened(f"{type(error).__name__}: {error}")}
    low, high = Accuracy(round(value * n_images), n_images).interval
    return {INHERITED_ACCURACY: value, LOW: low, HIGH: high, N_IMAGES: n_images, FAILURE: ""}


def _settings(job: ScoreJob, seed: int) -> dict[str, Any]:
    found = job.settings()
    settings = {
        "space": asdict(SpaceSettings.of(job.space)),
        "measured": found.function,
        "seed": seed,
        "n_threads": found.n_threads,
        N_IMAGES: len(job.batch[1]),  # told before the fingerprint, which tells nobody what to do
        "images": found.batch_fingerprint,
        "weights": found.weights_fingerprint,
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain
