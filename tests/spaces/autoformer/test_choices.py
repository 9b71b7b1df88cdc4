"""Published choices, own choices, and the error for each way to get them wrong."""

import random

import pytest
import torch

from lswag_fast.errors import SpaceError
from lswag_fast.spaces import AutoFormer

OWN = {"embed_dim": (64, 96), "depth": (2, 3), "num_heads": (1, 2), "mlp_ratio": (2.0, 4.0), "image_size": 32}


def test_published_spaces():
    tiny, small, base = (AutoFormer(name) for name in ("tiny", "small", "base"))
    assert tiny.choices == ((192, 216, 240), (12, 13, 14), (3, 4), (3.5, 4.0), ())
    assert small.choices == ((320, 384, 448), (12, 13, 14), (5, 6, 7), (3.0, 3.5, 4.0), ())
    assert base.choices == ((528, 576, 624), (14, 15, 16), (9, 10), (3.0, 3.5, 4.0), ())
    assert {space.geometry.n_tokens for space in (tiny, small, base)} == {197}


def test_single_values_and_lists_are_choices():
    space = AutoFormer(embed_dim=64, depth=[2, 3], num_heads=2, mlp_ratio=4, image_size=32)
    assert space.choices == ((64,), (2, 3), (2,), (4.0,), ())
    assert isinstance(space.choices.mlp_ratio[0], float)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"embed_dim": None}, "embed_dim: no choices given"),
        ({"embed_dim": ()}, "embed_dim: found"),
        ({"embed_dim": (64, 64)}, "embed_dim: .* once"),
        ({"embed_dim": (64.5,)}, "embed_dim: .* whole numbers"),
        ({"depth": 0}, "depth: found"),
        ({"depth": "12"}, "depth: found '12'"),
        ({"num_heads": (True,)}, "num_heads: found"),
        ({"mlp_ratio": (-1.0,)}, "mlp_ratio: found"),
        ({"mlp_ratio": (float("inf"),)}, "mlp_ratio: found"),
        ({"mlp_ratio": (0.001,)}, "mlp_ratio: 0.001 leaves no hidden unit"),
        ({"qkv_dim": ()}, "qkv_dim: found"),
        ({"qkv_dim": 0}, r"qkv_dim: found \(0,\)"),
        ({"num_heads": (2, 3), "qkv_dim": (64, 128)}, "qkv_dim: none of 64, 128 is a multiple of 3 heads"),
        ({"num_heads": 2, "qkv_dim": (64, 65)}, "qkv_dim: 65 is a multiple of no choice of num_heads, 2"),
        ({"image_size": 30}, "image_size: 30 pixels are not a multiple of patch_size 16"),
        ({"image_size": 32.0}, "image_size: found 32.0"),
        ({"patch_size": 0}, "patch_size: found 0"),
        ({"num_classes": -1}, "num_classes: found -1"),
    ],
)
def test_faulty_choice_is_named(change, words):
    with pytest.raises(SpaceError, match=words):
        AutoFormer(**(OWN | change))


def test_name_and_own_choices_do_not_mix():
    with pytest.raises(SpaceError, match="depth: the choices of 'tiny' are fixed but for mlp_ratio and qkv_dim"):
        AutoFormer("tiny", depth=(2, 3))
    with pytest.raises(SpaceError, match="found 'huge', the published AutoFormer spaces are tiny, small, base"):
        AutoFormer("huge")
    with pytest.raises(SpaceError, match=r"found \['tiny'\], the published AutoFormer spaces are"):
        AutoFormer(["tiny"])
    with pytest.raises(SpaceError, match="embed_dim: no choices given"):
        AutoFormer()


def test_the_ratios_of_a_published_space_may_be_others() -> None:
    """The official configuration of a Tiny network has a ratio of 3.0, which its published space lacks."""
    space = AutoFormer("tiny", mlp_ratio=(3.0, 3.5, 4.0))
    arch = {"embed_dim": 192, "depth": 12, "num_heads": [3] * 12, "mlp_ratio": [3.0] + [4.0] * 11}
    assert space.name == "autoformer-tiny" and space.decode(space.encode(arch)) == arch
    assert space.supernet_shapes() == AutoFormer("tiny").supernet_shapes()  # so that published weights fit
    with pytest.raises(SpaceError, match=r"mlp_ratio\[0\]: found 3.0, autoformer-tiny allows 3.5, 4.0"):
        AutoFormer("tiny").encode(arch)


def test_relative_tables_of_other_lengths() -> None:
    own = {"embed_dim": 16, "depth": 1, "num_heads": 1, "mlp_ratio": 2, "image_size": 20, "patch_size": 4}
    space, published = AutoFormer(**own, max_relative_position=2), AutoFormer(**own)
    assert repr(space).endswith("max_relative_position=2)") and "relative" not in repr(published)
    assert space.supernet_shapes()["blocks.0.attn.rel_pos_embed_k.embeddings_table_v"] == (6, 64)
    arch = space.sample(random.Random(0))
    net = space.build(arch)
    assert space.n_params(arch) == sum(p.numel() for p in net.parameters()) == published.n_params(arch) - 4 * 24 * 64
    # By hand: five patches a side; from the first one the distances 0 to 4, of which 3 and 4 are clipped to 2.
    assert net.relative_index[0, 1].tolist() == [3, 4, 5, 5, 5]
    assert net(torch.zeros(2, 3, 20, 20)).shape == (2, 1000)
    with pytest.raises(SpaceError, match="max_relative_position: found 0, expected a positive whole number"):
        AutoFormer(**own, max_relative_position=0)
