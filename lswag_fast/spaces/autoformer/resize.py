"""An AutoFormer network for images of another size."""

from __future__ import annotations

import copy

from torch import nn
from torch.nn import functional as F

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.autoformer.model import AutoFormerNet, relative_index
from lswag_fast.spaces.checks import check_positive


def resized(network: AutoFormerNet, image_size: int) -> AutoFormerNet:
    """Return a network for images of another size, as vision transformers are brought to larger images.

    The positions of the patches are interpolated (bicubic). The tables of relative positions hold distances, clipped
    to 14 patches, and stay as they are.

    Args:
        network: left as it was; its other weights are shared.
        image_size: side of the images in pixels, a multiple of the patch size.

    Raises:
        SpaceError: it is none.

    Example:
        >>> import torch
        >>> from lswag_fast.spaces import AutoFormer
        >>> space = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2, image_size=32, num_classes=10)
        >>> resized(space.build(space.extremes()[0]), 48)(torch.zeros(1, 3, 48, 48)).shape
        torch.Size([1, 10])
    """
    check_positive(image_size=image_size)
    patch = network.patch_embed_super.proj.kernel_size[0]
    if image_size % patch:
        raise SpaceError(f"image_size: {image_size} pixels is no multiple of the patch size {patch}")
    grid, before = image_size // patch, network.image_size // patch
    positions = network.pos_embed.detach()
    patches = positions[:, 1:].unflatten(1, (before, before)).permute(0, 3, 1, 2)  # type: ignore[no-untyped-call]
    patches = F.interpolate(patches, size=(grid, grid), mode="bicubic", align_corners=False)
    interpolated = nn.functional.pad(patches.flatten(2).transpose(1, 2), (0, 0, 1, 0))
    interpolated[:, :1] = positions[:, :1]
    made = copy.copy(network)
    made._parameters = {**network._parameters, "pos_embed": nn.Parameter(interpolated)}
    made._buffers = {**network._buffers, "relative_index": relative_index(grid).to(positions.device)}
    made.image_size = image_size
    return made
