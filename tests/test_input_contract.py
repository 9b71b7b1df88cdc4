"""The input contract, rows that raise: a clear error that says what was found, and the model as it was.

Every case bears the row's name in its id; `test_input_contract_scored.py` has the rows that are scored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import lswag_fast
from lswag_fast import errors
from support.contract import B, X, Y, mlp, score

Case = Callable[[], tuple[nn.Module, Any, dict[str, Any]]]


def with_(model: nn.Module, change: Callable[[nn.Module], Any]) -> nn.Module:
    change(model)
    return model


def poisoned() -> nn.Module:
    with torch.no_grad():
        return with_(mlp(), lambda m: m[2].weight.fill_(torch.nan))


# ---- rows that raise ----

RAISES: dict[str, tuple[Case, type[Exception], str]] = {
    "NaN gradient": (lambda: (poisoned(), (X, Y), {}), errors.NonFiniteGradientError, "first 0.weight"),
    "Inf in the batch": (lambda: (mlp(), (X / 0, Y), {}), errors.InputError, "inputs holds 30 NaN or infinite"),
    "labels out of range": (lambda: (mlp(), (X, Y + 1), {}), errors.InputError, "labels run from 1 to 3.*3 classes"),
    "batch of 1": (lambda: (mlp(), (X[:1], Y[:1]), {}), errors.InputError, "a variance needs at least 2"),
    "identical samples": (
        lambda: (mlp(), (X[:1].expand(B, 5), Y[:1].expand(B)), {}),
        errors.ZeroVarianceError,
        "samples of the batch are identical",
    ),
    "zero variance in all layers": (
        lambda: (mlp(), (X, Y), {"loss_fn": lambda o, t: 0 * o.sum(1)}),
        errors.ZeroVarianceError,
        "no gradient of the 2 observed",
    ),
    "all layers frozen": (
        lambda: (mlp().requires_grad_(False), (X, Y), {}),
        errors.NothingObservedError,
        r"0.weight: frozen \(requires_grad=False\); 2.weight: frozen",
    ),
    "no layer has elements": (
        lambda: (nn.Sequential(nn.Linear(5, 0), nn.ReLU(), nn.Flatten()), (X, torch.zeros(B, 0)), {
            "loss_fn": lambda o, t: o.sum(1)
        }),
        errors.NothingObservedError,
        "0.weight: has no elements",
    ),
    "no activations at all": (
        lambda: (nn.Sequential(nn.Linear(5, 3)), (X, Y), {}),
        errors.NoActivationsError,
        "no activation function was seen",
    ),
    "complex batch": (lambda: (mlp(), (X.to(torch.complex64), Y), {}), errors.InputError, "torch.complex64"),
    "scalar loss": (
        lambda: (mlp(), (X, Y), {"loss_fn": F.cross_entropy}),
        errors.InputError,
        "returned a scalar.*loss_reduction",
    ),
    "outputs without logits": (
        lambda: (with_(mlp(), lambda m: m.append(Tupled())), (X, Y), {}),
        errors.InputError,
        "returned a tuple of 2 without `logits`",
    ),
    "batch on the meta device": (
        lambda: (mlp(), (X, Y.to("meta")), {}),
        errors.InputError,
        "meta device",
    ),
    "meta-device part": (
        lambda: (nn.Sequential(mlp(), nn.Linear(3, 3, device="meta")), (X, Y), {}),
        errors.UnsupportedModelError,
        "1.weight lies on the meta device",
    ),
    "compiled": (
        lambda: (torch.compile(mlp(), backend="eager"), (X, Y), {}),
        errors.UnsupportedModelError,
        r"score the original module",
    ),
    "train-mode BatchNorm in chunks": (
        lambda: (nn.Sequential(nn.Linear(5, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Linear(3, 3)), (X, Y), {
            "chunk_size": 3
        }),
        errors.InputError,
        "chunk_size.*BatchNorm",
    ),
}  # fmt: skip


class Tupled(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


@pytest.mark.parametrize(("case", "error", "message"), RAISES.values(), ids=RAISES)
def test_raises(case: Case, error: type[Exception], message: str) -> None:
    model, batch, options = case()
    if any(p.is_meta for p in model.parameters()):
        with pytest.raises(error, match=message):
            lswag_fast.score(model, batch, **options)
        return
    with pytest.raises(error, match=message) as caught:
        score(model, batch, **options)
    assert isinstance(caught.value, errors.LswagError)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode], ids=["no_grad", "inference_mode"])
def test_gradients_off_around_the_call(context: Callable[[], Any]) -> None:
    model = mlp()
    with context(), pytest.raises(errors.InputError, match="call score outside of it"):
        lswag_fast.score(model, (X, Y))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_asked_of_a_cpu_only_build() -> None:
    with pytest.raises(errors.BackendUnavailableError, match="CPU-only build"):
        lswag_fast.score(mlp().cuda(), (X.cuda(), Y.cuda()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_model_and_batch_on_different_devices_cuda() -> None:
    with pytest.raises(errors.DeviceMismatchError, match=r"cuda:0.*cpu"):
        lswag_fast.score(mlp().cuda(), (X, Y))
