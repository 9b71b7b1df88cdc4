"""Every test and every example draws the same random numbers each time, whatever ran before it."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Seed torch before each of them."""
    torch.manual_seed(0)
