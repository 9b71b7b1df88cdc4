"""The libraries of public models; nothing is downloaded."""

from __future__ import annotations

import importlib
from importlib import metadata
from importlib.util import find_spec
from types import ModuleType

import torch

LIBRARIES = ("torchvision", "timm", "transformers")
_DEFINED: list[torch.library.Library] = []  # a definition lasts as long as its library


def is_installed(name: str) -> bool:
    """Whether a library is there."""
    return find_spec(name) is not None


def library(name: str) -> ModuleType:
    """Import `torchvision`, `timm` or `transformers`; the last two import torchvision, so it comes first.

    The wheels of torchvision beside another build of torch cannot load their operators. The models need none of them,
    but importing the package needs the names of two.
    """
    if name != "torchvision" and is_installed("torchvision"):
        library("torchvision")
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if _DEFINED or "torchvision::nms" not in str(error):
            raise
    operators = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        operators.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _DEFINED.append(operators)
    return importlib.import_module(name)


def versions() -> dict[str, str]:
    """The installed version of each library, or an empty text."""
    return {name: metadata.version(name) if is_installed(name) else "" for name in LIBRARIES}
