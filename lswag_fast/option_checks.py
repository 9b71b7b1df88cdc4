"""What the value of an option must be; each check raises InputError, naming the option."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from lswag_fast.errors import InputError

PERCENTILE_BINS = 10  # PERC_BINS of Eq. 6; the last layer alone falls in bin 10


def check_functions(loss_fn: object, features: object) -> None:
    """Refuse what is to be a function and is none."""
    if loss_fn is not None and not callable(loss_fn):
        raise InputError(f"loss_fn must be a function loss_fn(outputs, targets), got {loss_fn!r}")
    if features is not None and not isinstance(features, str) and not callable(features):
        raise InputError(f"features must be a name, a pattern of names or a function, got {features!r}")


def is_integer(value: object) -> bool:
    """Return whether a value is an integer, which True and False are not."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """Return whether a value is a number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_interval(layers: tuple[int, int]) -> None:
    """Refuse what is no interval of percentile bins."""
    if (
        not isinstance(layers, (tuple, list))
        or len(layers) != 2  # (lo, hi)
        or not all(map(is_integer, layers))
        or not 0 <= layers[0] <= layers[1] <= PERCENTILE_BINS
    ):
        raise InputError(f"layers must be None or (lo, hi) with 0 <= lo <= hi <= {PERCENTILE_BINS}, got {layers!r}")


def check_names(name: str, value: object, hint: str = "") -> None:
    """Refuse what is no list of at least one name; the hint follows the message."""
    if isinstance(value, str) or not isinstance(value, Collection) or not len(value):
        raise InputError(f"{name} must be a list of names, got {value!r}{hint}")
    strange = [type(entry).__name__ for entry in value if not isinstance(entry, str)]
    if strange:
        raise InputError(f"{name} must be a list of names, got a list of {strange[0]}{hint}")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse what is not among the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")


def check_count(name: str, value: object, least: int) -> None:
    """Refuse what is no integer of at least `least`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise InputError(f"{name} must be an integer >= {least}, got {value!r}")
