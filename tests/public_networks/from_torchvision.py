"""Networks of torchvision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from public_networks.registry import N_CLASSES, N_SAMPLES, add, images
from support.zoo_libraries import library


def _model(name: str, **settings: Any) -> Callable[[], nn.Module]:
    settings = {"num_classes": N_CLASSES, **settings}
    return lambda: library("torchvision").models.get_model(name, weights=None, **settings).eval()


def _in_train_mode(name: str, **settings: Any) -> Callable[[], nn.Module]:
    """With its auxiliary heads; its BatchNorms stay in eval mode and nothing is dropped, so that samples stay apart."""

    def make() -> nn.Module:
        model = _model(name, **settings)().train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
            if isinstance(module, nn.Dropout):
                module.p = 0.0
        return model

    return make


def _all_heads(outputs: Any) -> torch.Tensor:
    """The logits of the three heads of GoogLeNet, as one."""
    return outputs.logits + 0.3 * (outputs.aux_logits1 + outputs.aux_logits2)


def _mask(side: int) -> Callable[[], torch.Tensor]:
    return lambda: torch.arange(N_SAMPLES * side * side).reshape(N_SAMPLES, side, side) % N_CLASSES


def _vit() -> nn.Module:
    vit = library("torchvision").models.VisionTransformer
    return vit(32, 8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=N_CLASSES).eval()


def _swin(version: int) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        swin = library("torchvision").models.swin_transformer
        block = swin.SwinTransformerBlock if version == 1 else swin.SwinTransformerBlockV2
        merge = swin.PatchMerging if version == 1 else swin.PatchMergingV2
        return swin.SwinTransformer(
            [4, 4], 24, [2, 2], [2, 4], [4, 4], num_classes=N_CLASSES, block=block, downsample_layer=merge
        ).eval()

    return make


def _maxvit() -> nn.Module:
    maxvit = library("torchvision").models.MaxVit
    sizes = {"stem_channels": 16, "partition_size": 2, "block_channels": [16, 32], "block_layers": [1, 1]}
    return maxvit((32, 32), head_dim=8, stochastic_depth_prob=0.0, num_classes=N_CLASSES, **sizes).eval()


# Seconds rather than tenths of one, with the loop over the samples.
_SLOW = {"alexnet", "convnext_tiny", "densenet121", "fcn_resnet50", "resnet18"}

for name, side in {
    "alexnet": 64,
    "densenet121": 32,
    "efficientnet_b0": 32,
    "mnasnet0_5": 32,
    "mobilenet_v2": 32,
    "mobilenet_v3_small": 32,
    "regnet_y_400mf": 32,
    "resnet18": 32,
    "shufflenet_v2_x0_5": 32,
    "squeezenet1_1": 64,
    "convnext_tiny": 32,
}.items():
    add(f"torchvision/{name}", _model(name), images(side), slow=name in _SLOW)
add("torchvision/vit", _vit, images(32))
add("torchvision/swin", _swin(1), images(32))
add(
    "torchvision/swin_v2",
    _swin(2),
    images(32),
    coverage=0.87,
    reason="the networks of its positions, large beside small blocks, see no samples",
)
add("torchvision/maxvit", _maxvit, images(32))
add(
    "torchvision/googlenet",
    _in_train_mode("googlenet", init_weights=False, aux_logits=True),
    images(64),
    options={"output": _all_heads},
)
for name in ("lraspp_mobilenet_v3_large", "fcn_resnet50"):
    add(
        f"torchvision/{name}",
        _model(name, weights_backbone=None),
        images(32),
        targets=_mask(32),
        options={"output": "out"},
        slow=name in _SLOW,
    )
