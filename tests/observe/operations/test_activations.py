"""Which calls count as activations: every spelling of the listed functions, and no gates."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from support.observing import under_mode

B = 4

FUNCTIONAL: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": F.relu,
    "F.relu6": F.relu6,
    "F.leaky_relu": F.leaky_relu,
    "F.elu": F.elu,
    "F.selu": F.selu,
    "F.celu": F.celu,
    "F.gelu": F.gelu,
    "F.gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "F.silu": F.silu,
    "F.mish": F.mish,
    "F.hardswish": F.hardswish,
    "F.tanh": F.tanh,
    "F.prelu": lambda x: F.prelu(x, torch.tensor([0.2])),
    "F.hardtanh from 0": lambda x: F.hardtanh(x, 0.0, 4.0),
    "torch.relu": torch.relu,
    "torch.selu": torch.selu,
    "torch.celu": torch.celu,
    "torch.prelu": lambda x: torch.prelu(x, torch.tensor([0.2])),
    "torch.tanh": torch.tanh,
    "torch.clamp min": lambda x: torch.clamp(x, min=0),
    "torch.clamp min max": lambda x: torch.clamp(x, 0.0, 6.0),
    "torch.clip": lambda x: torch.clip(x, 0),
    "torch.clamp_min": lambda x: torch.clamp_min(x, 0.0),
}
METHODS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": lambda x: x.relu(),
    "tanh": lambda x: x.tanh(),
    "prelu": lambda x: x.prelu(torch.tensor([0.2])),
    "clamp": lambda x: x.clamp(min=0),
    "clamp positional": lambda x: x.clamp(0),
    "clip": lambda x: x.clip(0.0),
    "clamp_min": lambda x: x.clamp_min(0),
}
IN_PLACE: dict[str, Callable[[Tensor], Tensor]] = {
    "F.relu": lambda x: F.relu(x, inplace=True),
    "F.relu6": lambda x: F.relu6(x, inplace=True),
    "F.leaky_relu": lambda x: F.leaky_relu(x, inplace=True),
    "F.elu": lambda x: F.elu(x, inplace=True),
    "F.selu": lambda x: F.selu(x, inplace=True),
    "F.celu": lambda x: F.celu(x, inplace=True),
    "F.silu": lambda x: F.silu(x, inplace=True),
    "F.mish": lambda x: F.mish(x, inplace=True),
    "F.hardswish": lambda x: F.hardswish(x, inplace=True),
    "F.hardtanh from 0": lambda x: F.hardtanh(x, 0.0, 4.0, inplace=True),
    "F.relu_": F.relu_,
    "F.elu_": F.elu_,
    "F.leaky_relu_": F.leaky_relu_,
    "torch.relu_": torch.relu_,
    "torch.selu_": torch.selu_,
    "torch.celu_": torch.celu_,
    "torch.tanh_": torch.tanh_,
    "torch.clamp_": lambda x: torch.clamp_(x, min=0),
    "relu_": lambda x: x.relu_(),
    "tanh_": lambda x: x.tanh_(),
    "clamp_": lambda x: x.clamp_(min=0),
    "clamp_min_": lambda x: x.clamp_min_(0),
}
MODULES: dict[str, nn.Module] = {
    repr(module): module
    for module in (
        nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(), nn.PReLU(), nn.ELU(), nn.SELU(), nn.CELU(),
        nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.SiLU(inplace=True), nn.Mish(), nn.Hardswish(), nn.Tanh(),
        nn.Hardtanh(0.0, 1.0),
    )
}  # fmt: skip
NOT_COUNTED: dict[str, Callable[[Tensor], Tensor]] = {
    "torch.sigmoid": torch.sigmoid,
    "sigmoid": lambda x: x.sigmoid(),
    "F.softmax": lambda x: F.softmax(x, -1),
    "softmax": lambda x: x.softmax(-1),
    "F.hardsigmoid": F.hardsigmoid,
    "F.log_softmax": lambda x: F.log_softmax(x, -1),
    "clamp from -1": lambda x: x.clamp(-1, 1),
    "clamp above only": lambda x: x.clamp(max=6),
    "F.hardtanh": F.hardtanh,
    "abs": torch.abs,
    "on a constant": lambda x: x + F.relu(torch.ones(5)),
    "on integers": lambda x: x + F.relu((x > 0).int()),
}


class Call(nn.Module):
    """Applies a function to a linear layer's output and keeps what came out."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner = nn.Linear(6, 5)
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.inner(x))


def observed(function: Callable[[Tensor], Tensor]):
    """The activation calls of one function, and its output."""
    torch.manual_seed(0)
    mode, out = under_mode(Call(function), torch.randn(B, 6), B, n_packed=B)
    return mode.activations, out


def spelled(functions: dict) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("function", functions.values(), ids=functions)


@pytest.mark.parametrize(
    "function",
    [*FUNCTIONAL.values(), *METHODS.values(), *IN_PLACE.values(), *MODULES.values()],
    ids=[
        *FUNCTIONAL,
        *(f"method {name}" for name in METHODS),
        *(f"in place {name}" for name in IN_PLACE),
        *MODULES,
    ],
)
def test_an_activation_is_seen_once_with_the_signs_of_its_output(function: Callable[[Tensor], Tensor]) -> None:
    calls, out = observed(function)
    (call,) = calls
    assert call.n_neurons == 5
    for v in range(5):
        bits = sum(int(out[s, v] > 0) << s for s in range(B))
        assert call.resolved_words[v].item() == bits


@spelled(NOT_COUNTED)
def test_gates_and_others_are_not_activations(function: Callable[[Tensor], Tensor]) -> None:
    calls, _ = observed(function)
    assert calls == []


def test_an_activation_is_named_after_its_function_and_place() -> None:
    calls, _ = observed(lambda x: F.gelu(torch.relu_(x)))
    assert [call.name for call in calls] == ["relu@1", "gelu@2"]


def test_an_activation_without_samples_is_skipped_by_name() -> None:
    mode, _ = under_mode(Call(lambda x: x + F.relu(x.mean(0))), torch.randn(B, 6), B)
    assert mode.activations == []
    name, reason = mode.unpackable[1]
    assert name == "relu@1"
    assert "no axis holds the samples" in reason


def test_an_activation_without_elements_is_skipped_by_name() -> None:
    mode, _ = under_mode(Call(lambda x: torch.cat([x, F.relu(x[:, :0])], 1)), torch.randn(B, 6), B)
    assert mode.activations == []
    assert "no elements" in mode.unpackable[1][1]
