"""The space of the experiments on small images: vision transformers of 0.1 to 2.7 million parameters."""

from __future__ import annotations

from lswag_fast.spaces import AutoFormer


def small_vits() -> AutoFormer:
    """Return the space: images of 32 pixels in patches of 4, ten classes.

    Example:
        >>> values = small_vits().n_params_values()
        >>> values[0], values[-1]
        (73930, 2739658)
    """
    return AutoFormer(
        embed_dim=(64, 128, 192),
        depth=(2, 3, 4, 5, 6),
        num_heads=(1, 2, 3),
        mlp_ratio=(1, 2, 4),
        image_size=32,
        patch_size=4,
        num_classes=10,
    )
