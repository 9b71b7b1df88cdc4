"""The libraries of public models, where they are installed."""

from __future__ import annotations

from types import ModuleType

import pytest

from bench.score.models import libraries


def library(name: str) -> ModuleType:
    """Import `torchvision`, `timm` or `transformers`; skips the tests of a module where it is missing."""
    if not libraries.is_installed(name):
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    return libraries.library(name)
