"""What --proxies names: proxies, all, a selection of LIBRA, what is recommended for a space, or columns of a table."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from lswag_fast.cli.values import listed, naming
from lswag_fast.errors import InputError, warn

if TYPE_CHECKING:
    import pandas as pd

    from lswag_fast.libra.ranks import Aggregate
    from lswag_fast.libra.stored import Selection

ALL, LIBRA, RECOMMENDED = "all", "libra", "recommended"
OPTION = "--proxies"
_WORDS = {LIBRA: f"{LIBRA}:FILE", RECOMMENDED: f"{RECOMMENDED}:KIND"}
# What is recorded of a selection's fit; the file has all of it.
_WORTH_SHOWING = ("target", "n_rows")


@dataclass(frozen=True)
class ChosenProxies:
    """The proxies that are scored.

    Attributes:
        names: as they were given; a proxy that is made of the ranks of others has its own name here.
        combine: how a selection combines them; None for proxies given by name.
        weights: how much each one's rank counts; None for all alike.
        origin: where a selection came from and what it is worth, to be recorded with the results; empty for proxies
            given by name.
    """

    names: tuple[str, ...]
    combine: Aggregate | None = None
    weights: tuple[float, ...] | None = None
    origin: dict[str, Any] = field(default_factory=dict)

    def weights_for(self, combine: str | None) -> tuple[float, ...] | None:
        """How much each one's rank counts if they are combined in this way; None for the way of the selection.

        Raises:
            InputError: it is no way to combine proxies, or a proxy counts against and that way knows no weights.
        """
        from lswag_fast.libra.ranks import check_aggregate, counting_against

        if combine is not None:
            check_aggregate("--combine", combine)
        if combine in (None, self.combine):
            return self.weights
        against = counting_against(self.names, self.weights)
        if against:
            raise InputError(
                f"--combine: by {combine} all proxies count alike, and {against[0]} counts against in this selection"
            )
        return None

    @property
    def parts(self) -> tuple[str, ...]:
        """The names, with those of proxies that are made of ranks replaced by their parts."""
        from lswag_fast.proxies import with_parts

        return tuple(with_parts(self.names))


def add_proxies(parser: argparse.ArgumentParser) -> None:
    """Add --proxies, of a command that scores networks."""
    text = (
        "what to score by, see `lswag-fast proxies`: names, all, libra for what LIBRA chose for the space, libra:FILE "
        "for a selection of your own, recommended for what ranks the kind of space best without labels, or "
        "recommended:KIND for a space or network of your own (default: lswag)"
    )
    parser.add_argument(OPTION, default="lswag", metavar="NAME,...", help=text)


def add_columns(parser: argparse.ArgumentParser) -> None:
    """Add --proxies, of a command that reads scores from a table."""
    text = "columns, or libra:FILE for those of a selection (default: all, those named like a known proxy)"
    parser.add_argument(OPTION, default=ALL, metavar="NAME,...", help=text)


def chosen_proxies(text: str, space: str | None = None) -> ChosenProxies:
    """Read --proxies; `space` is the one that plain `libra` and `recommended` mean.

    Raises:
        InputError: a name is unknown, no selection is packaged for the space, or none is recommended.
        StorageError: the file of a selection cannot be read.
    """
    from lswag_fast.proxies import get_proxy, list_proxies

    with naming(OPTION):
        if text == ALL:
            return ChosenProxies(tuple(info.name for info in list_proxies() if not info.parts))
        word, colon, rest = text.partition(":")
        if word in _WORDS and colon and not rest:
            raise InputError(f"{text!r} names nothing after the colon; write {' or '.join(_WORDS.values())}")
        if word == LIBRA:
            return _selected(text, space)
        if word == RECOMMENDED:
            return _recommended(text, space)
        names = listed(text)
        for name in names:
            if name in (ALL, *_WORDS):
                raise InputError(f"{name} stands alone, it is no proxy among others; found {text!r}")
        return ChosenProxies(tuple(get_proxy(name).name for name in names))


def _selected(text: str, space: str | None) -> ChosenProxies:
    selection, origin = named_selection(text, space)
    return ChosenProxies(selection.proxies, selection.combine, selection.weights, origin)


def named_selection(text: str, space: str | None) -> tuple[Selection, dict[str, Any]]:
    """The selection that `libra` or `libra:FILE` names, and its origin, see `ChosenProxies`.

    Raises:
        InputError: there is no space, or none is packaged for it.
        StorageError: the file cannot be read.
    """
    from lswag_fast.libra.stored import packaged_selection, read_selection

    _, colon, path = text.partition(":")
    if not colon and space is None:
        raise InputError("libra is for networks of a space; name proxies, or a selection with libra:FILE")
    selection = read_selection(path) if colon else packaged_selection(space or "")
    source = path if colon else f"packaged for {space}"
    facts = {key: selection.fitted_on[key] for key in _WORTH_SHOWING if key in selection.fitted_on}
    if selection.held_out is not None:
        facts["held_out"] = asdict(selection.held_out)
    return selection, {"selection": {"source": source, **facts}}


def _recommended(text: str, space: str | None) -> ChosenProxies:
    from lswag_fast.libra.recommended import recommended

    _, colon, kind = text.partition(":")
    found = recommended(kind if colon else space or "a network of your own")
    facts = {"source": f"recommended for {found.networks}", "why": found.why}
    return ChosenProxies(found.proxies, found.combine, origin={"selection": facts})


def columns_of(table: pd.DataFrame, text: str) -> list[str]:
    """The columns that --proxies names; of `all`, those without any value are left out, with a warning.

    Raises:
        InputError: `libra` without a file, an empty name, or no proxy among the columns for `all`.
        StorageError: the file of a selection cannot be read.
    """
    from lswag_fast.proxies import list_proxies

    if text.partition(":")[0] == LIBRA:
        with naming(OPTION):
            return list(_selected(text, None).names)
    if text != ALL:
        with naming(OPTION):
            return listed(text)
    known = {info.name for info in list_proxies()}
    found = [name for name in table.columns if name in known]
    empty = [name for name in found if table[name].isna().all()]
    if empty:
        left_out = f"without a value for any architecture, left out: {', '.join(empty)}"
        warn(left_out)
    if len(empty) == len(found):
        raise InputError(
            f"{OPTION}: no column that has values is called as a proxy is; name the columns to compare with {OPTION}; "
            f"there are {', '.join(map(str, table.columns)) or 'none'}"
        )
    return [name for name in found if name not in empty]
