"""The samplers by name."""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

from lswag_fast.errors import InputError
from lswag_fast.study.samplers.evolution import EvolutionSampler
from lswag_fast.study.samplers.protocol import Sampler
from lswag_fast.study.samplers.prune import PruneSampler
from lswag_fast.study.samplers.random import RandomSampler
from lswag_fast.study.samplers.steady_state import SteadyStateSampler

SamplerClass = TypeVar("SamplerClass", bound=type[Any])

_SAMPLERS: dict[str, type[Any]] = {}


def register_sampler(sampler_class: SamplerClass) -> SamplerClass:
    """Make a sampler known by its name, to `search`, `Study` and the command line; can be used as a decorator.

    Args:
        sampler_class: a dataclass with the members of `Sampler`, each of its fields an option with a default.

    Returns:
        The class itself.

    Raises:
        InputError: the name is taken, or the class is no such dataclass.

    Example:
        >>> from dataclasses import dataclass
        >>> @register_sampler
        ... @dataclass(frozen=True)
        ... class GreedySampler(EvolutionSampler):
        ...     name = "greedy"
        ...     parents: int = 1
        >>> get_sampler("greedy", population=60).parents
        1
    """
    name = getattr(sampler_class, "name", None)
    if not isinstance(name, str) or not is_dataclass(sampler_class) or not hasattr(sampler_class, "propose"):
        raise InputError(f"a sampler is a dataclass with a name and a method propose; found {sampler_class!r}")
    lacking = [f.name for f in fields(sampler_class) if f.default is MISSING and f.default_factory is MISSING]
    if lacking:
        raise InputError(f"sampler {name}: its option {lacking[0]!r} needs a default")
    if name in _SAMPLERS:
        raise InputError(f"a sampler named {name!r} is already registered")
    _SAMPLERS[name] = sampler_class
    return sampler_class


def list_samplers() -> tuple[str, ...]:
    """Return the names of the registered samplers.

    Example:
        >>> "evolution" in list_samplers()
        True
    """
    return tuple(sorted(_SAMPLERS))


def sampler_options(name: str) -> dict[str, Any]:
    """Return the options of a sampler with their defaults.

    Raises:
        InputError: no sampler has this name.

    Example:
        >>> sampler_options("evolution")["parents"]
        10
    """
    sampler = get_sampler(name)
    return {f.name: getattr(sampler, f.name) for f in fields(sampler)}  # type: ignore[arg-type]  # register_sampler


def get_sampler(sampler: str | Sampler, **options: Any) -> Sampler:
    """Return a sampler by its name, or the sampler itself.

    Args:
        sampler: a name of `list_samplers()`, or a sampler, which then takes no options.
        options: of the sampler named, in place of its defaults.

    Raises:
        InputError: no sampler has this name, it has no such option, or it refuses the value.

    Example:
        >>> get_sampler("evolution", population=20, mutations=10, crossovers=5)
        EvolutionSampler(population=20, parents=10, mutations=10, crossovers=5, crossover_failures=2)
    """
    if not isinstance(sampler, str):
        if options:
            raise InputError(f"options belong to a sampler given by name; found {sorted(options)} with {sampler!r}")
        if not callable(getattr(sampler, "propose", None)):
            raise InputError(f"a sampler is a name or an object with the members of Sampler, got {sampler!r}")
        return sampler
    if sampler not in _SAMPLERS:
        raise InputError(f"unknown sampler {sampler!r}; choose from {', '.join(list_samplers())}")
    known = [f.name for f in fields(_SAMPLERS[sampler])]
    for name, value in options.items():
        if name not in known:
            raise InputError(f"sampler {sampler} has no option {name!r}; it has {', '.join(known)}")
        _check_kind(sampler, name, value)
    try:
        made: Sampler = _SAMPLERS[sampler](**options)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"sampler {sampler} refuses {options}: {error}") from error
    return made


def _check_kind(sampler: str, name: str, value: Any) -> None:
    """Refuse what is not of the kind of the option's default, a whole number for a float excepted."""
    default = next(f for f in fields(_SAMPLERS[sampler]) if f.name == name).default
    kinds = (int, float) if type(default) is float else (type(default),)
    if isinstance(default, (bool, int, float, str)) and type(value) not in kinds:
        expected = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[type(default)]
        raise InputError(f"sampler {sampler}: {name} must be {expected}, got {value!r}")


for _builtin in (EvolutionSampler, PruneSampler, RandomSampler, SteadyStateSampler):
    register_sampler(_builtin)
