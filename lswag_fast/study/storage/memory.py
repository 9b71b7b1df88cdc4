"""A study that is kept in memory, for as long as this process lasts."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from pathlib import Path

from lswag_fast.errors import StorageError
from lswag_fast.study.storage.protocol import Key, Record, Records, decode_all, encode


class MemoryStorage:
    """Keeps a study in memory and writes no files. What `Study` and `search` use when no storage is named.

    Args:
        shared: another one, whose study this one is to open: as two storages of one folder do.

    Example:
        >>> from lswag_fast import Study, spaces
        >>> storage = MemoryStorage()
        >>> study = Study(spaces.NasBench201(), "random", storage)
        >>> study.tell(study.ask(), 1.0).number
        0
        >>> study.close()
        >>> Study(spaces.NasBench201(), "random", storage).n_told
        1
    """

    path: Path | None = None

    def __init__(self, shared: MemoryStorage | None = None) -> None:
        self._content: _Content = _Content() if shared is None else shared._content

    def has_study(self) -> bool:
        """Return whether something was stored."""
        return bool(self._content.texts)

    def open(self) -> Records | None:
        """Become the only writer; raises StorageError while another one has it open."""
        if self.is_being_written():
            raise StorageError("this study in memory is being written by another Study; close that one first")
        self._content.writer = weakref.ref(self)
        return self.read() if self._content.texts else None

    def begin(self, records: Sequence[Record]) -> None:
        """Replace all records."""
        texts: dict[tuple[str, Key], bytes] = {(r.kind, r.key): encode(r.value) for r in records}
        self._content.texts = texts

    def write(self, records: Sequence[Record]) -> None:
        """Store records."""
        # As texts, so that what comes back is what any other storage gives back.
        self._content.texts.update({(record.kind, record.key): encode(record.value) for record in records})

    def read(self) -> Records:
        """Return all records; raises StorageError when there are none."""
        if not self._content.texts:
            raise StorageError("this memory holds no study")
        found: dict[str, dict[Key, object]] = {}
        values = decode_all(self._content.texts.values())
        for (kind, key), value in zip(self._content.texts, values, strict=True):
            found.setdefault(kind, {})[key] = value
        return found

    def is_being_written(self) -> bool:
        """Return whether a study has it open."""
        writer = self._content.writer
        return writer is not None and writer() is not None

    def close(self) -> None:
        """Let another study open it."""
        writer = self._content.writer
        if writer is not None and writer() is self:
            self._content.writer = None


class _Content:
    """What the storages of one study share."""

    def __init__(self) -> None:
        self.texts: dict[tuple[str, Key], bytes] = {}
        self.writer: weakref.ref[MemoryStorage] | None = None
