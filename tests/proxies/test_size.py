"""params, flops and l2_norm."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from lswag_fast import score, score_many
from lswag_fast.errors import ZeroSaliencyError
from lswag_fast.spaces import AutoFormer
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot


def test_counts_of_a_perceptron_by_hand() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    scores = score_many(model, (torch.randn(4, 5), torch.arange(4) % 3), proxies=["params", "flops", "l2_norm"])
    assert scores.passes == ("model",)
    assert scores["params"].value == 5 * 7 + 7 + 7 * 3 + 3
    assert scores["flops"].value == 5 * 7 + 7 * 3
    norms = [float(layer.weight.detach().double().norm()) for layer in (model[0], model[2])]
    assert scores["l2_norm"].value == pytest.approx(sum(norms), rel=1e-14)


def test_macs_of_a_vision_transformer_include_attention() -> None:
    space = AutoFormer(
        embed_dim=(64,), depth=(2,), num_heads=(1,), mlp_ratio=(2.0,), image_size=32, patch_size=8, num_classes=10
    )
    arch = {"embed_dim": 64, "depth": 2, "num_heads": [1, 1], "mlp_ratio": [2.0, 2.0]}
    scores = score_many(space.build(arch), (torch.randn(2, 3, 32, 32), torch.arange(2)), proxies=["params", "flops"])
    assert scores["flops"].value == space.macs(arch)
    assert scores["params"].value == space.n_params(arch)


def test_tied_parameters_count_once() -> None:
    model, batch = NETWORKS["tied_module"].build()
    assert score(model, batch, proxy="params").value == sum(p.numel() for p in model.parameters())


def test_batch_statistics_and_modes_are_left_alone() -> None:
    model, batch = NETWORKS["cnn_train"].build()
    before = snapshot(model)
    score_many(model, batch, proxies=["flops", "l2_norm"])
    assert_unchanged(model, before)


def test_weights_that_are_all_zero_have_no_norm() -> None:
    model = nn.Linear(3, 2)
    nn.init.zeros_(model.weight)
    with pytest.raises(ZeroSaliencyError, match="all 1 weights are zero"):
        score(model, (torch.randn(4, 3), torch.arange(4) % 2), proxy="l2_norm")
