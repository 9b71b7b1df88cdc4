"""Which versions a result was made with."""

from __future__ import annotations

import importlib.metadata
import platform

_PACKAGES = ("lswag-fast", "torch", "numpy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a score; `unknown` where none is installed."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "unknown"
    return found
