"""Where published AutoFormer data lie, and spaces small enough for loops."""

import json

import pytest

from lswag_fast.spaces import AutoFormer
from support.published import published_file


@pytest.fixture
def published():
    """Read one JSON file of the published AutoFormer data."""

    def read(name):
        return json.loads(published_file("autoformer_vit", name).read_text())

    return read


@pytest.fixture
def small_space():
    """Three widths, three depths, two heads and two ratios at 16 pixels."""
    return AutoFormer(
        embed_dim=(24, 32, 40),
        depth=(1, 2, 3),
        num_heads=(1, 2),
        mlp_ratio=(1.5, 2.0),
        image_size=16,
        patch_size=4,
        num_classes=5,
    )
