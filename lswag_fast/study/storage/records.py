"""What the records of a study mean: what each event writes, and the study that all of them together are.

attr NAME         something known of the study: its settings, its versions, its status, ...
batch NUMBER      the trials of one batch of proposals: [[architecture, origin, n_params, macs, latency_ms], ...]
state NAME        after the last batch: how many there are, and the state of the random generator
memory NAME       an entry of the sampler's memory after the last batch
result NUMBER     of a trial: [state, values, error, start_time, elapsed_ms, clock_ms, traceback]
latency ARCH      a measured latency in milliseconds
"""

from __future__ import annotations

import base64
import itertools
import math
import random
import sys
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np

from lswag_fast.libra.ranks import Matrix
from lswag_fast.study.history import History
from lswag_fast.study.objective import Objective
from lswag_fast.study.settings import StudySettings
from lswag_fast.study.storage.protocol import Record, Records
from lswag_fast.study.trial import COMPLETE, FINISHED, Trial, TrialList

_RANDOM_WORDS = 625  # 624 words of the Mersenne twister and the place in them
_RANDOM_VERSION = 3

Memory = Mapping[str, Any]


def attr_records(attrs: Mapping[str, Any]) -> list[Record]:
    """Return the records of attributes, JSON values by name."""
    return [Record("attr", name, value) for name, value in attrs.items()]


def latency_records(latencies: Mapping[str, float]) -> list[Record]:
    """Return the records of measured latencies, {text of an architecture: milliseconds}."""
    return [Record("latency", arch_json, latency_ms) for arch_json, latency_ms in latencies.items()]


def batch_record(number: int, trials: Sequence[Trial]) -> Record:
    """Return the record of a batch of proposals; the trials continue the numbers of the batches before."""
    return Record("batch", number, [[t.arch_json, t.origin, t.n_params, t.macs, t.latency_ms] for t in trials])


def result_record(trial: Trial, traceback: str, clock_ms: float) -> Record:
    """Return the record of a finished trial; `clock_ms` is the wall time of the whole study by then."""
    times = (trial.start_time, trial.elapsed_ms, clock_ms)
    return Record("result", trial.number, [trial.state, dict(trial.values), trial.error, *times, traceback])


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


@dataclass(frozen=True)
class StudyRecord:
    """A study as it is stored, read and checked as a whole.

    The trials stay rows until they are asked for: a study of 100,000 is opened in less than a second.

    Attributes:
        attrs: what is known of the study by name: `versions`, `status`, `metadata`, ...
        settings: all that decides its outcome.
        proposals: the row of each trial, by number, as `batch_record` writes it.
        batch_of: the batch of proposals that each trial belongs to, by number.
        results: {number of a finished trial: its row as `result_record` writes it}.
        n_batches: how many batches were proposed.
        rng: the random generator after the last batch; None before the first.
        memory: the sampler's after the last batch.
        latencies: {text of an architecture: milliseconds}.
    """

    attrs: Mapping[str, Any]
    settings: StudySettings
    proposals: list[tuple[Any, ...]]
    batch_of: list[int]
    results: Mapping[int, tuple[Any, ...]]
    n_batches: int = 0
    rng: random.Random | None = None
    memory: Memory | None = None
    latencies: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_records(cls, records: Records) -> StudyRecord:
        """Read the records of a storage.

        Raises:
            ValueError, TypeError, KeyError, ...: they are damaged; see `damage_named`.
        """
        attrs: dict[Any, Any] = dict(records["attr"])
        settings = StudySettings.from_json(attrs["settings"])
        batches = records.get("batch", {})
        if sorted(batches) != list(range(len(batches))):
            raise ValueError("the batches of proposals do not follow each other")
        # Rows as tuples: those of plain values cost Python's search for circular garbage nothing, lists do.
        proposals = [tuple(row) for number in range(len(batches)) for row in batches[number]]
        batch_of = [number for number in range(len(batches)) for _ in batches[number]]
        results: dict[Any, tuple[Any, ...]] = {key: tuple(row) for key, row in records.get("result", {}).items()}
        _check_proposals(proposals)
        _check_results(results, len(proposals), settings.objective)
        n_batches, n_trials, rng, memory = _state(records)
        if (n_batches, n_trials) != (len(batches), len(proposals)):
            raise ValueError("its trials do not fit together")
        latencies: dict[Any, Any] = dict(records.get("latency", {}))
        if not _types(latencies) <= {str}:
            raise ValueError("a latency belongs to no architecture")
        _check_finite(list(latencies.values()), "a latency")
        if not (type(attrs["versions"]) is type(attrs["metadata"]) is dict and type(attrs["status"]) is str):
            raise ValueError("its attributes are not those of a study")
        return cls(attrs, settings, proposals, batch_of, results, n_batches, rng, memory, latencies)

    @property
    def clock_ms(self) -> float:
        """Wall time of the study when its last trial was told, in milliseconds."""
        return max((row[5] for row in self.results.values()), default=0.0)

    @property
    def complete(self) -> list[int]:
        """The numbers of the complete trials, ascending."""
        return sorted(number for number, row in self.results.items() if row[0] == COMPLETE)

    def restore(self, history: History, decode: Callable[[str], Any]) -> None:
        """Give the trials to an empty history; `decode` makes an architecture of its text, once it is asked for."""
        trials = TrialList(len(self.proposals), lambda number: self.trial(number, decode))
        complete = self.complete
        history.restore(trials, len(self.results), complete, self.vectors(complete))

    def vectors(self, complete: Sequence[int]) -> Matrix:
        """Return the values (n, proxies) of complete trials, turned so that higher is better."""
        objective = self.settings.objective
        values = [self.results[number][1] for number in complete]
        columns = [list(map(itemgetter(name), values)) for name in objective.proxies]
        signs = [-1.0 if name in objective.lower_is_better else 1.0 for name in objective.proxies]
        turned: Matrix = np.array(columns).T * signs
        return turned

    def trial(self, number: int, decode: Callable[[str], Any]) -> Trial:
        """Return one trial; a single proxy's score is filled in."""
        arch_json, origin, n_params, macs, latency_ms = self.proposals[number]
        head = (number, decode(arch_json), arch_json, origin, self.batch_of[number], n_params, macs)
        if number not in self.results:
            return Trial(*head, latency_ms=latency_ms)
        state, values, error, start_time, elapsed_ms, _, _ = self.results[number]
        objective = self.settings.objective
        score = objective.vector(values)[0] if state == COMPLETE and objective.is_single else None
        return Trial(*head, start_time, state, score, error, elapsed_ms, latency_ms, values)


def _state(records: Records) -> tuple[int, int, random.Random | None, Memory | None]:
    """The number of batches and trials, the generator and the sampler's memory after the last batch."""
    state = records.get("state")
    if state is None:
        return 0, 0, None, None
    n_batches, n_trials, names = state["batches"]
    memory = None if names is None else {name: records["memory"][name] for name in names}
    return n_batches, n_trials, _unpack_random(state["words"], *state["place"]), memory


def _unpack_random(text: str, place: int, gauss: float | None) -> random.Random:
    words = array("I", base64.b64decode(text, validate=True))
    if sys.byteorder == "big":
        words.byteswap()
    if len(words) != _RANDOM_WORDS - 1 or not (gauss is None or _is_finite(gauss)):
        raise ValueError("the state of the random generator is damaged")
    rng = random.Random()
    rng.setstate((_RANDOM_VERSION, (*words, place), gauss))
    return rng


def _check_proposals(rows: Sequence[Sequence[Any]]) -> None:
    """Refuse rows that `batch_record` did not write; column by column, which is quick."""
    if not rows:
        return
    arch_json, origin, n_params, macs, latency_ms = zip(*rows, strict=True)
    if _types(arch_json, origin) != {str} or _types(n_params, macs) != {int}:
        raise ValueError("the proposals hold other types than proposals do")
    _check_finite([value for value in latency_ms if value is not None], "a latency")


def _check_results(results: Mapping[Any, Sequence[Any]], n_trials: int, objective: Objective) -> None:
    """Refuse rows that `result_record` did not write."""
    if not results:
        return
    if _types(results) != {int} or not 0 <= min(results) <= max(results) < n_trials:
        raise ValueError("there is a result of a trial that was not proposed")
    states, values, errors, start_times, elapsed_ms, clock_ms, tracebacks = zip(*results.values(), strict=True)
    if not set(states) <= set(FINISHED) or _types(values) != {dict}:
        raise ValueError("a result is of no finished trial")
    wanted = set(objective.proxies)
    for state, found in set(zip(states, map(tuple, values), strict=True)):  # of the values' names: a few kinds
        if set(found) != wanted and (state == COMPLETE or not set(found) <= wanted):
            raise ValueError(f"a trial has the values {str(found)[:100]}")
    if _types(errors, start_times, tracebacks) != {str}:
        raise ValueError("the texts of a result are none")
    _check_finite([*elapsed_ms, *clock_ms, *itertools.chain.from_iterable(map(dict.values, values))], "a result")


def _types(*columns: Iterable[Any]) -> set[type]:
    return set(map(type, itertools.chain(*columns)))


def _check_finite(values: Sequence[Any], what: str) -> None:
    if not _types(values) <= {int, float} or not np.isfinite(np.array(values, dtype=np.float64)).all():
        raise ValueError(f"{what} holds what is no finite number")


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)
