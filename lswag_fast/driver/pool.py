"""The candidates of one search: drawn from a space, inside the budget, each architecture at most once."""

from __future__ import annotations

import bisect
import random
from collections.abc import Sequence
from typing import Any

from lswag_fast.driver.budget import Budget, Window
from lswag_fast.errors import BudgetError, SpaceError
from lswag_fast.spaces import CountsParams, SearchSpace

# Draws outside the budget before the draw turns into a walk towards it; a budget that holds 1 % of the space needs 100.
MAX_MISSES = 500
# Draws of known architectures before the space counts as used up: 20 times its size finds the last one of N with
# probability 1 - e^-20; the upper end keeps the last moments of a large space short.
REPEATS_PER_ARCH = 20
MAX_REPEATS = 20_000
# Mutations tried on the walk into a narrow budget. A corner of autoformer-tiny (26 genes) takes a few hundred.
WALK_STEPS = 3_000


class SpaceExhaustedError(SpaceError):
    """Every architecture that could be found inside the budget was proposed already."""


class Pool:
    """Hands out architectures that are new and inside the budget.

    Args:
        space: where the architectures come from.
        budget: what they may cost.
        rng: the only source of chance; its state and `seen` are all that a pool remembers.
    """

    def __init__(self, space: SearchSpace, budget: Budget, rng: random.Random) -> None:
        self.space = space
        self.budget = budget
        self.rng = rng
        self.seen: set[str] = set()

    def claim(self, arch: Any) -> bool:
        """Take `arch` if it is inside the budget and was not taken before; say whether it was."""
        return self.budget.gap(self.space, arch) == 0 and self._is_new(arch)

    def draw(self) -> Any:
        """Return a random new architecture inside the budget.

        Draws at random; when the budget is too narrow for that, walks from the nearest draw towards it by mutations
        that do not lead away (such draws are not uniform over the budget). The number of attempts is bounded.

        Raises:
            BudgetError: nothing inside the budget was found, now or before; names the nearest costs found.
            SpaceExhaustedError: all that was found was taken before.
        """
        if len(self.seen) >= self.space.size:
            raise SpaceExhaustedError(f"all {self.space.size} architectures of {self.space.name} were proposed")
        misses = repeats = 0
        nearest, nearest_gap = None, float("inf")
        while misses < MAX_MISSES and repeats < min(MAX_REPEATS, REPEATS_PER_ARCH * self.space.size):
            arch = self.space.sample(self.rng)
            gap = self.budget.gap(self.space, arch)
            if gap == 0 and self._is_new(arch):
                return arch
            misses, repeats = (misses + 1, repeats) if gap else (misses, repeats + 1)
            if gap < nearest_gap:
                nearest, nearest_gap = arch, gap
        return self._walk(nearest, nearest_gap)

    def _is_new(self, arch: Any) -> bool:
        key = self.space.encode(arch)
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def _walk(self, arch: Any, gap: float) -> Any:
        for _ in range(WALK_STEPS):
            step = self.space.mutate(arch, self.rng)
            step_gap = self.budget.gap(self.space, step)
            if step_gap == 0 and self._is_new(step):
                return step
            if step_gap <= gap:
                arch, gap = step, step_gap
        raise self._nothing_left(arch)

    def _nothing_left(self, nearest: Any) -> SpaceError | BudgetError:
        if self.seen:
            return SpaceExhaustedError(f"no further architecture inside the budget was found after {len(self.seen)}")
        costs = self.budget.costs(self.space, nearest)
        found = ", ".join(f"{name} {cost:,.0f}" for name, cost in costs.items())
        name = self.space.name
        return BudgetError(f"no architecture of {name} with {self.budget} was found; the nearest has {found}")


def check_reachable(space: SearchSpace, budget: Budget, seed: int) -> None:
    """Refuse a budget that no architecture of `space` meets.

    A space that lists its parameter counts (`CountsParams`) is asked; otherwise, and for other quantities, a draw
    from a pool of its own tells.

    Raises:
        BudgetError: names the nearest costs, exactly.
    """
    if budget.params is not None and isinstance(space, CountsParams):
        _check_params(space.name, budget.params, space.n_params_values())
    Pool(space, budget, random.Random(seed)).draw()


def _check_params(name: str, window: Window, values: Sequence[int]) -> None:
    place = bisect.bisect_left(values, window.lo)
    if place < len(values) and values[place] <= window.hi:
        return
    nearest = " and ".join(f"{value:,}" for value in values[max(place - 1, 0) : place + 1])
    raise BudgetError(
        f"no architecture of {name} has params {window}; the nearest feasible: {nearest} "
        f"(the space reaches from {values[0]:,} to {values[-1]:,})"
    )
