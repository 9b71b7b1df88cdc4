"""A compiled function inside a model is run as it was written, and everything in it is seen."""

from __future__ import annotations

import sys

import pytest
import torch
from torch import nn

import lswag_fast
from lswag_fast.passes.shared.eager import uncompiled

X, Y = torch.randn(8, 6, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 5


def halves(h: torch.Tensor) -> torch.Tensor:
    return torch.relu(h) * 0.5


class Net(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a, self.b = nn.Linear(6, 6), nn.Linear(6, 5)
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.function(self.a(x)))


needs_the_switch = pytest.mark.skipif(
    not hasattr(torch.compiler, "set_stance"), reason="torch before 2.6 has no switch for the compiler"
)
ignores_the_deprecation = pytest.mark.filterwarnings(  # torch's own, at the first torch.compile
    "ignore:.*script_method.*:DeprecationWarning"
)


@needs_the_switch
@ignores_the_deprecation
def test_a_compiled_function_is_scored_as_it_was_written() -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        calls.append(graph)
        return graph

    compiled = torch.compile(halves, backend=backend)
    proxies = ["lswag", "synflow", "jacov", "grasp"]
    written = lswag_fast.score_many(Net(halves), (X, Y), proxies=proxies)
    found = lswag_fast.score_many(Net(compiled), (X, Y), proxies=proxies)
    assert [score.value for score in found.values()] == [score.value for score in written.values()]
    assert found["lswag"].layers == written["lswag"].layers
    assert calls == []
    compiled(X)  # and afterwards it is compiled as before
    assert len(calls) == 1


@needs_the_switch
@ignores_the_deprecation
def test_passes_that_overlap_give_the_compiler_back() -> None:
    calls = []

    def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> torch.fx.GraphModule:
        calls.append(graph)
        return graph

    compiled = torch.compile(lambda x: torch.relu(x) + 1, backend=backend)
    assert "torch._dynamo" in sys.modules  # without it nothing is switched
    first, second = uncompiled(), uncompiled()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)  # as the passes of two threads end, in any order
    compiled(X)
    assert calls == []
    second.__exit__(None, None, None)
    compiled(X)
    assert len(calls) == 1
