"""The ways of choosing an architecture that a comparison knows by name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lswag_fast.errors import InputError
from lswag_fast.libra.ranks import Aggregate
from lswag_fast.libra.stored import Selection
from lswag_fast.training.inherited import INHERITED_ACCURACY

RANDOM, LIBRA = "random", "libra"


@dataclass(frozen=True)
class Method:
    """A way of choosing an architecture of a space.

    Attributes:
        name: as it is typed.
        label: as people know it.
        proxies: what an architecture is scored by; none where its accuracy with inherited weights is measured.
        sampler: what proposes architectures.
        combine: how several proxies make one score; None for the usual way.
        rank_weights: how much each one's rank counts; None for all alike.
        n_trials: architectures that are scored; None for as many as the comparison says.
    """

    name: str
    label: str
    proxies: tuple[str, ...] = ()
    sampler: str = "evolution"
    combine: Aggregate | None = None
    rank_weights: tuple[float, ...] | None = None
    n_trials: int | None = None


_KNOWN = (
    # The first that is drawn is taken; its number of parameters is a score as good as any.
    Method(RANDOM, "random", ("params",), sampler="random", n_trials=1),
    Method(INHERITED_ACCURACY, "inherited accuracy"),
    Method("lswag", "L-SWAG-NAS", ("lswag",)),
    Method(LIBRA, "LIBRA-NAS"),
    Method("nwot", "NWOT", ("nwot",)),
    Method("az_nas", "AZ-NAS", ("az_nas",)),
    Method("params", "parameters only", ("params",)),
)
METHODS = tuple(method.name for method in _KNOWN)
"""The names, in the order of a table."""


def named_methods(names: Iterable[str]) -> list[Method]:
    """Return methods to be shown, by names that a comparison has stored; they need not be able to run.

    Example:
        >>> [method.label for method in named_methods(["libra", "random"])]
        ['LIBRA-NAS', 'random']
    """
    known = {method.name: method for method in _KNOWN}
    return [known[name] for name in names]


def chosen_methods(
    names: Iterable[str] | None = None, *, selection: Selection | None = None, has_supernet: bool = False
) -> list[Method]:
    """Return methods by their names, in the order given.

    Args:
        names: of `METHODS`; None for all that the rest allows.
        selection: what LIBRA chose on a benchmark table, for "libra".
        has_supernet: whether there are trained weights, for "inherited_accuracy".

    Raises:
        InputError: a name is unknown or comes twice, or lacks what it needs.

    Example:
        >>> [method.label for method in chosen_methods(["random", "lswag"])]
        ['random', 'L-SWAG-NAS']
        >>> [method.name for method in chosen_methods(has_supernet=True)]
        ['random', 'inherited_accuracy', 'lswag', 'nwot', 'az_nas', 'params']
    """
    known = {method.name: method for method in _KNOWN}
    lacking = {}
    if selection is None:
        lacking[LIBRA] = "a selection that was fitted on a benchmark table: libra:FILE"
    else:
        known[LIBRA] = Method(
            LIBRA, "LIBRA-NAS", selection.proxies, combine=selection.combine, rank_weights=selection.weights
        )
    if not has_supernet:
        lacking[INHERITED_ACCURACY] = "a trained supernet: --supernet DIR"
    wanted = [name for name in METHODS if name not in lacking] if names is None else list(names)
    for name in wanted:
        if name not in known:
            raise InputError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
        if name in lacking:
            raise InputError(f"the method {name} needs {lacking[name]}")
    if len(set(wanted)) < len(wanted):
        raise InputError(f"a method comes twice: {', '.join(wanted)}")
    return [known[name] for name in wanted]
