"""What the database of a study holds, read and checked as a whole."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lswag_fast.errors import StorageError
from lswag_fast.study.objective import Objective
from lswag_fast.study.storage import schema
from lswag_fast.study.trial import COMPLETE, FINISHED, Trial


@dataclass(frozen=True)
class WaveState:
    """The state after the last proposals were made: how many waves there were, chance, and the sampler's memory."""

    number: int
    rng: random.Random
    memory: Any


@dataclass(frozen=True)
class Records:
    """A study as it is stored.

    Attributes:
        facts: what is known of the study: `settings`, `versions`, `status`, ...
        trials: all that were proposed, by number; a single proxy's score filled in, architectures as plain JSON values.
        wave: None before the first proposals.
        latencies: {text of an architecture: milliseconds}.
        clock_ms: wall time of the study when its last trial was told.
    """

    facts: Mapping[str, Any]
    trials: list[Trial]
    wave: WaveState | None
    latencies: Mapping[str, float]
    clock_ms: float

    @property
    def objective(self) -> Objective:
        """What the study maximises."""
        return Objective.from_dict(self.facts["settings"])


def read_records(connection: sqlite3.Connection) -> Records:
    """Read a study in one snapshot.

    Raises:
        StorageError: something in it is damaged.
        sqlite3.Error: the database cannot be read.
    """
    with _damage_named(), _snapshot(connection):
        facts = {key: json.loads(value) for key, value in schema.rows_of(connection, "fact")}
        objective = Objective.from_dict(facts["settings"])
        results = {row[0]: row for row in schema.rows_of(connection, "result")}
        clock_ms = max((row[-1] for row in results.values()), default=0.0)
        trials = [_trial(row, results.pop(row[0], None), objective) for row in schema.rows_of(connection, "proposal")]
        wave = next(schema.rows_of(connection, "wave"), None)
        n_proposals = wave[2] if wave else 0
        if results or [trial.number for trial in trials] != list(range(n_proposals)):
            raise StorageError("its trials do not fit together")
        latencies = {row[0]: row[1] for row in schema.rows_of(connection, "latency")}
        return Records(facts, trials, _wave_state(wave) if wave else None, latencies, clock_ms)


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def _damage_named() -> Iterator[None]:
    """What cannot be read as it was written is damage: said in one line, and nothing of it is used."""
    try:
        yield
    except StorageError as error:
        raise StorageError(f"the study is damaged: {error}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise StorageError(f"the study is damaged: {type(error).__name__}: {error}") from error


def _trial(proposal: schema.Cells, result: schema.Cells | None, objective: Objective) -> Trial:
    number, arch_json, *facts, latency_ms = proposal
    origin, generation, n_params, macs = facts
    arch = json.loads(arch_json)
    if result is None:
        return Trial(number, arch, arch_json, origin, generation, n_params, macs, latency_ms=latency_ms)
    _, state, text, error, _, start_time, elapsed_ms, _ = result
    values = json.loads(text)
    if state not in FINISHED:
        raise ValueError(f"trial {number} is {state!r}")
    score = objective.vector(values)[0] if state == COMPLETE and objective.is_single else None
    costs = (n_params, macs, start_time)
    return Trial(
        number, arch, arch_json, origin, generation, *costs, state, score, error, elapsed_ms, latency_ms, values
    )


def _wave_state(row: schema.Cells) -> WaveState:
    _, number, _, packed, gauss, memory = row
    return WaveState(number, schema.unpack_random(packed, gauss), json.loads(memory))
