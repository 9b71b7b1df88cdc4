"""Where data that others published lie, and a skip where they do not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("LSWAG_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
"""The folder `LSWAG_DATA`, or shared/data beside the checkout."""


def published_file(*parts: str) -> Path:
    """Return a file of the published data; skips the test if it is not there."""
    path = DATA.joinpath(*parts)
    if not path.is_file():
        pytest.skip(f"published data not found: {path}")
    return path
