"""Proxies: pure functions from the measurements of passes to a score, and their registry.

Each module registers its own proxies when it is imported here; `list_proxies()` lists them all.

Example:
    >>> [info.name for info in list_proxies("*nas_*") if not info.higher_is_better]
    ['te_nas_ntk']
"""

from lswag_fast.proxies import (  # noqa: F401
    az_nas,
    features,
    gradient,
    grasp,
    jacobian,
    lswag,
    patterns,
    size,
    synflow,
    te_nas,
    vkdnw,
    zen,
    zico,
)
from lswag_fast.proxies.registry import ProxyInfo, get_proxy, list_proxies, register_proxy, register_ranked, with_parts

__all__ = ["ProxyInfo", "get_proxy", "list_proxies", "register_proxy", "register_ranked", "with_parts"]
