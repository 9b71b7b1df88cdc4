"""What a pass says when it cannot run, with these options or on this model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lswag_fast.errors import InputError, LswagError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.memory import is_out_of_memory


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
        raise UnsupportedModelError(f"the model fails {change} ({name} pass): {error}") from error
