"""What the records of a study mean, and what each event writes; `StudyRecord` reads all of them together.

attr NAME         something known of the study: its settings, its versions, its status, ...
batch NUMBER      of one batch of proposals: the `CHANCE_FIELDS` after it, then the `PROPOSAL_FIELDS` of its trials, one
                  trial after the other
state words       the words of the random generator, see `Chance`
state memory      the names in the sampler's memory after the last batch; None without one
memory NAME       an entry of it
isomorphic NUMBER of the batch of that number, where a search leaves out architectures that are the same function as
                  an earlier one: how many it met so far, then a digest of what each of the batch computes
result NUMBER     of a complete trial: [start_ms, elapsed_ms, clock_ms, and the value of each proxy of the objective]
failure NUMBER    of a failed trial: [start_ms, elapsed_ms, clock_ms, error, traceback, {proxy: value}]
exact NUMBER      of a finalist scored exactly: [clock_ms, error, traceback, {proxy: value}]
latency ARCH      a measured latency in milliseconds

`start_ms` counts from 1970 in UTC; `clock_ms` is the wall time of the whole study by then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from lswag_fast.study.candidate_pool import Known
from lswag_fast.study.storage.chance import Chance, State
from lswag_fast.study.storage.protocol import Record
from lswag_fast.study.trial import COMPLETE, Trial

PROPOSAL_FIELDS = ("arch_json", "origin", "n_params", "macs", "latency_ms")
"""The fields of a trial that its proposal decides."""

CHANCE_FIELDS = ("n_renewals", "place", "gauss")
"""The fields of `Chance` that each batch has; its words are written apart, once in a while."""

_EPOCH, _MILLISECOND = datetime(1970, 1, 1, tzinfo=timezone.utc), timedelta(milliseconds=1)

Memory = Mapping[str, Any]


def attr_records(attrs: Mapping[str, Any]) -> list[Record]:
    """Return the records of attributes, JSON values by name."""
    return [Record("attr", name, value) for name, value in attrs.items()]


def latency_records(latencies: Mapping[str, float]) -> list[Record]:
    """Return the records of measured latencies, {text of an architecture: milliseconds}."""
    return [Record("latency", arch_json, latency_ms) for arch_json, latency_ms in latencies.items()]


def batch_record(number: int, trials: Sequence[Trial], chance: Chance) -> Record:
    """Return the record of a batch of proposals; the trials continue the numbers of the batches before."""
    fields = [getattr(trial, name) for trial in trials for name in PROPOSAL_FIELDS]
    return Record("batch", number, [*(getattr(chance, name) for name in CHANCE_FIELDS), *fields])


def isomorphic_records(number: int, known: Known) -> list[Record]:
    """Return the record of what the pending trials of a batch compute; none where isomorphic ones are kept."""
    return [] if known.keeps else [Record("isomorphic", number, [known.n_isomorphic, *known.pending_functions])]


def result_record(trial: Trial, proxies: Sequence[str], traceback: str, clock_ms: float) -> Record:
    """Return the record of a finished trial; `clock_ms` is the wall time of the whole study by then."""
    times = [milliseconds_of(trial.start_time), trial.elapsed_ms, clock_ms]
    if trial.state == COMPLETE:
        return Record("result", trial.number, [*times, *(trial.values[name] for name in proxies)])
    return Record("failure", trial.number, [*times, trial.error, traceback, dict(trial.values)])


def exact_record(trial: Trial, traceback: str, clock_ms: float) -> Record:
    """Return the record of a finalist that was scored exactly, or failed to be."""
    return Record("exact", trial.number, [clock_ms, trial.exact_error, traceback, dict(trial.exact_values)])


def milliseconds_of(start_time: str) -> int:
    """Return the milliseconds from 1970 to a time as `Trial.start_time` gives it."""
    return (datetime.fromisoformat(start_time) - _EPOCH) // _MILLISECOND


def start_time_of(milliseconds: int) -> str:
    """Return the inverse of `milliseconds_of`."""
    return (_EPOCH + milliseconds * _MILLISECOND).isoformat(timespec="milliseconds")


def state_records(chance: Chance, memory: Memory | None) -> list[Record]:
    """Return the records of what is known beside a batch: the words of the generator and the sampler's memory."""
    return [
        Record("state", "words", chance.words),
        Record("state", "memory", None if memory is None else list(memory)),
        *(Record("memory", name, value) for name, value in (memory or {}).items()),
    ]


class BatchWriter:
    """Makes the records of one batch of proposals after the other; of the state beside them only what is new."""

    def __init__(self) -> None:
        self._written: dict[tuple[str, Any], Any] = {}
        self._last: tuple[Chance, State] | None = None
        self._next: tuple[Chance, State] | None = None

    def records(self, number: int, trials: Sequence[Trial], rng_state: State, memory: Memory | None) -> list[Record]:
        """Return the records of a batch; `rng_state` and `memory` are those after it."""
        chance = Chance.of(rng_state) if self._last is None else self._last[0].advanced(self._last[1], rng_state)
        self._next = chance, rng_state
        state = state_records(chance, memory)
        return [batch_record(number, trials, chance), *(record for record in state if self._is_new(record))]

    def _is_new(self, record: Record) -> bool:
        place = (record.kind, record.key)
        return place not in self._written or self._written[place] != record.value

    def keep(self, records: Sequence[Record]) -> None:
        """Take note that the records of the last batch were stored; without this they are made again."""
        self._written.update({(record.kind, record.key): record.value for record in records[1:]})
        self._last = self._next
