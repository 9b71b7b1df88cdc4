"""Optuna, imported when something of it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lswag_fast.errors import SpaceError, needs_extra
from lswag_fast.spaces import SearchSpace, Suggests, check_space


def optuna() -> Any:
    """Return the library.

    Raises:
        MissingExtraError: it is not installed.
    """
    with needs_extra("optuna", "optuna"):
        import optuna
    return optuna


def naming_choices(space: SearchSpace) -> Suggests:
    """Return a space that names its choices; raises SpaceError for any other."""
    check_space(space)
    if isinstance(space, Suggests):
        return space
    raise SpaceError(
        f"{space.name} does not say which choices its architectures are made of; give its class the methods suggest "
        "and suggested of lswag_fast.spaces.Suggests"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, Optuna tells of warnings and errors only: not of each study that is made in memory, and each trial."""
    logging = optuna().logging
    before = logging.get_verbosity()
    logging.set_verbosity(max(before, logging.WARNING))
    try:
        yield
    finally:
        logging.set_verbosity(before)
