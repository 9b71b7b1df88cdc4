"""Commands as lines that can be pasted into a shell, whatever their words hold."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable


def pasteable(words: Iterable[object]) -> str:
    """Return a command as a line for a shell.

    A word with bytes that are no UTF-8 (Python holds them as lone surrogates), with control characters, or with what
    this terminal cannot show is written as `$'...'`, which bash, zsh and ksh read.

    Example:
        >>> print(pasteable(["lswag-fast", "show", "my runs/it's"]))
        lswag-fast show 'my runs/it'"'"'s'
        >>> print(pasteable(["show", "runs/\\udcff"]))
        show $'runs/\\377'
    """
    return " ".join(_quoted(str(word)) for word in words)


def _quoted(word: str) -> str:
    if word.isprintable() and _can_be_shown(word):
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _can_be_shown(word: str) -> bool:
    try:
        word.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isascii() and character.isprintable():
        return character
    # Each byte as three digits, so that a digit that follows does not belong to it.
    return "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))


def as_argument(path: object) -> str:
    """Return a path as a word that no command takes for an option.

    Example:
        >>> as_argument("-runs"), as_argument("runs")
        ('./-runs', 'runs')
    """
    text = str(path)
    return f"./{text}" if text.startswith("-") else text
