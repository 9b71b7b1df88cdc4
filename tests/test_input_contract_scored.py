"""The input contract, rows that are scored: unusual inputs give the documented number, and the model is as it was."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import Score, errors, reference
from networks import NETWORKS
from support.contract import B, X, Y, mlp, score
from support.oracle import SHOWN, summed_loss, trainability_of


def assert_as_reference(model: nn.Module, batch: Any, found: Score, tolerance: float) -> None:
    """Each observed parameter has the trainability of float64 per-sample gradients."""
    exact = reference.per_sample_gradients(model, batch, [layer.name for layer in found.layers])
    for layer in found.layers:
        assert layer.trainability == pytest.approx(trainability_of(exact[layer.name]), rel=tolerance), layer.name


def strided(x: Tensor, kind: str) -> Tensor:
    """The same values in another memory layout."""
    if kind == "transposed":
        return x.t().contiguous().t()
    if kind == "offset":
        return torch.cat([torch.zeros(3, 5), x])[3:]
    if kind == "every second row":
        return x.repeat_interleave(2, 0)[::2]
    return x.flip(0).contiguous().flip(0)


@pytest.mark.parametrize("kind", ["transposed", "offset", "every second row", "flipped copy"])
def test_layouts_of_the_batch_do_not_matter(kind: str) -> None:
    model = mlp().double()
    x = strided(X, kind).double()
    assert score(model, (strided(X.double(), kind) if kind == "transposed" else x, Y)).value == pytest.approx(
        score(model, (X.double(), Y)).value, rel=1e-12
    )


def test_expanded_views_are_read_with_stride_0() -> None:
    """A (B, T, I) input whose positions are one memory."""
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3)).double()
    batch = X.double()[:, None].expand(B, 4, 5), Y
    assert_as_reference(model, batch, score(model, batch), 1e-9)


def test_channels_last() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(36, 3)).double()
    batch = torch.randn(B, 3, 7, 7).double(), Y
    plain = score(model, batch)
    model.to(memory_format=torch.channels_last)
    found = score(model, (batch[0].to(memory_format=torch.channels_last), Y))
    assert found.value == pytest.approx(plain.value, rel=1e-9)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    # Relative to Lambda of about 6: float32 by the contract 1e-4, half types by the 2^-8, 2^-11 of their operands.
    [(torch.float64, 1e-9), (torch.float32, 1e-4), (torch.bfloat16, 2**-6), (torch.float16, 2**-9)],
)
def test_dtypes(dtype: torch.dtype, tolerance: float) -> None:
    model = mlp().to(dtype)
    batch = X.to(dtype), Y
    assert_as_reference(model, batch, score(model, batch), tolerance)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_around_the_call(dtype: torch.dtype) -> None:
    model = mlp()
    with torch.autocast("cpu", dtype=dtype):
        found = score(model)
    assert_as_reference(model, (X, Y), found, 2**-5)


def test_mixed_dtypes() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(5, 8).bfloat16(), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(F.gelu(self.first(x.to(self.first.weight.dtype))).to(self.head.weight.dtype))

    torch.manual_seed(0)
    model = Mixed()
    assert_as_reference(model, (X, Y), score(model), 2**-6)


def test_zero_variance_in_some_weights_is_counted() -> None:
    model = mlp().double()
    with torch.no_grad():
        model[0].weight[0], model[0].bias[0] = 0.0, -1.0  # a dead unit
    first = score(model, (X.double(), Y)).layers[0]
    assert 5 <= first.n_zero_variance < first.n_weights


def test_zero_variance_in_a_whole_layer_warns() -> None:
    model = mlp()
    with torch.no_grad():
        model[2].weight.zero_()
    with pytest.warns(errors.LswagWarning, match=r"varies over the samples in 1 of \d+ layers \(0.weight\)"):
        score(model)


def test_no_elements_frozen_and_unused_are_skipped_with_reasons() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.empty, self.unused = mlp(), nn.Linear(5, 0), nn.Linear(2, 2)
            self.frozen = nn.Linear(5, 3).requires_grad_(False)
            self.norm = nn.LayerNorm(5)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(self.norm(x)) + self.frozen(x) + self.empty(x).sum(1, keepdim=True)

    reasons = {skip.name: skip.reason for skip in score(Odd()).skipped}
    assert reasons["empty.weight"] == "has no elements"
    assert reasons["frozen.weight"] == "frozen (requires_grad=False)"
    assert reasons["unused.weight"].startswith("not used in the forward pass")


def test_empty_positions_are_a_layer_without_variance() -> None:
    """A side branch over (B, 0, 5): no positions, no gradient, no crash."""

    class Side(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.side = mlp(), nn.Linear(5, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) + F.gelu(self.side(x[:, None][:, :0])).sum(1)

    with pytest.warns(errors.LswagWarning, match=r"varies over the samples in 1 of 3 layers \(side.weight\)"):
        score(Side())


def test_tied_weights_count_once_with_their_gradients_summed() -> None:
    net = NETWORKS["tied_parameter"]
    model, batch = net.build()
    found = score(model, batch)
    assert [layer.name for layer in found.layers] == ["0.weight", "4.weight"]
    assert_as_reference(model, batch, found, 1e-9)


def test_a_reused_module_sums_its_gradients_and_has_patterns_per_call() -> None:
    net = NETWORKS["called_twice"]
    model, batch = net.build()
    exact = reference.per_sample_gradients(model, batch, net.observed, summed_loss(net))
    found = score(model, batch)
    assert found.layers[0].trainability == pytest.approx(trainability_of(exact["conv.weight"]), rel=1e-9)
    assert [layer.activation for layer in found.layers] == ["relu@1", "relu@3"]


@pytest.mark.parametrize("name", ["resnet_eval", "functional_inplace"])
def test_in_place_relu_and_shortcut(name: str) -> None:
    model, batch = NETWORKS[name].build()
    assert_as_reference(model, batch, score(model, batch), 1e-9)


def test_functional_activations_are_seen() -> None:
    model, batch = NETWORKS["functional"].build()
    assert [layer.activation for layer in score(model, batch).layers] == ["gelu@1", "gelu@1", "relu@3", "silu@5"]


@pytest.mark.parametrize("train", [True, False], ids=["train", "eval"])
def test_modes_and_dropout_are_restored_and_seeded(train: bool) -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)).train(train)
    state = torch.get_rng_state()
    assert score(model).value == score(model).value
    assert torch.equal(torch.get_rng_state(), state)
    assert model[2].training is train


def test_train_mode_batchnorm_warns_and_keeps_its_statistics() -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    with pytest.warns(errors.LswagWarning, match="share of the batch gradient"):
        score(model)
    assert model[1].num_batches_tracked == 0


@pytest.mark.parametrize("name", ["tuple_input", "dict_input", "tuple_output", "dict_output", "dataclass_output"])
def test_interfaces(name: str) -> None:
    net = NETWORKS[name]
    model, batch = net.build()
    assert len(score(model, batch, loss_fn=net.loss_fn).layers) == 2


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_mean_and_sum_losses_give_the_score_of_one_loss_a_sample(reduction: str) -> None:
    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, reduction=reduction)

    model, batch = mlp().double(), (X.double(), Y)
    found = score(model, batch, loss_fn=loss, loss_reduction=reduction)
    assert found.value == pytest.approx(score(model, batch).value, rel=1e-12)


def test_interrupt_restores_the_model() -> None:
    class Interrupted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()
            self.register_buffer("count", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.count += 1
            if self.count == 2:
                raise KeyboardInterrupt
            return self.body(x)

    with pytest.raises(KeyboardInterrupt):
        score(Interrupted(), chunk_size=2)


def test_two_scores_at_once() -> None:
    expected = score(mlp()).value
    found: list[float] = []

    def work(model: nn.Module) -> None:
        found.append(lswag_fast.score(model, (X, Y), pattern_samples=SHOWN).value)

    threads = [threading.Thread(target=work, args=(mlp(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


def test_a_spawned_process_scores_alike() -> None:
    code = (
        "import torch, lswag_fast\n"
        "from torch import nn\n"
        "if __name__ == '__main__':\n"
        "    torch.manual_seed(0)\n"
        "    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))\n"
        "    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))\n"
        "    print(repr(lswag_fast.score(model, (x, torch.arange(6) % 3), pattern_samples=4).value))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600)
    # Another process may choose another path in torch's own gradients (threads): float32 tolerance.
    assert float(done.stdout) == pytest.approx(score(mlp()).value, rel=1e-4)


@pytest.mark.slow
def test_more_weights_than_32_bits_count() -> None:
    """Row 2**16 of 2**16 columns starts beyond the element 2**32; a bfloat16 weight of 8.6 GB."""
    n_rows = 2**16 + 8
    try:
        head = nn.Linear(2**16, n_rows, bias=False, dtype=torch.bfloat16, device="meta").to_empty(device="cpu")
    except RuntimeError as error:
        pytest.skip(f"not enough memory: {error}")
    with torch.no_grad():
        head.weight.fill_(0.01)
    stem = nn.Linear(5, 2**16, dtype=torch.bfloat16)
    batch = X[:2].bfloat16(), torch.zeros(2, n_rows)
    model = nn.Sequential(stem, nn.ReLU(), head)
    found = lswag_fast.score(model, batch, loss_fn=lambda o, t: o.square().sum(1), layers=(10, 10), pattern_samples=2)
    assert found.layers[0].n_weights == n_rows * 2**16
    assert found.layers[0].n_zero_variance < n_rows * 2**16
