"""The proxies of features against their definitions on features that patched functions of torch see."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference, score, score_many
from lswag_fast.errors import NoActivationsError, NothingObservedError
from lswag_fast.reference import features as definitions
from networks import NETWORKS
from proxies.conftest import mean_loss
from support.oracle import features_of, plain_features
from support.snapshot import assert_unchanged, snapshot

SEEN = ("mlp", "cnn_eval", "cnn_train", "resnet_eval", "vit")


def expected_intrain(name: str) -> float:
    net = NETWORKS[name]
    model, batch = net.build()
    pairs = reference.weights_and_gradients(model, batch, net.observed, mean_loss(net)).values()
    return definitions.intrain(features_of(model, batch[0], "activation"), [g for _, g in pairs])


@pytest.mark.filterwarnings("ignore:a BatchNorm in train mode")
@pytest.mark.parametrize("name", SEEN)
def test_intrain(name: str) -> None:
    expected = expected_intrain(name)
    assert score(*NETWORKS[name].build(), proxy="intrain").value == pytest.approx(expected, rel=1e-9)  # float64 sums
    found = score(*NETWORKS[name].build(torch.float32), proxy="intrain").value
    assert found == pytest.approx(expected, rel=1e-4)  # the accuracy contract


def test_intrain_of_one_layer_by_hand() -> None:
    """Two channels that vary alike: gamma = ln 2; a gradient of equal magnitudes and mean 0: o = 1; L = 1."""

    class Corners(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.eye(2))

        def forward(self, x: Tensor) -> Tensor:
            return F.leaky_relu(F.linear(x, self.weight), 1.0)

    def loss(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs * torch.tensor([1.0, -1.0])).sum(1)

    corners = torch.tensor([[2.0, 1.0], [0.0, 1.0], [1.0, 2.0], [1.0, 0.0]])  # each input adds up to 4
    found = score(Corners(), (corners, torch.zeros(4)), proxy="intrain", loss_fn=loss)
    assert found.value == pytest.approx(2.0, rel=1e-6)  # float32 features


def test_intrain_sees_no_scale_of_the_loss_or_the_features() -> None:
    model, batch = NETWORKS["mlp"].build()
    base = score(model, batch, proxy="intrain").value

    def tripled(outputs: Tensor, targets: Tensor) -> Tensor:
        return 3 * F.cross_entropy(outputs, targets, reduction="none")

    assert score(model, batch, proxy="intrain", loss_fn=tripled).value == pytest.approx(base, rel=1e-12)


def test_intrain_of_a_network_without_activations() -> None:
    model, batch = NETWORKS["no_activation"].build()
    with pytest.raises(NoActivationsError, match="intrain: no activation was seen"):
        score(model, batch, proxy="intrain")


LAYERS = ("weight", "norm", "activation")


@pytest.mark.parametrize("name", SEEN)
def test_meco(name: str) -> None:
    model, batch = NETWORKS[name].build()
    features = features_of(model, batch[0], *LAYERS)
    # A zero of the closed form is an eigenvalue of the order of 1e-16 in the definition.
    assert score(model, batch, proxy="meco").value == pytest.approx(definitions.meco(features), rel=1e-9, abs=1e-12)
    for seed in (0, 5):
        found = score(model, batch, proxy="meco_opt", seed=seed).value
        assert found == pytest.approx(definitions.meco_opt(features, seed), rel=1e-9, abs=1e-12)


def images_of_many_positions() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 12, 3), nn.BatchNorm2d(12), nn.SiLU(), nn.Flatten(), nn.Linear(432, 4))
    return model.double().eval(), (torch.randn(4, 3, 8, 8).double(), torch.arange(4))


def test_meco_where_it_is_not_zero() -> None:
    model, batch = images_of_many_positions()
    features = features_of(model, batch[0], *LAYERS)
    found = score(model, batch, proxy="meco").value
    assert found == pytest.approx(definitions.meco(features), rel=1e-9)
    assert 0 < found < 3
    of_eight = score(model, batch, proxy="meco_opt").value
    assert of_eight == pytest.approx(definitions.meco_opt(features), rel=1e-9)
    assert of_eight > found


def test_meco_sees_the_first_sample_and_no_scale_of_a_channel() -> None:
    model, (inputs, targets) = images_of_many_positions()
    base = score(model, (inputs, targets), proxy="meco").value
    others = torch.cat([inputs[:1], 5 * inputs[1:]])
    assert score(model, (others, targets), proxy="meco").value == pytest.approx(base, rel=1e-12)
    alone = nn.Sequential(model[0])
    before = score(alone, (inputs, targets), proxy="meco").value
    with torch.no_grad():
        model[0].weight *= torch.arange(1, 13)[:, None, None, None]
    assert score(alone, (inputs, targets), proxy="meco").value == pytest.approx(before, rel=1e-9)


def test_meco_of_two_channels_that_are_one_is_zero() -> None:
    model, (inputs, targets) = images_of_many_positions()
    with torch.no_grad():
        model[0].weight[1], model[0].bias[1] = model[0].weight[0], model[0].bias[0]
    found = score(nn.Sequential(model[0]), (inputs, targets), proxy="meco").value
    assert found == pytest.approx(0, abs=1e-12)  # an eigenvalue that is 0 but for rounding


class Scale(nn.Module):
    """A network without a call on a weight matrix, a norm or an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale


def test_meco_of_a_network_without_features() -> None:
    with pytest.raises(NothingObservedError, match="meco: the model calls no linear"):
        score(Scale(), (torch.randn(4, 3), torch.arange(4)), proxy="meco")


def patched_softmax(model: nn.Module, inputs: Tensor) -> list[Tensor]:
    found: list[Tensor] = []
    plain = Tensor.softmax

    def softmax(scores: Tensor, dim: int) -> Tensor:
        found.append(plain(scores, dim).detach())
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "softmax", softmax)
        model(inputs)
    return found


def test_head_confidence() -> None:
    model, batch = NETWORKS["vit"].build()
    expected = definitions.head_confidence(patched_softmax(model, batch[0]))
    assert score(model, batch, proxy="head_confidence").value == pytest.approx(expected, rel=1e-12)
    with torch.no_grad():
        for block in model.blocks:
            block.attn.qkv.weight.zero_(), block.attn.qkv.bias.zero_()
    assert score(model, batch, proxy="head_confidence").value == pytest.approx(1 / 5, rel=1e-12)  # of five tokens


def test_head_confidence_of_torchs_own_attention() -> None:
    model, (inputs, targets) = NETWORKS["encoder_batch_first_odd"].build()
    found = score(model, (inputs, targets), proxy="head_confidence").value
    assert 1 / 7 < found < 1  # of seven tokens


def test_w_pca() -> None:
    for name in ("mlp", "vit"):
        model, batch = NETWORKS[name].build()
        features = plain_features(model, batch[0])
        taken = [
            before for (kind, before), (after, _) in pairwise(features) if (kind, after) == ("weight", "activation")
        ]
        assert taken
        n_params = sum(p.numel() for p in model.parameters())
        assert score(model, batch, proxy="w_pca").value == definitions.w_pca(n_params, taken)


@pytest.mark.parametrize("name", SEEN)
def test_near(name: str) -> None:
    model, batch = NETWORKS[name].build()
    expected = definitions.near(features_of(model, batch[0], "weight", "activation"))
    assert score(model, batch, proxy="near").value == pytest.approx(expected, rel=1e-9)  # float64 sums
    found = score(*NETWORKS[name].build(torch.float32), proxy="near").value
    assert found == pytest.approx(expected, rel=1e-4)  # the accuracy contract


def test_near_looks_at_more_than_one_pixel() -> None:
    """Of 16 images of 32 x 32 and 16 channels, 16 rows at even distances are all of the first pixel."""
    images = torch.randn(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images[:, :, 0, 0] = 0.0
    model = nn.Sequential(nn.Conv2d(3, 16, 1, bias=False), nn.Flatten(), nn.Linear(16384, 2)).double()
    of_features = score(model, (images.double(), torch.zeros(16, dtype=torch.long)), proxy="near").value
    assert of_features > 3  # of the convolution nearly 3, the directions of its inputs, and of the head 1 or more


def test_near_draws_the_same_rows_in_any_company() -> None:
    model, batch = NETWORKS["resnet_eval"].build(torch.float64)
    together = score_many(model, batch, proxies=["meco_opt", "near"])
    for proxy in ("meco_opt", "near"):
        assert score(model, batch, proxy=proxy).value == together[proxy].value


def test_near_sees_no_scale_and_one_dimension_as_one() -> None:
    model = nn.Sequential(nn.Linear(3, 4, bias=False)).double()
    batch = torch.randn(6, 1).double() * torch.ones(3).double(), torch.arange(6) % 4
    assert score(model, batch, proxy="near").value == pytest.approx(1.0, rel=1e-9)  # rounding in the other three
    assert score(model, (5 * batch[0], batch[1]), proxy="near").value == pytest.approx(1.0, rel=1e-9)


@pytest.mark.parametrize("proxy", ["head_confidence", "w_pca"])
def test_what_only_transformers_have_is_refused_of_a_cnn(proxy: str) -> None:
    model, batch = NETWORKS["cnn_eval"].build()
    with pytest.raises(NothingObservedError, match=f"{proxy} needs .*by another proxy"):
        score(model, batch, proxy=proxy)


@pytest.mark.parametrize(
    ("proxy", "name"),
    [
        *((proxy, "resnet_eval") for proxy in ("intrain", "meco", "meco_opt", "near", "dextr")),
        *((proxy, "vit") for proxy in ("dextr", "w_pca", "head_confidence")),
    ],
)
def test_the_model_is_left_as_it_was(proxy: str, name: str) -> None:
    model, batch = NETWORKS[name].build()
    before = snapshot(model)
    assert math.isfinite(score(model, batch, proxy=proxy).value)
    assert_unchanged(model, before)


@pytest.mark.parametrize("proxy", ["intrain", "w_pca", "head_confidence"])
def test_the_order_of_the_samples_does_not_matter(proxy: str) -> None:
    model, (inputs, targets) = NETWORKS["vit"].build()
    values: list[Any] = [score(model, batch, proxy=proxy).value for batch in
                         ((inputs, targets), (inputs.flip(0), targets.flip(0)))]  # fmt: skip
    assert values[0] == pytest.approx(values[1], rel=1e-9)  # float64 sums in another order


@pytest.mark.parametrize("proxy", ["meco", "dextr"])
def test_the_order_of_the_samples_behind_the_first_does_not_matter(proxy: str) -> None:
    model, (inputs, targets) = images_of_many_positions()
    order = torch.tensor([0, 3, 1, 2])
    values = [score(model, batch, proxy=proxy).value for batch in
              ((inputs, targets), (inputs[order], targets[order]))]  # fmt: skip
    assert values[0] == pytest.approx(values[1], rel=1e-9)  # float64 sums in another order


def permute_the_hidden_channels(model: nn.Module) -> None:
    """Number the outputs of the first weight anew, and the inputs of the second with them."""
    first, second = (p for p in model.parameters() if p.dim() > 1)
    order = torch.arange(len(first)).roll(2).flip(0)
    with torch.no_grad():
        first.copy_(first[order].clone())
        second.copy_(second[:, order].clone())
        for bias in (p for p in model.parameters() if p.shape == (len(first),)):
            bias.copy_(bias[order].clone())


@pytest.mark.parametrize("proxy", ["intrain", "meco", "near", "dextr", "w_pca"])
def test_the_order_of_the_channels_does_not_matter(proxy: str) -> None:
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.SiLU(), nn.Conv2d(6, 5, 3), nn.Flatten())
    model, inputs = nn.Sequential(*layers).double().eval(), torch.randn(8, 3, 8, 8).double()
    if proxy == "w_pca":  # which convolutions have no value of
        model, inputs = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 5)).double(), inputs[:, 0, :4, 0]
    batch = inputs, torch.arange(8) % 5
    base = score(model, batch, proxy=proxy).value
    permute_the_hidden_channels(model)
    assert score(model, batch, proxy=proxy).value == pytest.approx(base, rel=1e-8)  # eigenvalues in another order
    assert base > 0


def test_head_confidence_sees_no_order_of_tokens_or_heads() -> None:
    class Attends(nn.Module):
        """Four heads of two channels, each of which attends to its own inputs."""

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 3).double()

        def forward(self, x: Tensor) -> Tensor:
            heads = x.unflatten(2, (4, 2)).transpose(1, 2)
            return self.head(F.scaled_dot_product_attention(heads, heads, heads).mean(2).flatten(1))

    torch.manual_seed(0)
    inputs, targets = torch.randn(3, 5, 8).double(), torch.arange(3)
    base = score(Attends(), (inputs, targets), proxy="head_confidence").value
    tokens = inputs[:, torch.tensor([4, 2, 0, 1, 3])]
    heads = inputs.unflatten(2, (4, 2))[:, :, torch.tensor([2, 0, 3, 1])].flatten(2)
    for other in (tokens, heads):
        found = score(Attends(), (other, targets), proxy="head_confidence").value
        assert found == pytest.approx(base, rel=1e-12)
    assert base != pytest.approx(score(Attends(), (2 * inputs, targets), proxy="head_confidence").value)


@pytest.mark.parametrize("name", SEEN)
def test_dextr(name: str) -> None:
    model, batch = NETWORKS[name].build()
    for seed in (0, 5):
        curvature = definitions.mean_curvature(model, seed, batch[0].shape[1:])
        expected = definitions.dextr(features_of(model, batch[0], *LAYERS), curvature)
        assert score(model, batch, proxy="dextr", seed=seed).value == pytest.approx(expected, rel=1e-8)


def test_dextr_sees_no_label_and_the_first_sample_only() -> None:
    model, (inputs, targets) = images_of_many_positions()
    base = score(model, (inputs, targets), proxy="dextr").value
    others = torch.cat([inputs[:1], 5 * inputs[1:]])
    assert score(model, (others, targets.flip(0)), proxy="dextr").value == pytest.approx(base, rel=1e-12)
    assert base > 0


def test_dextr_of_channels_made_of_others_is_zero() -> None:
    """Each feature has a channel twice, so every ratio is 0; and c k / (c + k) is 0 where c is."""
    twice = nn.Conv2d(3, 2, 3, bias=False)
    with torch.no_grad():
        twice.weight[1] = twice.weight[0]
    found = score(twice, (torch.randn(4, 3, 6, 6), torch.zeros(4)), proxy="dextr").value
    assert found == pytest.approx(0, abs=1e-6)  # a singular value that is 0 but for rounding


def test_dextr_of_tokens_is_refused_and_leaves_the_others() -> None:
    model = nn.Sequential(nn.Embedding(9, 4), nn.Flatten(), nn.Linear(12, 3))
    batch = torch.arange(12).reshape(4, 3) % 9, torch.arange(4) % 3
    scores = score_many(model, batch, proxies=["dextr", "near"])
    assert "no floating-point samples" in str(scores["dextr"].error)
    assert scores["near"].error is None
