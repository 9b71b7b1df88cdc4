"""Proxies: pure functions from the numbers of a pass to a score, and their registry.

Each module registers its own when imported here.
"""

from lswag_fast.proxies import (  # noqa: F401
    az_nas,
    gradient,
    grasp,
    jacobian,
    lswag,
    patterns,
    size,
    synflow,
    te_nas,
    zen,
    zico,
)
from lswag_fast.proxies.registry import ProxyInfo, get_proxy, list_proxies, register_proxy, register_ranked, with_parts

__all__ = ["ProxyInfo", "get_proxy", "list_proxies", "register_proxy", "register_ranked", "with_parts"]
