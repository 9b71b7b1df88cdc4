"""The walk through a model's modules gives what torch's own lists give, in the same order."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lswag_fast.observe.modules import buffers, named_modules, named_parameters
from networks import Network, select


def shared() -> nn.Module:
    """Modules, parameters and buffers that occur twice, and a module that is None."""
    block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    model = nn.Sequential(block, nn.Sequential(block, nn.Linear(3, 3, bias=False)), nn.BatchNorm1d(3))
    model[1][1].weight = block[0].weight
    model[2].running_mean = block[1].running_mean
    model.register_module("none", None)
    return model


def assert_as_torch(model: nn.Module) -> None:
    modules = named_modules(model)
    assert modules == list(model.named_modules())
    assert {name: id(p) for name, p in named_parameters(modules).items()} == {
        n: id(p) for n, p in model.named_parameters()
    }
    assert list(named_parameters(modules)) == [name for name, _ in model.named_parameters()]
    assert list(map(id, buffers(modules))) == list(map(id, model.buffers()))


def test_what_is_shared_comes_once() -> None:
    assert_as_torch(shared())


@pytest.mark.parametrize("net", select(), ids=lambda net: net.name)
def test_all_networks(net: Network) -> None:
    assert_as_torch(net.build()[0])


def test_a_model_that_is_one_module() -> None:
    assert_as_torch(nn.Linear(2, 2))
    assert named_parameters(named_modules(nn.ReLU())) == {}
    assert buffers([("norm", nn.BatchNorm1d(2))])[0].equal(torch.zeros(2))
