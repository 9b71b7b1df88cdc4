"""Which activations a tensor is made of: gates, activations written out, masks, scores, branches; what feeds what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import reference
from networks import NETWORKS
from networks.gates import hard_swish
from support.observing import observed
from support.oracle import SHOWN, call

B = 4


class Two(nn.Module):
    """Two layers with a function of the first one's output, and of the batch, between them."""

    def __init__(self, between: Callable[[Two, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.side, self.last = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.scale = nn.Parameter(torch.ones(6))
        self.register_buffer("mask", torch.tensor([1.0, -1.0, 2.0, 0.0, 1.0, 1.0]))
        self.between = between

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.between(self, self.first(x), x))


def paired(between: Callable[[Two, Tensor, Tensor], Tensor]) -> tuple[list[str], dict[str, str]]:
    """The activations that count, and the one that each weight is paired with."""
    observation, _ = observed(Two(between), torch.randn(B, 6), B)
    names = {call.index: call.name for call in observation.activations}
    pairs = {w.name.split(".")[0]: names[observation.pairs[w.first_index]] for w in observation.weights if names}
    return list(names.values()), pairs


WRITTEN_OUT: dict[str, Callable[[Tensor], Tensor]] = {
    "hard-swish": lambda h: h * F.relu6(h + 3) / 6,
    "hard-swish, gate first": lambda h: F.relu6(h + 3) / 6 * h,
    "hard-swish by clamp": lambda h: h * (h + 3).clamp(0, 6) / 6,
    "hard-swish in place": lambda h: h.clone().mul_(F.relu6(h + 3).div_(6)),
    "mish": lambda h: h * torch.tanh(F.softplus(h)),
    "SiLU": lambda h: h * h.sigmoid(),
    "SiLU, by keyword": lambda h: torch.mul(h, other=h.sigmoid()),
    "quick GELU": lambda h: h * torch.sigmoid(1.702 * h),
    "GELU by tanh": lambda h: 0.5 * h * (1 + torch.tanh(0.7978845608 * (h + 0.044715 * h**3))),
    "GELU by erf": lambda h: h * 0.5 * (1 + torch.erf(h / 2**0.5)),
}


@pytest.mark.filterwarnings("ignore:only .* were observed")  # `side` is not called
@pytest.mark.parametrize("function", WRITTEN_OUT.values(), ids=WRITTEN_OUT)
def test_an_activation_written_out_counts_with_its_own_signs(function: Callable[[Tensor], Tensor]) -> None:
    """The same patterns as those of the product, and none of the gate."""
    model, x = Two(lambda m, h, x: function(h)), torch.randn(B, 6)
    observation, _ = observed(model, x, B)
    (activation,) = observation.activations
    assert activation.name.startswith("mul@")
    found = lswag_fast.score(model, (x, torch.arange(B)), pattern_samples=B)
    expected = len(reference.neuron_patterns(function(model.first(x)).detach(), B))
    assert [layer.cardinality for layer in found.layers] == [expected] * 2


GATED: dict[str, tuple[Callable[[Two, Tensor, Tensor], Tensor], str]] = {
    "GLU of torch": (lambda m, h, x: F.glu(torch.cat([h, m.side(x)], -1)), "glu"),
    "GLU": (lambda m, h, x: h * torch.sigmoid(m.side(x)), "mul"),
    "SwiGLU": (lambda m, h, x: F.silu(h) * m.side(x), "mul"),
    "SwiGLU with SiLU written out": (lambda m, h, x: h * torch.sigmoid(h) * m.side(x), "mul"),
    "GEGLU of halves": (lambda m, h, x: (F.gelu(h[:, :3]) * h[:, 3:]).repeat(1, 2), "mul"),
    "ReGLU with dropout": (lambda m, h, x: F.dropout(F.relu(h), 0.1, False) * m.side(x), "mul"),
    "gated tanh": (lambda m, h, x: torch.tanh(h) * torch.sigmoid(m.side(x)), "mul"),
}


@pytest.mark.parametrize(("between", "name"), GATED.values(), ids=GATED)
def test_a_gated_linear_unit_counts_once_by_its_product(between, name: str) -> None:
    activations, pairs = paired(between)
    assert [activation.split("@")[0] for activation in activations] == [name]
    assert set(pairs.values()) == set(activations)


SCALED: dict[str, Callable[[Two, Tensor, Tensor], Tensor]] = {
    "squeeze and excitation": lambda m, h, x: _excited(F.silu(h), m),
    "hard sigmoid": lambda m, h, x: (a := F.gelu(h)) * F.hardsigmoid(m.side(a)),
    "hard sigmoid by relu6": lambda m, h, x: (a := F.gelu(h)) * (F.relu6(m.side(a) + 3) / 6),
    "a gate for each sample": lambda m, h, x: (a := F.gelu(h)) * torch.tanh(m.side(a)).mean(1, keepdim=True),
    "a learned scale": lambda m, h, x: F.gelu(h) * m.scale + 0 * m.side(x),
    "a learned gate": lambda m, h, x: F.gelu(h) * torch.tanh(m.scale) + 0 * m.side(x),
    "stochastic depth": lambda m, h, x: F.gelu(h) * h.new_empty(B, 1).bernoulli_(0.5) + 0 * m.side(x),
    "a clamped buffer": lambda m, h, x: F.gelu(h) * m.mask.clamp(min=0).expand(B, 6) + 0 * m.side(x),
}


def _excited(a: Tensor, model: Two) -> Tensor:
    return a * torch.sigmoid(model.side(a.mean(1, keepdim=True).expand(B, 6)))


@pytest.mark.parametrize("between", SCALED.values(), ids=SCALED)
def test_what_only_scales_is_no_activation(between) -> None:
    activations, pairs = paired(between)
    (name,) = activations
    assert name.split("@")[0] in ("silu", "gelu")
    assert pairs["last"] == name


CARRIED: dict[str, Callable[[Two, Tensor, Tensor], Tensor]] = {
    "norm": lambda m, h, x: F.layer_norm(F.relu(h), (6,)),
    "pooling and reshape": lambda m, h, x: F.avg_pool1d(F.relu(h)[:, None], 3, 1, 1).flatten(1),
    "dropout": lambda m, h, x: F.dropout(F.relu(h), 0.5, True),
    "parts": lambda m, h, x: torch.cat(F.relu(h).chunk(2, 1), 1),
    "transposed by a property": lambda m, h, x: (F.relu(h).T @ torch.eye(len(h))).T,
    "written into a fresh tensor": lambda m, h, x: _written(F.relu(h)),
    "in place through a view": lambda m, h, x: _relu_of_view(h.clone()),
    "a square": lambda m, h, x: (a := F.relu(h)) * a,
    "selected": lambda m, h, x: torch.where(h > 0.5, F.relu(h), torch.zeros(())),
    "a Fourier transform": lambda m, h, x: torch.fft.irfft(torch.fft.rfft(F.relu(h)), n=6),
    "attention": lambda m, h, x: F.scaled_dot_product_attention(
        torch.tanh(h)[:, None], torch.tanh(h)[:, None], F.relu(h)[:, None]
    )[:, 0],
}


def _written(a: Tensor) -> Tensor:
    out = torch.zeros(B, 6)
    out[:, :3] = a[:, 3:]
    return out


def _relu_of_view(h: Tensor) -> Tensor:
    h[:, 2:].relu_()
    return h


@pytest.mark.parametrize("between", CARRIED.values(), ids=CARRIED)
def test_other_calls_hand_on_what_their_inputs_are_made_of(between) -> None:
    later = lambda m, h, x: _beside(between(m, h, x), F.elu(x))  # noqa: E731 - executed last, and feeds nothing
    activations, pairs = paired(later)
    (name,) = activations
    assert name.split("@")[0] == "relu"
    assert pairs["last"] == name


def _beside(out: Tensor, unused: Tensor) -> Tensor:
    return out


MIXING: dict[str, Callable[[Two, Tensor, Tensor], Tensor]] = {
    "a soft cap of scores": lambda m, h, x: (torch.tanh(h @ h.t() / 5) * 5).softmax(-1) @ h,
    "a clamp of a mask": lambda m, h, x: ((h @ h.t()) + (1 - x[:, :1].clamp(min=0)) * -1e4).softmax(-1) @ h,
    "a comparison": lambda m, h, x: torch.where(F.relu(x) > 0, h, -h),
    "indices": lambda m, h, x: h.gather(1, F.relu(x).argsort(1)),
    "scores of attention": lambda m, h, x: F.scaled_dot_product_attention(
        torch.tanh(h)[:, None], h[:, None], value=h[:, None]
    )[:, 0],
}


@pytest.mark.parametrize("between", MIXING.values(), ids=MIXING)
def test_what_decides_how_features_mix_is_no_activation(between) -> None:
    assert paired(between) == ([], {})


def test_the_nearest_activation_feeds_and_of_equal_ones_the_last() -> None:
    near = lambda m, h, x: F.relu(h) + m.side(F.gelu(h))  # noqa: E731
    assert paired(near)[1]["last"] == "relu@1"
    for join in (torch.add, lambda a, b: torch.cat([a[:, :3], b[:, 3:]], 1)):
        activations, pairs = paired(lambda m, h, x, join=join: join(F.relu(h), F.gelu(h)))
        assert activations == ["relu@1", "gelu@2"]
        assert pairs["last"] == "gelu@2"


def test_an_activation_of_an_activation_counts_and_so_does_the_first() -> None:
    """A rectified stem whose output is normalised and rectified again before any weight, as in DenseNet."""
    activations, pairs = paired(lambda m, h, x: F.gelu(F.layer_norm(F.relu(h), (6,))))
    assert activations == ["relu@1", "gelu@2"]
    assert pairs == {"first": "relu@1", "last": "gelu@2"}


def test_a_weight_before_any_activation_takes_the_first_that_it_feeds() -> None:
    _, pairs = paired(lambda m, h, x: F.relu(m.side(x)) + F.gelu(h))
    assert pairs == {"first": "gelu@3", "side": "relu@2", "last": "gelu@3"}


class Opaque(torch.autograd.Function):
    """Hands its input on, unseen by function modes."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad


def test_after_an_unseen_call_the_order_of_execution_decides() -> None:
    activations, pairs = paired(lambda m, h, x: Opaque.apply(F.relu(h)))
    assert activations == ["relu@1"]
    assert pairs["last"] == "relu@1"


def test_an_activation_of_the_output_counts_but_no_soft_cap() -> None:
    x = torch.randn(B, 6)
    assert observed(nn.Sequential(nn.Linear(6, 3), nn.ReLU()), x, B)[0].activations
    assert not observed(nn.Sequential(nn.Linear(6, 3), nn.Tanh()), x, B)[0].activations


def test_attention_of_torch_is_made_of_its_values() -> None:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.last = nn.MultiheadAttention(6, 2, batch_first=True), nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            value = F.relu(x)
            return self.last(self.attention(F.gelu(x), x, value, need_weights=False)[0])

    observation, _ = observed(Attending(), torch.randn(B, 3, 6), B)
    names = {call.index: call.name for call in observation.activations}
    pairs = [names[observation.pairs[weight.first_index]].split("@")[0] for weight in observation.weights]
    assert pairs == ["gelu", "gelu", "relu", "relu", "relu"]  # the keys come from no activation


def test_pairs_of_inverted_residuals() -> None:
    """No convolution of the main branch takes the few patterns of the squeeze."""
    found = lswag_fast.score(*NETWORKS["inverted_residuals"].build(), pattern_samples=4)
    pairs = {layer.name: layer.activation for layer in found.layers}
    first, second, squeeze = (pairs[f"1.{name}.weight"] for name in ("depthwise", "project", "excite"))
    assert first.startswith("mul@")
    assert second.startswith("mul@")
    assert squeeze.startswith("relu@")
    assert pairs["0.weight"] == pairs["1.expand.weight"] == first
    assert pairs["1.reduce.weight"] == pairs["2.expand.weight"] == second
    assert pairs["5.weight"] == pairs["2.project.weight"] != pairs["2.excite.weight"]


def test_pairs_of_a_gated_transformer() -> None:
    found = lswag_fast.score(*NETWORKS["gated_transformer"].build(), pattern_samples=4)
    first, second = (
        next(layer.activation for layer in found.layers if layer.name == f"blocks.{b}.down.weight") for b in range(2)
    )
    assert first.startswith("mul@") and second.startswith("mul@")
    assert [layer.activation for layer in found.layers] == [first] * 9 + [second] * 2


def outputs_of(model: nn.Module, inputs: Any, names: Sequence[str]) -> list[Tensor]:
    """What the named modules return in a plain forward pass."""
    found: dict[str, Tensor] = {}
    for name in names:
        model.get_submodule(name).register_forward_hook(
            lambda _m, _a, out, name=name: found.update({name: out.detach()})
        )
    call(model, inputs)
    return [found[name] for name in names]


def expected(name: str, activations: Sequence[Tensor], pairs: Sequence[int]) -> float:
    """L-SWAG from gradients of one sample at a time and these activations."""
    net = NETWORKS[name]
    model, batch = net.build()
    gradients = reference.per_sample_gradients(model, batch, net.observed)
    return reference.lswag([gradients[name] for name in net.observed], activations, pairs, SHOWN)


def test_the_whole_score_of_inverted_residuals() -> None:
    model, batch = NETWORKS["inverted_residuals"].build()
    parts = [f"{b}.{part}" for b in (1, 2) for part in ("norm", "depthwise", "reduce")]
    found = outputs_of(model, batch[0], parts)
    functions = [F.relu if part.endswith("reduce") else hard_swish for part in parts]
    activations = [function(out) for function, out in zip(functions, found, strict=True)]
    pairs = [0, *(0, 0, 1, 2, 1), *(1, 3, 4, 5, 4), 4]
    score = lswag_fast.score(model, batch, pattern_samples=SHOWN).value
    assert score == pytest.approx(expected("inverted_residuals", activations, pairs), rel=1e-9)  # order of float64 sums


def test_the_whole_score_of_a_gated_transformer() -> None:
    model, batch = NETWORKS["gated_transformer"].build()
    gates = outputs_of(model, batch[0], [f"blocks.{b}.gate" for b in range(2)])
    values = outputs_of(model, batch[0], [f"blocks.{b}.up" for b in range(2)])
    activations = [F.silu(gate) * value for gate, value in zip(gates, values, strict=True)]
    score = lswag_fast.score(model, batch, pattern_samples=SHOWN).value
    pairs = [0] * 9 + [1] * 2
    assert score == pytest.approx(expected("gated_transformer", activations, pairs), rel=1e-9)  # order of float64 sums
