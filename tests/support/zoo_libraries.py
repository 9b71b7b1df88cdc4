"""The libraries of public models, where they are installed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.score.models import libraries


def library(name: str) -> ModuleType:
    """Import `torchvision`, `timm` or `transformers`; skips the tests of a module where it is missing."""
    if not libraries.is_installed(name):
        pytest.skip(f"{name} is not installed", allow_module_level=True)
    return libraries.library(name)


def torchvision_with_operators(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Import torchvision; without its operators it runs its own pooling, uncompiled, and the suppression below."""
    torchvision = library("torchvision")
    from torchvision import extension
    from torchvision.models import detection  # noqa: F401
    from torchvision.ops import boxes

    if not extension._has_ops():
        monkeypatch.setattr(boxes, "nms", lambda *args: _plain_nms(boxes.box_iou, *args))
        pooling: Any = sys.modules["torchvision.ops.roi_align"]
        plain = getattr(pooling._roi_align, "__wrapped__", pooling._roi_align)  # else compiled for minutes
        monkeypatch.setattr(pooling, "_roi_align", plain)
    return torchvision


def _plain_nms(box_iou: Any, boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The boxes that no better one covers, best first."""
    kept: list[int] = []
    overlaps = box_iou(boxes, boxes)
    for place in scores.argsort(descending=True).tolist():
        if not kept or bool((overlaps[place, kept] <= iou_threshold).all()):
            kept.append(place)
    return torch.tensor(kept, dtype=torch.int64, device=boxes.device)
