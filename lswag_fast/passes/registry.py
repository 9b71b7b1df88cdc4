"""The passes by name: the ways to drive a model, and the measurements that each leaves for the proxies."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from torch import nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError
from lswag_fast.options import ScoreOptions

T = TypeVar("T")

Run = Callable[[nn.Module, Batch, ScoreOptions, frozenset[str]], Any]


@dataclass(frozen=True)
class Pass:
    """A way to drive a model.

    Attributes:
        name: what proxies call it in their `needs`.
        run: `run(model, batch, options, statistics)` -> the measurements, an object of a class of its own. It leaves
            the model untouched (`preserve_model_state`) and raises an `LswagError` for one that it cannot drive. It is
            called once for all proxies that need it, with the statistics that any of them reads; where that fails,
            once more for each set of statistics that some ask for, so that the others keep their values.
        statistics: what it can measure.
        summary: one line for people.

    Example:
        >>> def run(model, batch, options, statistics):
        ...     return sum(1 for _ in model.modules())
        >>> Pass("modules", run, statistics={"count"}, summary="no forward").name
        'modules'
    """

    name: str
    run: Run
    statistics: Collection[str]
    summary: str = ""


_PASSES: dict[str, Pass] = {}


def register_pass(pass_: Pass) -> Pass:
    """Make a pass known, so that proxies can need it. Passes run in the order in which they were registered.

    Args:
        pass_: with a name that is not taken, and at least one statistic.

    Returns:
        The pass itself.

    Raises:
        InputError: the name is taken or none, `run` is no function, or there is no statistic.

    Example:
        A pass that measures how large the logits are, and a proxy that reads it:

        >>> import torch
        >>> from dataclasses import dataclass
        >>> import lswag_fast
        >>> from lswag_fast.passes import Pass, preserve_model_state, register_pass
        >>> @dataclass(frozen=True)
        ... class LogitMeasurements:
        ...     mean_square: float
        >>> def run(model, batch, options, statistics):
        ...     with preserve_model_state(model, options.seed), torch.no_grad():
        ...         return LogitMeasurements(model(batch.inputs).square().mean().item())
        >>> logits = register_pass(Pass("logits", run, statistics={"mean_square"}))
        >>> def logit_size(measurements):
        ...     return measurements.of(LogitMeasurements).mean_square
        >>> info = lswag_fast.register_proxy("logit_size", logit_size, needs={"logits": {"mean_square"}})
        >>> batch = torch.ones(2, 3), torch.tensor([0, 1])
        >>> batch[0][1] = 2
        >>> lswag_fast.score(torch.nn.Linear(3, 2), batch, proxy="logit_size").value > 0
        True
    """
    if not isinstance(pass_, Pass):
        raise InputError(f"a pass is a Pass(name, run, statistics), got {pass_!r}")
    check_name("pass", pass_.name)
    if pass_.name in _PASSES:
        raise InputError(f"a pass named {pass_.name!r} is already registered")
    if not callable(pass_.run):
        raise InputError(f"pass {pass_.name!r}: run must be a function, got {pass_.run!r}")
    if isinstance(pass_.statistics, str) or not pass_.statistics:
        raise InputError(f"pass {pass_.name!r}: statistics must be at least one name, got {pass_.statistics!r}")
    _PASSES[pass_.name] = pass_
    return pass_


def check_name(kind: str, name: object) -> None:
    """Refuse a name that options, lists with commas and columns of tables cannot hold.

    Args:
        kind: what it is the name of.
        name: letters, digits, `_` and `-`, not beginning with a digit or a `-`.

    Raises:
        InputError: it is none.

    Example:
        >>> check_name("pass", "logits-2")
    """
    if not isinstance(name, str) or re.fullmatch(r"[^\W\d][\w-]*", name) is None:
        raise InputError(f"the name of a {kind} is letters, digits, _ and -, and begins with a letter; got {name!r}")


def list_passes() -> list[Pass]:
    """Return the registered passes, in the order in which they run.

    Example:
        >>> from lswag_fast.passes import list_passes
        >>> [pass_.name for pass_ in list_passes()][:3]
        ['model', 'standard', 'synflow']
    """
    return list(_PASSES.values())


def get_pass(name: str) -> Pass:
    """Return the pass of that name.

    Raises:
        InputError: there is none; names those there are.

    Example:
        >>> from lswag_fast.passes import get_pass
        >>> sorted(get_pass("jacobian").statistics)
        ['classes', 'jacobian']
    """
    if name not in _PASSES:
        raise InputError(f"there is no pass {name!r}; there are {', '.join(_PASSES)}")
    return _PASSES[name]


class Measurements:
    """What the passes left: all that a proxy may read.

    Args:
        found: the measurements by the name of their pass.

    Example:
        >>> Measurements({"model": 3})["model"]
        3
    """

    def __init__(self, found: Mapping[str, object]) -> None:
        self._found = dict(found)

    def __getitem__(self, name: str) -> Any:
        """Return the measurements of a pass by its name; raises TypeError for one that has not run."""
        if name not in self._found:
            raise TypeError(f"the {name} pass has not run: name it among the proxy's needs")
        return self._found[name]

    def of(self, kind: type[T]) -> T:
        """Return the measurements of a type, which each pass has of its own; raises TypeError without any."""
        for found in self._found.values():
            if isinstance(found, kind):
                return found
        raise TypeError(f"no pass left {kind.__name__}: name the pass that gives them among the proxy's needs")
