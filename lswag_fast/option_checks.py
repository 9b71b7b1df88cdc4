"""What the value of an option must be; each check raises InputError, naming the option."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from lswag_fast import tasks
from lswag_fast.errors import InputError
from lswag_fast.tasks.losses import CROSS_ENTROPY, LOSSES

if TYPE_CHECKING:
    from lswag_fast.options import ScoreOptions

PERCENTILE_BINS = 10  # PERC_BINS of Eq. 6; the last layer alone falls in bin 10


def check_functions(loss_fn: object, features: object) -> None:
    """Refuse what is to be a function and is none."""
    named = isinstance(loss_fn, str) and loss_fn in (CROSS_ENTROPY, *LOSSES)
    if not (loss_fn is None or named or callable(loss_fn)):
        known = ", ".join((CROSS_ENTROPY, *LOSSES))
        raise InputError(f"loss_fn must be one of {known}, or a function loss_fn(outputs, targets), got {loss_fn!r}")
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


def check_count(name: str, value: object, least: int, why: str = "") -> None:
    """Refuse what is no integer of at least `least`, saying why it has to be."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        since = f", since {why}" if why else ""
        raise InputError(f"{name} must be an integer >= {least}{since}, got {value!r}")


def loss_named(task: str | None, loss_fn: object) -> str | None:
    """Return the name of the loss that is not the user's own; None for the default and for a function.

    Raises:
        InputError: there is no such task.

    Example:
        >>> loss_named("autoencoding", None), loss_named("autoencoding", "mse"), loss_named(None, None)
        ('l1', 'mse', None)
    """
    if isinstance(loss_fn, str):
        return loss_fn
    return None if task is None or loss_fn is not None else tasks.get(task).loss


def check_outputs(options: ScoreOptions) -> None:
    """Refuse what cannot name an output, and settings of the default loss beside another."""
    output = options.output
    if not (output is None or isinstance(output, str) or is_integer(output) or callable(output)):
        raise InputError(f"output must be a place, a name or a function of the outputs, got {options.output!r}")
    if options.ignore_index is not None and not is_integer(options.ignore_index):
        raise InputError(f"ignore_index must be an integer, got {options.ignore_index!r}")
    if options.class_axis is not None and (not is_integer(options.class_axis) or options.class_axis not in (1, -1)):
        raise InputError(f"class_axis must be 1 or -1, got {options.class_axis!r}")
    for name in ("ignore_index", "class_axis"):
        if getattr(options, name) is not None and not options.is_cross_entropy:
            raise InputError(f"{name} is of cross-entropy; leave it out with this loss, got {getattr(options, name)}")
