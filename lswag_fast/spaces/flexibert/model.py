"""The encoders of FlexiBERT (Tuli et al., JAIR 2023; Serianni and Kalita, ACL 2023), in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.spaces.flexibert.layer import Layer

EMBEDDING = 128
"""The width of the tables, whatever the hidden size."""
N_POSITIONS = 512
N_SEGMENTS = 2
N_BYTES = 256
INIT_STD = 0.02


def by_heads(x: Tensor, n_heads: int) -> Tensor:
    """(B, T, n d) -> (B, n, T, d)."""
    return torch.unflatten(x, -1, (n_heads, -1)).transpose(1, 2)


def joined(x: Tensor) -> Tensor:
    """(B, n, T, d) -> (B, T, n d)."""
    return x.transpose(1, 2).flatten(2)


def attend(query: Tensor, key: Tensor, value: Tensor, n_heads: int) -> Tensor:
    """Attention by heads, (B, T, n d) each."""
    q, k, v = (by_heads(x, n_heads) for x in (query, key, value))
    return joined(F.scaled_dot_product_attention(q, k, v))


class Attention(nn.Module):
    """Self-attention; by the weighted product the queries go through a matrix of their own."""

    def __init__(self, layer: Layer, hidden_size: int) -> None:
        super().__init__()
        self.n_heads = layer.n_heads
        self.query, self.key, self.value = (nn.Linear(hidden_size, hidden_size) for _ in range(3))
        self.weight = nn.Linear(hidden_size, hidden_size, bias=False) if layer.parameter == "WMA" else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, T, h) to (B, T, h)."""
        return attend(self.weight(self.query(x)), self.key(x), self.value(x), self.n_heads)


class SpanConvolution(nn.Module):
    """Half of the heads attend, the others convolve with kernels that each span of tokens makes."""

    def __init__(self, layer: Layer, hidden_size: int) -> None:
        super().__init__()
        self.kernel_size, self.n_heads = layer.kernel_size, layer.n_attending
        width = self.n_heads * (hidden_size // layer.n_heads)
        self.query, self.key, self.value, self.convolved = (nn.Linear(hidden_size, width) for _ in range(4))
        self.depthwise = nn.Conv1d(
            hidden_size, hidden_size, self.kernel_size, padding="same", groups=hidden_size, bias=False
        )
        self.pointwise = nn.Conv1d(hidden_size, width, 1)
        self.kernel = nn.Linear(width, self.n_heads * self.kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, T, h) to (B, T, h)."""
        query = self.query(x)
        span = self.pointwise(self.depthwise(x.transpose(1, 2))).transpose(1, 2)
        kernels = torch.unflatten(self.kernel(span * query), -1, (self.n_heads, self.kernel_size)).softmax(-1)
        side = self.kernel_size // 2
        seen = F.pad(self.convolved(x), (0, 0, side, side)).unfold(1, self.kernel_size, 1)  # (B, T, n d, k)
        convolved = (torch.unflatten(seen, 2, (self.n_heads, -1)) * kernels.unsqueeze(3)).sum(-1).flatten(2)
        return torch.cat([attend(query, self.key(x), self.value(x), self.n_heads), convolved], dim=-1)


class Transform(nn.Module):
    """A linear call, then by heads the Fourier or the cosine transform over tokens and channels, without weights."""

    def __init__(self, layer: Layer, hidden_size: int) -> None:
        super().__init__()
        self.n_heads, self.parameter = layer.n_heads, layer.parameter
        self.input = nn.Linear(hidden_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, T, h) to (B, T, h)."""
        heads = by_heads(self.input(x), self.n_heads)
        if self.parameter == "DFT":
            return joined(torch.fft.fft2(heads).real)
        over_channels = cosine_transform(heads)
        return joined(cosine_transform(over_channels.transpose(2, 3)).transpose(2, 3))


def cosine_transform(x: Tensor) -> Tensor:
    """The cosine transform of the second kind over the last axis, 2 sum_n x_n cos(pi k (2 n + 1) / 2 N)."""
    n = x.shape[-1]
    angle = torch.arange(n, dtype=torch.float64, device=x.device)
    table = 2 * torch.cos(math.pi / (2 * n) * torch.outer(2 * angle + 1, angle))
    return x @ table.to(x.dtype)


class Block(nn.Module):
    """An operation and a feed-forward part, each added to its input and normalised, but for a transform."""

    def __init__(self, layer: Layer, hidden_size: int) -> None:
        super().__init__()
        kind = {"SA": Attention, "DSC": SpanConvolution, "LT": Transform}[layer.operation]
        self.operation = kind(layer, hidden_size)
        self.is_transform = layer.operation == "LT"
        if not self.is_transform:
            self.dense, self.norm = nn.Linear(hidden_size, hidden_size), nn.LayerNorm(hidden_size, eps=1e-12)
        widths = [hidden_size, *[layer.width] * layer.n_feed_forward]
        self.feed_forward = nn.ModuleList(map(nn.Linear, widths, widths[1:]))
        self.output, self.output_norm = nn.Linear(layer.width, hidden_size), nn.LayerNorm(hidden_size, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (B, T, h) to (B, T, h)."""
        mixed: Tensor = self.operation(x)
        if not self.is_transform:
            mixed = self.norm(self.dense(mixed) + x)
        hidden = mixed
        for linear in self.feed_forward:
            hidden = F.gelu(linear(hidden))
        normalised: Tensor = self.output_norm(self.output(hidden) + mixed)
        return normalised


class FlexiBertNet(nn.Module):
    """Tables of tokens, positions and segments, blocks, and the table of the bytes once more as a constant head.

    The head has no parameters of its own, so that the network has just those of the published encoder, and no gradient
    reaches the table through it.
    """

    def __init__(self, layers: Sequence[Layer], hidden_size: int, vocabulary: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocabulary, EMBEDDING, padding_idx=0)
        self.positions = nn.Embedding(N_POSITIONS, EMBEDDING)
        self.segments = nn.Embedding(N_SEGMENTS, EMBEDDING)
        self.norm = nn.LayerNorm(EMBEDDING, eps=1e-12)
        self.project = nn.Linear(EMBEDDING, hidden_size) if hidden_size != EMBEDDING else nn.Identity()
        self.blocks = nn.ModuleList(Block(layer, hidden_size) for layer in layers)
        self.apply(_initialise)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map tokens (B, T) to the logits of the bytes, (B, T, 256)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.tokens(tokens) + self.positions(places) + self.segments(torch.zeros_like(places))
        x = self.project(self.norm(x))
        for block in self.blocks:
            x = block(x)
        if isinstance(self.project, nn.Linear):
            x = F.linear(x, self.project.weight.t())
        return F.linear(x, self.tokens.weight[:N_BYTES].detach())


def _initialise(module: nn.Module) -> None:
    """As published: N(0, 0.02^2), biases and the padding of 0."""
    if isinstance(module, (nn.Linear, nn.Embedding, nn.Conv1d)):
        nn.init.normal_(module.weight, std=INIT_STD)
    if isinstance(module, (nn.Linear, nn.Conv1d)) and module.bias is not None:
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        nn.init.zeros_(module.weight[module.padding_idx])
