"""Recording weights: names, kinds, activations that feed them, slices, and BatchNorm left out."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.observe import WeightRecorder


def recorded(model: nn.Module, x: Tensor, skip_batch_norm: bool = False) -> tuple[WeightRecorder, Tensor]:
    with WeightRecorder(dict(model.named_parameters()), skip_batch_norm=skip_batch_norm) as recorder:
        out = model(x)
    return recorder, out


def test_weights_are_recorded_with_their_kinds_and_the_activations_that_feed_them() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3), nn.GELU(), nn.Linear(3, 2))
    recorder, out = recorded(model, torch.randn(5, 1, 4, 4))
    assert recorder.weights == {"0.weight": 0, "3.weight": 2, "5.weight": 4}
    assert recorder.kinds == {"0.weight": "conv2d", "3.weight": "linear", "5.weight": "linear"}
    assert recorder.activations(out) == [1, 3]
    assert recorder.pairs([1, 3]) == {"0.weight": 1, "3.weight": 1, "5.weight": 3}
    assert out.shape == (5, 2)


def test_a_second_use_changes_nothing() -> None:
    layer = nn.Linear(3, 3)
    recorder, _ = recorded(nn.Sequential(layer, nn.ReLU(), layer), torch.randn(2, 3))
    assert recorder.weights == {"0.weight": 0}


def test_a_slice_counts_as_its_parameter_and_a_computed_weight_as_none() -> None:
    class Sliced(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(4, 3))
            self.scaled = nn.Parameter(torch.randn(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weight[:2]) + F.linear(x, self.scaled[:2] * 2)

    recorder, _ = recorded(Sliced(), torch.randn(2, 3))
    assert recorder.weights == {"weight": 0}


def test_a_batch_norm_gives_back_its_input_where_asked() -> None:
    norm, x = nn.BatchNorm1d(3), torch.randn(4, 3)
    assert torch.equal(recorded(norm, x, skip_batch_norm=True)[1], x)
    assert not torch.equal(recorded(norm, x)[1], x)
