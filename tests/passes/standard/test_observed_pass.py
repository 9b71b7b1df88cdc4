"""The standard pass: chunks, intervals of layers, threads at once."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import lswag_fast
from lswag_fast import LswagError, Score, reference
from lswag_fast.errors import InputError, LswagWarning, NothingObservedError
from networks import NETWORKS, Network, select
from support.oracle import SHOWN
from support.snapshot import snapshot

CHUNKED = [
    NETWORKS[name]
    for name in (
        "vit", "cnn_eval", "grouped", "conv1d", "encoder_time_first_odd", "encoder_time_first_t_equals_b",
        "cross_attention_packed", "mixer_t_equals_2b", "windows_sample_major", "windows_window_major", "flat_tokens",
        "called_twice", "disjoint_parts", "weight_norm", "dict_input", "tied_module", "lstm",
    )
]  # fmt: skip


def score(net: Network, **options: Any) -> Score:
    model, batch = net.build()
    return lswag_fast.score(model, batch, loss_fn=net.loss_fn, pattern_samples=SHOWN, **options)


def assert_same(found: Score, expected: Score) -> None:
    """Equal up to the order of float64 sums."""
    assert found.value == pytest.approx(expected.value, rel=1e-9)
    assert [layer.name for layer in found.layers] == [layer.name for layer in expected.layers]
    for one, two in zip(found.layers, expected.layers, strict=True):
        assert one.trainability == pytest.approx(two.trainability, rel=1e-9)
        assert (one.cardinality, one.activation, one.n_zero_variance) == (
            two.cardinality, two.activation, two.n_zero_variance
        )  # fmt: skip


# ---- chunks ----


@pytest.mark.parametrize("chunk_size", [2, 4, 100])
@pytest.mark.parametrize("net", CHUNKED, ids=lambda net: net.name)
def test_the_score_does_not_depend_on_the_chunk(net: Network, chunk_size: int) -> None:
    assert_same(score(net, chunk_size=chunk_size), score(net))


@pytest.mark.parametrize("options", [{"gradient": "signed"}, {"combine": "product"}, {"row_fraction": 0.5}])
def test_nor_with_other_options(options: dict[str, Any]) -> None:
    assert_same(score(NETWORKS["vit"], chunk_size=4, **options), score(NETWORKS["vit"], **options))


@pytest.mark.parametrize("chunk_size", [2, 4])
def test_micro_batches_do_not_depend_on_the_chunk(chunk_size: int) -> None:
    net = NETWORKS["cnn_eval"]
    options = {"variance": "microbatch:3"}
    assert_same(score(net, chunk_size=chunk_size, **options), score(net, **options))


@pytest.mark.parametrize("net", select("coupled"), ids=lambda net: net.name)
def test_chunks_of_coupled_samples_are_refused(net: Network) -> None:
    with pytest.raises(InputError, match=r"chunk_size.*BatchNorm runs in train mode.*model.eval"):
        score(net, chunk_size=2)


class Experts(nn.Module):
    """Gives each sample to the expert that its first feature names; an expert without samples is not called."""

    def __init__(self) -> None:
        super().__init__()
        self.experts, self.head = nn.ModuleList(nn.Linear(5, 5) for _ in range(2)), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        for number, expert in enumerate(self.experts):
            chosen = torch.where(x[:, 0] == number)[0]
            if len(chosen):
                out = out.index_add(0, chosen, F.gelu(expert(x[chosen])))
        return self.head(out)


@pytest.mark.parametrize("proxy", ["lswag", "swap"])
def test_chunks_that_take_other_ways_through_the_model_are_refused(proxy: str) -> None:
    """Samples of which an expert sees none have gradients of zero there, which its variance would miss."""
    torch.manual_seed(0)
    model, y = Experts().double(), torch.arange(6) % 3
    x = torch.randn(6, 5).double()
    x[:, 0] = torch.tensor([0, 1, 0, 1, 1, 1])
    options: dict[str, Any] = {"proxy": proxy, "pattern_samples": SHOWN}
    with pytest.raises(InputError, match=r"other calls for other samples \(experts.0.weight not in all\); score one"):
        lswag_fast.score(model, (x, y), chunk_size=2, **options)
    with pytest.raises(InputError, match="lists of batches need a model that makes the same calls"):
        lswag_fast.score(model, [(x[:3], y[:3]), (x[3:], y[3:])], **options)
    x[:, 0] = torch.tensor([0, 1, 0, 1, 1, 0])
    whole = lswag_fast.score(model, (x, y), **options)
    chunked = lswag_fast.score(model, (x, y), chunk_size=2, **options)
    if proxy == "lswag":
        assert_same(chunked, whole)


def test_float32_keeps_its_accuracy_over_chunks() -> None:
    model, batch = NETWORKS["vit"].build(torch.float32)
    full, parts = (lswag_fast.score(model, batch, pattern_samples=SHOWN, chunk_size=c) for c in (None, 2))
    for one, two in zip(parts.layers, full.layers, strict=True):
        assert one.trainability == pytest.approx(two.trainability, rel=1e-4)  # the tolerance of a float32 Lambda


class NormedTokens(nn.Module):
    """The gradient that reaches its BatchNorm is a view of tokens, which torch misreads for a batch of one sample."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.norm(self.conv(x)).flatten(2).transpose(1, 2)
        return self.head(F.gelu(tokens).mean(1))


def test_no_sample_goes_alone_through_a_batch_norm() -> None:
    torch.manual_seed(0)
    model = NormedTokens().double().eval()
    nn.init.uniform_(model.norm.weight, 0.5, 2.0)
    x, y = torch.randn(5, 3, 6, 6).double(), torch.arange(5) % 3
    losses = F.cross_entropy(model(x), y, reduction="none")
    exact = torch.stack([torch.autograd.grad(loss, model.conv.weight, retain_graph=True)[0] for loss in losses])
    alone = torch.autograd.grad(F.cross_entropy(model(x[:1]), y[:1]), model.conv.weight)[0]
    looped = reference.per_sample_gradients(model, (x, y), ["conv.weight"])["conv.weight"]
    torch.testing.assert_close(looped, exact)
    expected = reference.trainability(exact)
    for chunk_size in (None, 2, 4):  # of five samples
        found = lswag_fast.score(model, (x, y), pattern_samples=SHOWN, chunk_size=chunk_size)
        assert found.layers[0].trainability == pytest.approx(expected, rel=1e-9)  # order of float64 sums
    assert not torch.allclose(alone, exact[0], rtol=0.1)  # when this fails torch is mended


# ---- an interval of layers ----


@pytest.mark.parametrize("interval", [(0, 3), (4, 6), (7, 10), (10, 10), (0, 10)])
def test_an_interval_gives_the_rows_of_the_whole_run(interval: tuple[int, int]) -> None:
    net = NETWORKS["vit"]
    inside = [layer for layer in score(net).layers if interval[0] <= layer.percentile <= interval[1]]
    found = score(net, layers=interval)
    assert list(found.layers) == inside
    assert found.value == pytest.approx(sum(layer.trainability * layer.cardinality for layer in inside), rel=1e-12)


class Watched(nn.Module):
    """Reports each layer whose output receives a gradient."""

    def __init__(self, n_layers: int, reached: Callable[[int], None]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(n_layers))
        self.reached = reached

    def forward(self, x: Tensor) -> Tensor:
        for place, layer in enumerate(self.layers):
            x = layer(x)
            if x.requires_grad:
                x.register_hook(lambda grad, place=place: self.reached(place))
            x = F.gelu(x)
        return x


@pytest.mark.parametrize(
    ("interval", "deepest"), [((0, 10), 0), ((5, 10), 4), ((9, 10), 8), ((10, 10), 9), ((3, 4), 2)]
)
def test_backward_stops_at_the_deepest_layer_asked_for(interval: tuple[int, int], deepest: int) -> None:
    torch.manual_seed(0)
    reached: list[int] = []
    model = Watched(10, reached.append)
    lswag_fast.score(model, (torch.randn(8, 6), torch.arange(8) % 6), layers=interval, pattern_samples=SHOWN)
    assert sorted(reached) == list(range(deepest, 10))


@pytest.mark.parametrize(("interval", "n_products"), [((10, 10), 10), ((8, 10), 12), ((0, 10), 19)])
def test_the_work_falls_with_the_interval(interval: tuple[int, int], n_products: int) -> None:
    """Ten products forward, and one back for each layer above the deepest; the weight gradients are the kernel's."""
    model = Watched(10, lambda place: None).double()  # the counter does not know oneDNN's float32 product
    batch = torch.randn(8, 6).double(), torch.arange(8) % 6
    with FlopCounterMode(display=False) as counter:
        lswag_fast.score(model, batch, layers=interval, pattern_samples=SHOWN)
    assert counter.get_total_flops() == n_products * 2 * 8 * 6 * 6


def test_a_probe_leaves_the_mode_of_the_next_chunk() -> None:
    class Recorded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.head = nn.Linear(5, 8), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            modes.append((torch.is_grad_enabled(), self.training, self.inner.training))
            return self.head(F.gelu(self.inner(torch.flipud(torch.flipud(x)).transpose(0, 1))).mean(0))

    modes: list[tuple[bool, bool, bool]] = []
    model = Recorded().train()
    model.inner.eval()
    lswag_fast.score(model, (torch.randn(8, 4, 5), torch.arange(8) % 3), chunk_size=4, pattern_samples=SHOWN)
    assert False in {with_grad for with_grad, _, _ in modes}  # probed: nobody follows `flipud`
    assert {mode[1:] for mode in modes} == {(True, False)}


# ---- what is not there ----


def test_a_model_without_observable_calls() -> None:
    class Products(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mix = nn.Parameter(torch.randn(5, 3))

        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x @ self.mix.exp())

    with (
        pytest.warns(LswagWarning, match=r"only 0 % .* were observed; the largest missing: mix"),
        pytest.raises(NothingObservedError, match="mix: used by exp"),
    ):
        lswag_fast.score(Products(), (torch.randn(4, 5), torch.arange(4) % 3))


def test_a_model_of_norms_only() -> None:
    with pytest.raises(NothingObservedError, match="calls no linear or conv"):
        lswag_fast.score(nn.Sequential(nn.LayerNorm(3), nn.ReLU()), (torch.randn(4, 3), torch.arange(4) % 3))


# ---- threads ----


def test_threads_give_the_sequential_scores_and_leave_the_random_state() -> None:
    # Built beforehand: building draws from the generator that the passes of the other threads use, too.
    nets = [NETWORKS[name].build() for name in ("vit", "cnn_eval", "dropout_train", "mha_time_first_odd")]

    def layers_of(k: int) -> Any:
        return lswag_fast.score(*nets[k], pattern_samples=SHOWN, seed=k).layers

    expected = [layers_of(k) for k in range(len(nets))]
    before = torch.get_rng_state()
    found: dict[int, Any] = {}

    def work(k: int) -> None:
        try:
            found[k] = [layers_of(k) for _ in range(3)]
        except LswagError as error:
            found[k] = error

    threads = [threading.Thread(target=work, args=(k,)) for k in range(len(nets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(torch.get_rng_state(), before)
    for k, layers in enumerate(expected):
        assert found[k] == [layers] * 3


def test_threads_may_share_a_model() -> None:
    model, batch = NETWORKS["vit"].build()
    expected = lswag_fast.score(model, batch, pattern_samples=SHOWN).layers
    before = snapshot(model)
    found: list[Any] = []
    threads = [
        threading.Thread(target=lambda: found.append(lswag_fast.score(model, batch, pattern_samples=SHOWN).layers))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
    assert snapshot(model) == before


# ---- memory ----


class DeadBranch(nn.Module):
    """Two layers whose output is used for its values, but no gradient goes back to them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.dead, self.head = nn.Linear(5, 8), nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.first(x))
        return self.head(x + F.relu(self.dead(x)).detach())


def dead_branch() -> tuple[nn.Module, Any]:
    return DeadBranch(), (torch.randn(6, 5), torch.arange(6) % 3)


@pytest.mark.parametrize("proxy", ["lswag", "fisher", "te_nas_ntk"])
@pytest.mark.parametrize("make", [dead_branch, lambda: NETWORKS["weight_norm"].build(torch.float32)])
def test_nothing_of_a_pass_outlives_it(make: Callable[[], tuple[nn.Module, Any]], proxy: str) -> None:
    model, batch = make()
    counts = []
    gc.freeze()  # what other tests left may need several collections to go; it is not looked at
    try:
        for _ in range(4):
            lswag_fast.score(model, batch, proxy=proxy, pattern_samples=SHOWN)
            gc.collect()
            counts.append(sum(isinstance(found, Tensor) for found in gc.get_objects()))
    finally:
        gc.unfreeze()
    assert len(set(counts[1:])) == 1, counts  # the first call may fill caches


READS = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__")
"""How Python gets at the values of a tensor; on a GPU each of them waits for all that was started before."""


@pytest.mark.parametrize("proxies", [["lswag", "zico", "nwot"], ["fisher", "snip", "plain"]])
def test_no_value_is_read_before_the_backward_is_over(proxies: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = NETWORKS["cnn_eval"].build(torch.float32)
    events: list[str] = []
    for name in READS:
        read = getattr(Tensor, name)
        monkeypatch.setattr(
            Tensor, name, lambda self, *a, _read=read, _name=name, **k: (events.append(_name), _read(self, *a, **k))[1]
        )
    backward = torch.autograd.grad

    def recorded(*arguments: Any, **keywords: Any) -> Any:
        found = backward(*arguments, **keywords)
        events.append("backward")
        return found

    monkeypatch.setattr(torch.autograd, "grad", recorded)
    hook = model.register_forward_pre_hook(lambda *_: events.append("forward"))
    lswag_fast.score_many(model, batch, proxies=proxies, pattern_samples=SHOWN)
    hook.remove()
    assert events.count("forward") == events.count("backward") == 1
    between = events[events.index("forward") + 1 : events.index("backward")]
    assert between == []
    assert set(events) & set(READS), "nothing was read at all: the test sees no reads"


def own_calls(n_blocks: int) -> int:
    """The calls of Python functions of the package in one score of blocks of convolution, BatchNorm and ReLU."""
    blocks = [m for _ in range(n_blocks) for m in (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(144, 3))
    batch = torch.randn(4, 4, 6, 6), torch.arange(4) % 3
    found: list[str] = []

    def count(frame: Any, event: str, argument: Any) -> None:
        if event == "call" and frame.f_globals.get("__name__", "").startswith("lswag_fast"):
            found.append(event)

    sys.setprofile(count)
    try:
        lswag_fast.score(model, batch, pattern_samples=4)
    finally:
        sys.setprofile(None)
    return len(found)


@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
def test_a_block_of_layers_costs_few_calls_of_python() -> None:
    """Small networks pay for calls. There were 536 for a block once; with torch 2.13 there are 320."""
    own_calls(2)  # what is imported and remembered the first time
    assert (own_calls(12) - own_calls(2)) / 10 < 350
