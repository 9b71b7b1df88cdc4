"""Networks of torchvision, timm and transformers at small sizes; `PUBLIC_NETWORKS` holds them all.

Importing this needs none of the libraries; building a network of one that is missing skips the test, with the reason.
"""

from public_networks import from_timm, from_torchvision, from_transformers
from public_networks.registry import PUBLIC_NETWORKS, PublicNetwork, each_network

__all__ = ["PUBLIC_NETWORKS", "PublicNetwork", "each_network", "from_timm", "from_torchvision", "from_transformers"]
