"""Proxies: pure functions from the numbers of a pass to a score, and their registry.

Each module registers its own when imported here.
"""

from lswag_fast.proxies import (  # noqa: F401
    gradient,
    grasp,
    jacobian,
    lswag,
    patterns,
    size,
    zen,
    zico,
)
from lswag_fast.proxies.registry import ProxyInfo, get_proxy, list_proxies, register_proxy

__all__ = ["ProxyInfo", "get_proxy", "list_proxies", "register_proxy"]
