"""The noise pair pass: what is drawn, what is substituted, which BatchNorms count, and that nothing is written."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError, UnsupportedModelError
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.noise_pair import NoisePairMeasurements, run_noise_pair
from support.snapshot import assert_unchanged, snapshot

ALL = frozenset(("feature_distance", "batch_norm_variances"))
X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def run(model: nn.Module, features: Any, inputs: Any = X, **options: Any) -> NoisePairMeasurements:
    given: dict[str, Any] = {"chunk_size": None, "seed": 0, **options}
    chosen = ScoreOptions(features=features, **given)
    before = snapshot(model)
    try:
        return run_noise_pair(model, Batch(inputs, None, 4), chosen, ALL)
    finally:
        assert_unchanged(model, before)


class Mixed(nn.Module):
    """A convolution, every kind of norm with values of its own, a free parameter and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5)
        self.group, self.layer = nn.GroupNorm(1, 5), nn.LayerNorm(6)
        self.scale = nn.Parameter(torch.full((1,), 7.0))
        for module in (self.norm, self.group, self.layer):
            nn.init.constant_(module.weight, 2.0)
            nn.init.constant_(module.bias, 3.0)
        self.norm.running_var.fill_(9.0)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.group(self.norm(self.conv(x)))).mean((2, 3)) * self.scale)


def seen(seed: int = 0) -> list[dict[str, Tensor]]:
    calls: list[dict[str, Tensor]] = []

    def features(model: nn.Module, x: Tensor) -> Tensor:
        tensors = {n: t.clone() for n, t in (*model.named_parameters(), *model.named_buffers())}
        calls.append({"x": x.clone(), "training": torch.tensor(model.training), **tensors})
        return model(x)

    run(Mixed(), features, seed=seed)
    return calls


def test_weights_are_normal_and_everything_else_as_published() -> None:
    first, _ = seen()
    generator = torch.Generator().manual_seed(0)
    for name in ("conv.weight", "head.weight"):
        assert torch.equal(first[name], torch.randn(first[name].shape, generator=generator)), name
    assert torch.equal(first["x"], torch.randn(X.shape, generator=generator))
    constants = {
        "conv.bias": 0, "head.bias": 0, "norm.weight": 1, "norm.bias": 0, "group.weight": 1, "group.bias": 0,
        "norm.running_mean": 0, "norm.running_var": 1, "layer.weight": 2, "layer.bias": 3, "scale": 7, "training": 1,
    }  # fmt: skip
    for name, value in constants.items():
        assert bool((first[name] == value).all()), name


def test_the_pair_lies_a_hundredth_of_the_noise_apart() -> None:
    first, second = seen()
    noise = (second["x"] - first["x"]) / 0.01
    assert torch.equal(first["conv.weight"], second["conv.weight"])
    assert noise.std().item() == pytest.approx(1.0, abs=0.1)  # 768 draws: 1 +- 0.026
    assert torch.corrcoef(torch.stack([noise.flatten(), first["x"].flatten()]))[0, 1].abs() < 0.15  # 0 +- 0.036


def test_the_seed_determines_the_draws() -> None:
    model = Mixed()
    assert run(model, "norm") == run(model, "norm")
    assert run(model, "norm") != run(model, "norm", seed=1)


def test_the_models_own_weights_do_not_matter() -> None:
    first = Mixed()
    second = Mixed()
    assert not torch.equal(first.conv.weight, second.conv.weight)
    assert run(first, "norm") == run(second, "norm")
    assert run(first, "norm") == run(first.requires_grad_(False).eval(), "norm")


def test_the_distance_is_the_mean_of_l1_norms() -> None:
    """Features 100 x: the distance is the mean over 4 samples of ||e||_1, e the second draw."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    generator = torch.Generator().manual_seed(0)
    torch.randn(2, 192, generator=generator)
    _, e = (torch.randn(X.shape, generator=generator) for _ in range(2))
    found = run(model.double(), lambda m, x: 100 * x, X.double())
    assert found.feature_distance == pytest.approx(e.double().abs().sum().item() / 4, rel=1e-9)


def test_running_variances_have_seen_both_inputs() -> None:
    """Momentum 0.1, twice: 0.81 x 1 + 0.09 v1 + 0.1 v2."""
    first, second = seen()
    v1, v2 = (F.conv2d(c["x"], c["conv.weight"]).transpose(0, 1).flatten(1).var(1) for c in (first, second))
    expected = (0.81 + 0.09 * v1 + 0.1 * v2).mean().item()
    assert run(Mixed(), "norm").batch_norm_variances == {"norm": pytest.approx(expected, rel=1e-5)}


def test_a_batch_norm_that_does_not_run_adds_nothing() -> None:
    assert run(Mixed(), "head").batch_norm_variances.keys() == {"norm"}
    assert run(Mixed(), lambda m, x: m.conv(x)).batch_norm_variances == {}


def test_of_several_features_the_last_counts() -> None:
    model = Mixed()
    assert run(model, lambda m, x: [m.conv(x), m.norm(m.conv(x))]) == run(model, lambda m, x: m.norm(m.conv(x)))


def test_dropout_drops_the_same_in_both_runs() -> None:
    """Features of a dropout alone: they differ by 0.01 e where kept, nowhere by x, which is a hundred times that."""
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Linear(192, 2))
    kept = run(model, "0").feature_distance / 192
    assert kept == pytest.approx(0.01 * 0.8, rel=0.3)  # E|e| = 0.8, half of the elements, each doubled


def test_all_weights_of_torchs_own_attention_are_found() -> None:
    """Its fast path in eval mode would hide them from the recorder."""
    model = nn.TransformerEncoderLayer(6, 2, 7, dropout=0.0, batch_first=True).eval()
    x = torch.randn(4, 5, 6)

    def weights_seen(m: nn.Module, x: Tensor) -> Tensor:
        deviations.append({n: p.std().item() for n, p in m.named_parameters() if n.endswith("weight") and p.dim() > 1})
        return m(x)

    deviations: list[dict[str, float]] = []
    run(model, weights_seen, x)
    assert len(deviations[0]) == 4
    assert min(deviations[0].values()) > 0.6  # torch's initial values have at most 0.4


def test_inputs_that_are_not_floating_point_stay() -> None:
    class TwoInputs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.layer = nn.Embedding(5, 3), nn.Linear(3, 3)

        def forward(self, x: Tensor, index: Tensor) -> Tensor:
            indices.append(index)
            return self.layer(x + self.embedding(index))

    indices: list[Tensor] = []
    index = torch.tensor([1, 2, 3, 4])
    assert run(TwoInputs(), "layer", {"x": torch.randn(4, 3), "index": index}).feature_distance > 0
    assert all(torch.equal(seen, index) for seen in indices[1:])


class Picky(Mixed):
    """Takes inputs of the range [0, 1] only."""

    def forward(self, x: Tensor) -> Tensor:
        if not 0 <= float(x.min()) <= float(x.max()) <= 1:
            raise ValueError("pixels lie in [0, 1]")
        return super().forward(x)


UNTRACKED = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2, track_running_stats=False))
TOKENS = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 3))


@pytest.mark.parametrize(
    ("model", "features", "inputs", "error", "message"),
    [
        (Mixed(), None, X, InputError, "needs the features before pooling: Mixed has no forward_features; "),
        (Mixed(), "nosuch", X, InputError, "features='nosuch' is the name of no module of Mixed"),
        (Mixed(), lambda m, x: m(x).T, X, InputError, r"needs features with the batch's 4 samples.*\(2, 4\)"),
        (Mixed(), lambda m, x: m(x).sum(), X, InputError, "needs features with the batch's 4 samples"),
        (UNTRACKED, "1", X, InputError, "BatchNorm 1 keeps none"),
        (nn.Sequential(nn.ReLU(), nn.PReLU()), "0", X, NothingObservedError, "the model calls no linear or"),
        (TOKENS, "1", torch.arange(4), InputError, r"^the noise_pair pass puts noise.*int64"),
        (Picky(), "norm", X.sigmoid(), UnsupportedModelError, r"the model fails on Gaussian.*pixels lie in \[0"),
    ],
)  # fmt: skip
def test_refusals(model: nn.Module, features: Any, inputs: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(model, features, inputs)


def test_chunks_are_refused() -> None:
    with pytest.raises(InputError, match="the noise_pair pass takes the whole batch at once; leave chunk_size out"):
        run(Mixed(), "norm", chunk_size=2)
