"""Whole scores in bfloat16: each kind of call against torch's own gradients under autocast, and against float32."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
from torch import Tensor, nn

import lswag_fast
from bench.score.networks import TINY_SETTINGS
from lswag_fast import kernels
from lswag_fast.errors import LswagWarning, UnsupportedModelError
from networks import Network, select
from support.oracle import SHOWN, call, one, summed_loss, trainability_of

pytestmark = pytest.mark.skipif(kernels.bfloat16_problem() is not None, reason="no products of bfloat16 here")

# F.bilinear and index_add_ of a float32 buffer raise under autocast.
_NOT_UNDER_AUTOCAST = {"bilinear", "mixture"}
# Gradients that hardly vary: whether what is left of them rounds to a constant depends on the order of sums.
_HARDLY_VARIES = {("mixer_t_equals_2b", "channel.weight")}
NETWORKS = [
    net
    for net in select(without=("no_activation", "refused"))
    if not net.tags & {"coupled", "random"} and net.name not in _NOT_UNDER_AUTOCAST
]


def rounded_gradients(net: Network, names: list[str]) -> dict[str, Tensor]:
    """Per-sample gradients (B, ...) by torch alone, one sample at a time under autocast."""
    model, (inputs, targets) = net.build(torch.float32)
    parameters, loss = dict(model.named_parameters()), summed_loss(net)
    rows = []
    for b in range(len(targets)):
        with torch.autocast("cpu", torch.bfloat16):
            total = loss(call(model, one(inputs, b)), one(targets, b))
        rows.append(torch.autograd.grad(total, [parameters[name] for name in names]))
    return {name: torch.stack([row[k] for row in rows]) for k, name in enumerate(names)}


@pytest.mark.parametrize("net", NETWORKS, ids=[net.name for net in NETWORKS])
def test_every_kind_of_call_sees_what_autocast_gives_it(net: Network) -> None:
    model, batch = net.build(torch.float32)
    with warnings.catch_warnings():
        if net.skipped:
            warnings.simplefilter("ignore", LswagWarning)
        found = lswag_fast.score(model, batch, loss_fn=net.loss_fn, pattern_samples=SHOWN, precision="bfloat16")
    layers = {layer.name: layer.trainability for layer in found.layers if layer.kind != "derived"}
    for name, gradients in rounded_gradients(net, list(layers)).items():
        if (net.name, name) not in _HARDLY_VARIES:
            # Torch rounds the gradients of a sample to bfloat16 (8 bits), the kernel adds their products in float32.
            assert math.isclose(layers[name], trainability_of(gradients), rel_tol=2**-6), name


@pytest.mark.parametrize("network", TINY_SETTINGS)
def test_a_score_is_near_that_of_float32(network: str) -> None:
    model, batch = TINY_SETTINGS[network].build(), TINY_SETTINGS[network].batch(16)
    exact, rounded = (lswag_fast.score(model, batch, precision=p) for p in ("float32", "bfloat16"))
    # Each layer rounds forward and backward by 2^-9 of a number, independently: the relative error of a gradient behind
    # some 20 layers is 2^-9 sqrt(2 * 20) = 2^-6, that of the sum of many 1/sigma, and of the patterns, is no larger.
    assert rounded.value == pytest.approx(exact.value, rel=2**-6)
    assert rounded.value != exact.value
    assert rounded.options["precision"] == "bfloat16"


def test_what_fails_under_autocast_is_told_to_leave_it_out() -> None:
    (net,) = (net for net in select() if net.name == "mixture")  # index_add_ of bfloat16 into a buffer of float32
    model, batch = net.build(torch.float32)
    with pytest.raises(UnsupportedModelError, match="with precision='bfloat16'; leave precision out: index_add_"):
        lswag_fast.score(model, batch, precision="bfloat16")


def test_other_passes_stay_in_float32() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    batch = torch.randn(8, 6), torch.arange(8) % 3
    names = ["te_nas_ntk", "synflow", "jacov", "grasp", "vkdnw"]
    exact, rounded = (lswag_fast.score_many(model, batch, proxies=names, precision=p) for p in ("float32", "bfloat16"))
    assert {name: exact[name].value for name in exact} == {name: rounded[name].value for name in rounded}


def test_parameters_and_gradients_are_left_as_they_were() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))
    before = [p.detach().clone() for p in model.parameters()]
    lswag_fast.score(model, (torch.randn(8, 6), torch.arange(8) % 3), precision="bfloat16")
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, value)
        assert parameter.grad is None
