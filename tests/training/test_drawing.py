"""Drawing by size: all sizes alike, a longer list begins with the shorter one, and no architecture twice."""

import random

import numpy as np
import pytest

from lswag_fast import spaces
from lswag_fast.errors import InputError
from lswag_fast.training import drawing
from lswag_fast.training.drawing import draw_by_size

DEEP = spaces.AutoFormer(embed_dim=64, depth=8, num_heads=(1, 2, 3, 4), mlp_ratio=(1, 2, 3, 4))


def sizes_of(texts):
    return [DEEP.n_params(DEEP.decode(text)) for text in texts]


def test_all_sizes_are_drawn_alike():
    sizes = np.log(sizes_of(draw_by_size(DEEP, 400)))
    counts, _ = np.histogram(sizes, bins=10)
    assert counts.min() > 20  # 40 each, were the edges those of the pilot
    rng = random.Random(1)
    uniform, _ = np.histogram(np.log([DEEP.n_params(DEEP.sample(rng)) for _ in range(400)]), bins=10)
    assert uniform.min() < 15  # drawn as they come


def test_the_first_few_are_of_all_sizes():
    sizes = np.log(sizes_of(draw_by_size(DEEP, 400)))
    edges = np.linspace(sizes.min(), sizes.max(), 6)
    assert np.histogram(sizes[:20], bins=edges)[0].min() >= 2


def test_a_longer_list_begins_with_the_shorter_one_and_none_comes_twice():
    texts = draw_by_size(DEEP, 300, seed=4)
    assert len(set(texts)) == 300
    assert draw_by_size(DEEP, 100, seed=4) == texts[:100]
    assert draw_by_size(DEEP, 100, seed=5) != texts[:100]


def test_a_small_space_is_drawn_whole():
    space = spaces.AutoFormer(embed_dim=(16, 32), depth=(1, 2), num_heads=1, mlp_ratio=2)
    assert space.size == 4
    assert len(set(draw_by_size(space, 4))) == 4
    with pytest.raises(InputError, match="n is 5, the space autoformer has 4 architectures"):
        draw_by_size(space, 5)


def test_architectures_of_one_size():
    space = spaces.AutoFormer(embed_dim=16, depth=1, num_heads=1, mlp_ratio=2)
    assert len(draw_by_size(space, 1)) == 1


class Hidden(spaces.AutoFormer):
    """A space that draws only some of its members."""

    def sample(self, rng):
        return {"embed_dim": rng.choice((16, 32)), "depth": 1, "num_heads": [1], "mlp_ratio": [2.0]}


def test_what_is_never_drawn_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(drawing, "MAX_DRAWS", 50)
    space = Hidden(embed_dim=(16, 32, 64), depth=1, num_heads=1, mlp_ratio=2)
    with pytest.raises(InputError, match=r"after 2 architectures of autoformer, 50 draws gave no other one: ask for 2"):
        draw_by_size(space, 3)
