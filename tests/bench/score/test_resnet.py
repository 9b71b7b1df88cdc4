"""The ResNet-50 that is measured is torchvision's."""

from __future__ import annotations

import torch

from bench.score.resnet import resnet50
from support.zoo_libraries import library


def test_it_computes_what_that_of_torchvision_does() -> None:
    theirs = library("torchvision").models.resnet50(weights=None, num_classes=7).eval()
    ours = resnet50(7).eval()
    tensors = ours.state_dict()
    ours.load_state_dict(dict(zip(tensors, theirs.state_dict().values(), strict=True)))
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(images), theirs(images))
