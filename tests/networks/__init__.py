"""Small networks that cover what users' models do; `NETWORKS` holds them all, `select(*tags)` a part.

A test says `@pytest.mark.parametrize("net", select("conv"), ids=lambda net: net.name)` and calls `net.build(dtype)`.

Tags with a meaning beyond their family:
`coupled` (train-mode BatchNorm: samples depend on each other), `random` (train-mode dropout),
`ambiguous` (sizes alone do not tell the sample axis), `no_activation` (no activation that can be seen), `refused`,
`autocast` (bfloat16 inside when built in float32), `loss` (comes with its own `loss_fn`).
"""

from networks import (
    attention,
    convolutional,
    dense,
    derived,
    gates,
    interfaces,
    products,
    recurrent,
    routing,
    shared,
    token_order,
)
from networks.registry import N_CLASSES, NETWORKS, Network, select

__all__ = [
    "NETWORKS",
    "N_CLASSES",
    "Network",
    "attention",
    "convolutional",
    "dense",
    "derived",
    "gates",
    "interfaces",
    "products",
    "recurrent",
    "routing",
    "select",
    "shared",
    "token_order",
]
