"""Transformers: a hand-written ViT, torch's own attention and encoder layers in both orders, cross-attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, Network, labels, network

WIDTH = 8


class Attention(nn.Module):
    """Self-attention on (B, T, C), written out with two linear layers."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.n_heads = n_heads

    def forward(self, x: Tensor) -> Tensor:
        n_samples, n_tokens, width = x.shape
        qkv = self.qkv(x).reshape(n_samples, n_tokens, 3, self.n_heads, -1).permute(2, 0, 3, 1, 4)
        weights = (qkv[0] @ qkv[1].transpose(-2, -1) / (width // self.n_heads) ** 0.5).softmax(-1)
        return self.proj((weights @ qkv[2]).transpose(1, 2).reshape(n_samples, n_tokens, width))


class Block(nn.Module):
    """A pre-norm transformer block with the functional GELU."""

    def __init__(self, width: int, n_heads: int = 2) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, n_heads)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


def block_weights(prefix: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{name}.weight" for name in ("attn.qkv", "attn.proj", "fc1", "fc2"))


class TinyViT(nn.Module):
    """Patches by a strided convolution, a class token, learned positions, two blocks, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.cls = nn.Parameter(torch.randn(1, 1, WIDTH))
        self.pos = nn.Parameter(torch.randn(1, 5, WIDTH))
        self.blocks = nn.Sequential(Block(WIDTH), Block(WIDTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        return self.head(self.norm(self.blocks(x))[:, 0])


@network(
    "vit",
    "attention",
    "functional",
    observed=("patch.weight", *block_weights("blocks.0"), *block_weights("blocks.1"), "head.weight"),
)
def vit() -> Made:
    return TinyViT(), torch.randn(6, 3, 8, 8), labels(6)


class SelfAttention(nn.Module):
    """torch's own attention between two linear layers; takes (B, T, C) whatever the order inside."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, 2, batch_first=batch_first)
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.embed(x))
        x = x if self.batch_first else x.transpose(0, 1)
        x = x + self.attn(x, x, x, need_weights=False)[0]
        return self.head(x.mean(1 if self.batch_first else 0))


class Encoder(nn.Module):
    """torch's own encoder layers; takes (B, T, C) whatever the order inside."""

    def __init__(self, batch_first: bool, norm_first: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, 2, 12, activation=activation, batch_first=batch_first, norm_first=norm_first
            )
            for activation in ("relu", "gelu")
        )
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.batch_first = batch_first

    def forward(self, x: Tensor) -> Tensor:
        x = x if self.batch_first else x.transpose(0, 1)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1 if self.batch_first else 0))


MHA_WEIGHTS = ("embed.weight", "attn.in_proj_weight", "attn.out_proj.weight", "head.weight")
ENCODER_WEIGHTS = (
    *(
        f"layers.{i}.{name}"
        for i in range(2)
        for name in ("self_attn.in_proj_weight", "self_attn.out_proj.weight", "linear1.weight", "linear2.weight")
    ),
    "head.weight",
)


def register_orders(n_samples: int, n_tokens: int, label: str) -> list[Network]:
    """Register attention and encoder, batch first and time first, for one pair of sizes B and T."""

    def batch(width: int) -> tuple[Tensor, Tensor]:
        return torch.randn(n_samples, n_tokens, width), labels(n_samples)

    made = []
    for order, batch_first in (("batch_first", True), ("time_first", False)):
        tags = ("attention", "torch_attention", order, *(() if n_tokens % n_samples else ("ambiguous",)))
        attention = network(f"mha_{order}_{label}", *tags, observed=MHA_WEIGHTS)
        encoder = network(f"encoder_{order}_{label}", *tags, observed=ENCODER_WEIGHTS)
        made.append(attention(lambda first=batch_first: (SelfAttention(first), *batch(5))))
        made.append(encoder(lambda first=batch_first: (Encoder(first, norm_first=first), *batch(WIDTH))))
    return made


register_orders(6, 7, "odd")
register_orders(6, 6, "t_equals_b")
register_orders(5, 10, "t_equals_2b")


class CrossAttention(nn.Module):
    """Attention of (B, T, C) on one memory, or on two of other widths; time first inside."""

    def __init__(self, memory_width: int | None, value_width: int | None) -> None:
        super().__init__()
        self.query = nn.Linear(5, WIDTH)
        self.attn = nn.MultiheadAttention(WIDTH, 2, kdim=memory_width, vdim=value_width)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor, key: Tensor, value: Tensor | None = None) -> Tensor:
        query = F.silu(self.query(x)).transpose(0, 1)
        key = key.transpose(0, 1)
        value = key if value is None else value.transpose(0, 1)
        return self.head((query + self.attn(query, key, value)[0]).mean(0))


@network(
    "cross_attention",
    "attention",
    "torch_attention",
    "tuple_input",
    observed=(
        "query.weight",
        "attn.q_proj_weight",
        "attn.k_proj_weight",
        "attn.v_proj_weight",
        "attn.out_proj.weight",
        "head.weight",
    ),
)
def cross_attention() -> Made:
    inputs = (torch.randn(6, 4, 5), torch.randn(6, 6, 7), torch.randn(6, 6, 3))
    return CrossAttention(7, 3), inputs, labels(6)


@network(
    "cross_attention_packed",
    "attention",
    "torch_attention",
    "tuple_input",
    "pieces",
    observed=("query.weight", "attn.in_proj_weight", "attn.out_proj.weight", "head.weight"),
)
def cross_attention_packed() -> Made:
    """Key and value come from one memory: torch splits the packed weight into a query part and a key-value part."""
    return CrossAttention(None, None), (torch.randn(5, 5, 5), torch.randn(5, 10, WIDTH)), labels(5)


@network(
    "cross_attention_three_parts",
    "attention",
    "torch_attention",
    "tuple_input",
    "pieces",
    observed=("query.weight", "attn.in_proj_weight", "attn.out_proj.weight", "head.weight"),
)
def cross_attention_three_parts() -> Made:
    """Query, key and value differ but have one width: three disjoint parts of the packed weight."""
    inputs = (torch.randn(5, 4, 5), torch.randn(5, 6, WIDTH), torch.randn(5, 6, WIDTH))
    return CrossAttention(None, None), inputs, labels(5)
