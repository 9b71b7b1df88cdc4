"""The libraries of public models, where they are installed."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

import pytest
import torch

_DEFINED: list[torch.library.Library] = []  # a definition lasts as long as its library


def library(name: str) -> ModuleType:
    """Import `torchvision`, `timm` or `transformers`; skips the tests of a module where it is missing.

    The wheels of torchvision beside another build of torch cannot load their operators. The models here need none of
    them, but importing the package needs the names of two.
    """
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)
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
