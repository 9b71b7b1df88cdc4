"""Files that a command writes for the user."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lswag_fast.cli.console import say
from lswag_fast.cli.values import STDOUT
from lswag_fast.errors import InputError, StorageError
from lswag_fast.files.durable import write_whole


def check_targets(targets: Mapping[str, Path | str | None], inputs: Iterable[Path] = ()) -> None:
    """Refuse what a command could not write, or would write over, before it does anything.

    Args:
        targets: {option: the file that it names, `-` for standard output, or None}.
        inputs: what the command reads.

    Raises:
        InputError: two options name one file, or one of them a file that is read.
        StorageError: a file's folder can neither be there nor be made.

    Example:
        >>> check_targets({"--csv": Path("rho.csv"), "--json": "-", "--plot": None}, [Path("scores.csv")])
    """
    taken = {path.resolve(): "" for path in inputs}
    for option, name in targets.items():
        if name is None or name == STDOUT:
            continue
        path = Path(name)
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            also = f"also what {other} names" if other else "what is read"
            raise InputError(f"{option}: {path} is {also}; name another file")
        folder = next((parent for parent in path.parents if parent.exists()), Path())
        if not folder.is_dir():
            raise StorageError(f"{option}: cannot write {path}: {folder} is no folder")


def encoded(text: str) -> bytes:
    """Return a text as UTF-8; what it cannot say, as bytes in the name of a folder, as an escape.

    Example:
        >>> encoded("runs/\\udcff")
        b'runs/\\\\udcff'
    """
    return text.encode(errors="backslashreplace")


def write_json(target: str | None, content: Any) -> bool:
    """Write what --json asks for.

    Args:
        target: a file, `-` for standard output, or None for nothing.
        content: the result; NaN and infinities become null, JSON has no word for them.

    Returns:
        Whether standard output now holds JSON, so that nothing else may be printed there.

    Raises:
        StorageError: the file cannot be written.
    """
    if target is None:
        return False
    text = json.dumps(plain(content), indent=2, allow_nan=False)
    if target == STDOUT:
        say(text)
        return True
    write_whole(Path(target), f"{text}\n".encode())
    return False


def plain(value: Any) -> Any:
    """Replace NaN and infinities by None, and whatever is a list of something by a list."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
