"""params, its thirds, flops and l2_norm."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

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


THIRDS = ["params_early", "params_middle", "params_late"]


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        ([5, 7], [35, 0, 0]),
        ([5, 7, 3], [35, 21, 0]),
        ([2, 3, 4, 5], [6, 12, 20]),
        ([2, 3, 4, 5, 6], [6 + 12, 20, 30]),
        ([2, 3, 4, 5, 6, 7, 8], [6 + 12, 20 + 30, 42 + 56]),
    ],
)
def test_the_thirds_of_a_perceptron_by_hand(widths: list[int], expected: list[int]) -> None:
    layers = [nn.Linear(a, b) for a, b in pairwise(widths)]
    batch = torch.randn(4, widths[0]), torch.arange(4) % widths[-1]
    scores = score_many(nn.Sequential(*layers), batch, proxies=THIRDS)
    assert [scores[name].value for name in THIRDS] == expected


def test_the_thirds_follow_the_calls_and_hold_every_weight_once() -> None:
    class Backwards(nn.Module):
        """Calls its layers from the last to the first, and the first of them again."""

        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 3), nn.Linear(5, 4), nn.Linear(5, 5)])

        def forward(self, x: Tensor) -> Tensor:
            head, middle, first = self.layers
            return head(middle(first(first(x))))

    scores = score_many(Backwards(), (torch.randn(4, 5), torch.arange(4) % 3), proxies=THIRDS)
    assert [scores[name].value for name in THIRDS] == [25, 20, 12]


def test_the_thirds_of_a_network_without_weights_have_no_value() -> None:
    scores = score_many(nn.LayerNorm(3), (torch.randn(4, 3), torch.arange(4) % 3), proxies=THIRDS)
    assert all("calls no linear or convolution function" in str(scores[name].error) for name in THIRDS)


def test_macs_of_a_vision_transformer_include_attention() -> None:
    space = AutoFormer(
        embed_dim=(64,), depth=(2,), num_heads=(1,), mlp_ratio=(2.0,), image_size=32, patch_size=8, num_classes=10
    )
    arch = {"embed_dim": 64, "depth": 2, "num_heads": [1, 1], "mlp_ratio": [2.0, 2.0]}
    scores = score_many(space.build(arch), (torch.randn(2, 3, 32, 32), torch.arange(2)), proxies=["params", "flops"])
    assert scores["flops"].value == space.macs(arch)
    assert scores["params"].value == space.n_params(arch)


class Block(nn.Module):
    """Self-attention by torch's fused function, whose kernel on a CPU torch's own counter does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.project = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, 2, 8)).movedim(-3, 0).transpose(2, 3)  # two heads of 8
        mixed = F.scaled_dot_product_attention(query, key, value)
        return self.project(mixed.transpose(1, 2).flatten(2).mean(1))


def test_macs_of_fused_attention() -> None:
    found = score(Block(), (torch.randn(4, 5, 16), torch.arange(4) % 3), proxy="flops").value
    assert found == 5 * 16 * 48 + 2 * 5 * 5 * 16 + 16 * 3


@pytest.mark.parametrize("train", [False, True])
def test_macs_of_attention_modules_count_one_sample_whether_or_not_they_have_a_fast_path(train: bool) -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 12, batch_first=True)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(40, 3)).train(train)
    found = score(model, (torch.randn(4, 5, 8), torch.arange(4) % 3), proxy="flops").value
    assert found == 5 * (4 * 8 * 8 + 2 * 8 * 12) + 2 * 5 * 5 * 8 + 40 * 3


@pytest.mark.parametrize(("module", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_macs_of_recurrent_layers(module: type[nn.Module], gates: int) -> None:
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = module(5, 6, batch_first=True)
            self.head = nn.Linear(6, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.layers(x)[0][:, -1])

    found = score(Last(), (torch.randn(4, 7, 5), torch.arange(4) % 3), proxy="flops").value
    assert found == 7 * gates * 6 * (5 + 6) + 6 * 3


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
