"""The contract of spaces on each of ours, and on one of a user."""

from __future__ import annotations

from lswag_fast.spaces import (
    AutoFormer,
    BurgerFormer,
    Darts,
    NasBench101,
    NasBench201,
    ProxylessNas,
    SearchSpace,
    TransNasMacro,
    TransNasMicro,
)
from lswag_fast.testing import SpaceContract


class TestNasBench101(SpaceContract):
    def make_space(self) -> SearchSpace:
        return NasBench101(channels=8, cells_per_stack=1)


class TestNasBench201(SpaceContract):
    def make_space(self) -> SearchSpace:
        return NasBench201(channels=4, cells_per_stage=1)


class TestTransNasMicro(SpaceContract):
    def make_space(self) -> SearchSpace:
        return TransNasMicro(image_size=32, channels=8)


class TestTransNasMacro(SpaceContract):
    def make_space(self) -> SearchSpace:
        return TransNasMacro(task="segmentsemantic", image_size=64, channels=4)


class TestDarts(SpaceContract):
    def make_space(self) -> SearchSpace:
        return Darts(channels=4, n_cells=3, image_size=16)


class TestProxylessNas(SpaceContract):
    def make_space(self) -> SearchSpace:
        return ProxylessNas(num_classes=10, image_size=32, width_mult=0.25)


class TestBurgerFormer(SpaceContract):
    def make_space(self) -> SearchSpace:
        return BurgerFormer(num_classes=10, image_size=32)


class TestAutoFormer(SpaceContract):
    def make_space(self) -> SearchSpace:
        return AutoFormer(
            embed_dim=(16, 32), depth=(1, 2, 3), num_heads=(1, 2), mlp_ratio=(1, 2), image_size=8, patch_size=4
        )
