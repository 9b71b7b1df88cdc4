"""What a pass says when it cannot run, with these options or on this model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from lswag_fast.errors import InputError, LswagError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.memory import is_out_of_memory

RESCUE = "A network that starts with zero scales or a zero head can be scored with init='rescue'"
"""What to do about a network whose own initialisation keeps gradients from its weights."""

_MOST_NAMES = 3  # in a message; a result lists all of them


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are.

    Example:
        >>> listed(["a", "b", "c", "d", "e"])
        'a, b, c and 2 more'
    """
    shown = ", ".join(names[:_MOST_NAMES])
    more = len(names) - _MOST_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def listed_samples(places: Sequence[int]) -> str:
    """Samples of a batch by their places.

    Example:
        >>> listed_samples([2]), listed_samples([2, 5])
        ('sample 2', 'samples 2, 5')
    """
    return f"sample{'s' if len(places) > 1 else ''} {listed([str(place) for place in places])}"


def one_line(error: BaseException) -> str:
    """The message of an error in one line.

    Example:
        >>> one_line(RuntimeError("no\\n  gradient"))
        'no gradient'
    """
    return " ".join(str(error).split())


def refuse_chunks(options: ScoreOptions, name: str) -> None:
    """Raise InputError for a `chunk_size`; the pass called `name` takes the whole batch at once."""
    if options.chunk_size is not None:
        raise InputError(f"the {name} pass takes the whole batch at once; leave chunk_size out")


@contextmanager
def model_errors(name: str, change: str) -> Iterator[None]:
    """Turn what the model raises into an UnsupportedModelError with the pass's name and the change that it made.

    The errors of this library, and lack of memory, go through as they are.
    """
    try:
        yield
    except LswagError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(f"the model fails {change} ({name} pass): {one_line(error)}") from error


_OF_FROZEN_WEIGHTS = (
    "; a gradient that the model takes in its own forward pass finds the weights frozen here, and needs an input that "
    "requires grad"
)


@contextmanager
def backward_errors() -> Iterator[None]:
    """Turn what torch raises while it differentiates the model into an UnsupportedModelError; its cause is that error.

    Errors of this library, and lack of memory, go through as they are.
    """
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, LswagError) or is_out_of_memory(error):
            raise
        raise not_differentiable(error) from error


def not_differentiable(error: BaseException) -> UnsupportedModelError:
    """The error that says that torch cannot differentiate the model, and why."""
    why = _OF_FROZEN_WEIGHTS if "does not require grad" in str(error) else ""
    return UnsupportedModelError(f"torch cannot differentiate the model or its loss: {one_line(error)}{why}")
