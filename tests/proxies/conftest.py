"""Networks on which proxies are compared with their float64 definitions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from lswag_fast.spaces import AutoFormer
from networks import NETWORKS, Network
from support.oracle import call

SMALL = ("mlp", "cnn_eval", "vit", "encoder_batch_first_odd")
"""A perceptron, a CNN with BatchNorm, and two vision transformers."""

Loss = Callable[[Any, Any], torch.Tensor]


@pytest.fixture(params=SMALL)
def net(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]


def mean_loss(net: Network) -> Loss:
    """The network's own loss, or cross-entropy on the output or its logits, averaged over the samples."""

    def loss(outputs: Any, targets: Any) -> torch.Tensor:
        if net.loss_fn is not None:
            return net.loss_fn(outputs, targets).mean()
        return F.cross_entropy(getattr(outputs, "logits", outputs), targets)

    return loss


def plain_float32(net: Network) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """{name: (W, dL/dW)} of the mean loss as plain float32 torch gives them."""
    model, (inputs, targets) = net.build(torch.float32)
    weights = {name: p for name, p in model.named_parameters() if name in net.observed}
    gradients = torch.autograd.grad(mean_loss(net)(call(model, inputs), targets), list(weights.values()))
    return {name: (w.detach(), g) for (name, w), g in zip(weights.items(), gradients, strict=True)}


def autoformer() -> tuple[torch.nn.Module, tuple[torch.Tensor, torch.Tensor]]:
    """The network of one architecture of a small AutoFormer space, and a batch of eight images of four classes."""
    choices = {"embed_dim": (64,), "depth": (2,), "num_heads": (1,), "mlp_ratio": (2.0,)}
    space = AutoFormer(**choices, image_size=32, patch_size=8, num_classes=4)
    torch.manual_seed(0)
    model = space.build(space.sample(random.Random(0)))
    return model, (torch.randn(8, 3, 32, 32), torch.arange(8) % 4)
