"""What a pass says when it cannot serve its proxies, with these options or on this model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lswag_fast.errors import InputError, LswagError, UnsupportedModelError
from lswag_fast.passes.options import PassOptions
from lswag_fast.passes.shared.memory import is_out_of_memory


def refuse_chunks(options: PassOptions, proxies: str) -> None:
    """Raise InputError for a `chunk_size`; `proxies` are those that take the whole batch at once."""
    if options.chunk_size is not None:
        raise InputError(f"{proxies}: the whole batch goes through at once; leave chunk_size out")


@contextmanager
def naming(proxies: str, change: str) -> Iterator[None]:
    """Turn what the model raises into an UnsupportedModelError with `proxies` and the `change` that the pass made.

    The errors of this library, and lack of memory, go through as they are.
    """
    try:
        yield
    except LswagError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise UnsupportedModelError(f"{proxies}: the model fails {change}: {error}") from error
