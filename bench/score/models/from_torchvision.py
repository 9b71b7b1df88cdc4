"""Networks of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from bench.score.models.libraries import library
from bench.score.models.registry import (
    BATCH,
    CONVOLUTIONS,
    DENSE,
    HYBRIDS,
    N_CLASSES,
    PUBLIC_MODELS,
    TOKENS,
    PublicModel,
    images,
    labels,
)

_FRAMES = 8


def _make(name: str, **settings: Any) -> Callable[[], nn.Module]:
    settings = {"weights": None, "num_classes": N_CLASSES, **settings}
    return lambda: library("torchvision").models.get_model(name, **settings).eval()


def _mask(side: int) -> Callable[[], Tensor]:
    return lambda: torch.arange(BATCH * side * side).reshape(BATCH, side, side) % N_CLASSES


def _film(side: int) -> Callable[[], Tensor]:
    return lambda: torch.randn(BATCH, 3, _FRAMES, side, side)


def _add(kind: str, family: str, name: str, side: int, **settings: Any) -> None:
    made = _make(name, **settings)
    PUBLIC_MODELS.append(PublicModel("torchvision", kind, family, name, f"{side} px", made, images(side), labels))


for _family, (_name, _side, _settings) in {
    "AlexNet": ("alexnet", 64, {}),
    "ConvNeXt": ("convnext_tiny", 64, {}),
    "DenseNet": ("densenet121", 64, {}),
    "EfficientNet": ("efficientnet_b0", 64, {}),
    "GoogLeNet": ("googlenet", 64, {"init_weights": False, "aux_logits": False}),
    "MnasNet": ("mnasnet0_5", 64, {}),
    "MobileNetV2": ("mobilenet_v2", 64, {}),
    "MobileNetV3": ("mobilenet_v3_small", 64, {}),
    "RegNetY": ("regnet_y_400mf", 64, {}),
    "ResNet": ("resnet18", 64, {}),
    "ResNeXt": ("resnext50_32x4d", 64, {}),
    "ShuffleNetV2": ("shufflenet_v2_x0_5", 64, {}),
    "SqueezeNet": ("squeezenet1_1", 64, {}),
    "VGG": ("vgg11", 64, {}),
}.items():
    _add(CONVOLUTIONS, _family, _name, _side, **_settings)
for _family, (_name, _side, _settings) in {
    "Swin": ("swin_t", 64, {}),
    "Swin V2": ("swin_v2_t", 64, {}),
    "ViT": ("vit_b_16", 64, {"image_size": 64}),
}.items():
    _add(TOKENS, _family, _name, _side, **_settings)
_add(HYBRIDS, "MaxViT", "maxvit_t", 224)
for _family, _name in {
    "DeepLabV3": "deeplabv3_mobilenet_v3_large",
    "FCN": "fcn_resnet50",
    "LR-ASPP": "lraspp_mobilenet_v3_large",
}.items():
    PUBLIC_MODELS.append(
        PublicModel(
            "torchvision", DENSE, _family, _name, "64 px", _make(_name, weights_backbone=None), images(64), _mask(64),
            output="out",
        )
    )  # fmt: skip
for _family, (_name, _side) in {
    "Swin3D": ("swin3d_t", 64),
    "R(2+1)D": ("r2plus1d_18", 32),
    "R3D": ("r3d_18", 32),
}.items():
    _size = f"{_FRAMES} frames of {_side} px"
    PUBLIC_MODELS.append(PublicModel("torchvision", DENSE, _family, _name, _size, _make(_name), _film(_side), labels))
