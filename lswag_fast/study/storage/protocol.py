"""What a study asks of the place where it is kept: the `Storage` protocol.

A study is a set of records, each a JSON value under a kind and a key. A storage knows nothing of what they mean: it
keeps groups of them, all of a group or nothing of it, and gives them back.
"""

from __future__ import annotations

import gc
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import msgspec

from lswag_fast.errors import StorageError

_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode

REMEDY = "restore it from a copy, or name a new folder"
"""What can be done about damage."""

Key: TypeAlias = "int | str"


class Record(NamedTuple):
    """A JSON value under a kind and a key; it replaces an earlier one of the same kind and key.

    Attributes:
        kind: what sort of record, a short word.
        key: which one of its kind, a number or a text.
        value: anything that JSON can say; no NaN and no infinity.
    """

    kind: str
    key: Key
    value: Any


Records: TypeAlias = "Mapping[str, Mapping[Key, Any]]"
"""All records: {kind: {key: value}}, the latest of each kind and key."""


@runtime_checkable
class Storage(Protocol):
    """Where one study is kept. A storage of your own needs no base class, only these members.

    Making one neither touches nor creates anything: `open` does. One writer has it open at a time; any number of
    readers may look at it meanwhile. `lswag_fast.testing.StorageContract` tests one of your own.

    Attributes:
        path: the folder for the files of the result, `trials.csv` and `result.json`; None to write no files.

    Example:
        >>> from lswag_fast.study.storage import MemoryStorage, Record, Storage
        >>> storage = MemoryStorage()
        >>> isinstance(storage, Storage)
        True
        >>> storage.open()
        >>> storage.begin([Record("attr", "status", "running")])
        >>> storage.write([Record("result", 0, [1.5]), Record("attr", "status", "finished")])
        >>> storage.close()
        >>> storage.read()["attr"]["status"]
        'finished'
    """

    @property
    def path(self) -> Path | None:
        """Folder of the files of the result, which exists once the storage is open; None to write none."""

    def has_study(self) -> bool:
        """Return whether there is a study, or the beginning of one; nothing is changed."""

    def open(self) -> Records | None:
        """Become the only writer and return what is stored, or None for nothing yet.

        Raises:
            StorageError: another process writes it (named with its host), or it is damaged, is something else, or
                cannot be written.
        """

    def begin(self, records: Sequence[Record]) -> None:
        """Replace all that is stored by `records`: the old or the new is there, whenever the process dies."""

    def write(self, records: Sequence[Record]) -> None:
        """Store all of the records or none.

        When the call returns a killed process loses none of them; a power cut may lose those of the last second.

        Raises:
            StorageError: they cannot be stored; what was stored before is still there.
        """

    def read(self) -> Records:
        """Return what is stored, without becoming the writer and without changing anything.

        Raises:
            StorageError: there is no study, or it is damaged.
        """

    def is_being_written(self) -> bool:
        """Return whether a living process has it open for writing, as far as can be known."""

    def close(self) -> None:
        """Bring everything to the disk and let another process write; a second call does nothing."""


def encode(value: Any) -> bytes:
    """Return a JSON value as one line of text. Raises StorageError for what JSON cannot say."""
    try:
        return _to_json(value).encode()
    except (TypeError, ValueError) as error:
        raise StorageError(f"only JSON values can be stored: {error}") from error


def decode_all(texts: Iterable[bytes]) -> list[Any]:
    """Return the values of many texts at once. Raises ValueError where one is not what `encode` wrote."""
    texts = list(texts)
    values = decode_list(b"[" + b",".join(texts) + b"]")
    if len(values) != len(texts):
        raise ValueError(f"{len(texts)} records hold {len(values)} values")
    return values


def decode_list(text: bytes) -> list[Any]:
    """Return a JSON list. Raises ValueError where it is not what `encode` wrote."""
    try:
        # Three times as fast as json: most of what it takes to open a large study is this.
        return msgspec.json.decode(text, type=list[Any])
    except (msgspec.MsgspecError, ValueError):
        # It refuses half of a pair of surrogates, which the name of a file may hold and `encode` writes.
        values: list[Any] = json.loads(text.decode(), parse_constant=_refuse_constant)
        return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that a study stores")


@contextmanager
def collector_paused() -> Iterator[None]:
    """Without Python's search for circular garbage: among the many objects of a large study it would look for ever."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def checksums(kind: str, keys: Iterable[Key], texts: Iterable[bytes]) -> list[int]:
    """Return the CRC-32 of each of many records of a kind: of its kind, its key and its text."""
    crc32, start = zlib.crc32, zlib.crc32(kind.encode())
    # Quick for numbers, of which there may be 100,000: the sum of each text begins with its own key.
    return [
        crc32(text, start ^ key if type(key) is int else crc32(str(key).encode(), start))
        for key, text in zip(keys, texts, strict=True)
    ]


@contextmanager
def damage_named(where: Any) -> Iterator[None]:
    """What cannot be read as it was written is damage: said in one line, and nothing of it is used."""
    try:
        yield
    except StorageError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise StorageError(f"the study in {where} is damaged: {text[:300]}; {REMEDY}") from error
