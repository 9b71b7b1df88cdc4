"""The registry of proxies: what each is called, which statistics of which pass it needs, and which way is better."""

from __future__ import annotations

import difflib
import fnmatch
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from lswag_fast.errors import InputError
from lswag_fast.passes import Measurements, get_pass
from lswag_fast.passes.registry import check_name

Aggregate = Literal["rank_sum", "log_rank"]
"""How the ranks of a proxy's parts make one number: sum rank, or sum ln(rank / n)."""

Compute = Callable[..., float]
"""`compute(measurements, **options)` -> the score; raises an `LswagError` when these numbers give none."""


@dataclass(frozen=True)
class ProxyInfo:
    """A registered proxy.

    Attributes:
        name: what `score(proxy=...)` takes.
        higher_is_better: whether a larger value promises a better network.
        needs: the statistics that it reads, by the pass that gives them, e.g. {"standard": {"gradients", "patterns"}}.
        reference: the paper, or where the formula comes from.
        summary: one line for people.
        log_scale: whether the score is given as ln s of the raw value s > 0, which may be huge; 0 and less are errors.
        parts: of a ranked proxy, the proxies whose ranks it combines; it has no value for one network, `rank_networks`
            gives those of many.
        aggregate: how a ranked proxy combines the ranks.
        needs_by_option: what it reads in place of `needs` where an option has a value, {option: {value: needs}}.
        compute: the pure function behind it.

    Example:
        >>> from lswag_fast.proxies import get_proxy
        >>> info = get_proxy("zico")
        >>> info.higher_is_better, sorted(info.needs["standard"])
        (True, ['batch_gradient', 'gradients'])
    """

    name: str
    higher_is_better: bool
    needs: Mapping[str, frozenset[str]]
    reference: str
    summary: str = ""
    log_scale: bool = False
    parts: tuple[str, ...] = ()
    aggregate: Aggregate | None = None
    needs_by_option: Mapping[str, Mapping[object, Mapping[str, frozenset[str]]]] = field(default_factory=dict)
    compute: Compute = field(repr=False, kw_only=True)

    def checked_options(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that `compute` is called with.

        Raises:
            InputError: an option that the proxy does not take, or a value other than those that the parameter of its
                function lists (`Literal`); names what it takes.

        Example:
            >>> from lswag_fast.proxies import get_proxy
            >>> get_proxy("reg_swap").checked_options({"mu": 5.0})
            {'mu': 5.0}
            >>> get_proxy("snip").checked_options({"mu": 5.0})
            Traceback (most recent call last):
            lswag_fast.errors.InputError: proxy 'snip' has no option 'mu'; it takes none
        """
        self.check_option_names(options)
        if options:
            hints = _hints(self.compute)
            for name, value in options.items():
                choices = get_args(hints.get(name)) if get_origin(hints.get(name)) is Literal else ()
                if choices and value not in choices:
                    *others, last = map(repr, choices)
                    raise InputError(f"{self.name}: {name} must be {', '.join(others)} or {last}, got {value!r}")
        return dict(options)

    def check_option_names(self, names: Iterable[str]) -> None:
        """Refuse an option that the proxy does not take.

        Raises:
            InputError: there is one; names those that it takes.
        """
        known = list(inspect.signature(self.compute).parameters)[1:]
        for name in names:
            if name not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes none"
                raise InputError(f"proxy {self.name!r} has no option {name!r}; {takes}")

    def with_options(self, options: Mapping[str, Any]) -> ProxyInfo:
        """Return the proxy with the needs that it has with these options.

        Example:
            >>> from lswag_fast.proxies import get_proxy
            >>> [sorted(needs["empirical_fisher"]) for needs in (
            ...     get_proxy("vkdnw").needs, get_proxy("vkdnw").with_options({"scalars": "all"}).needs)]
            [['information'], ['information_of_all']]
        """
        for option, needs in self.needs_by_option.items():
            for value in needs:
                if options.get(option) == value:
                    return replace(self, needs=needs[value])
        return self


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
    needs_by_option: Mapping[str, Mapping[object, Mapping[str, Collection[str]]]] | None = None,
) -> ProxyInfo:
    """Register a proxy, so that `score`, `score_many`, a search and the command line know it.

    Args:
        name: a name that is not taken.
        fn: `fn(measurements, **options)` -> float, a pure function; `measurements["standard"]`, or
            `measurements.of(StandardMeasurements)`, is what a pass left. Its keyword parameters are the proxy's
            options. It raises an `LswagError` when these measurements give no value.
        needs: {name of a pass: statistics}; `lswag_fast.passes.list_passes()` says which there are.
        higher_is_better: the direction.
        reference: the paper.
        summary: one line for people.
        log_scale: give ln s as the value and s as `Score.raw`, for scores that explode; s <= 0 is no score.
        needs_by_option: {option: {value: needs}}, what the proxy needs instead where an option of `fn` has that value.

    Returns:
        The registered proxy.

    Raises:
        InputError: the name is taken or empty, or a pass, a statistic or an option does not exist.

    Example:
        >>> import torch, lswag_fast
        >>> def widest_layer(measurements, at_least=0):
        ...     return max([at_least, *(layer.n_weights for layer in measurements["standard"].layers())])
        >>> info = lswag_fast.register_proxy("widest_layer", widest_layer, needs={"standard": ["gradients"]})
        >>> model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 3))
        >>> batch = torch.randn(4, 8), torch.tensor([0, 1, 2, 0])
        >>> lswag_fast.score(model, batch, proxy="widest_layer").value
        128.0
        >>> options = {"widest_layer": {"at_least": 200}}
        >>> lswag_fast.score(model, batch, proxy="widest_layer", proxy_options=options).value
        200.0
    """
    _check_new(name)
    if not callable(fn):
        raise InputError(f"proxy {name!r}: fn must be a function of measurements, got {fn!r}")
    by_option = {
        option: MappingProxyType({value: _checked_needs(name, own) for value, own in by_value.items()})
        for option, by_value in (needs_by_option or {}).items()
    }
    info = ProxyInfo(
        name,
        higher_is_better,
        _checked_needs(name, needs),
        reference,
        summary,
        log_scale,
        needs_by_option=MappingProxyType(by_option),
        compute=fn,
    )
    info.check_option_names(by_option)
    _REGISTRY[name] = info
    return info


def _hints(fn: Compute) -> Mapping[str, Any]:
    """The types of a function's parameters; none where they name what is not to be had, as a type checker may have."""
    try:
        return get_type_hints(fn)
    except (NameError, AttributeError, TypeError, SyntaxError):
        return {}


def _checked_needs(name: str, needs: Mapping[str, Collection[str]]) -> Mapping[str, frozenset[str]]:
    for pass_name, statistics in needs.items():
        known = get_pass(pass_name).statistics
        if isinstance(statistics, str):
            raise InputError(f"proxy {name!r}: needs must be {{pass: [statistic, ...]}}, got {statistics!r}")
        for statistic in sorted(set(statistics) - set(known)):
            raise InputError(
                f"proxy {name!r} needs {statistic!r} of the {pass_name} pass, which gives {', '.join(sorted(known))}"
            )
    return MappingProxyType({pass_name: frozenset(statistics) for pass_name, statistics in needs.items()})


def register_ranked(
    name: str, *, parts: Sequence[str], aggregate: Aggregate, reference: str = "", summary: str = ""
) -> ProxyInfo:
    """Register a proxy that is made of the ranks of registered ones among networks.

    Args:
        name: a name that is not taken.
        parts: the proxies that are ranked.
        aggregate: "rank_sum", the sum of the ranks; "log_rank", sum ln(rank / n) of n networks.
        reference: the paper.
        summary: one line for people.

    Returns:
        The registered proxy. It has no value for one network: `score_many` gives its parts, and `rank_networks` ranks
        the networks.

    Raises:
        InputError: the name is taken or empty, or a part does not exist.

    Example:
        >>> import lswag_fast
        >>> from lswag_fast.proxies import register_ranked
        >>> register_ranked("size_and_swap", parts=["params", "swap"], aggregate="rank_sum").parts
        ('params', 'swap')
        >>> [info.name for info in lswag_fast.list_proxies("size_*")]
        ['size_and_swap']
    """
    _check_new(name)
    known = tuple(get_proxy(part).name for part in parts)

    def compute(measurements: Measurements) -> float:
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
    check_name("proxy", name)
    if name in _REGISTRY:
        raise InputError(f"a proxy named {name!r} is already registered")


def with_parts(names: Iterable[str]) -> list[str]:
    """Return the names, each once, with those of ranked proxies replaced by their parts; unknown names stay.

    Example:
        >>> from lswag_fast.proxies import with_parts
        >>> with_parts(["te_nas", "swap", "te_nas_ntk"])
        ['te_nas_ntk', 'te_nas_regions', 'swap']
    """
    found: dict[str, None] = {}
    for name in names:
        info = _REGISTRY.get(name)
        found.update(dict.fromkeys(info.parts if info is not None and info.parts else (name,)))
    return list(found)


def get_proxy(name: str) -> ProxyInfo:
    """Return the proxy of that name.

    Raises:
        InputError: there is none; names the nearest, where one is near.

    Example:
        >>> from lswag_fast.proxies import get_proxy
        >>> get_proxy("te_nas_ntk").higher_is_better
        False
    """
    if isinstance(name, str) and name in _REGISTRY:
        return _REGISTRY[name]
    near = difflib.get_close_matches(str(name), _REGISTRY, n=1)
    hint = f"did you mean {near[0]!r}? The others" if near else "all"
    raise InputError(f"there is no proxy {name!r}; {hint} are listed by `lswag-fast proxies`, in Python list_proxies()")


def list_proxies(pattern: str = "*") -> list[ProxyInfo]:
    """Return the registered proxies whose names match a pattern, by name.

    Args:
        pattern: as for file names, e.g. "az_nas*"; by default all.

    Example:
        >>> import lswag_fast
        >>> [info.name for info in lswag_fast.list_proxies("*swap")]
        ['reg_swap', 'swap']
        >>> len(lswag_fast.list_proxies()) >= 29  # those of the package, and your own
        True
    """
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
