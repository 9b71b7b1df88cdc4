"""score_many: the fewest passes, and failures that stay with their proxy."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import lswag_fast
from lswag_fast import LswagWarning, Scores, TokenLoss, list_proxies, reference, score, score_many
from lswag_fast.errors import (
    DeviceMismatchError,
    InputError,
    NonFiniteGradientError,
    UnsupportedModelError,
    ZeroVarianceError,
)
from lswag_fast.proxies import registry
from networks import NETWORKS
from support.contract import X, Y, mlp
from support.oracle import SHOWN

SHARED = ["grad_norm", "plain", "snip", "fisher", "zico", "xi_gsnr", "lswag", "nwot", "swap", "reg_swap"]


def many(model: nn.Module, batch: Any = (X, Y), proxies: list[str] | None = None, **options: Any) -> Scores:
    return score_many(model, batch, proxies=proxies or SHARED, **{"pattern_samples": SHOWN, **options})


@pytest.mark.parametrize("name", ["mlp", "cnn_eval", "vit", "cross_attention_packed", "called_twice", "tied_module"])
def test_together_they_are_what_each_is_alone(name: str) -> None:
    model, batch = NETWORKS[name].build(torch.float32)
    together = many(model, batch)
    for proxy in SHARED:
        assert together[proxy].value == score(model, batch, proxy=proxy, pattern_samples=SHOWN).value, proxy


def test_ten_proxies_take_one_forward_and_one_backward() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = mlp()
            self.n_forwards = 0

        def forward(self, x: Tensor) -> Tensor:
            counts.append(len(x))
            return self.inner(x)

    counts: list[int] = []
    scores = many(Counting(), proxies=SHARED)
    assert counts == [len(X)]
    assert scores.passes == ("model", "standard")  # "model" reads the parameter count of reg_swap
    assert list(scores) == SHARED


def test_a_name_twice_is_one_score() -> None:
    assert list(many(mlp(), proxies=["snip", "swap", "snip"])) == ["snip", "swap"]


def test_without_gradients_there_is_no_loss_and_no_backward() -> None:
    def never(outputs: Tensor, targets: Tensor) -> Tensor:
        raise AssertionError("no loss is needed")

    scores = many(mlp(), proxies=["swap", "nwot"], loss_fn=never)
    assert all(s.error is None and s.layers == () for s in scores.values())


def test_the_failures_stay_with_their_proxies() -> None:
    model, batch = NETWORKS["no_activation"].build()
    scores = many(model, batch, proxies=["lswag", "snip", "swap", "no_such_proxy", "zico"])
    assert math.isfinite(scores["snip"].value)
    assert math.isfinite(scores["zico"].value)
    for name in ("lswag", "swap"):
        assert math.isnan(scores[name].value)
        assert "no activation function was seen" in (scores[name].error or "")
    assert "there is no proxy 'no_such_proxy'" in (scores["no_such_proxy"].error or "")


@pytest.mark.parametrize(
    ("proxies", "found"),
    [("all", "got 'all'"), (list_proxies("snip"), "got a list of ProxyInfo")],
)
def test_proxies_are_named(proxies: Any, found: str) -> None:
    with pytest.raises(InputError, match=found + r"; \[info.name for info in list_proxies\(\)\] has all of them"):
        score_many(mlp(), (X, Y), proxies=proxies)
    with pytest.raises(InputError, match="proxy must be one name, got list; score_many takes several"):
        score(mlp(), (X, Y), proxy=["snip", "swap"])  # type: ignore[arg-type]


class RejectedError(KeyError):
    """An error of the user's."""


def test_errors_of_others_stay_with_their_proxies_too() -> None:
    def rejecting(outputs: Tensor, targets: Tensor) -> Tensor:
        raise RejectedError("no such label")

    scores = many(mlp(), proxies=["snip", "swap", "jacov", "flops"], loss_fn=rejecting)
    assert "the standard pass failed with RejectedError: 'no such label'" in (scores["snip"].error or "")
    assert scores["swap"].value == many(mlp(), proxies=["swap"])["swap"].value  # of the same pass, without a loss
    assert math.isfinite(scores["jacov"].value)
    assert scores["flops"].value == 5 * 8 + 8 * 3
    with pytest.raises(RejectedError, match="no such label"):  # alone there is nothing to protect from it
        score(mlp(), (X, Y), proxy="snip", loss_fn=rejecting)


def test_a_formula_that_fails_is_that_proxys_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    lswag_fast.register_proxy("divided", lambda measurements: 1 / 0, needs={"model": ["params"]})
    scores = many(mlp(), proxies=["divided", "params"])
    assert scores["divided"].error == "proxy 'divided' failed with ZeroDivisionError: division by zero"
    assert scores["params"].error is None


def test_a_wrong_option_stays_with_its_proxy() -> None:
    scores = many(mlp(), proxies=["zico", "snip"], proxy_options={"zico": {"tau": 1}})
    assert "has no option 'tau'" in (scores["zico"].error or "")
    assert scores["snip"].error is None


def test_nonfinite_gradients_fail_what_reads_them() -> None:
    model = mlp()
    with torch.no_grad():
        model[2].weight[0, 0] = math.inf
    scores = many(model, proxies=["snip", "grad_norm", "lswag", "swap"])
    for name in ("snip", "grad_norm", "lswag"):
        assert math.isnan(scores[name].value)
        assert "NaN or infinite" in (scores[name].error or "")
    assert scores["swap"].error is None
    with pytest.raises(NonFiniteGradientError, match="NaN or infinite"):
        score(model, (X, Y), proxy="snip")
    passed = score(model, (X, Y), proxy="snip", nonfinite="propagate")
    assert math.isnan(passed.value)
    assert passed.error == scores["snip"].error


def test_layers_without_variance_are_warned_of_once() -> None:
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.fill_(1.0)
        model[2].weight.zero_()  # no gradient comes back through it
    with pytest.warns(
        LswagWarning, match=r"no gradient varies over the samples in 1 of 2 layers \(0\.weight\)"
    ) as caught:
        scores = many(model, proxies=["lswag", "zico", "grad_norm"])
    assert [warning.filename for warning in caught] == [__file__]
    assert scores["grad_norm"].error is None


@pytest.mark.parametrize(
    ("model", "batch", "error"),
    [
        (mlp(), (X[:1], Y[:1]), InputError),
        (mlp(), (X[:1].expand(6, 5), Y[:1].expand(6)), ZeroVarianceError),
        (mlp().to("meta"), (X, Y), (UnsupportedModelError, DeviceMismatchError)),
        (torch.jit.script(mlp()), (X, Y), UnsupportedModelError),
    ],
)
def test_what_no_proxy_can_be_had_from_is_raised(model: nn.Module, batch: Any, error: Any) -> None:
    with pytest.raises(error):
        many(model, batch)


def test_scores_are_json() -> None:
    for found in many(mlp()).values():
        assert found.to_dict()["proxy"] == found.proxy
        assert found.to_dict()["higher_is_better"] is True


def test_equal_seeds_give_equal_bits() -> None:
    model, batch = NETWORKS["dropout_train"].build(torch.float32)
    one, two, other = (many(model, batch, seed=seed) for seed in (3, 3, 4))
    assert [s.value for s in one.values()] == [s.value for s in two.values()]
    assert one["snip"].value != other["snip"].value


def test_the_public_names() -> None:
    for name in ("score_many", "list_proxies", "register_proxy", "ProxyInfo", "Scores"):
        assert name in lswag_fast.__all__
        assert getattr(lswag_fast, name)


@pytest.mark.parametrize("returned", [None, "abc", 10**400, torch.zeros(2)], ids=["none", "text", "huge", "two"])
def test_what_is_not_a_number_is_the_error_of_its_proxy_alone(returned: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_REGISTRY", dict(registry._REGISTRY))
    lswag_fast.register_proxy("wrong", lambda m: returned, needs={"model": {"params"}})
    scores = many(mlp(), proxies=["wrong", "snip"])
    assert "proxy 'wrong' returned " in str(scores["wrong"].error)
    assert scores["snip"].error is None


def test_options_of_an_unknown_proxy_are_refused() -> None:
    with pytest.raises(InputError, match="there is no proxy 'reg_swp'; did you mean 'reg_swap'"):
        many(mlp(), proxy_options={"reg_swp": {"mu": 1.0}})


class Doubling(nn.Module):
    """Writes into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = nn.Linear(10, 12), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mul_(2).matmul(self.hidden.weight.t()).relu())


@pytest.mark.parametrize("options", [{}, {"chunk_size": 4}])
def test_a_model_that_writes_into_its_input_gets_a_copy_for_each_pass(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model, x, y = Doubling().double(), torch.randn(16, 10).double(), torch.arange(16) % 3
    before = x.clone()
    proxies = ["lswag"] if options else ["lswag", "nwot", "te_nas_ntk", "te_nas_regions", "jacov", "grasp", "synflow"]
    together = score_many(model, (x, y), proxies=proxies, **options)
    assert torch.equal(x, before)
    for name in proxies:
        assert together[name].value == score(model, (before.clone(), y), proxy=name, **options).value, name
    gradients = reference.per_sample_gradients(model, (before.clone(), y), ["head.weight"])["head.weight"]
    expected = math.log(reference.gradient_statistics(gradients)["sum_inv_sigma"])
    assert together["lswag"].layers[-1].trainability == pytest.approx(expected, rel=1e-9)


def test_a_loss_that_writes_into_its_targets_gets_a_copy() -> None:
    model, (x, y) = Doubling(), (torch.randn(16, 10), torch.arange(16) % 3 - 1)

    def loss_fn(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs, targets.clamp_(min=0), reduction="none")

    score(model, (x, y), loss_fn=loss_fn)
    assert torch.equal(y, torch.arange(16) % 3 - 1)


def test_repeats_are_those_of_each_proxy_alone() -> None:
    batch = torch.randn(12, 5), torch.arange(12) % 3
    names = ["zico", "snip", "head_confidence", "params"]
    together = score_many(mlp(), batch, proxies=names, repeats=3, init="kaiming", seed=5)
    assert list(together) == names and together.passes == ("model", "standard", "features")
    for proxy in ("zico", "snip", "params"):
        alone = score(mlp(), batch, proxy=proxy, repeats=3, init="kaiming", seed=5)
        assert together[proxy].repeated == alone.repeated
        assert together[proxy].standard_error == alone.standard_error
    assert together["params"].standard_error == 0  # of which nothing is drawn
    assert str(together["head_confidence"].error).startswith("head_confidence needs")  # in all of them
    with pytest.raises(InputError, match="5 repeats cut the batch into equal parts"):
        score_many(mlp(), batch, proxies=names, repeats=5)


@pytest.mark.parametrize("loss", [None, TokenLoss()])
def test_labels_without_a_loss_fail_the_proxies_of_gradients_alone(loss: Any) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 9))
    tokens = torch.randint(9, (12, 5))
    labels = tokens.clone()
    labels[2] = -100
    without = ["lswag", "snip", "fisher", "intrain", "grasp", "vkdnw"]
    names = [*without, "nwot", "swap", "te_nas_regions", "near", "params"]
    scores = score_many(model, (tokens, labels), proxies=names, loss_fn=loss)
    assert [name for name in names if scores[name].error] == without
    said = "no token counts in sample 2" if loss else "-100 marks what is not to count, pass ignore_index"
    assert all(said in str(scores[name].error) for name in without[:-1])
    assert "the empirical_fisher pass needs logits (B, C)" in str(scores["vkdnw"].error)
    assert scores.passes == ("model", "standard", "features")
    for name in ("nwot", "swap", "te_nas_regions"):
        assert scores[name].value == score(model, (tokens, labels), proxy=name, loss_fn=loss).value


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"loss_fn": TokenLoss()}, "no token counts in samples 0, 1, 2 and 9 more of the batch"),
        ({"loss_fn": TokenLoss(shift=True)}, "all labels are -100 but the first; leave such samples out"),
        ({"ignore_index": -100}, "no label counts in samples 0, 1, 2 and 9 more of the batch: .*; leave such"),
        ({}, "labels run from -100 to -100, .* where -100 marks what is not to count, pass ignore_index=-100"),
    ],
)
def test_texts_of_padding_alone_fail_the_proxies_of_gradients_alone(options: dict[str, Any], said: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 9))
    batch = torch.randint(9, (12, 5)), torch.full((12, 5), -100)
    scores = score_many(model, batch, proxies=["lswag", "zico", "nwot", "near", "params"], **options)
    assert [name for name in scores if scores[name].error] == ["lswag", "zico"]
    assert all(re.search(said, str(scores[name].error)) for name in ("lswag", "zico"))


@pytest.mark.parametrize("chunk_size", [None, 5])
def test_a_sample_that_is_ignored_whole_fails_the_proxies_of_gradients_alone(chunk_size: int | None) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    labels = torch.arange(12) % 3
    labels[7] = 255
    names = ["lswag", "fisher", "params", *(["te_nas_regions"] if chunk_size is None else [])]
    options: dict[str, Any] = {"ignore_index": 255, "chunk_size": chunk_size, "pattern_samples": 6}
    scores = score_many(model, (torch.randn(12, 6), labels), proxies=names, **options)
    assert [name for name in scores if scores[name].error] == ["lswag", "fisher"]
    assert all("no label counts in sample 7 of the batch" in str(scores[name].error) for name in ("lswag", "fisher"))


def test_a_text_that_attention_masks_whole_does_not_spoil_the_others() -> None:
    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.head = nn.Embedding(9, 8), nn.Linear(8, 9)
            self.layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)

        def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            return self.head(self.layer(self.table(tokens), src_key_padding_mask=mask == 0))

    torch.manual_seed(0)
    tokens, mask = torch.randint(9, (12, 5)), torch.ones(12, 5)
    labels = tokens.clone()
    mask[2], labels[2] = 0, -100
    names = ["lswag", "nwot", "near", "head_confidence", "params"]
    model = Encoder()
    is_finite = bool(model(tokens, mask).isfinite().all())  # torch 2.4 attends to nothing by a division by 0
    scores = score_many(model, ({"tokens": tokens, "mask": mask}, labels), proxies=names, loss_fn=TokenLoss())
    assert [name for name in names if scores[name].error] == (["lswag"] if is_finite else ["lswag", "near"])
    assert "no token counts in sample 2 of the batch" in str(scores["lswag"].error)


def test_proxies_that_move_the_inputs_say_that_tokens_cannot_be_moved() -> None:
    model = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 9))
    tokens = torch.randint(9, (12, 5))
    names = ["jacov", "synflow", "zen", "az_nas_trainability", "dextr"]
    scores = score_many(model, (tokens, tokens), proxies=[*names, "lswag"])
    said = (
        "the batch's inputs are torch.int64, with no floating-point samples; score a model of tokens by another proxy"
    )
    assert all(said in str(scores[name].error) for name in names) and scores["lswag"].error is None


@pytest.mark.parametrize("error", [StopIteration(), ValueError("one\n\ntwo"), RuntimeError()])
def test_whatever_a_loss_raises_stays_with_the_proxies_that_need_it(error: Exception) -> None:
    def failing(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        raise error

    scores = many(mlp(), proxies=["lswag", "nwot"], loss_fn=failing)
    said = f"the standard pass failed with {type(error).__name__}"
    assert scores["lswag"].error == said + (": one two" if str(error) else "")
    assert scores["nwot"].error is None
    with pytest.raises(type(error)) as raised:
        lswag_fast.score(mlp(), (X, Y), loss_fn=failing)
    assert raised.value is error
