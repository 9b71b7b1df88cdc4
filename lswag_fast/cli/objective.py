"""What `search --proxy` names: proxies, or a selection that LIBRA made."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lswag_fast.cli.options import listed

if TYPE_CHECKING:
    from lswag_fast.libra.ranks import Aggregate

LIBRA = "libra"
# What is recorded of a selection's fit; the file has all of it.
_WORTH_SHOWING = ("target", "n_rows")


@dataclass(frozen=True)
class ChosenProxies:
    """What a search maximises.

    proxies: their names. combine: how several are combined, None for the search's default. origin: where a selection
    came from and which target it was fitted on, to be recorded with the search; empty for proxies given by name.
    """

    proxies: tuple[str, ...]
    combine: Aggregate | None
    origin: dict[str, Any] = field(default_factory=dict)


def chosen_proxies(args: argparse.Namespace, space: str) -> ChosenProxies:
    """Read --proxy and --combine; `space` is the one whose packaged selection plain `libra` means.

    Raises:
        InputError: no selection is packaged for the space, or a file names a proxy that is not known here.
        StorageError: the file of a selection cannot be read.
    """
    name, colon, path = args.proxy.partition(":")
    if name != LIBRA:
        return ChosenProxies(tuple(listed(args.proxy)), args.combine)
    from lswag_fast.libra.stored import packaged_selection, read_selection

    selection = read_selection(path) if colon else packaged_selection(space)
    source = path if colon else f"packaged for {space}"
    fit = {key: selection.fitted_on[key] for key in _WORTH_SHOWING if key in selection.fitted_on}
    return ChosenProxies(selection.proxies, args.combine or selection.combine, {"selection": {"source": source, **fit}})
