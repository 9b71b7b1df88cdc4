"""`StudyRecord`: the study that all records of a storage together are, checked as a whole."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lswag_fast.errors import StorageError
from lswag_fast.libra.ranks import Matrix
from lswag_fast.study.history import History
from lswag_fast.study.settings import StudySettings
from lswag_fast.study.storage.attributes import LARGEST_COUNT, check_attributes
from lswag_fast.study.storage.chance import Chance
from lswag_fast.study.storage.protocol import REMEDY, Records
from lswag_fast.study.storage.records import CHANCE_FIELDS, PROPOSAL_FIELDS, Memory, start_time_of
from lswag_fast.study.trial import COMPLETE, FAILED, Trial, TrialList

_N_TIMES = 3  # start_ms, elapsed_ms and clock_ms stand first in the row of every finished trial
_CLOCK = 2


class Proposals(NamedTuple):
    """The proposals of all trials by number, a column for each field: few objects, however many trials there are."""

    arch_json: list[str]
    origin: list[str]
    n_params: list[int]
    macs: list[int]
    latency_ms: list[float | None]
    batch: list[int]

    @classmethod
    def from_batches(cls, batches: Mapping[Any, Sequence[Any]]) -> Proposals:
        """Put the records of all batches behind each other. Raises ValueError or TypeError where one is damaged."""
        if sorted(batches) != list(range(len(batches))):
            raise ValueError("the batches of proposals do not follow each other")
        ordered = [batches[number] for number in range(len(batches))]
        n_chance, n_fields = len(CHANCE_FIELDS), len(PROPOSAL_FIELDS)
        sizes = np.fromiter(map(len, ordered), np.int64, len(ordered)) - n_chance
        if _types(ordered) - {list} or (sizes < 0).any() or (sizes % n_fields).any():
            raise ValueError("a batch of proposals does not have the fields that proposals have")
        cells = list(itertools.chain.from_iterable([batch[n_chance:] for batch in ordered]))
        columns = {name: cells[place::n_fields] for place, name in enumerate(PROPOSAL_FIELDS)}
        proposals = cls(**columns, batch=np.arange(len(ordered)).repeat(sizes // n_fields).tolist())
        texts, counts = (proposals.arch_json, proposals.origin), (proposals.n_params, proposals.macs)
        if not (_types(*texts) <= {str} and _types(*counts) <= {int}):
            raise ValueError("the proposals hold other types than proposals do")
        if any(column and not 0 <= min(column) <= max(column) < LARGEST_COUNT for column in counts):
            raise ValueError("the proposals hold costs that no architecture has")
        _finite([value for value in proposals.latency_ms if value is not None], "a latency")
        return proposals


class Results(NamedTuple):
    """The complete trials: their numbers (n,), ascending, their times (n, 3) in milliseconds and values (n, proxies).

    The columns of `times` are `start_ms`, `elapsed_ms` and `clock_ms`.
    """

    numbers: NDArray[np.int64]
    times: Matrix
    values: Matrix

    @classmethod
    def from_rows(cls, rows: Mapping[Any, Sequence[Any]], n_proxies: int) -> Results:
        """Read the records of complete trials. Raises ValueError or TypeError where one is damaged."""
        width = _N_TIMES + n_proxies
        if _types(rows) - {int} or set(map(len, rows.values())) - {width} or _types(rows.values()) - {list}:
            raise ValueError("a result is not that of a complete trial")
        table = _finite(list(itertools.chain.from_iterable(rows.values())), "a result").reshape(len(rows), width)
        numbers = np.fromiter(rows, np.int64, len(rows))
        order = numbers.argsort()
        return cls(numbers[order], table[order, :_N_TIMES], table[order, _N_TIMES:])

    def place(self, number: int) -> int | None:
        """Return the row of a trial; None where it is not complete."""
        place = int(self.numbers.searchsorted(number))
        return place if place < len(self.numbers) and self.numbers[place] == number else None


@dataclass(frozen=True)
class StudyRecord:
    """A study as it is stored, read and checked as a whole.

    The trials stay columns until they are asked for: a study of 100,000 is opened in less than a second.

    Attributes:
        attrs: what is known of the study by name: `versions`, `status`, `metadata`, ...
        settings: all that decides its outcome.
        proposals: of all trials.
        results: of the complete trials.
        failures: {number of a failed trial: its row as `result_record` writes it}.
        exact: {number of a finalist scored exactly: its row as `exact_record` writes it}.
        n_batches: how many batches were proposed.
        rng: the random generator after the last batch; None before the first.
        memory: the sampler's after the last batch.
        latencies: {text of an architecture: milliseconds}.
        functions: digests of what the architectures compute; empty where isomorphic ones are kept.
        n_isomorphic: how many were met, and left out, that are the same function as an earlier one.
    """

    attrs: Mapping[str, Any]
    settings: StudySettings
    proposals: Proposals
    results: Results
    failures: Mapping[int, Sequence[Any]]
    exact: Mapping[int, Sequence[Any]] = field(default_factory=dict)
    n_batches: int = 0
    rng: random.Random | None = None
    memory: Memory | None = None
    latencies: Mapping[str, float] = field(default_factory=dict)
    functions: Sequence[str] = ()
    n_isomorphic: int = 0

    @classmethod
    def from_records(cls, records: Records) -> StudyRecord:
        """Read the records of a storage.

        Raises:
            ValueError, TypeError, KeyError, ...: they are damaged; see `damage_named`.
        """
        attrs: dict[Any, Any] = dict(records["attr"])
        check_attributes(attrs)
        settings = StudySettings.from_json(attrs["settings"])
        batches: Mapping[Any, Any] = records.get("batch", {})
        proposals = Proposals.from_batches(batches)
        rows: Mapping[Any, Any] = records.get("result", {})
        results = Results.from_rows(rows, len(settings.objective.proxies))
        failures: Mapping[Any, Any] = records.get("failure", {})
        _check_failures(failures, settings.objective.proxies)
        _check_numbers(results, failures, len(proposals.batch))
        exact: Mapping[Any, Any] = records.get("exact", {})
        _check_exact(exact, results, settings.objective.proxies)
        rng, memory = _state(records)
        latencies: dict[Any, Any] = dict(records.get("latency", {}))
        if not _types(latencies) <= {str}:
            raise ValueError("a latency belongs to no architecture")
        _finite(list(latencies.values()), "a latency")
        met, functions = (0, []) if settings.keep_isomorphic else _functions(records, proposals.batch, len(batches))
        read = (attrs, settings, proposals, results, failures, exact, len(batches), rng, memory, latencies)
        return cls(*read, functions, met)

    @property
    def n_trials(self) -> int:
        """The number of trials, finished or not."""
        return len(self.proposals.batch)

    @property
    def n_finished(self) -> int:
        """The number of complete and failed trials."""
        return len(self.results.numbers) + len(self.failures)

    @property
    def finished(self) -> NDArray[np.bool_]:
        """Which trials are finished, by number."""
        is_finished = np.zeros(self.n_trials, dtype=np.bool_)
        is_finished[self.results.numbers] = True
        is_finished[list(self.failures)] = True
        return is_finished

    @property
    def clock_ms(self) -> float:
        """Wall time of the study when it was last told anything, in milliseconds."""
        of_failures: Iterable[float] = (row[_CLOCK] for row in self.failures.values())
        of_exact: Iterable[float] = (row[0] for row in self.exact.values())
        return max([float(self.results.times[:, _CLOCK].max(initial=0.0)), *of_failures, *of_exact])

    def restore(self, history: History, decode: Callable[[str], Any]) -> None:
        """Give the trials to an empty history; `decode` makes an architecture of its text, once it is asked for."""
        trials = TrialList(self.n_trials, lambda number: self.trial(number, decode))
        objective = self.settings.objective
        signs = [-1.0 if name in objective.lower_is_better else 1.0 for name in objective.proxies]
        origins = self.proposals.origin
        history.restore(trials, self.n_finished, self.results.numbers, self.results.values * signs, origins)

    def trial(self, number: int, decode: Callable[[str], Any]) -> Trial:
        """Return one trial; a single proxy's score is filled in."""
        proposals, objective = self.proposals, self.settings.objective
        proposed: dict[str, Any] = {name: getattr(proposals, name)[number] for name in PROPOSAL_FIELDS}
        arch = _decoded(decode, proposed["arch_json"], number)
        proposed |= {"arch": arch, "proposal_batch": proposals.batch[number]}
        if number in self.failures:
            start_ms, elapsed_ms, _, error, _, values = self.failures[number]
            finished = {"state": FAILED, "error": error, "values": values}
        elif (place := self.results.place(number)) is not None:
            start_ms, elapsed_ms, _ = self.results.times[place].tolist()
            values = dict(zip(objective.proxies, self.results.values[place].tolist(), strict=True))
            score = objective.vector(values)[0] if objective.is_single else None
            finished = {"state": COMPLETE, "score": score, "values": values}
            if number in self.exact:
                _, finished["exact_error"], _, finished["exact_values"] = self.exact[number]
        else:
            return Trial(number, **proposed)
        return Trial(number, **proposed, **finished, start_time=start_time_of(start_ms), elapsed_ms=elapsed_ms)


def _decoded(decode: Callable[[str], Any], arch_json: str, number: int) -> Any:
    """An architecture; raises StorageError where the space cannot read what it once wrote, for whatever reason."""
    try:
        return decode(arch_json)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise StorageError(
            f"the study is damaged, or its space has changed: trial {number} is {arch_json[:200]!r} ({text[:200]}); "
            f"{REMEDY}"
        ) from error


def _state(records: Records) -> tuple[random.Random | None, Memory | None]:
    """The generator and the sampler's memory after the last batch."""
    batches, state = records.get("batch", {}), records.get("state", {})
    if not batches:
        return None, None
    chance = Chance(state["words"], *batches[len(batches) - 1][: len(CHANCE_FIELDS)])
    names = state["memory"]
    memory = None if names is None else {name: records["memory"][name] for name in names}
    return chance.generator(), memory


def _functions(records: Records, batch: Sequence[int], n_batches: int) -> tuple[int, list[str]]:
    """How many isomorphic architectures were met, and what those of the batches compute."""
    rows: Mapping[Any, Any] = records.get("isomorphic", {})
    if sorted(rows) != list(range(n_batches)) or _types(rows.values()) - {list}:
        raise ValueError("it is not known of each batch what its architectures compute")
    functions = [function for number in range(n_batches) for function in rows[number][1:]]
    counts = [row[0] for row in rows.values()]
    if len(functions) != len(batch) or _types(functions) - {str} or _types(counts) - {int}:
        raise ValueError("what the architectures compute is described by other types, or not of each")
    if counts and not 0 <= min(counts) <= max(counts) < LARGEST_COUNT:
        raise ValueError("the number of isomorphic architectures is none")
    return max(counts, default=0), functions


def _check_failures(failures: Mapping[Any, Sequence[Any]], proxies: Sequence[str]) -> None:
    """Refuse rows that `result_record` did not write."""
    for number, row in failures.items():
        start_ms, elapsed_ms, clock_ms, error, traceback, values = row
        if not (type(number) is int and type(error) is type(traceback) is str and set(values) <= set(proxies)):
            raise ValueError("a failed trial is described by other types")
        _finite([start_ms, elapsed_ms, clock_ms, *values.values()], "a failed trial")


def _check_exact(exact: Mapping[Any, Sequence[Any]], results: Results, proxies: Sequence[str]) -> None:
    """Refuse rows that `exact_record` did not write, and those of trials that are not complete."""
    for number, row in exact.items():
        clock_ms, error, traceback, values = row
        if not (type(number) is int and type(error) is type(traceback) is str and type(values) is dict):
            raise ValueError("an exact score is described by other types")
        if results.place(number) is None or (set(values) != set(proxies) if not error else values):
            raise ValueError("an exact score is not that of a complete trial")
        _finite([clock_ms, *values.values()], "an exact score")


def _check_numbers(results: Results, failures: Iterable[int], n_trials: int) -> None:
    """Refuse results of trials that were not proposed, or that are there twice."""
    numbers = [*failures, *results.numbers[:1].tolist(), *results.numbers[-1:].tolist()]
    if numbers and not 0 <= min(numbers) <= max(numbers) < n_trials:
        raise ValueError("there is a result of a trial that was not proposed")
    if any(results.place(number) is not None for number in failures):
        raise ValueError("a trial is both complete and failed")


def _types(*columns: Iterable[Any]) -> set[type]:
    return set(map(type, itertools.chain(*columns)))


def _finite(values: Sequence[Any], what: str) -> Matrix:
    """The values as an array; raises ValueError where one is no finite number."""
    if not _types(values) <= {int, float}:
        raise ValueError(f"{what} holds what is no number")
    numbers: Matrix = np.array(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{what} holds what is no finite number")
    return numbers
