"""Which calls are features, of which kind, and where their channels lie."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.observe.features import FeatureRecorder, Kind, attention_probabilities
from lswag_fast.observe.samples.axis import SampleAxis
from networks import NETWORKS
from support.oracle import call, plain_features


def seen(model: nn.Module, inputs: Tensor) -> list[tuple[str, Tensor]]:
    found: list[tuple[str, Tensor]] = []
    batch = Batch(inputs, None, len(inputs))
    kinds: tuple[Kind, ...] = ("weight", "norm", "activation", "hidden", "attention")
    with torch.no_grad(), FeatureRecorder(model, batch, kinds, lambda f: found.append((f.kind, f.values.clone()))):
        call(model, inputs)
    return found


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "resnet_eval", "vit", "cnn_channels_last"])
def test_as_patched_functions_see_them(name: str) -> None:
    model, (inputs, _) = NETWORKS[name].build()
    expected = plain_features(model, inputs)
    found = [(kind, values) for kind, values in seen(model, inputs) if kind not in ("hidden", "attention")]
    assert [kind for kind, _ in found] == [kind for kind, _ in expected]
    for (_, values), (_, plain) in zip(found, expected, strict=True):
        assert torch.equal(values, plain)


def test_a_hidden_feature_is_seen_before_the_activation_writes_into_it() -> None:
    model = nn.Sequential(nn.Linear(3, 5), nn.ReLU(inplace=True), nn.Linear(5, 2))
    x = torch.randn(4, 3)
    (hidden,) = [values for kind, values in seen(model, x) if kind == "hidden"]
    assert torch.equal(hidden, model[0](x))


@pytest.mark.parametrize("shape", [(4, 3), (4, 6, 3)])
def test_of_a_gate_in_one_layer_with_its_value_the_gate_is_hidden(shape: tuple[int, ...]) -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(3, 10), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            gate, value = self.first(x).chunk(2, -1)
            return self.last(F.silu(gate) * value) + self.first(x).transpose(0, -1).relu().sum()  # of no channels

    model, x = Packed(), torch.randn(shape)
    (hidden,) = [values for kind, values in seen(model, x) if kind == "hidden"]
    assert torch.equal(hidden, model.first(x)[..., :5])


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


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"mask": "bool"}, {"mask": "float"}])
def test_the_probabilities_are_those_of_fused_attention(options: dict[str, object]) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(2, 4, size, 8, generator=generator, dtype=torch.float64) for size in (5, 6))
    given = {name: value for name, value in options.items() if name != "mask"}
    if "mask" in options:
        mask = torch.rand(5, 6, generator=generator, dtype=torch.float64)
        given["attn_mask"] = mask > 0.3 if options["mask"] == "bool" else mask
    value = torch.eye(6, dtype=torch.float64).expand(2, 4, 6, 6)  # so that the output is the probabilities
    expected = F.scaled_dot_product_attention(query, key, value, **given)
    torch.testing.assert_close(attention_probabilities(query, key, value, **given), expected)


def test_grouped_queries_share_their_keys() -> None:
    query, key = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 5, 8)
    expected = attention_probabilities(query, key[:, [0, 0, 1, 1]], key)
    torch.testing.assert_close(attention_probabilities(query, key, key, enable_gqa=True), expected)


def test_the_probabilities_of_torchs_own_attention_and_of_a_softmax() -> None:
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, dropout=0.5, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.attention(x, x, x, need_weights=False)[0]

    model, x = Own(), torch.randn(4, 3, 6)
    (found,) = [values for kind, values in seen(model, x) if kind == "attention"]
    expected = model.attention.eval()(x, x, x, average_attn_weights=False)[1]
    torch.testing.assert_close(found, expected)
    written, (images, _) = NETWORKS["vit"].build()
    shapes = [values.shape for kind, values in seen(written, images) if kind == "attention"]
    assert shapes == [(6, 2, 5, 5)] * 2


def test_the_softmax_of_a_router_or_of_logits_is_no_attention() -> None:
    model = nn.Sequential(nn.Linear(6, 3), nn.Softmax(-1))
    assert [kind for kind, _ in seen(model, torch.randn(4, 5, 6))] == ["weight"]


def test_the_samples_are_followed_to_where_the_channels_of_images_are_last() -> None:
    class TimeFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 1)

        def forward(self, images: Tensor) -> Tensor:
            folded = self.conv(images.flatten(0, 1)).unflatten(0, images.shape[:2])  # (B, T, C, H, W)
            return folded.transpose(0, 1).movedim(2, -1).relu()  # (T, B, H, W, C)

    places, images = [], torch.zeros(2, 4, 3, 6, 6)
    with FeatureRecorder(
        TimeFirst(), Batch(images, None, 2), {"weight", "activation"}, lambda f: places.append(f.place)
    ):
        TimeFirst()(images)
    assert places == [SampleAxis(0, 1, 4), SampleAxis(1)]


def test_the_rows_of_a_linear_call_may_become_samples_and_positions() -> None:
    """As those of GPT-2's `Conv1D`; heads, which are parts of rows, are not hidden."""

    class Viewed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.randn(3, 8)), nn.Parameter(torch.randn(8))

        def forward(self, x: Tensor) -> Tensor:
            rows = torch.addmm(self.bias, x.flatten(0, 1), self.weight)
            return rows.view(4, 6, 8).relu() + rows.view(4, 6, 2, 4).relu().flatten(2)

    model, x = Viewed(), torch.randn(4, 6, 3)
    (hidden,) = [values for kind, values in seen(model, x) if kind == "hidden"]
    assert torch.allclose(hidden, x @ model.weight + model.bias)


def test_the_gate_is_hidden_where_glu_takes_both_halves() -> None:
    model = nn.Sequential(nn.Linear(3, 10), nn.GLU())
    x = torch.randn(4, 3)
    (hidden,) = [values for kind, values in seen(model, x) if kind == "hidden"]
    assert torch.equal(hidden, model[0](x)[:, 5:])


def test_a_softmax_over_the_taps_of_a_kernel_that_a_layer_gives_is_no_attention() -> None:
    class Kernels(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).unflatten(-1, (2, 5)).softmax(-1)

    assert [kind for kind, _ in seen(Kernels(3, 10), torch.randn(4, 6, 3))] == ["weight"]


def test_pooled_sequences_have_the_channels_where_they_were() -> None:
    model = nn.Sequential(nn.Conv1d(3, 5, 2), nn.MaxPool1d(2), nn.ReLU())
    *_, (kind, values) = seen(model, torch.randn(4, 3, 9))
    assert (kind, values.shape) == ("activation", (4, 4, 5))
