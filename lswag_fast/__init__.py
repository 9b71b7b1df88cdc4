"""lswag_fast: zero-cost scores (L-SWAG) for any PyTorch network in one forward and one backward pass.

The public names are loaded when first used, so that `import lswag_fast` and the command line's help cost nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lswag_fast import reference, spaces
    from lswag_fast.build_info import info
    from lswag_fast.data import tables
    from lswag_fast.errors import LswagError, LswagWarning
    from lswag_fast.libra.ranking import rank_aggregate, rank_networks
    from lswag_fast.libra.selection import Libra
    from lswag_fast.observe import register_activation
    from lswag_fast.options import ScoreOptions
    from lswag_fast.passes import Pass, register_pass
    from lswag_fast.passes.shared.loss import TokenLoss
    from lswag_fast.proxies import ProxyInfo, list_proxies, register_proxy
    from lswag_fast.result import LayerScore, Score, Scores
    from lswag_fast.scoring import score, score_many
    from lswag_fast.searching import search
    from lswag_fast.study.budget import Budget
    from lswag_fast.study.stored import SearchResult
    from lswag_fast.study.study import Study

    __version__: str

_HOME = {
    "Budget": "study.budget",
    "LayerScore": "result",
    "Libra": "libra.selection",
    "LswagError": "errors",
    "LswagWarning": "errors",
    "ProxyInfo": "proxies",
    "Pass": "passes",
    "Score": "result",
    "ScoreOptions": "options",
    "Scores": "result",
    "SearchResult": "study.stored",
    "Study": "study.study",
    "TokenLoss": "passes.shared.loss",
    "info": "build_info",
    "list_proxies": "proxies",
    "rank_aggregate": "libra.ranking",
    "rank_networks": "libra.ranking",
    "register_activation": "observe",
    "register_pass": "passes",
    "register_proxy": "proxies",
    "score": "scoring",
    "score_many": "scoring",
    "search": "searching",
}
"""The module of each public name."""

__all__ = [
    "Budget",
    "LayerScore",
    "Libra",
    "LswagError",
    "LswagWarning",
    "Pass",
    "ProxyInfo",
    "Score",
    "ScoreOptions",
    "Scores",
    "SearchResult",
    "Study",
    "TokenLoss",
    "__version__",
    "info",
    "list_proxies",
    "rank_aggregate",
    "rank_networks",
    "reference",
    "register_activation",
    "register_pass",
    "register_proxy",
    "score",
    "score_many",
    "search",
    "spaces",
    "tables",
]


def __getattr__(name: str) -> Any:
    """Load a public name, or a sub-package by its name, at its first use."""
    if name in _HOME:
        return getattr(import_module(f"lswag_fast.{_HOME[name]}"), name)
    if name == "__version__":
        return _installed_version()
    if name == "tables":
        return import_module("lswag_fast.data.tables")
    if name in __all__:
        return import_module(f"lswag_fast.{name}")
    raise AttributeError(f"module 'lswag_fast' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__


def _installed_version() -> str:
    """The version of the installed package, which is that of pyproject.toml; "unknown" in a tree never installed."""
    from importlib import metadata  # as much as a whole `--help` takes

    try:
        return metadata.version("lswag-fast")
    except metadata.PackageNotFoundError:
        return "unknown"
