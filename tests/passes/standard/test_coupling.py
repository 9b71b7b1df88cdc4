"""Networks whose samples depend on each other: what a score then is, says and refuses, and what is no such network."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import score, score_many
from lswag_fast.errors import InputError, LswagWarning
from networks import Network
from support.oracle import SHOWN, shares_of_the_batch_gradient, trainability_of

B, WIDTH, CLASSES = 8, 10, 4
PERMUTED = torch.tensor([3, 5, 0, 1, 7, 2, 4, 6])
EXACT = 1e-9  # both in float64; the order of sums differs

Body = Callable[[Tensor], Tensor]


class Around(nn.Module):
    """A function of the hidden features between two linear layers."""

    def __init__(self, body: Body, width: int = WIDTH) -> None:
        super().__init__()
        self.first, self.last, self.body = nn.Linear(5, WIDTH), nn.Linear(width, CLASSES), body

    def forward(self, x: Tensor) -> Any:
        return self.last(F.relu(self.body(self.first(x))))


def around(body: Body, width: int = WIDTH) -> Network:
    """A network that is not in the registry, since the tests of all networks are not about it."""

    def make() -> tuple[nn.Module, Tensor, Tensor]:
        return Around(body, width), torch.randn(B, 5), torch.arange(B) % CLASSES

    return Network("around", make, frozenset(), observed=("first.weight", "last.weight"))


def _memory(h: Tensor) -> Tensor:
    return torch.softmax(h @ h.t(), 1) @ h


def _written(h: Tensor) -> Tensor:
    with torch.no_grad():
        kept = torch.zeros(WIDTH)
        kept[:] = h.mean(0)
    return h - kept


def _stddev(h: Tensor) -> Tensor:
    groups = h.view(2, -1, WIDTH)
    spread = (groups - groups.mean(0)).square().mean((0, 1))
    return h + spread


_ATTENTION = nn.MultiheadAttention(WIDTH, 2).double().requires_grad_(False)
_LSTM = nn.LSTM(WIDTH, WIDTH).double().requires_grad_(False)

COUPLED: dict[str, tuple[Body, str]] = {
    "centred": (lambda h: h - h.mean(0), "mean"),
    "centred without a gradient": (lambda h: h - h.mean(0).detach(), "mean"),
    "centred by all elements": (lambda h: h - h.mean(), "mean"),
    "standardised": (lambda h: (h - h.mean(0)) / torch.var_mean(h, 0)[0].sqrt(), "var_mean"),
    "scaled by all": (lambda h: h / h.std(), "std"),
    "scaled by the largest": (lambda h: h / h.abs().max(), "max"),
    "scaled by a norm": (lambda h: h / h.norm(), "norm"),
    "scaled by a number": (lambda h: h / h.abs().max().item(), "max"),
    "softmax over the batch": (lambda h: h.softmax(0), "softmax"),
    "normalised over the batch": (lambda h: F.normalize(h, dim=0), "normalize"),
    "layer norm over the batch": (lambda h: F.layer_norm(h.t(), h.shape[:1]).t(), "layer_norm"),
    "group norm over the batch": (lambda h: F.group_norm(h.reshape(1, -1, 1), 2).view(-1, WIDTH), "group_norm"),
    "summed up": (lambda h: h.cumsum(0), "cumsum"),
    "sorted": (lambda h: h.sort(0)[0] + h, "sort"),
    "rolled": (lambda h: h.roll(1, 0), "another order of the rows"),
    "rolled and added": (lambda h: h + 0.5 * torch.roll(h, 1, 0), "add"),
    "flipped and added": (lambda h: h + 0.5 * h.flip(0), "add"),
    "flipped by another name": (lambda h: h + 0.5 * torch.flipud(h), "flipud"),
    "mixed up": (lambda h: 0.7 * h + 0.3 * h[PERMUTED[: len(h)] % len(h)], "add"),
    "differences": (lambda h: (h[:, None] - h[None]).abs().sum(1), "sub"),
    "attention to the batch": (lambda h: F.scaled_dot_product_attention(h[None], h[None], h[None])[0],
                               "scaled_dot_product_attention"),
    "attention written out": (_memory, "matmul"),
    "attention that takes the batch for time": (lambda h: _ATTENTION(h[:, None], h[:, None], h[:, None])[0][:, 0],
                                                "multi_head_attention_forward"),
    "a recurrent layer that takes the batch for time": (lambda h: _LSTM(h)[0], "lstm"),
    "a covariance": (lambda h: h @ (h.t() @ h), "matmul"),
    "einsum": (lambda h: h + torch.einsum("bi,bj->ij", h, h).sum(0), "einsum"),
    "written into a buffer": (_written, "mean"),
    "the spread within groups of samples": (_stddev, "view"),
    "scaled by a number of numpy's": (lambda h: h / float(h.detach().numpy().std()), "numpy"),
    "a window of samples": (
        lambda h: h + F.conv1d(h.t()[None], torch.ones(WIDTH, 1, 3).double(), padding=1, groups=WIDTH)[0].t(), "conv1d"
    ),
    "whitened": (lambda h: h @ torch.linalg.inv(torch.eye(WIDTH).double() + h.t() @ h), "matmul"),
    "a number that counts": (lambda h: h / (h > 0).sum(), "sum"),
    "the share of active samples": (lambda h: h * (h > 0).to(h).mean(0), "mean"),
    "counted otherwise": (lambda h: h * torch.count_nonzero(h.relu()) / 50, "count_nonzero"),
    "ranks": (lambda h: h * (h[:, :1].argsort(0).argsort(0).to(h) + 1), "argsort"),
    "gated by the mean": (lambda h: h * (h > h.mean(0)), "mean"),
    "chosen by the mean": (lambda h: torch.where(h > h.mean(0), h, 2 * h), "mean"),
    "gated pair by pair": (lambda h: h * (h[:, None] > h[None]).sum(1), "gt"),
    "a graph of neighbours": (lambda h: (h @ h.t() > 0).to(h) @ h, "matmul"),
    "a place in a queue": (lambda h: h * (F.one_hot(h.argmax(1), WIDTH).cumsum(0) < 2), "cumsum"),
    "even and odd samples": (
        lambda h: h + h.new_zeros(2, WIDTH).index_add(0, torch.arange(len(h)) % 2, h).repeat(len(h) // 2, 1),
        "index_add",
    ),
    "a function nobody knows": (lambda h: h @ torch.cov(h.t()), "cov"),
}  # fmt: skip

every_coupled = pytest.mark.parametrize("name", COUPLED)


@every_coupled
def test_the_samples_do_depend_on_each_other(name: str) -> None:
    model, (inputs, _) = around(COUPLED[name][0]).build()
    changed = inputs.clone()
    changed[:-1] = 0.5 - changed[:-1].flip(0) * 2
    assert not torch.allclose(model(inputs)[-1], model(changed)[-1])


@every_coupled
def test_a_sample_s_gradient_is_its_share_of_the_batch_gradient(name: str) -> None:
    net = around(COUPLED[name][0])
    shares = shares_of_the_batch_gradient(net)
    model, batch = net.build()
    with pytest.warns(LswagWarning, match="depend on each other"):
        result = score(model, batch, pattern_samples=SHOWN)
    found = {layer.name: layer.trainability for layer in result.layers}
    for layer, share in shares.items():
        if layer not in {skip.name for skip in result.skipped}:
            assert found[layer] == pytest.approx(trainability_of(share), rel=EXACT)


@every_coupled
def test_a_warning_names_the_call(name: str) -> None:
    body, call = COUPLED[name]
    model, batch = around(body).build()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score(model, batch, pattern_samples=SHOWN)
    (text,) = [str(one.message) for one in caught if "depend on each other" in str(one.message)]
    assert call in text
    assert "its share of the batch gradient" in text


@every_coupled
@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
def test_chunks_are_refused_with_the_reason(name: str) -> None:
    body, call = COUPLED[name]
    model, batch = around(body).build()
    with pytest.raises(InputError, match=f"chunk_size.*brings samples of the batch together.*{call}.*leave chunk_size"):
        score(model, batch, pattern_samples=SHOWN, chunk_size=4)


@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
def test_without_gradients_chunks_are_refused_all_the_same() -> None:
    model, batch = around(COUPLED["centred"][0]).build()
    with pytest.raises(InputError, match="brings samples of the batch together"):
        score(model, batch, proxy="nwot", chunk_size=4)


GROUPS: dict[str, Body] = {
    "a norm": lambda h: h / h.view(-1, 4, WIDTH).norm(dim=1, keepdim=True).expand(-1, 4, -1).reshape(-1, WIDTH),
    "a softmax": lambda h: h + h.view(-1, 4, WIDTH).softmax(1).reshape(-1, WIDTH),
    "pairs": lambda h: h + h.view(-1, 2, WIDTH).flip(1).reshape(-1, WIDTH),
}


@pytest.mark.parametrize("name", GROUPS)
def test_groups_of_samples_are_found(name: str) -> None:
    model, batch = around(GROUPS[name]).build()
    with pytest.warns(LswagWarning, match="depend on each other"):
        score(model, batch, pattern_samples=SHOWN)
    with pytest.raises(InputError, match="brings samples of the batch together"):
        score(model, batch, pattern_samples=SHOWN, chunk_size=4)


@pytest.mark.parametrize(
    "norm",
    [
        lambda h: F.batch_norm(h, None, None, training=True),
        lambda h: torch.batch_norm(
            h, None, None, torch.zeros(WIDTH).double(), torch.ones(WIDTH).double(), True, 0.1, 1e-5, False
        ),
        nn.BatchNorm1d(WIDTH, track_running_stats=False).double().eval().requires_grad_(False),
    ],
)
def test_a_batch_norm_that_eval_mode_does_not_change_is_not_said_to_be_avoided_by_it(norm: Body) -> None:
    net = around(norm)
    shares = shares_of_the_batch_gradient(net)
    model, batch = net.build()
    with pytest.warns(LswagWarning, match="BatchNorm in train mode.*share of the batch gradient$"):
        result = score(model, batch, pattern_samples=SHOWN)
    for layer in result.layers:
        assert layer.trainability == pytest.approx(trainability_of(shares[layer.name]), rel=EXACT)
    with pytest.raises(InputError, match="BatchNorm runs in train mode; leave chunk_size out"):
        score(model, batch, pattern_samples=SHOWN, chunk_size=4)


# ---- what only looks like it ----


class Balanced(nn.Module):
    """Experts that a router mixes; how evenly it does is returned beside the logits, and kept without a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.router, self.experts = nn.Linear(5, 3), nn.ModuleList(nn.Linear(5, CLASSES) for _ in range(3))
        self.register_buffer("load", torch.zeros(3))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        shares = self.router(x).softmax(-1)
        counts = F.one_hot(shares.argmax(-1), 3).sum(0)
        with torch.no_grad():
            self.load.mul_(0.9).add_(shares.mean(0), alpha=0.1)
        logits = sum(shares[:, k : k + 1] * F.relu(expert(x)) for k, expert in enumerate(self.experts))
        return {"logits": logits, "balance": (shares.mean(0) * counts).sum()}


def _dispatched(h: Tensor) -> Tensor:
    """Each row goes to a slot of its own and back, by products."""
    slots = torch.eye(len(h), dtype=h.dtype)[torch.arange(len(h) - 1, -1, -1)]
    return torch.einsum("sk,si->ki", slots, torch.einsum("ks,si->ki", slots, h)).flip(0).flip(0)


def _masked(h: Tensor) -> Tensor:
    """The tokens of all samples as one sequence, of which each sees those of its sample."""
    tokens = h.reshape(1, -1, 2)
    sample = torch.arange(tokens.shape[1]) // (WIDTH // 2)
    mask = sample[:, None] == sample[None]
    return F.scaled_dot_product_attention(tokens, tokens, tokens, attn_mask=mask).reshape(h.shape)


def _instance_norm(h: Tensor) -> Tensor:
    planes = h.reshape(1, -1, 5)  # two channels of five values for each sample
    return F.batch_norm(planes, None, None, training=True).view(-1, WIDTH)


def _looked_at(h: Tensor) -> Tensor:
    float(h.detach().mean())
    bool(h.isnan().any())
    return h + torch.zeros_like(h.mean(0))


def _routed(h: Tensor) -> Tensor:
    """Rows in the order of their experts, in blocks that counts give the sizes of, and back."""
    experts = h[:, :2].argmax(1)
    order, sizes = experts.argsort(stable=True), torch.bincount(experts, minlength=2).tolist()
    blocks = [(k + 1) * block for k, block in enumerate(h[order].split(sizes))]
    return torch.zeros_like(h).index_copy(0, order, torch.cat(blocks))


def _trimmed(h: Tensor) -> Tensor:
    """Padded after the longest of the batch, and no further."""
    lengths = 1 + (h[:, :2] > 0).sum(1)
    longest = lengths.max()
    kept = h[:, : int(longest)] * (torch.arange(longest) < lengths[:, None])
    return F.pad(kept, (0, WIDTH - int(longest)))


APART: dict[str, Body] = {
    "flipped twice": lambda h: h.flip(0).relu().flip(0),
    "rolled and back": lambda h: h.roll(2, 0).relu().roll(-2, 0),
    "permuted and back": lambda h: h[PERMUTED[: len(h)].argsort().argsort()][PERMUTED[: len(h)].argsort()],
    "norms of features": lambda h: F.group_norm(F.layer_norm(h, (WIDTH,)), 2) + F.normalize(h),
    "norms of groups within a sample": lambda h: F.group_norm(h.reshape(1, -1, 5), 2 * len(h)).view(-1, WIDTH),
    "a BatchNorm of each sample's own channels": _instance_norm,
    "rows to slots and back": _dispatched,
    "tokens of all samples behind a mask": _masked,
    "values that are looked at": _looked_at,
    "gates of each sample's own": lambda h: h * (h > h.mean(1, keepdim=True)) * (h > 0).sum(1, keepdim=True),
    "sent to experts and back": _routed,
    "trimmed to the longest": _trimmed,
    "a loop over the samples": lambda h: torch.stack([row * row.sum() for row in h]),
    "tokens time first": lambda h: h.view(-1, 2, 5).transpose(0, 1).softmax(0).cumsum(2).transpose(0, 1).flatten(1),
}


@pytest.mark.parametrize("name", APART)
def test_samples_that_are_apart_are_not_warned_of_and_go_in_chunks(name: str) -> None:
    model, batch = around(APART[name]).build()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        whole = score(model, batch, pattern_samples=SHOWN)
        parts = score(model, batch, pattern_samples=SHOWN, chunk_size=4)
    assert parts.value == pytest.approx(whole.value, rel=EXACT)


def test_what_does_not_reach_the_logits_does_not_count() -> None:
    torch.manual_seed(0)
    batch = torch.randn(B, 5), torch.arange(B) % CLASSES
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(Balanced(), batch, pattern_samples=SHOWN, chunk_size=4)


class Memory(nn.Module):
    """Attends to a bank of features, those of the batch among them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, WIDTH), nn.Linear(WIDTH, CLASSES)
        self.register_buffer("bank", torch.randn(12, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        with torch.no_grad():
            self.bank[: len(h)] = h.detach()
        return self.last(F.relu(h + torch.softmax(h @ self.bank.t(), 1) @ self.bank))


def test_a_bank_that_the_batch_is_written_into_is_found_and_does_not_break_the_backward() -> None:
    torch.manual_seed(0)
    model, batch = Memory(), (torch.randn(B, 5), torch.arange(B) % CLASSES)
    bank = model.bank.clone()
    with pytest.warns(LswagWarning, match="setitem.*depend on each other"):
        score(model, batch, pattern_samples=SHOWN)
    assert torch.equal(model.bank, bank)


# ---- losses of one's own ----


def _balanced_loss(outputs: Any, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs["logits"], targets, reduction="none") + outputs["balance"]


def _contrast(outputs: Tensor, targets: Tensor) -> Tensor:
    """Each sample against the others of the batch."""
    return F.cross_entropy(outputs @ outputs.t(), torch.arange(len(outputs)), reduction="none")


LOSSES = {
    "a term of the batch": (Balanced, _balanced_loss, "mean"),
    "samples against each other": (lambda: nn.Linear(5, CLASSES), _contrast, "matmul"),
    "divided by the positives": (
        lambda: nn.Linear(5, CLASSES),
        lambda o, t: F.cross_entropy(o, t, reduction="none") / (t > 0).sum(),
        "sum",
    ),
    "divided by the labels that count": (
        lambda: nn.Linear(5, CLASSES),
        lambda o, t: F.cross_entropy(o, t, reduction="none") / (t != -100).sum(),
        "sum",
    ),
    "weights of the classes in the batch": (
        lambda: nn.Linear(5, CLASSES),
        lambda o, t: F.cross_entropy(o, t, reduction="none") / torch.bincount(t, minlength=CLASSES)[t],
        "bincount",
    ),
    "divided by its largest": (
        lambda: nn.Linear(5, CLASSES),
        lambda outputs, targets: F.cross_entropy(outputs, targets, reduction="none") / outputs.abs().max(),
        "max",
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_of_one_s_own_may_bring_samples_together(name: str) -> None:
    make, loss_fn, call = LOSSES[name]
    torch.manual_seed(0)
    model, batch = make(), (torch.randn(B, 5), torch.arange(B) % CLASSES)
    with pytest.warns(LswagWarning, match=f"together.*{call}.*depend on each other"):
        score_many(model, batch, proxies=["zico"], loss_fn=loss_fn)
    with pytest.raises(InputError, match=f"chunk_size.*{call}"):
        score(model, batch, proxy="zico", loss_fn=loss_fn, chunk_size=4)


OWN = {
    "the logits alone": (
        Balanced,
        lambda outputs, targets: F.cross_entropy(outputs["logits"], targets, reduction="none"),
    ),
    "sample by sample": (
        lambda: nn.Linear(5, CLASSES),
        lambda outputs, targets: torch.stack(
            [F.cross_entropy(row, k) for row, k in zip(outputs, targets, strict=True)]
        ),
    ),
    "squares": (lambda: nn.Linear(5, CLASSES), lambda outputs, targets: (outputs - targets[:, None]).square().mean(1)),
}


@pytest.mark.parametrize("name", OWN)
def test_a_loss_of_one_s_own_may_keep_them_apart(name: str) -> None:
    make, loss_fn = OWN[name]
    torch.manual_seed(0)
    model, batch = make(), (torch.randn(B, 5), torch.arange(B) % CLASSES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score(model, batch, proxy="zico", loss_fn=loss_fn, chunk_size=4)
