"""What calls do with features, as the table says: every spelling of a gate, and the bounds of a clamp."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe.operations.elementwise import EFFECTS, Effect, is_bounded
from support.observing import under_mode

B = 4


class Gated(nn.Module):
    """A layer's output in a product with a gate made of it."""

    def __init__(self, product: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(6, 5), nn.Linear(5, 5)
        self.product = product

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.product(self.inner(x)))


GATES: dict[str, Callable[[Tensor], Tensor]] = {
    "torch.sigmoid": torch.sigmoid,
    "sigmoid": lambda h: h.sigmoid(),
    "sigmoid_": lambda h: h.clone().sigmoid_(),
    "nn.Sigmoid": nn.Sigmoid(),
    "expit": torch.special.expit,
    "hardsigmoid": F.hardsigmoid,
    "tanh": torch.tanh,
    "erf": lambda h: 1 + h.erf(),
    "special.erf": lambda h: 1 + torch.special.erf(h),
    "relu6": lambda h: F.relu6(h + 3) / 6,
    "hardtanh": lambda h: (F.hardtanh(h) + 1) / 2,
    "clamp": lambda h: (0.2 * h + 0.5).clamp(0, 1),
    "clip": lambda h: torch.clip(0.2 * h + 0.5, min=0, max=1),
}
PRODUCTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "*": lambda h, gate: h * gate,
    "gate first": lambda h, gate: gate * h,
    "*=": lambda h, gate: h.clone().__imul__(gate),
    "torch.mul": torch.mul,
    "mul_": lambda h, gate: h.clone().mul_(gate),
    "multiply": torch.multiply,
    "keyword": lambda h, gate: torch.mul(h, other=gate),
}


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
@pytest.mark.parametrize("product", PRODUCTS.values(), ids=PRODUCTS)
def test_every_spelling_of_a_product_with_a_gate_is_seen(product, gate) -> None:
    mode, _ = under_mode(Gated(lambda h: product(h, gate(h))), torch.randn(B, 6), B)
    mode.finish(None)
    (activation,) = mode.activations
    assert activation.name.split("@")[0] in ("mul", "rmul", "imul", "multiply")


@pytest.mark.parametrize(
    ("args", "kwargs", "expected"),
    [((0, 0, 6), {}, True), ((0, 0), {}, False), ((0,), {"max": 1}, True), ((0,), {"min": 0}, False)],
)
def test_a_clamp_is_bounded_by_its_upper_bound(args, kwargs, expected) -> None:
    assert is_bounded(EFFECTS[Tensor.clamp], args, kwargs) is expected


def test_the_outputs_of_gates_are_bounded_and_of_shifts_not_by_themselves() -> None:
    assert is_bounded(Effect.GATE, (), {})
    assert not is_bounded(Effect.SHIFT, (), {})
    assert not is_bounded(None, (), {})
