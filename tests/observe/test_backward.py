"""Gathering operands: a weight is reduced once its calls are complete, and nothing is kept that is not wanted."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import UnsupportedModelError
from lswag_fast.observe import CaptureOptions, Observation, ObservedWeight, WeightCall, observe

B = 4


class Log:
    """A reducer that keeps what it was given: copies of the gradients' operands."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bool]] = []
        self.weights: list[tuple[str, int]] = []

    def reduce_call(self, weight: ObservedWeight, call: WeightCall) -> None:
        self.calls.append((weight.name, call.output_and_gradient(B) is not None))

    def reduce_weight(self, weight: ObservedWeight) -> None:
        self.weights.append((weight.name, len(weight.gradient_operands(B))))


class Three(nn.Module):
    """Three matrices of which the second is used twice; the test says what becomes of the outputs."""

    def __init__(self, combine: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(3, 3, bias=False) for _ in range(3))
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        first = self.b(torch.relu(self.a(x)))
        return self.combine(first, self.b(self.c(x)))


def gathered(
    combine: Callable[[Tensor, Tensor], Tensor], wanted: str = "abc", outputs: bool = False
) -> tuple[Log, tuple[str, ...], Observation]:
    """What the reducer saw of the weights `wanted`, and which of them no gradient reached."""
    torch.manual_seed(0)
    log, model = Log(), Three(combine)
    batch = Batch(torch.randn(B, 3), None, B)
    with observe(model, batch, CaptureOptions(0, activations=False, outputs=outputs)) as observation:
        out = observation.run()
        chosen = [weight for weight in observation.weights if weight.name[0] in wanted]
        unreached = observation.backward(out.sum(), chosen, log)
        assert all(call.operands is None for weight in observation.weights for call in weight.calls)
        assert all(call.output is None for weight in chosen for call in weight.calls)
    return log, tuple(skip.name for skip in unreached), observation


def test_a_weight_is_reduced_when_all_its_calls_are_there() -> None:
    log, unreached, _ = gathered(torch.add)
    assert dict(log.weights) == {"a.weight": 1, "b.weight": 2, "c.weight": 1}
    assert sorted(name for name, _ in log.calls) == ["a.weight", "b.weight", "b.weight", "c.weight"]
    assert unreached == ()


def test_calls_without_a_gradient_do_not_hold_a_weight_up() -> None:
    log, unreached, _ = gathered(lambda first, second: first)
    assert dict(log.weights) == {"a.weight": 1, "b.weight": 1}
    assert unreached == ("c.weight",)


def test_only_the_weights_asked_for_are_reduced() -> None:
    log, unreached, _ = gathered(torch.add, wanted="b")
    assert log.weights == [("b.weight", 2)]
    assert unreached == ()


def test_nothing_asked_for_is_no_backward() -> None:
    log, unreached, _ = gathered(torch.add, wanted="")
    assert log.weights == log.calls == []
    assert unreached == ()


def test_outputs_can_be_had_where_they_were_captured() -> None:
    assert all(there for _, there in gathered(torch.add, outputs=True)[0].calls)
    assert not any(there for _, there in gathered(torch.add)[0].calls)


def test_backward_goes_no_deeper_than_the_weights_asked_for() -> None:
    """The gradient of a layer's input is not formed where only the layer itself is wanted."""
    reached: list[str] = []

    class Mark(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x: Tensor, name: str) -> Tensor:
            ctx.name = name
            return x.clone()

        @staticmethod
        def backward(ctx, grad: Tensor):
            reached.append(ctx.name)
            return grad, None

    class Chain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.early, self.late = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            return Mark.apply(self.late(Mark.apply(self.early(x), "before late")), "after late")

    for wanted, expected in (("late", ["after late"]), ("early", ["after late", "before late"])):
        reached.clear()
        with observe(Chain(), Batch(torch.randn(B, 3), None, B), CaptureOptions(0)) as observation:
            out = observation.run()
            chosen = [weight for weight in observation.weights if weight.name.startswith(wanted)]
            observation.backward(out.sum(), chosen, Log())
        assert reached == expected


def test_reentrant_checkpointing_is_refused() -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.inner = nn.Linear(3, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor) -> Tensor:
            hidden = self.first(x)
            return torch.utils.checkpoint.checkpoint(self.inner, hidden, use_reentrant=True)

    with (
        observe(Checkpointed(), Batch(torch.randn(B, 3), None, B), CaptureOptions(0)) as observation,
        pytest.raises(UnsupportedModelError, match="checkpointing"),
    ):
        out = observation.run()
        observation.backward(out.sum(), observation.weights, Log())


def test_operands_are_the_input_and_the_gradient_of_the_output() -> None:
    found: list[tuple[Tensor, Tensor]] = []

    class Keep(Log):
        def reduce_weight(self, weight: ObservedWeight) -> None:
            found.extend(weight.gradient_operands(B))

    model, x = nn.Linear(3, 2), torch.randn(B, 3)
    with observe(model, Batch(x, None, B), CaptureOptions(0)) as observation:
        out = observation.run()
        observation.backward(F.relu(out).sum(), observation.weights, Keep())
    ((x_found, grad_out),) = found
    assert torch.equal(x_found, x)
    assert torch.equal(grad_out, (out > 0).float())
