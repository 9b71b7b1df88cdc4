"""Architectures as text."""

from __future__ import annotations

import json
from typing import Any

from lswag_fast.errors import SpaceError


def read_json(text: str) -> Any:
    """Return what a line of JSON holds, which need not be an architecture.

    Raises:
        SpaceError: it is not JSON, or nested too deeply to be read.

    Example:
        >>> read_json('{"depth": 12}')
        {'depth': 12}
    """
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpaceError(f"architecture: not readable as JSON ({error}); found {str(text)[:60]!r}") from error
