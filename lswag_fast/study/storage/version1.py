"""Reading a study of schema version 1 as the records of the present one.

Version 1 had a table for each kind of row, flat settings, and other words: a batch of proposals was a wave (in the
rows a generation), the sampler `steady_state` was called `steady`.
"""

from __future__ import annotations

import itertools
import json
import shlex
import sqlite3
import sys
import zlib
from array import array
from collections.abc import Iterator
from operator import itemgetter
from typing import Any

from lswag_fast.options import ScoreOptions
from lswag_fast.study.storage.chance import Chance, State
from lswag_fast.study.storage.protocol import Record
from lswag_fast.study.storage.records import (
    CHANCE_FIELDS,
    attr_records,
    latency_records,
    milliseconds_of,
    state_records,
)
from lswag_fast.study.trial import COMPLETE

TABLES = frozenset({"fact", "proposal", "result", "wave", "latency"})
"""What a database of version 1 has."""

# Only the state of chance after the last batch was kept.
_UNKNOWN_CHANCE = [0, 0, None]
_SAMPLERS = {"steady": "steady_state"}
_SAMPLER_OPTIONS = {"wave": "proposals_per_batch"}
# Options that later versions added, at the values that make what version 1 made.
_ADDED_OPTIONS = {"evolution": {"crossover_failures": 0}}
_OPTIONS = {"--proxy": "--proxies", "--wave": "--sampler-set"}
_SCORING = ("function", "n_threads", "isa", "batch_fingerprint", "weights_fingerprint")
_OWN = {"space", "space_choices", "space_size", "input_shape", "num_classes", "budget", "sampler", "seed"}
_OWN |= {"proxies", "combine", "lower_is_better", "score_options", *_SCORING}


def read_records(connection: sqlite3.Connection) -> list[Record]:
    """Return all records of a database of version 1.

    Raises:
        ValueError, KeyError, ...: something in it is damaged.
        sqlite3.Error: the database cannot be read.
    """
    attrs = {key: json.loads(value) for key, value in _rows(connection, "fact")}
    attrs["settings"] = _settings(attrs["settings"])
    _renew_command(attrs.get("metadata") or {})
    proxies = attrs["settings"]["objective"]["proxies"]
    records = attr_records(attrs)
    batches: dict[int, list[Any]] = {}
    n_trials = 0
    for batch, rows in itertools.groupby(_rows(connection, "proposal"), key=itemgetter(3)):
        trials = [(arch, origin, n_params, macs, latency) for _, arch, origin, _, n_params, macs, latency in rows]
        batches[batch] = [*_UNKNOWN_CHANCE, *itertools.chain.from_iterable(trials)]
        n_trials += len(trials)
    for number, state, values, error, traceback, *times in _rows(connection, "result"):
        records.append(_finished(number, state, json.loads(values), error, traceback, times, proxies))
    for _, number, n_proposals, packed, gauss, memory in _rows(connection, "wave"):
        if (number + 1, n_proposals) != (len(batches), n_trials):
            raise ValueError("its trials do not fit together")
        chance = Chance.of(_random_state(packed, gauss))
        batches[number][: len(CHANCE_FIELDS)] = chance.n_renewals, chance.place, chance.gauss
        records += state_records(chance, json.loads(memory))
    records += [Record("batch", number, fields) for number, fields in batches.items()]
    return records + latency_records(dict(_rows(connection, "latency")))


def _finished(
    number: int, state: str, values: dict[str, float], error: str, traceback: str, times: list[Any], proxies: list[str]
) -> Record:
    """The record of a finished trial, whose values stand in the order of the proxies."""
    start_time, elapsed_ms, clock_ms = times
    row = [milliseconds_of(start_time), elapsed_ms, clock_ms]
    if state == COMPLETE:
        return Record("result", number, [*row, *(values[name] for name in proxies)])
    return Record("failure", number, [*row, error, traceback, values])


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[tuple[Any, ...]]:
    """The rows of a table by its key, without their checksums."""
    for *cells, expected in connection.execute(f"SELECT * FROM {table} ORDER BY 1"):
        shown = repr([zlib.crc32(cell) if isinstance(cell, bytes) else cell for cell in cells])
        if zlib.crc32(shown.encode()) != expected:
            raise ValueError(f"a row of the table {table} is damaged")
        yield tuple(cells)


def _random_state(packed: bytes, gauss: float | None) -> State:
    words = array("I", packed)
    if sys.byteorder == "big":
        words.byteswap()
    return 3, tuple(words), gauss


def _renew_command(metadata: dict[str, Any]) -> None:
    """Say the command of a search, which continues it, in the words of the present command line."""
    if "command" not in metadata:
        return
    words: list[str] = []
    for word in shlex.split(str(metadata["command"])):
        option, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
        words += [option, value] if value else [option]  # --x=y as --x y
    for place in range(1, len(words)):
        if words[place - 1] == "--sampler":
            words[place] = _SAMPLERS.get(words[place], words[place])
        elif words[place - 1] == "--wave":
            words[place] = f"{_SAMPLER_OPTIONS['wave']}={words[place]}"
    sampler = words[words.index("--sampler") + 1] if "--sampler" in words else "evolution"
    for option, usual in _ADDED_OPTIONS.get(sampler, {}).items():
        words += ["--sampler-set", f"{option}={usual}"]
    metadata["command"] = shlex.join(_OPTIONS.get(word, word) for word in words)


def _settings(flat: dict[str, Any]) -> dict[str, Any]:
    """The flat settings of version 1 in the present form; what else a loop of one's own gave is one of its options.

    Options at their defaults were stored by some searches and not by others; now they never are.
    """
    usual = ScoreOptions().to_json()
    sampler = dict(flat["sampler"])
    name = sampler.pop("name")
    return {
        "space": {
            "name": flat["space"],
            "choices": flat["space_choices"],
            "size": flat["space_size"],
            "input_shape": flat["input_shape"],
            "num_classes": flat["num_classes"],
        },
        "sampler": {
            "name": _SAMPLERS.get(name, name),
            "options": {
                **{_SAMPLER_OPTIONS.get(option, option): value for option, value in sampler.items()},
                **_ADDED_OPTIONS.get(name, {}),
            },
        },
        "budget": flat["budget"],
        "seed": flat["seed"],
        "objective": {key: flat[key] for key in ("proxies", "combine", "lower_is_better")},
        "scoring": {
            **{key: flat.get(key) for key in _SCORING},
            "options": {
                **{k: v for k, v in flat.get("score_options", {}).items() if usual.get(k) != v},
                **{k: v for k, v in flat.items() if k not in _OWN},
            },
        },
    }
