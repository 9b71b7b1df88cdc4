"""Whatever happens inside a score, model and process are afterwards what they were."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import reference
from lswag_fast.errors import UnsupportedModelError
from lswag_fast.passes.shared.preserve import ModelSnapshot, preserve_model_state, seed_all
from support.oracle import SHOWN
from support.snapshot import assert_unchanged, differences, snapshot

B = 6


class TroubleError(Exception):
    """Raised on purpose."""


class Messy(nn.Module):
    """Does to itself and to the process whatever `mess` does, during its forward."""

    def __init__(self, mess: Callable[[Messy, Tensor], Any]) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(5, 8), nn.BatchNorm1d(8)
        self.last = nn.Linear(8, 3)
        self.register_buffer("count", torch.zeros(3))
        self.history: list[int] = []
        self.seen: set[int] = set()
        self.cache: dict[str, Tensor] = {"kept": torch.zeros(1)}
        self.plain = torch.zeros(2)
        self.first.weight.grad = torch.full((8, 5), 0.5)
        self.last.bias.requires_grad_(False)
        self.register_forward_hook(lambda *_: None)
        self.mess = mess

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.norm(self.first(x)))
        self.mess(self, x)
        return self.last(x)


def fail(*_: Any) -> None:
    raise TroubleError


def no_grad(write: Callable[[Messy], Any]) -> Callable[[Messy, Tensor], None]:
    def mess(model: Messy, _: Tensor) -> None:
        with torch.no_grad():
            write(model)

    return mess


MESSES: dict[str, Callable[[Messy, Tensor], Any]] = {
    "nothing": lambda m, x: None,
    "buffer in place": lambda m, x: m.count.add_(1),
    "buffer replaced": lambda m, x: setattr(m, "count", m.count + 1),
    "buffer added": lambda m, x: m.register_buffer("extra", x.detach()),
    "attribute set": lambda m, x: setattr(m, "features", x),
    "attribute deleted": lambda m, x: delattr(m, "cache"),
    "list grown": lambda m, x: m.history.append(1),
    "set grown": lambda m, x: m.seen.add(1),
    "dict grown": lambda m, x: m.cache.update(new=x),
    "dict emptied": lambda m, x: m.cache.clear(),
    "hook added": lambda m, x: m.first.register_forward_hook(lambda *_: None),
    "submodule added": lambda m, x: m.add_module("more", nn.Linear(1, 1)),
    "submodule replaced": lambda m, x: setattr(m, "norm", nn.Identity()),
    "mode changed": lambda m, x: m.train(not m.training),
    "mode of a part changed": lambda m, x: m.norm.train(not m.norm.training),
    "requires_grad changed": lambda m, x: m.last.bias.requires_grad_(True),
    "grad replaced": lambda m, x: setattr(m.last.weight, "grad", torch.ones_like(m.last.weight)),
    "grad in place": lambda m, x: m.first.weight.grad.zero_(),
    "grad removed": lambda m, x: m.zero_grad(set_to_none=True),
    "parameter in place": no_grad(lambda m: m.last.weight.mul_(2)),
    "parameter cut": no_grad(lambda m: m.last.weight[:2].fill_(3)),
    "parameter re-initialised": lambda m, x: m.last.reset_parameters(),
    "parameter through its data": lambda m, x: m.last.weight.data.mul_(2),
    "plain tensor in place": lambda m, x: m.plain.add_(1),
    "plain tensor replaced": lambda m, x: setattr(m, "plain", m.plain + 1),
    "parameter's data replaced": lambda m, x: setattr(m.last.weight, "data", torch.arange(24.0).reshape(3, 8)),
    "parameter replaced": lambda m, x: setattr(m.last, "weight", nn.Parameter(torch.arange(24.0).reshape(3, 8))),
    "torch random": lambda m, x: torch.rand(3),
    "torch seeded": lambda m, x: torch.manual_seed(99),
    "numpy random": lambda m, x: np.random.rand(3),
    "python random": lambda m, x: random.random(),
    "dropout": lambda m, x: F.dropout(x, 0.5, training=True),
}


def score(model: nn.Module, **options: Any) -> lswag_fast.Score:
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(B, 5, generator=generator), torch.arange(B) % 3
    return lswag_fast.score(model, batch, pattern_samples=SHOWN, **options)


@pytest.mark.filterwarnings("ignore:only .* were observed")  # a parameter that the forward replaces is not called
@pytest.mark.filterwarnings("ignore:a BatchNorm in train mode:lswag_fast.LswagWarning")
@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("mess", MESSES.values(), ids=MESSES)
def test_a_messy_forward_leaves_no_trace(mess: Callable[[Messy, Tensor], Any], train: bool) -> None:
    model = Messy(mess).train(train)
    before = snapshot(model)
    score(model)
    assert_unchanged(model, before)


@pytest.mark.filterwarnings("ignore:a BatchNorm in train mode:lswag_fast.LswagWarning")
@pytest.mark.parametrize("mess", MESSES.values(), ids=MESSES)
def test_nor_when_the_forward_then_fails(mess: Callable[[Messy, Tensor], Any]) -> None:
    def then_fail(model: Messy, x: Tensor) -> None:
        mess(model, x)
        raise TroubleError

    model = Messy(then_fail).train()
    before = snapshot(model)
    with pytest.raises(TroubleError):
        score(model)
    assert_unchanged(model, before)


@pytest.mark.parametrize("exception", [TroubleError, KeyboardInterrupt])
def test_nor_when_the_loss_fails(exception: type[BaseException]) -> None:
    def loss_fn(outputs: Tensor, targets: Tensor) -> Tensor:
        raise exception

    model = Messy(MESSES["parameter in place"]).eval()
    before = snapshot(model)
    with pytest.raises(exception):
        score(model, loss_fn=loss_fn)
    assert_unchanged(model, before)


def test_nor_when_the_backward_fails() -> None:
    model = Messy(lambda m, x: x.register_hook(fail) if x.requires_grad else None).eval()
    before = snapshot(model)
    with pytest.raises(TroubleError):
        score(model)
    assert_unchanged(model, before)


@pytest.mark.parametrize(
    ("options", "error"),
    [({"row_fraction": 2.0}, ValueError), ({"layers": (6, 9)}, ValueError), ({"loss_reduction": "sum"}, ValueError)],
)
def test_nor_when_score_refuses(options: dict[str, Any], error: type[Exception]) -> None:
    model = Messy(MESSES["nothing"]).eval()
    before = snapshot(model)
    with pytest.raises(error):
        score(model, **options)
    assert_unchanged(model, before)


@pytest.mark.parametrize("options", [{"chunk_size": 2}, {"row_fraction": 0.5}, {"layers": (5, 10)}])
def test_nor_with_options_that_take_other_paths(options: dict[str, Any]) -> None:
    model = Messy(MESSES["parameter in place"]).eval()
    before = snapshot(model)
    score(model, **options)
    assert_unchanged(model, before)


def test_the_users_hooks_run() -> None:
    seen: list[str] = []
    model = Messy(MESSES["nothing"]).eval()
    model.first.register_forward_pre_hook(lambda *_: seen.append("pre"))
    model.last.register_forward_hook(lambda *_: seen.append("forward"))
    score(model)
    assert seen == ["pre", "forward"]


def test_scoring_does_not_move_numbers_of_a_training_run() -> None:
    """The same training step with and without a score before it."""

    def step(with_score: bool) -> list[Tensor]:
        torch.manual_seed(5)
        model = Messy(MESSES["nothing"]).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
        x, y = torch.randn(B, 5), torch.arange(B) % 3
        for _ in range(2):
            if with_score:
                with pytest.warns(lswag_fast.LswagWarning):
                    score(model)
            F.cross_entropy(model(F.dropout(x)), y).backward()
            optimizer.step()
        return [tensor.clone() for tensor in model.state_dict().values()]

    for plain, scored in zip(step(False), step(True), strict=True):
        assert torch.equal(plain, scored)


def test_a_graph_of_the_user_survives() -> None:
    model = Messy(MESSES["nothing"]).eval()
    x, y = torch.randn(B, 5), torch.arange(B) % 3
    loss = F.cross_entropy(model(x), y)
    expected = torch.autograd.grad(loss, model.first.weight, retain_graph=True)[0]
    score(model)
    assert torch.equal(torch.autograd.grad(loss, model.first.weight)[0], expected)


def test_seeding_leaves_an_uninitialised_cuda_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """`torch.manual_seed` would queue the seed for CUDA, over the user's own."""
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "manual_seed_all", fail)
    with preserve_model_state(nn.Linear(1, 1), 3):
        drawn = torch.rand(2)
    assert torch.equal(drawn, torch.rand(2, generator=torch.Generator().manual_seed(3)))


def test_the_seed_reaches_every_generator() -> None:
    state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    drawn = []
    for _ in range(2):
        seed_all(2**40 + 1)
        drawn.append((torch.rand(1).item(), np.random.rand(), random.random()))
    torch.set_rng_state(state[0])
    np.random.set_state(state[1])
    random.setstate(state[2])
    assert drawn[0] == drawn[1]


WRITES = ["parameter in place", "parameter cut", "parameter re-initialised", "parameter through its data",
          "plain tensor in place"]  # fmt: skip
EVERY_PASS = [
    "nwot",
    "l2_norm",
    "grasp",
    "synflow",
    "jacov",
    "te_nas_ntk",
    "te_nas_regions",
    "zen",
    "az_nas_expressivity",
]


@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
@pytest.mark.parametrize("mess", WRITES)
def test_no_pass_keeps_what_the_forward_writes_nor_shows_it_to_the_next(mess: str) -> None:
    torch.manual_seed(0)
    model, batch = Messy(MESSES[mess]).eval(), (torch.randn(B, 5), torch.arange(B) % 3)
    before = snapshot(model)
    options = {"pattern_samples": SHOWN, "features": "*"}
    together = lswag_fast.score_many(model, batch, proxies=EVERY_PASS, **options)
    assert_unchanged(model, before)
    for name in EVERY_PASS:
        alone = lswag_fast.score_many(model, batch, proxies=[name], **options)[name]
        assert_unchanged(model, before)
        assert (alone.value, alone.error) == pytest.approx((together[name].value, together[name].error), nan_ok=True)


@pytest.mark.filterwarnings("ignore:only .* were observed")
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
@pytest.mark.parametrize("init", ["own", "kaiming"])
@pytest.mark.parametrize("proxy", ["lswag", "nwot", "te_nas_ntk", "grasp", "l2_norm"])
def test_a_largest_norm_scales_no_row_of_the_users_table(kind: type[nn.Module], init: str, proxy: str) -> None:
    model, batch = with_largest_norm(kind)
    before = snapshot(model)
    lswag_fast.score_many(model, batch, proxies=[proxy], init=init)
    assert_unchanged(model, before)


@pytest.mark.filterwarnings("ignore:only .* were observed")
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_the_rows_count_as_scaled_where_they_are_used(kind: type[nn.Module]) -> None:
    model, batch = with_largest_norm(kind)
    gradients = reference.per_sample_gradients(model, batch, ["2.weight"])["2.weight"]
    (found,) = (layer for layer in lswag_fast.score(model, batch).layers if layer.name == "2.weight")
    expected = math.log(reference.gradient_statistics(gradients)["sum_inv_sigma"])
    assert found.trainability == pytest.approx(expected, rel=1e-9)


def with_largest_norm(kind: type[nn.Module]) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    table = kind(9, 10, max_norm=1.0)
    hidden = nn.Linear(50 if kind is nn.Embedding else 10, 12)
    model = nn.Sequential(table, nn.Flatten(), hidden, nn.ReLU(), nn.Linear(12, 3)).double()
    return model, (torch.randint(9, (16, 5)), torch.arange(16) % 3)


def halve(weight: Tensor) -> None:
    weight.mul_(0.5)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("proxy", ["lswag", "grasp"])
def test_a_write_that_torch_does_not_show_is_an_error_that_names_it(proxy: str) -> None:
    scripted = torch.jit.script(halve)
    model = Messy(no_grad(lambda m: scripted(m.last.weight))).eval()
    batch = torch.randn(B, 5), torch.arange(B) % 3
    with pytest.raises(UnsupportedModelError, match=r"wrote into last\.weight"):
        lswag_fast.score(model, batch, proxy=proxy, pattern_samples=SHOWN)


def test_all_parameters_of_one_memory_are_kept() -> None:
    model, memory = nn.Linear(2, 2), torch.arange(6.0)
    model.weight.data, model.bias.data = memory[:4].view(2, 2), memory[4:]
    with preserve_model_state(model, 0), torch.no_grad():
        model.weight.mul_(2)
        model.bias.mul_(2)
    assert memory.tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("dims", [(0, 3), (2, 3)])
def test_what_is_written_under_vmap_or_holds_nothing_has_no_memory(dims: tuple[int, int]) -> None:
    model = nn.ParameterList([nn.Parameter(torch.zeros(0, 3))])
    with preserve_model_state(model, 0):
        assert torch.equal(torch.func.vmap(lambda x: x.clone().add_(1))(torch.zeros(dims)), torch.ones(dims))


def test_a_protected_parameter_is_copied_once() -> None:
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    kept = ModelSnapshot(model)
    with torch.no_grad():
        for _ in range(2):
            kept.protect("weight")
            model.weight.add_(1)
    kept.restore()
    assert torch.equal(model.weight, before)


def test_the_snapshot_of_the_tests_sees_every_change() -> None:
    """The oracle of this file must be able to fail."""
    for name, mess in MESSES.items():
        if name == "nothing":
            continue
        model = Messy(mess).train()
        before = snapshot(model)
        model.mess(model, torch.ones(2, 8))
        assert differences(before, snapshot(model)), name


def test_a_sparse_gradient_stays() -> None:
    model = nn.Sequential(nn.Embedding(4, 5, sparse=True), nn.Flatten(), nn.Linear(10, 8), nn.GELU(), nn.Linear(8, 3))
    batch = torch.tensor([[0, 1], [2, 3], [1, 1], [3, 0]]), torch.arange(4) % 3
    F.cross_entropy(model(batch[0]), batch[1]).backward()
    before = model[0].weight.grad, model[0].weight.grad.to_dense().clone()
    lswag_fast.score(model, batch, pattern_samples=SHOWN)
    assert model[0].weight.grad is before[0]
    assert torch.equal(model[0].weight.grad.to_dense(), before[1])
