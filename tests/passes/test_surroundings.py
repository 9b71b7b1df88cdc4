"""What is set around a score (a default device or dtype, modes of the user's, other threads) changes no proxy."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import lswag_fast
from lswag_fast.passes.shared.preserve import freeze, preserve_model_state

B = 8
BATCH = torch.randn(B, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(B) % 4


class Hybrid(nn.Module):
    """Convolutions with BatchNorm, then a layer of torch's own transformer: something for every proxy."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.GELU())
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 4)

    def block_features(self, x: Tensor) -> list[Tensor]:
        stem = self.stem(x)
        return [stem, self.block(stem)]

    def forward_features(self, x: Tensor) -> Tensor:
        return self.block_features(x)[-1]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.forward_features(x).flatten(2).transpose(1, 2)).mean(1))


class Transparent(TorchFunctionMode):
    """Runs every call as it is."""

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))


class DefaultDtype:
    """`torch.set_default_dtype` until it is left."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._dtype, self._before = dtype, torch.get_default_dtype()

    def __enter__(self) -> None:
        torch.set_default_dtype(self._dtype)

    def __exit__(self, *_: object) -> None:
        torch.set_default_dtype(self._before)


def values(model: nn.Module, init: str) -> dict[str, tuple[float, str | None]]:
    names = [info.name for info in lswag_fast.list_proxies()]
    options = {"proxy_options": {"vkdnw": {"scalars": "all"}}, "init": init, "pattern_samples": 4}
    scores = lswag_fast.score_many(model, BATCH, proxies=names, **options)
    return {name: (score.value, score.error) for name, score in scores.items()}


@pytest.mark.parametrize("init", ["own", "kaiming"])
@pytest.mark.parametrize(
    "surrounding",
    [
        lambda: torch.device("cpu"),
        lambda: torch.device("meta"),  # stands for any device that the model is not on
        Transparent,
        lambda: DefaultDtype(torch.float64),
        lambda: DefaultDtype(torch.bfloat16),
    ],
    ids=["device_of_the_model", "another_device", "function_mode", "float64", "bfloat16"],
)
def test_every_proxy_has_the_value_that_it_has_without(
    surrounding: Callable[[], AbstractContextManager[Any]], init: str
) -> None:
    torch.manual_seed(0)
    model = Hybrid().eval()
    expected = values(model, init)
    assert all(error is None for _, error in expected.values())
    with surrounding():
        found = values(model, init)
    assert found == expected


@pytest.mark.parametrize(
    ("proxy", "options"), [("grasp", {}), ("vkdnw", {"proxy_options": {"vkdnw": {"scalars": "all"}}})]
)
def test_a_model_that_another_thread_has_is_waited_for(proxy: str, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.ReLU(), nn.Linear(8, 4))
    found = []
    other = threading.Thread(target=lambda: found.append(lswag_fast.score(model, BATCH, proxy=proxy, **options).value))
    with preserve_model_state(model, seed=0):
        freeze(model)  # as most passes do
        other.start()
        time.sleep(0.5)  # until the other has come as far as it can
    other.join()
    assert found == [lswag_fast.score(model, BATCH, proxy=proxy, **options).value]
