"""Recurrent layers and cells step by step: torch's outputs, and the gradients of single samples."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast.observe.operations.macs import MacCounter
from lswag_fast.observe.recorder import WeightRecorder
from support.observing import observed
from support.per_sample import assert_per_sample

B, T, I, H = 5, 4, 3, 6  # noqa: E741 - the letters of the axes
LAYERS = {"lstm": nn.LSTM, "gru": nn.GRU, "tanh": nn.RNN, "relu": lambda *a, **k: nn.RNN(*a, nonlinearity="relu", **k)}
each_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


class Sequences(nn.Module):
    """A recurrent layer on (B, T, I), which it takes so or time first; gives its outputs and last states, B first."""

    def __init__(self, layers: nn.Module, *state: Tensor) -> None:
        super().__init__()
        self.layers = layers
        self.state = state

    def forward(self, x: Tensor, *state: Tensor) -> list[Tensor]:
        layers = self.layers
        given = tuple(part.transpose(0, 1).contiguous() for part in state)
        hx = given if len(given) > 1 else given[0] if given else None
        out, last = layers(x if layers.batch_first else x.transpose(0, 1), hx)
        last = last if isinstance(last, tuple) else (last,)
        return [out if layers.batch_first else out.transpose(0, 1), *(part.transpose(0, 1) for part in last)]


def matrices(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.dim() == 2]


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


@each_layer
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_layers_are_those_of_torch(make: Any, batch_first: bool, options: dict[str, Any]) -> None:
    model = Sequences(make(I, H, batch_first=batch_first, **options))
    observation = assert_per_sample(model, randn(B, T, I), B, matrices(model))
    assert {weight.kind for weight in observation.weights} == {"linear"}
    calls = {weight.name: len(weight.calls) for weight in observation.weights}
    assert calls["layers.weight_ih_l0"] == 1
    assert calls["layers.weight_hh_l0"] == T


@each_layer
def test_as_many_steps_as_samples_are_told_apart(make: Any) -> None:
    model = Sequences(make(I, H, batch_first=True))
    assert_per_sample(model, randn(B, B, I), B, matrices(model))


def test_a_state_may_be_given() -> None:
    model = Sequences(nn.LSTM(I, H, batch_first=True))
    assert_per_sample(model, (randn(B, T, I), randn(B, 1, H), randn(B, 1, H) + 1), B, matrices(model))
    model = Sequences(nn.GRU(I, H))
    assert_per_sample(model, (randn(B, T, I), randn(B, 1, H)), B, matrices(model))


@pytest.mark.parametrize("bias", [False, True])
def test_a_projection_is_a_weight_too(bias: bool) -> None:
    model = Sequences(nn.LSTM(I, H, num_layers=2, proj_size=2, bias=bias, batch_first=True))
    names = matrices(model)
    assert "layers.weight_hr_l0" in names
    assert_per_sample(model, randn(B, T, I), B, names)


def test_dropout_between_layers_draws_what_torch_draws() -> None:
    model = Sequences(nn.LSTM(I, H, num_layers=3, dropout=0.5, batch_first=True)).double().train()
    x = randn(B, T, I).double()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = model(x)
    _, outputs = observed(model, x, B)  # seeded by 0 as well
    torch.testing.assert_close(outputs, expected, rtol=1e-10, atol=1e-10)


class Cells(nn.Module):
    """A cell over the steps of (B, T, I)."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state[0] if isinstance(state, tuple) else state


CELLS = {
    "lstm": nn.LSTMCell, "gru": nn.GRUCell, "tanh": nn.RNNCell,
    "relu": lambda *a, **k: nn.RNNCell(*a, nonlinearity="relu", **k),
}  # fmt: skip


@pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("bias", [False, True])
def test_cells_are_those_of_torch(make: Any, bias: bool) -> None:
    model = Cells(make(I, H, bias=bias))
    observation = assert_per_sample(model, randn(B, T, I), B, matrices(model))
    assert [len(weight.calls) for weight in observation.weights] == [T, T]


def test_packed_sequences_are_named() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.GRU(I, H, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            lengths = torch.arange(len(x), 0, -1).clamp(max=T)
            packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True)
            return self.layers(packed)[1][0]

    observation = assert_per_sample(Packed(), randn(B, T, I), B, [])
    reasons = {skip.name: skip.reason for skip in observation.skipped}
    assert "sequences packed into one" in reasons["layers.weight_ih_l0"]


@each_layer
def test_a_recorder_counts_the_matrices_at_each_step(make: Any) -> None:
    model = Sequences(make(I, H, batch_first=True))
    counter = MacCounter()
    with torch.no_grad(), counter, WeightRecorder(dict(model.named_parameters()), counter=counter) as recorder:
        model(randn(B, T, I))
    assert list(recorder.weights) == matrices(model)
    assert counter.macs == B * T * sum(p.numel() for p in model.parameters() if p.dim() == 2)
