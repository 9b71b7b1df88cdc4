"""Each rule against the truth: a tensor that holds the number of the sample in each of its elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.observe.samples.axis import Place, SampleAxis
from lswag_fast.observe.samples.flow import SampleFlow
from lswag_fast.observe.samples.rows import SampleRows
from support.observing import under_mode

B = 4

Body = Callable[[Tensor], Any]
FIRST, SECOND, THIRD = SampleAxis(0), SampleAxis(1), SampleAxis(2)

# What is done to x (B, 3, 6, 8), and where the samples lie then.
KNOWN: dict[str, tuple[Body, SampleAxis]] = {
    "flatten": (lambda x: x.flatten(1), FIRST),
    "tokens": (lambda x: x.flatten(2).transpose(1, 2), FIRST),
    "rows of all samples": (lambda x: x.flatten(0, 2), SampleAxis(0, 1, 18)),
    "rows of all samples and back": (lambda x: x.flatten(0, 2).view(B, 18, 8), FIRST),
    "windows": (lambda x: x.view(B, 3, 2, 3, 8).transpose(1, 2).reshape(2 * B, 9, 8), SampleAxis(0, 1, 2)),
    "time first": (lambda x: x.flatten(2).permute(2, 0, 1), SECOND),
    "time-major rows": (lambda x: x.flatten(2).permute(2, 0, 1).reshape(48 * B, 3), SampleAxis(0, 48, 1)),
    "axis inserted": (lambda x: x[None], SECOND),
    "axis inserted by a call": (lambda x: torch.unsqueeze(x, 0), SECOND),
    "last axis first": (lambda x: x.movedim(0, -1), SampleAxis(3)),
    "transposed by a property": (lambda x: x.flatten(1).T, SECOND),
    "one token": (lambda x: x.flatten(2)[:, :, 0], FIRST),
    "half the channels": (lambda x: x.chunk(2, -1)[1], FIRST),
    "heads": (lambda x: x.unbind(1)[2], FIRST),
    "every other": (lambda x: x[:, :, ::2], FIRST),
    "chosen tokens": (lambda x: x[:, :, torch.tensor([1, 0, 1])], FIRST),
    "mean over the plane": (lambda x: x.mean((2, 3)), FIRST),
    "mean, axes kept": (lambda x: x.mean(-1, keepdim=True), FIRST),
    "mean over time first": (lambda x: x.movedim(0, 2).mean(dim=0), SECOND),
    "largest": (lambda x: x.max(1)[0], FIRST),
    "pooled": (lambda x: F.adaptive_avg_pool2d(x, 1).flatten(1), FIRST),
    "max pooled": (lambda x: F.max_pool2d(x, 2), FIRST),
    "padded": (lambda x: F.pad(x, (1, 1)), FIRST),
    "joined": (lambda x: torch.cat([torch.zeros(B, 1, 6, 8), x], 1), FIRST),
    "joined, time first": (lambda x: torch.cat([x.movedim(0, 2)] * 2, 0), THIRD),
    "stacked": (lambda x: torch.stack([x, x]), SECOND),
    "stacked behind": (lambda x: torch.stack([x, x], 2), FIRST),
    "broadcast": (lambda x: torch.zeros(5, 1, 1, 1, 1) + x, SECOND),
    "positions added": (lambda x: x.flatten(2) + torch.zeros(1, 3, 48), FIRST),
    "rolled": (lambda x: x.roll((1, 1), (2, 3)), FIRST),
    "repeated": (lambda x: x.repeat(1, 2, 1, 1), FIRST),
    "expanded": (lambda x: x[:, :, None].expand(-1, -1, 2, -1, -1), FIRST),
    "as another dtype": (lambda x: x.to(torch.float64).float(), FIRST),
    "product of matrices": (lambda x: x @ torch.eye(8), FIRST),
    "product from the left": (lambda x: torch.ones(6, 6) @ x, FIRST),
    "attention": (lambda x: F.scaled_dot_product_attention(x, x, x), FIRST),
    "einsum": (lambda x: torch.einsum("bchw,bdhw->cbd", x, x), SECOND),
    "einsum of a list": (lambda x: torch.einsum("bchw,bdhw->cbd", [x, x]), SECOND),
    "gathered from a table": (lambda x: torch.arange(20.0).expand(B, 20).gather(1, x.flatten(1).long()), FIRST),
    "a token behind dots": (lambda x: x[..., [-2], :], FIRST),
    "a token behind dots, time first": (lambda x: x.flatten(2).movedim(0, 1)[..., [-2, 0]], SECOND),
    "each several times": (lambda x: x.repeat_interleave(3, dim=0), SampleAxis(0, 1, 3)),
    "each token several times": (lambda x: torch.repeat_interleave(x, 3, dim=2), FIRST),
    "a product added": (lambda x: torch.ones(1, 6, 6).baddbmm(x[:, 0], x[:, 1].mT), FIRST),
    "a product of tables added": (lambda x: x[:, 0].baddbmm(torch.ones(B, 6, 2), torch.ones(B, 2, 8)), FIRST),
    "spectrum": (lambda x: torch.fft.fftn(x, dim=(2, 3)).real, FIRST),
    "spectrum of the last axes": (lambda x: torch.fft.fftn(x, (6, 8)).real, FIRST),
    "written into a fresh tensor": (lambda x: _written(x), FIRST),
    "softmax": (lambda x: x.softmax(-1), FIRST),
    "split": (lambda x: x.split([2, 6], dim=3)[0], FIRST),
    "sorted": (lambda x: x.sort(-1)[0], FIRST),
    "a recurrent layer": (lambda x: _LSTM(x.flatten(2))[0], FIRST),
    "its last state": (lambda x: _LSTM(x.flatten(2))[1][0], SECOND),
    "a cell": (lambda x: _CELL(x.flatten(1), x.flatten(1)[:, :5]), FIRST),
    "embedding": (lambda x: F.embedding(x.flatten(1).long(), torch.arange(20.0)[:, None].repeat(1, 2)), FIRST),
}  # fmt: skip

# What makes the place unknown: the samples are mixed, chosen, put in another order, or not there.
UNKNOWN: dict[str, Body] = {
    "part of the batch": lambda x: x[: B // 2],
    "one sample": lambda x: x[0],
    "rolled samples behind another axis": lambda x: x.movedim(0, 1).roll(1, 1),
    "all elements rolled": lambda x: x.roll(1),
    "joined samples": lambda x: torch.cat([x, x]),
    "repeated samples": lambda x: x.repeat(2, 1, 1, 1),
    "mean over samples": lambda x: x.mean(0),
    "mean over all": lambda x: x.mean(),
    "samples summed in a product": lambda x: torch.ones(5, B) @ x.flatten(1),
    "samples summed by einsum": lambda x: torch.einsum("bchw->chw", x),
    "a function nobody knows": torch.fliplr,
    "another tensor as this one": lambda x: torch.ones(x.shape, dtype=torch.float64).type_as(x),
    "another tensor in this shape": lambda x: torch.ones(x.numel()).view_as(x),
    "another tensor expanded like this one": lambda x: torch.ones(1, 1, 1, 8).expand_as(x),
    "a tensor like this one": torch.ones_like,
    "transposed in place": lambda x: (x * 1).transpose_(0, 1),
    "sum over no axis, which is all": lambda x: x.sum(dim=()),
    "shares of attention in which time is as long as the batch": lambda x: _attend(x[:, :, :B, 0].mean(1)),
    "the same with a key of zeros": lambda x: _attend(x[:, :, :B, 0].mean(1), add_zero_attn=True),
    "another row in each column": lambda x: x.gather(0, torch.arange(B).repeat(144).view(x.shape)),
    "each as often as it says": lambda x: x.repeat_interleave(torch.tensor([1, 2, 1, 1]), dim=0),
    "all elements several times": lambda x: x.repeat_interleave(2),
    "operands that disagree": lambda x: x.flatten(0, 1) + x.transpose(0, 1).flatten(0, 1),
}


_LSTM, _CELL = torch.nn.LSTM(48, 5, batch_first=True), torch.nn.GRUCell(144, 5)


def _attend(x: Tensor, **options: bool) -> Tensor:
    """The shares (N, T, S) of a sequence-first attention on (B, T) with T = B, and with as many features as keys."""
    steps = x.t()[..., None].repeat(1, 1, B + len(options))  # (T, N, E)
    shares: Tensor = torch.nn.MultiheadAttention(steps.shape[2], 1, **options)(steps, steps, steps)[1]
    return shares


def _written(x: Tensor) -> Tensor:
    out = torch.zeros(B, 3, 9, 8)
    out[:, :, 3:] = x
    return out


def place_after(body: Body, x: Tensor) -> tuple[Place | None, Tensor]:
    """Where the observer believes the samples to be in what `body` makes of x, and that."""
    mode, out = under_mode(_Runs(body), x, len(x))
    return mode.flow.place_of(out), out


class _Runs(torch.nn.Module):
    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


def numbered(shape: tuple[int, ...]) -> Tensor:
    """A batch whose elements are the number of their sample, from 1."""
    return torch.arange(1.0, B + 1).view(B, *[1] * (len(shape) - 1)).expand(shape).contiguous()


@pytest.mark.parametrize("name", KNOWN)
def test_the_place_is_followed_and_right(name: str) -> None:
    body, expected = KNOWN[name]
    place, out = place_after(body, numbered((B, 3, 6, 8)))
    assert place == expected
    assert isinstance(place, SampleAxis)
    view = place.sample_first(out, B).flatten(1)
    marked = numbered((B, 3, 6, 8)).add(10.0 * (torch.arange(B) == 2).view(B, 1, 1, 1))
    other = place.sample_first(body(marked), B).flatten(1)
    changed = (
        (~torch.isclose(view, other, rtol=1e-4, atol=1e-4)).any(1).tolist()
    )  # inside of a composite the rounding differs
    assert changed in ([False, False, True, False], [False] * B)  # a softmax of equal numbers does not change


@pytest.mark.parametrize("name", UNKNOWN)
def test_the_place_is_unknown(name: str) -> None:
    place, _ = place_after(UNKNOWN[name], torch.randn(B, 3, 6, 8))
    assert place is None


ROWS: dict[str, Body] = {
    "tokens by number": lambda x: x.flatten(0, 1)[torch.tensor([7, 0, 3, 3])],
    "tokens by a mask": lambda x: x.flatten(0, 1)[torch.arange(B * 5) % 3 == 0],
    "a mask of the batch and its tokens": lambda x: x[(torch.arange(B * 5) % 3 == 0).view(B, 5)],
    "index_select": lambda x: torch.index_select(x.flatten(0, 1), 0, torch.tensor([19, 2])),
    "chosen twice": lambda x: x.flatten(0, 1)[torch.tensor([7, 0, 3, 3])][torch.tensor([1, 1, 0])],
    "and more": lambda x: F.relu(x.flatten(0, 1)[torch.tensor([7, 0, 3])]).unsqueeze(1) * 2,
    "gather": lambda x: x.gather(0, torch.tensor([2, 0, 0])[:, None, None].expand(3, 5, 2)),
    "take_along_dim": lambda x: torch.take_along_dim(x, torch.tensor([2, 0, 0])[:, None, None], 0),
    "samples flipped": lambda x: x.flip(0, 1),
    "samples rolled": lambda x: x.roll(1, 0),
    "samples and tokens rolled": lambda x: x.roll((1, -2), (1, 0)),
    "samples in another order": lambda x: x[torch.tensor([2, 0, 1, 3])],
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_that_the_data_choose_carry_their_samples(name: str) -> None:
    place, out = place_after(ROWS[name], numbered((B, 5, 2)))
    assert isinstance(place, SampleRows)
    rows = out.flatten(1)[:, 0]
    assert torch.equal(torch.unique(rows), torch.unique((place.samples + 1).float() * (2 if name == "and more" else 1)))
    assert torch.equal(place.samples + 1.0, rows / (2 if name == "and more" else 1))


def test_a_lone_sample_has_no_place() -> None:
    flow, x = SampleFlow(1), torch.randn(1, 3)
    flow.mark_batch(x)
    assert flow.place_of(x) is None
