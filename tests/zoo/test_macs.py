"""The multiply-accumulates of public models, against those that their authors or libraries publish."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lswag_fast import score
from support.zoo_libraries import library

torchvision, timm = library("torchvision"), library("timm")

# In thousands of millions, from the table of torchvision's models (three decimals), at the side of the images there.
TORCHVISION = {
    "alexnet": (0.714, 224),
    "convnext_tiny": (4.456, 224),
    "densenet121": (2.834, 224),
    "efficientnet_b0": (0.386, 224),
    "googlenet": (1.498, 224),
    "inception_v3": (5.713, 299),
    "maxvit_t": (5.558, 224),
    "mnasnet1_0": (0.314, 224),
    "mobilenet_v2": (0.301, 224),
    "mobilenet_v3_large": (0.217, 224),
    "regnet_y_400mf": (0.402, 224),
    "resnet18": (1.814, 224),
    "resnet50": (4.089, 224),
    "resnext50_32x4d": (4.230, 224),
    "shufflenet_v2_x1_0": (0.145, 224),
    "squeezenet1_0": (0.819, 224),
    "swin_t": (4.491, 224),
    "swin_v2_t": (5.940, 256),
    "vgg16": (15.470, 224),
    "vit_b_16": (17.564, 224),
    "vit_b_32": (4.409, 224),
}
# From the papers and the model cards, with the decimals that these give.
TIMM = {
    "deit_small_patch16_224": 4.6,
    "beit_base_patch16_224": 17.6,
    "mixer_b16_224": 12.6,
    "resmlp_12_224": 3.0,
    "gmlp_s16_224": 4.4,
    "swin_tiny_patch4_window7_224": 4.5,
    "pvt_v2_b0": 0.57,
    "coat_lite_tiny": 1.6,
}
QUICK = {"alexnet", "mobilenet_v2", "resnet18", "swin_t", "vit_b_16", "mixer_b16_224"}


def each(names: Iterable[str]) -> Any:
    """The quick ones always, the others with the slow tests."""
    return pytest.mark.parametrize(
        "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in names]
    )


@pytest.fixture(autouse=True)
def uninitialised(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Counting does not ask for the weights' values, whose initialisation would take most of the time."""

    def as_it_is(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
        return tensor

    for name in ("kaiming_normal_", "kaiming_uniform_", "normal_", "trunc_normal_", "uniform_", "xavier_uniform_"):
        monkeypatch.setattr(nn.init, name, as_it_is)
    yield


def counted(model: nn.Module, side: int) -> float:
    """MACs of one image, in thousands of millions."""
    return score(model, (torch.zeros(2, 3, side, side), torch.tensor([0, 1])), proxy="flops").value / 1e9


@each(TORCHVISION)
def test_torchvision_publishes_the_same(name: str) -> None:
    expected, side = TORCHVISION[name]
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    assert counted(torchvision.models.get_model(name, **options).eval(), side) == pytest.approx(expected, abs=0.001)


@each(TIMM)
def test_papers_and_cards_publish_the_same(name: str) -> None:
    model, expected = timm.create_model(name).eval(), TIMM[name]
    decimals = len(str(expected).partition(".")[2])
    assert round(counted(model, 224), decimals) == expected
