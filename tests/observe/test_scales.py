"""Recording the parameters that a forward pass multiplies by."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe.scales import ScaleRecorder


class Body(nn.Module):
    """A forward with a vector and a bias."""

    def __init__(self, body: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.gamma, self.beta = nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(self, x)


@pytest.mark.parametrize(
    "body",
    [
        lambda m, x: x * m.gamma + m.beta,
        lambda m, x: m.gamma * x + m.beta,
        lambda m, x: x.clone().mul_(m.gamma) + m.beta,
        lambda m, x: torch.addcmul(m.beta, m.gamma, x),
        lambda m, x: m.gamma.view(1, 4) * x + m.beta,
        lambda m, x: m.gamma.expand(len(x), -1) * x + m.beta,
        lambda m, x: F.layer_norm(x, (4,), m.gamma, m.beta),
        lambda m, x: F.layer_norm(x, (4,), weight=m.gamma, bias=m.beta),
        lambda m, x: F.group_norm(x, 2, m.gamma, m.beta),
        lambda m, x: F.batch_norm(x, None, None, m.gamma, m.beta, True),
        lambda m, x: torch.batch_norm(x, m.gamma, m.beta, None, None, True, 0.1, 1e-5, False),
    ],
)
def test_what_multiplies_is_a_scale_and_what_is_added_is_none(body: Callable[[Any, Tensor], Tensor]) -> None:
    model, x = Body(body), torch.randn(3, 4)
    expected = model(x)
    with torch.no_grad(), ScaleRecorder(dict(model.named_parameters())) as recorder:
        out = model(x)
    assert recorder.scales == {"gamma"}
    assert torch.equal(out, expected)
