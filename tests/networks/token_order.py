"""Networks whose linear layers do not see the samples on axis 0 alone: time-major tokens and windows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from networks.registry import N_CLASSES, Made, Network, labels, network

WIDTH = 6


class TimeMajorMixer(nn.Module):
    """Linear layers on (T, B, C), and a mix over time that leaves samples apart."""

    def __init__(self, n_tokens: int) -> None:
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        self.channel = nn.Linear(WIDTH, WIDTH)
        self.time = nn.Linear(n_tokens, n_tokens)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.embed(x.transpose(0, 1)))
        x = x + F.relu(self.channel(x))
        x = x + F.gelu(self.time(x.permute(2, 1, 0))).permute(2, 1, 0)
        return self.head(x.mean(0))


def register_mixer(n_samples: int, n_tokens: int, label: str) -> Network:
    """Register the mixer for one pair of sizes B and T."""
    tags = ("tokens", "time_first", *(() if n_tokens % n_samples else ("ambiguous",)))
    add = network(f"mixer_{label}", *tags, observed=("embed.weight", "channel.weight", "time.weight", "head.weight"))
    return add(lambda: (TimeMajorMixer(n_tokens), torch.randn(n_samples, n_tokens, 5), labels(n_samples)))


register_mixer(5, 7, "odd")
register_mixer(6, 6, "t_equals_b")
register_mixer(5, 10, "t_equals_2b")
register_mixer(8, 2, "two_tokens")
register_mixer(WIDTH, WIDTH, "t_b_c_equal")


class Windowed(nn.Module):
    """Windows folded into the sample axis: (B*k, N, C) b-major as in Swin, or (k*B, N, C) t-major."""

    def __init__(self, n_windows: int, sample_major: bool) -> None:
        super().__init__()
        self.embed = nn.Linear(3, WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)
        self.n_windows = n_windows
        self.sample_major = sample_major

    def split(self, x: Tensor) -> Tensor:
        """(B, k*N, C) -> (B*k, N, C) or (k*B, N, C)."""
        windows = x.unflatten(1, (self.n_windows, -1))
        return (windows if self.sample_major else windows.transpose(0, 1)).flatten(0, 1)

    def merge(self, windows: Tensor) -> Tensor:
        """The inverse of `split`."""
        if self.sample_major:
            return windows.unflatten(0, (-1, self.n_windows)).flatten(1, 2)
        return windows.unflatten(0, (self.n_windows, -1)).transpose(0, 1).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.embed(x))
        query, key, value = self.qkv(self.split(x)).chunk(3, -1)
        mixed = (query @ key.transpose(1, 2)).softmax(-1) @ value
        return self.head((x + self.merge(self.proj(mixed))).mean(1))


WINDOW_WEIGHTS = ("embed.weight", "qkv.weight", "proj.weight", "head.weight")


@network("windows_sample_major", "tokens", "windows", observed=WINDOW_WEIGHTS)
def windows_sample_major() -> Made:
    return Windowed(3, sample_major=True), torch.randn(6, 12, 3), labels(6)


@network("windows_window_major", "tokens", "windows", "ambiguous", observed=WINDOW_WEIGHTS)
def windows_window_major() -> Made:
    return Windowed(3, sample_major=False), torch.randn(6, 12, 3), labels(6)


@network("windows_as_many_as_samples", "tokens", "windows", "ambiguous", observed=WINDOW_WEIGHTS)
def windows_as_many_as_samples() -> Made:
    return Windowed(5, sample_major=False), torch.randn(5, 25, 3), labels(5)


class FoldedHeads(nn.Module):
    """Time-major, with the heads folded into the sample axis: a linear layer on (T, B*2, C/2)."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(5, WIDTH)
        self.per_head = nn.Linear(WIDTH // 2, WIDTH // 2)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.embed(x.transpose(0, 1)))
        heads = x.reshape(x.shape[0], -1, WIDTH // 2)
        return self.head(F.relu(self.per_head(heads)).reshape(x.shape).mean(0))


@network(
    "folded_heads_t_equals_b",
    "tokens",
    "time_first",
    "ambiguous",
    observed=("embed.weight", "per_head.weight", "head.weight"),
)
def folded_heads_t_equals_b() -> Made:
    """T = B makes axis 0 look like the samples, which lie in axis 1."""
    return FoldedHeads(), torch.randn(5, 5, 5), labels(5)


class FlatTokens(nn.Module):
    """Tokens and samples flattened to rows (B*T, C), sample-major, before every linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = F.relu(self.inner(x.flatten(0, 1)))
        return self.head(rows.unflatten(0, (len(x), -1)).mean(1))


@network("flat_tokens", "tokens", observed=("inner.weight", "head.weight"))
def flat_tokens() -> Made:
    return FlatTokens(), torch.randn(6, 4, 5), labels(6)


class SampleShuffle(nn.Module):
    """Rows of samples reordered inside: the order of samples at the layer is not that of the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(5, WIDTH)
        self.head = nn.Linear(WIDTH, N_CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.inner(x.flip(0)))).flip(0)


@network("flipped_samples", "tokens", observed=("inner.weight", "head.weight"))
def flipped_samples() -> Made:
    """The variance over samples does not depend on their order, so this one is observed like any other."""
    return SampleShuffle(), torch.randn(6, 5), labels(6)
