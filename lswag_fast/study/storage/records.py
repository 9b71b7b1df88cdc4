"""What the records of a study mean, and what each event writes; `StudyRecord` reads all of them together.

attr NAME         something known of the study: its settings, its versions, its status, ...
batch NUMBER      of one batch of proposals: the `PROPOSAL_FIELDS` of its trials, one trial after the other
state NAME        after the last batch: how many there are, and the state of the random generator
memory NAME       an entry of the sampler's memory after the last batch
result NUMBER     of a complete trial: [start_ms, elapsed_ms, clock_ms, and the value of each proxy of the objective]
failure NUMBER    of a failed trial: [start_ms, elapsed_ms, clock_ms, error, traceback, {proxy: value}]
latency ARCH      a measured latency in milliseconds

`start_ms` counts from 1970 in UTC; `clock_ms` is the wall time of the whole study by then.
"""

from __future__ import annotations

import base64
import math
import random
import sys
from array import array
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from lswag_fast.study.storage.protocol import Record
from lswag_fast.study.trial import COMPLETE, Trial

PROPOSAL_FIELDS = ("arch_json", "origin", "n_params", "macs", "latency_ms")
"""The fields of a trial that its proposal decides."""

RANDOM_WORDS = 624
"""Of the Mersenne twister."""

_RANDOM_VERSION = 3
_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=timezone.utc), timedelta(milliseconds=1)

Memory = Mapping[str, Any]


def attr_records(attrs: Mapping[str, Any]) -> list[Record]:
    """Return the records of attributes, JSON values by name."""
    return [Record("attr", name, value) for name, value in attrs.items()]


def latency_records(latencies: Mapping[str, float]) -> list[Record]:
    """Return the records of measured latencies, {text of an architecture: milliseconds}."""
    return [Record("latency", arch_json, latency_ms) for arch_json, latency_ms in latencies.items()]


def batch_record(number: int, trials: Sequence[Trial]) -> Record:
    """Return the record of a batch of proposals; the trials continue the numbers of the batches before."""
    return Record("batch", number, [getattr(trial, name) for trial in trials for name in PROPOSAL_FIELDS])


def result_record(trial: Trial, proxies: Sequence[str], traceback: str, clock_ms: float) -> Record:
    """Return the record of a finished trial; `clock_ms` is the wall time of the whole study by then."""
    times = [milliseconds_of(trial.start_time), trial.elapsed_ms, clock_ms]
    if trial.state == COMPLETE:
        return Record("result", trial.number, [*times, *(trial.values[name] for name in proxies)])
    return Record("failure", trial.number, [*times, trial.error, traceback, dict(trial.values)])


def milliseconds_of(start_time: str) -> int:
    """Return the milliseconds from 1970 to a time as `Trial.start_time` gives it."""
    return (datetime.fromisoformat(start_time) - _EPOCH) // _MILLISECOND


def start_time_of(milliseconds: int) -> str:
    """Return the inverse of `milliseconds_of`."""
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds")


def state_records(n_batches: int, n_trials: int, rng_state: Any, memory: Memory | None) -> list[Record]:
    """Return the records of the state after so many batches: of the generator and of the sampler."""
    _, words, gauss = rng_state
    # The words change once in 624 draws; apart from the place in them, a storage that appends need not repeat them.
    packed = array("I", words[:-1])
    if sys.byteorder == "big":
        packed.byteswap()
    return [
        Record("state", "words", base64.b64encode(packed.tobytes()).decode()),
        Record("state", "place", [words[-1], gauss]),
        Record("state", "batches", [n_batches, n_trials, None if memory is None else list(memory)]),
        *(Record("memory", name, value) for name, value in (memory or {}).items()),
    ]


def unpack_random(text: str, place: int, gauss: float | None) -> random.Random:
    """Return the generator whose state `state_records` wrote. Raises ValueError or TypeError where it is damaged."""
    words = array("I", base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        words.byteswap()
    if len(words) != RANDOM_WORDS or not (gauss is None or (type(gauss) in (int, float) and math.isfinite(gauss))):
        raise ValueError("the state of the random generator is damaged")
    rng = random.Random()
    rng.setstate((_RANDOM_VERSION, (*words, place), gauss))
    return rng


class ChangedRecords:
    """Leaves out what was written before with the same value."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, Any], Any] = {}

    def changed(self, records: Sequence[Record]) -> list[Record]:
        """Return the records whose values are new."""
        return [r for r in records if (r.kind, r.key) not in self._written or self._written[r.kind, r.key] != r.value]

    def keep(self, records: Sequence[Record]) -> None:
        """Take note of what was written."""
        self._written.update({(record.kind, record.key): record.value for record in records})
