"""Shifts, and the published changes where timm is there."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import InputError
from lswag_fast.training.loop.augmentation import batch_change, image_change, shifted
from lswag_fast.training.recipe import RECIPES
from support.zoo_libraries import library

PUBLISHED = RECIPES["autoformer"]
SCALE = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


def test_a_shift_moves_the_image_and_repeats_its_edge() -> None:
    image = torch.arange(64.0).view(1, 8, 8)
    torch.manual_seed(0)
    found = {tuple(shifted(image, 0.25).flatten().tolist()) for _ in range(400)}
    expected = set()
    for down in range(-2, 3):
        for right in range(-2, 3):
            rows = (torch.arange(8) + down).clamp(0, 7)
            columns = (torch.arange(8) + right).clamp(0, 7)
            expected.add(tuple(image[0][rows][:, columns].flatten().tolist()))
    assert found == expected  # each of 25 shifts: one is missing with probability 25 * 0.96 ** 400 = 2e-6


def test_nothing_is_done_where_the_recipe_asks_for_nothing() -> None:
    recipe = RECIPES["short"].with_changes(shift=0.0)
    assert image_change(recipe, *SCALE) is None and batch_change(recipe, 10) is None
    image = torch.ones(3, 4, 4)
    assert shifted(image, 0.1) is image


def test_the_published_changes_need_three_channels_and_even_batches() -> None:
    with pytest.raises(InputError, match="recipe autoformer: changes colours, and the images have 1 channels"):
        image_change(PUBLISHED, (0.5,), (0.2,))
    with pytest.raises(InputError, match="batch_size: found 7, and recipe autoformer mixes images in pairs"):
        batch_change(PUBLISHED.with_changes(batch_size=7), 10)


def test_the_published_changes_keep_shape_and_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = {name: library(name) for name in ("timm", "torchvision")}
    monkeypatch.setattr("lswag_fast.training.loop.augmentation.library", libraries.__getitem__)
    change = image_change(PUBLISHED.with_changes(erase=0.9), *SCALE)
    assert change is not None
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in SCALE)
    torch.manual_seed(0)
    image = (torch.rand(3, 16, 16) - mean) / std
    changed = change(image)
    assert changed.shape == image.shape and not torch.equal(changed, image)
    with pytest.raises(InputError, match="augment: timm has no changes called 'magic'"):
        image_change(PUBLISHED.with_changes(augment="magic"), *SCALE)
    with pytest.raises(InputError, match="store the images as uint8"):
        change(image + 10)
    mix = batch_change(PUBLISHED, 5)
    assert mix is not None
    mixed, targets = mix(torch.rand(4, 3, 16, 16), torch.arange(4))
    assert mixed.shape == (4, 3, 16, 16) and targets.shape == (4, 5)
    torch.testing.assert_close(targets.sum(1), torch.ones(4))  # shares of classes
