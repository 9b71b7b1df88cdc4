"""The registry of proxies: what each is called, which numbers of which pass it needs, and which way is better."""

from __future__ import annotations

import difflib
import fnmatch
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from lswag_fast.errors import InputError
from lswag_fast.passes import Measurements, get_pass

Aggregate = Literal["rank_sum", "log_rank"]
"""How the ranks of a proxy's parts make one number: sum rank, or sum ln(rank / n)."""

Compute = Callable[..., float]
"""`compute(numbers, **options)` -> the score; raises an `LswagError` when these numbers give none."""


@dataclass(frozen=True)
class ProxyInfo:
    """A registered proxy.

    name: what `score(proxy=...)` takes. higher_is_better: whether a larger value promises a better network. needs:
    the statistics it reads, by the pass that gives them, e.g. {"standard": {"gradients", "patterns"}}.
    reference: the paper, or where the formula comes from. summary: one line for people. log_scale: whether the score
    is given as sign(s) ln|s| of the raw value s, which may exceed any float. compute: the pure function behind it.
    parts: for a proxy that is made of ranks among networks, the proxies that are ranked, and aggregate how; it has no
    value for one network, `rank_networks` gives those of many.
    """

    name: str
    higher_is_better: bool
    needs: Mapping[str, frozenset[str]]
    reference: str
    summary: str = ""
    log_scale: bool = False
    parts: tuple[str, ...] = ()
    aggregate: Aggregate | None = None
    compute: Compute = field(repr=False, kw_only=True)

    def checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options that `compute` is called with; raises InputError for one that it does not take."""
        known = list(inspect.signature(self.compute).parameters)[1:]
        for name in options:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise InputError(f"proxy {self.name!r} has no option {name!r}; {takes}")
        return dict(options)


_REGISTRY: dict[str, ProxyInfo] = {}


def register_proxy(
    name: str,
    fn: Compute,
    *,
    needs: Mapping[str, Collection[str]],
    higher_is_better: bool = True,
    reference: str = "",
    summary: str = "",
    log_scale: bool = False,
) -> ProxyInfo:
    """Register a proxy, so that `score`, `score_many`, the search and the command line know it.

    Args:
        name: a name that is not taken.
        fn: `fn(numbers, **options)` -> float, a pure function; `numbers[name]`, or `numbers.of(type)`, are the
            measurements of a pass that it needs. Its keyword parameters are the proxy's options.
        needs: {name of a pass: statistics}; `lswag_fast.passes.list_passes()` says which there are.
        higher_is_better: the direction.
        reference: the paper.
        summary: one line for people.
        log_scale: give sign(s) ln|s| as the value and s as `Score.raw`, for scores that explode.

    Raises InputError for a name that is taken, or a pass or statistic that does not exist.
    """
    _check_new(name)
    for pass_name, statistics in needs.items():
        known = get_pass(pass_name).statistics
        for statistic in sorted(set(statistics) - set(known)):
            raise InputError(
                f"proxy {name!r} needs {statistic!r} of the {pass_name} pass, which gives {', '.join(sorted(known))}"
            )
    wanted = MappingProxyType({pass_name: frozenset(statistics) for pass_name, statistics in needs.items()})
    info = ProxyInfo(name, higher_is_better, wanted, reference, summary, log_scale, compute=fn)
    _REGISTRY[name] = info
    return info


def register_ranked(
    name: str, *, parts: Sequence[str], aggregate: Aggregate, reference: str = "", summary: str = ""
) -> ProxyInfo:
    """Register a proxy that is made of the ranks of registered ones among networks; see `ProxyInfo.parts`."""
    _check_new(name)
    known = tuple(get_proxy(part).name for part in parts)

    def compute(numbers: Measurements) -> float:
        """Refuse: one network has no rank."""
        raise InputError(
            f"{name} is made of ranks among networks and has no value for one; score_many(proxies=[{name!r}]) gives "
            "its parts, and rank_networks ranks the networks"
        )

    info = ProxyInfo(
        name, True, MappingProxyType({}), reference, summary, parts=known, aggregate=aggregate, compute=compute
    )
    _REGISTRY[name] = info
    return info


def _check_new(name: str) -> None:
    if not name or name in _REGISTRY:
        raise InputError(f"a proxy named {name!r} is registered already" if name else "a proxy needs a name")


def with_parts(names: Iterable[str]) -> list[str]:
    """The names, each once, with those of ranked proxies replaced by their parts; unknown ones stay."""
    found: dict[str, None] = {}
    for name in names:
        info = _REGISTRY.get(name)
        found.update(dict.fromkeys(info.parts if info is not None and info.parts else (name,)))
    return list(found)


def get_proxy(name: str) -> ProxyInfo:
    """The proxy of that name; raises InputError with the nearest name for one that does not exist."""
    if name in _REGISTRY:
        return _REGISTRY[name]
    near = difflib.get_close_matches(str(name), _REGISTRY, n=1, cutoff=0.0)
    raise InputError(f"proxy must be one of {', '.join(sorted(_REGISTRY))}, got {name!r}; did you mean {near[0]!r}?")


def list_proxies(pattern: str = "*") -> list[ProxyInfo]:
    """The registered proxies whose names match `pattern` (as of file names: "az_nas*"), by name."""
    return [_REGISTRY[name] for name in sorted(fnmatch.filter(_REGISTRY, pattern))]


__all__ = [
    "Compute",
    "Measurements",
    "ProxyInfo",
    "get_proxy",
    "list_proxies",
    "register_proxy",
    "register_ranked",
    "with_parts",
]
