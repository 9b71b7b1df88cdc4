"""Which calls are features, of which kind, and where their channels lie."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.observe.features import FeatureRecorder
from networks import NETWORKS
from support.oracle import call, plain_features


def seen(model: nn.Module, inputs: Tensor) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    batch = Batch(inputs, None, len(inputs))
    with torch.no_grad(), FeatureRecorder(model, batch, lambda f: found.append((f.kind, f.values.clone()))):
        call(model, inputs)
    return found


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "resnet_eval", "vit", "cnn_channels_last"])
def test_as_patched_functions_see_them(name: str) -> None:
    model, (inputs, _) = NETWORKS[name].build()
    expected = plain_features(model, inputs)
    found = [(kind, values) for kind, values in seen(model, inputs) if kind != "hidden"]
    assert [kind for kind, _ in found] == [kind for kind, _ in expected]
    for (_, values), (_, plain) in zip(found, expected, strict=True):
        assert torch.equal(values, plain)


def test_a_hidden_feature_is_seen_before_the_activation_writes_into_it() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    x = torch.randn(4, 3)
    (hidden,) = [values for kind, values in seen(model, x) if kind == "hidden"]
    assert torch.equal(hidden, model[0](x))


def test_an_activation_of_sequences_has_the_channels_of_the_convolution_before_it() -> None:
    model = nn.Sequential(nn.Conv1d(3, 5, 2), nn.GELU())
    assert [values.shape for _, values in seen(model, torch.randn(4, 3, 7))] == [(4, 6, 5)] * 2


def test_what_makes_a_weight_and_what_looks_up_a_table_is_no_feature() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.maker = nn.Embedding(9, 3), nn.Linear(3, 3)
            self.seeds = nn.Parameter(torch.randn(2, 3))

        def forward(self, tokens: Tensor) -> Tensor:
            return F.linear(self.table(tokens), self.maker(self.seeds))

    assert [values.shape for _, values in seen(Odd(), torch.zeros(4, 5, dtype=torch.long))] == [(4, 5, 2)]
