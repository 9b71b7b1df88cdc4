"""Backbones of detectors: their maps, and Mask R-CNN of torchvision trained and run on them."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lswag_fast.errors import InputError, SpaceError
from lswag_fast.spaces import AutoFormer, BurgerFormer, Darts, HasFeatureMaps, NasBench201, ProxylessNas, SearchSpace
from lswag_fast.spaces.backbones import STRIDES, Levels, Pyramid, backbone, level_channels
from support.zoo_libraries import torchvision_with_operators

SIDE = 64
VIT = AutoFormer(embed_dim=64, depth=1, num_heads=1, mlp_ratio=2, image_size=SIDE, num_classes=3)
CHAINS = {
    "proxylessnas": ProxylessNas(width_mult=0.25, num_classes=3),
    "burgerformer": BurgerFormer(num_classes=3, image_size=SIDE),
    "darts-imagenet": Darts(channels=4, n_cells=3, stem="imagenet", num_classes=3, image_size=SIDE),
}
named = pytest.mark.parametrize("space", CHAINS.values(), ids=CHAINS.keys())


def network_of(space: SearchSpace) -> nn.Module:
    torch.manual_seed(0)
    return space.build(space.sample(random.Random(0)))


@named
def test_levels_are_the_last_maps_of_their_strides(space: SearchSpace) -> None:
    network, images = network_of(space).eval(), torch.randn(1, 3, SIDE, SIDE)
    levels = Levels(network)
    assert isinstance(network, HasFeatureMaps)
    maps = network.feature_maps(images)
    last = {SIDE // found.shape[-1]: found for found in maps}
    found = levels.eval()(images)
    for level, stride, channels in zip(found, STRIDES, levels.channels, strict=True):
        expected = F.group_norm(last[stride], 1) if isinstance(space, BurgerFormer) else last[stride]
        torch.testing.assert_close(level, expected)
        assert level.shape[1] == channels
    assert level_channels(network) == levels.channels


@named
def test_the_network_stays_as_it_was(space: SearchSpace) -> None:
    network, images = network_of(space), torch.randn(2, 3, SIDE, SIDE)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Levels(network)
    assert network.training and network(images).shape == (2, 3)
    network.eval()
    Levels(network)
    assert not network.training
    after = network_of(space).state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@named
def test_every_parameter_of_the_levels_gets_a_gradient(space: SearchSpace) -> None:
    """Training in several processes waits for those of all parameters."""
    levels = Levels(network_of(space))
    sum(found.square().sum() for found in levels(torch.randn(2, 3, SIDE, SIDE))).backward()
    assert all(parameter.grad is not None for parameter in levels.parameters())


def test_the_pyramid_of_a_transformer() -> None:
    network = network_of(VIT)
    pyramid, images = Pyramid(network, out_channels=8), torch.randn(2, 3, SIDE, SIDE)
    maps = pyramid(images)
    assert [tuple(found.shape[1:]) for found in maps] == [(8, SIDE // stride, SIDE // stride) for stride in STRIDES]
    sum(found.square().sum() for found in maps).backward()
    assert all(parameter.grad is not None for parameter in pyramid.parameters())
    tokens = network.forward_features(images)[:, 1:]
    grid = tokens.transpose(1, 2).reshape(2, 64, 4, 4)
    conv, norm, smooth, last = pyramid.levels[2]
    torch.testing.assert_close(maps[2], last(smooth(norm(conv(grid)))))
    assert level_channels(network) == (64,) * 4


def test_images_of_another_size() -> None:
    network = network_of(VIT)
    assert backbone(network, out_channels=8).image_size == SIDE
    found = backbone(network, out_channels=8, image_size=96)
    assert found.image_size == 96
    assert found(torch.zeros(1, 3, 96, 96))["0"].shape == (1, 8, 24, 24)
    with pytest.raises(InputError, match="image_size: found 96; this network takes images of any size, leave it out"):
        backbone(network_of(CHAINS["proxylessnas"]), image_size=96)


def test_a_spatial_mlp_fixes_the_size() -> None:
    space = BurgerFormer(image_size=SIDE, num_classes=3)
    arch = space.sample(random.Random(0))
    arch["layers"][2][0] = "skip-LN-spatial_mlp-skip-skip"
    levels = Levels(space.build(arch))
    assert levels.image_size == SIDE
    with pytest.raises(InputError, match="takes maps of 4 x 4, found 6 x 6"):
        levels(torch.zeros(1, 3, 96, 96))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: network_of(NasBench201(channels=4)), "maps of this network have strides 1, 2, 4; detectors take 4, 8"),
        (lambda: nn.Linear(2, 2), "Linear shows no feature maps"),
        (lambda: network_of(AutoFormer("tiny", image_size=32, patch_size=8)), "patches of 8 pixels; the feature pyra"),
    ],
)
def test_what_has_no_such_maps_is_refused(make: Callable[[], nn.Module], message: str) -> None:
    for function in (backbone, level_channels):
        with pytest.raises(SpaceError, match=message):
            function(make())


@pytest.mark.parametrize(
    "space",
    [
        CHAINS["proxylessnas"],
        VIT,
        *(pytest.param(CHAINS[name], marks=pytest.mark.slow) for name in ("burgerformer", "darts-imagenet")),
    ],
    ids=["proxylessnas", "autoformer", "burgerformer", "darts-imagenet"],
)
def test_mask_rcnn_trains_and_finds(space: SearchSpace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One step on two images with an object each, which makes the losses smaller; then masks of an image's size."""
    torchvision = torchvision_with_operators(monkeypatch)
    made = backbone(network_of(space), out_channels=8)
    few = {"rpn_pre_nms_top_n_train": 20, "rpn_post_nms_top_n_train": 8, "box_batch_size_per_image": 4}
    few |= {"rpn_pre_nms_top_n_test": 20, "rpn_post_nms_top_n_test": 4, "box_score_thresh": 0.0}
    size = {"fixed_size": (SIDE, SIDE)} if made.image_size else {"min_size": SIDE, "max_size": SIDE}
    model = torchvision.models.detection.MaskRCNN(made, num_classes=3, **few, **size)
    images, targets = [torch.rand(3, SIDE, SIDE) for _ in range(2)], [_target(label) for label in (1, 2)]
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    losses = _loss(model, images, targets)
    losses.backward()
    gradients = [parameter.grad for parameter in made.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    optimiser.step()
    assert _loss(model, images, targets) < losses
    with torch.no_grad():
        found = model.eval()(images)
    assert len(found) == 2
    for each in found:
        assert len(each["boxes"]) and each["masks"].shape[1:] == (1, SIDE, SIDE)


def _target(label: int) -> dict[str, Tensor]:
    mask = torch.zeros(1, SIDE, SIDE, dtype=torch.uint8)
    mask[:, 8:40, 16:56] = 1
    return {"boxes": torch.tensor([[16.0, 8.0, 56.0, 40.0]]), "labels": torch.tensor([label]), "masks": mask}


def _loss(model: nn.Module, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Tensor:
    torch.manual_seed(0)  # which proposals are looked at
    losses: Tensor = sum(model.train()(images, targets).values())
    return losses
