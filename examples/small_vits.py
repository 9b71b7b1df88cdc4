"""A space of vision transformers for images of 8 pixels, whose supernet trains in a minute: `small_vits:make`.

`make search` goes the whole way in it: supernet, benchmark table, LIBRA, search under a budget, trained networks.
"""

from __future__ import annotations

from lswag_fast.spaces import AutoFormer


def make():
    choices = {"embed_dim": (32, 64, 96), "depth": (1, 2, 3, 4), "num_heads": (1, 2, 3), "mlp_ratio": (1, 2, 4)}
    return AutoFormer(**choices, image_size=8, patch_size=4, num_classes=10)
