"""The network of one AutoFormer architecture, as a plain `nn.Module`.

Source: Chen, Peng, Fu, Ling, "AutoFormer: Searching Transformers for Visual Recognition", ICCV 2021, and the published
code: pre-norm blocks, Q-K-V width 64 * heads unless a space gives others, 2-D relative positions on keys and values (Wu
et al., ICCV 2021), mean over the patch tokens. Parameter names are those of the published state dict.

Departures from it, none of which changes the function computed:
- no dropout and no drop-path (the published rates act in training only; a proxy wants the deterministic network);
- relative positions are applied without an (N, N, 64) tensor, see `Attention.forward`;
- GELU runs in the type of its input; the published code goes through float32, which differs for float64 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lswag_fast.errors import InputError
from lswag_fast.spaces.layers import IN_CHANNELS

HEAD_DIM = 64
"""Width of a head as published; the attention is 64 * heads wide whatever the embedding width is."""
MAX_RELATIVE_POSITION = 14
"""Distances, in patches, are clipped to +-14 as published: one side of the 14 x 14 grid of those networks."""

Device: TypeAlias = torch.device | str | None
Layer = TypeVar("Layer", nn.Linear, nn.LayerNorm, nn.Conv2d)


@dataclass(frozen=True)
class Geometry:
    """What all networks of a space share.

    Attributes:
        image_size: side of the square images in pixels.
        patch_size: side of a patch in pixels.
        num_classes: number of logits.
        max_relative_position: distances, in patches, are clipped to it.
    """

    image_size: int
    patch_size: int
    num_classes: int
    max_relative_position: int = MAX_RELATIVE_POSITION

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size

    @property
    def table_rows(self) -> int:
        """Rows of a relative table: one per distance, and row 0 for every pair with the class token."""
        return 2 * self.max_relative_position + 2

    @property
    def n_patches(self) -> int:
        """Patches of one image."""
        return self.grid**2

    @property
    def n_tokens(self) -> int:
        """Patches and the class token."""
        return self.n_patches + 1


def relative_index(grid: int, most: int = MAX_RELATIVE_POSITION) -> Tensor:
    """Return the table rows (2, T, grid) for a query token and a key row (index 0) or key column (index 1).

    T = grid^2 + 1 tokens, the class token first. A distance d is clipped to +-`most` and has row d + `most` + 1; the
    class token uses row 0.
    """
    steps = torch.arange(grid, device="cpu")
    patches = torch.arange(grid * grid, device="cpu")
    query = torch.stack([patches // grid, patches % grid])
    distance = steps - query.unsqueeze(-1)
    rows = distance.clamp(-most, most) + most + 1
    return functional.pad(rows, (0, 0, 1, 0))


class _Unset:
    """What comes before a layer's class so that it draws and sets no values."""

    def reset_parameters(self) -> None:
        """Set nothing."""


_UNSET = {kind: type(f"Unset{kind.__name__}", (_Unset, kind), {}) for kind in (nn.Linear, nn.LayerNorm, nn.Conv2d)}


def layer(kind: type[Layer], *sizes: Any, device: Device = None, **options: Any) -> Layer:
    """Return a layer; one on the meta device has no values, and torch would take long over setting none."""
    made: Any = (_UNSET[kind] if device == "meta" else kind)(*sizes, device=device, **options)
    made.__class__ = kind  # as what torch and others, that quantise layers say, look it up
    return cast(Layer, made)


class RelativePosition2D(nn.Module):
    """Two tables (rows, D): a vector for each vertical and horizontal distance; a pair of tokens uses their sum."""

    def __init__(self, rows: int, head_dim: int, device: Device = None) -> None:
        super().__init__()
        self.embeddings_table_v = nn.Parameter(torch.empty(rows, head_dim, device=device))
        self.embeddings_table_h = nn.Parameter(torch.empty(rows, head_dim, device=device))

    def forward(self, index: Tensor) -> Tensor:
        """Return (T, 2 * grid + 1, D): each query's vectors for all key rows, key columns and the class token."""
        vertical, horizontal = self.embeddings_table_v, self.embeddings_table_h
        class_token = (vertical[:1] + horizontal[:1]).expand(index.shape[1], 1, -1)
        return torch.cat([vertical[index[0]], horizontal[index[1]], class_token], dim=1)


class Attention(nn.Module):
    """Multi-head attention, `width` wide in all, with relative positions on keys and values."""

    def __init__(self, embed_dim: int, width: int, head_dim: int, table_rows: int, device: Device = None) -> None:
        super().__init__()
        self.num_heads, self.head_dim = width // head_dim, head_dim
        self.scale = head_dim**-0.5
        self.qkv = layer(nn.Linear, embed_dim, 3 * width, device=device)
        self.rel_pos_embed_k = RelativePosition2D(table_rows, head_dim, device)
        self.rel_pos_embed_v = RelativePosition2D(table_rows, head_dim, device)
        self.proj = layer(nn.Linear, width, embed_dim, device=device)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map x (B, T, E) to (B, T, E).

        The published code adds q_t . (V[dy] + H[dx]) to the logit of each pair. Here the products with V and with H are
        formed once per key row and once per key column, then added: the same sum with 2 * grid + 1 instead of
        grid^2 + 1 products per query. The values likewise: attention is summed along key columns and key rows first,
        then multiplied with the tables.
        """
        n_samples, n_tokens, _ = x.shape
        grid = index.shape[-1]
        qkv = self.qkv(x).reshape(n_samples, n_tokens, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        q = q * self.scale

        by_position = torch.einsum("bhtd,trd->bhtr", q, self.rel_pos_embed_k(index))
        rows, columns, class_token = torch.split(by_position, [grid, grid, 1], dim=-1)
        bias = torch.cat([class_token, (rows.unsqueeze(-1) + columns.unsqueeze(-2)).flatten(-2)], dim=-1)
        attention = (q @ k.transpose(-2, -1) + bias).softmax(dim=-1)

        patches = attention[..., 1:].unflatten(-1, (grid, grid))
        by_position = torch.cat([patches.sum(dim=-1), patches.sum(dim=-2), attention[..., :1]], dim=-1)
        out = attention @ v + torch.einsum("bhtr,trd->bhtd", by_position, self.rel_pos_embed_v(index))
        return cast(Tensor, self.proj(out.transpose(1, 2).flatten(2)))


class Block(nn.Module):
    """Pre-norm transformer block: x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(
        self, embed_dim: int, attention: tuple[int, int], hidden_dim: int, table_rows: int, device: Device = None
    ) -> None:
        super().__init__()
        self.attn = Attention(embed_dim, *attention, table_rows, device)
        self.attn_layer_norm = layer(nn.LayerNorm, embed_dim, device=device)
        self.ffn_layer_norm = layer(nn.LayerNorm, embed_dim, device=device)
        self.fc1 = layer(nn.Linear, embed_dim, hidden_dim, device=device)
        self.fc2 = layer(nn.Linear, hidden_dim, embed_dim, device=device)

    def forward(self, x: Tensor, index: Tensor) -> Tensor:
        """Map x (B, T, E) to (B, T, E)."""
        return self.transform(self.attend(x, index))

    def attend(self, x: Tensor, index: Tensor) -> Tensor:
        """The first half: x + attention(norm(x))."""
        return cast(Tensor, x + self.attn(self.attn_layer_norm(x), index))

    def transform(self, x: Tensor) -> Tensor:
        """The second half: x + mlp(norm(x))."""
        return cast(Tensor, x + self.fc2(functional.gelu(self.fc1(self.ffn_layer_norm(x)))))


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to tokens by one strided convolution."""

    def __init__(self, embed_dim: int, patch_size: int, device: Device = None) -> None:
        super().__init__()
        self.proj = layer(nn.Conv2d, IN_CHANNELS, embed_dim, patch_size, stride=patch_size, device=device)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, H, W) to tokens (B, n_patches, E), row by row."""
        return cast(Tensor, self.proj(images)).flatten(2).transpose(1, 2)


class AutoFormerNet(nn.Module):
    """The vision transformer of one architecture.

    `AutoFormer.build` fills the parameters; the constructor leaves positions, class token and relative tables unset.

    Args:
        geometry: of the images.
        embed_dim: width of the tokens.
        attentions: width of each block's attention, and that of one of its heads.
        hidden_dims: hidden width of each block's MLP.
        device: where the parameters are allocated; None for torch's default.
    """

    relative_index: Tensor

    def __init__(
        self,
        geometry: Geometry,
        embed_dim: int,
        attentions: Sequence[tuple[int, int]],
        hidden_dims: Sequence[int],
        device: Device = None,
    ) -> None:
        super().__init__()
        self.image_size = geometry.image_size
        self.pos_embed = nn.Parameter(torch.empty(1, geometry.n_tokens, embed_dim, device=device))
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim, device=device))
        self.patch_embed_super = PatchEmbedding(embed_dim, geometry.patch_size, device)
        self.blocks = nn.ModuleList(
            Block(embed_dim, attention, hidden, geometry.table_rows, device)
            for attention, hidden in zip(attentions, hidden_dims, strict=True)
        )
        self.norm = layer(nn.LayerNorm, embed_dim, device=device)
        self.head = layer(nn.Linear, embed_dim, geometry.num_classes, device=device)
        index = relative_index(geometry.grid, geometry.max_relative_position)
        self.register_buffer("relative_index", index, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, 3, image_size, image_size) to logits (B, num_classes).

        Raises:
            InputError: the images have another shape.
        """
        return cast(Tensor, self.head(self.forward_features(images)[:, 1:].mean(dim=1)))

    def forward_features(self, images: Tensor) -> Tensor:
        """The normalised tokens before pooling, (B, T, E), class token first."""
        x = self._embedded(images)
        for block in self.blocks:
            x = block(x, self.relative_index)
        return cast(Tensor, self.norm(x))

    def block_features(self, images: Tensor) -> list[Tensor]:
        """The tokens (B, T, E) after the attention and after the MLP of every block, in order."""
        x = self._embedded(images)
        features = []
        for block in cast("list[Block]", self.blocks):
            halfway = block.attend(x, self.relative_index)
            x = block.transform(halfway)
            features += [halfway, x]
        return features

    def residual_branches(self) -> list[tuple[nn.Module, ...]]:
        """For each block the modules whose outputs are added to the tokens: the attention, and the end of the MLP."""
        return [(block.attn, block.fc2) for block in cast("list[Block]", self.blocks)]

    def no_weight_decay(self) -> set[str]:
        """The names of the parameters that the published training keeps from decaying, beside biases and norms."""
        return {"pos_embed", "cls_token"}

    def _embedded(self, images: Tensor) -> Tensor:
        """Patches and class token with their positions, (B, T, E)."""
        self._check_images(images)
        x = self.patch_embed_super(images)
        return torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], dim=1) + self.pos_embed

    def _check_images(self, images: Tensor) -> None:
        side = self.image_size
        if images.dim() != 4 or tuple(images.shape[1:]) != (IN_CHANNELS, side, side):
            raise InputError(
                f"images: found shape {tuple(images.shape)}, this network takes (B, {IN_CHANNELS}, {side}, {side}); "
                "resize them or build the space with another image_size"
            )
