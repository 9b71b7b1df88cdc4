"""The candidates of one search: drawn from a space, inside the budget, each architecture at most once."""

from __future__ import annotations

import bisect
import hashlib
import random
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Any

from lswag_fast.errors import BudgetError, SpaceError
from lswag_fast.spaces import CountsParams, SearchSpace, TellsIsomorphic
from lswag_fast.study.budget import INSIDE, Budget, Distance, Window

# Draws outside the budget before the draw turns into a walk towards it; a budget that holds 1 % of the space needs 100.
MAX_MISSES = 500
# The same for draws that only the latency keeps out: each may have to be measured, which takes a tenth of a second.
MAX_SLOW_MISSES = 100
# Draws of known architectures before the space counts as used up: 20 times its size finds the last one of N with
# probability 1 - e^-20; the upper end keeps the last moments of a large space short.
REPEATS_PER_ARCH = 20
MAX_REPEATS = 20_000
# Mutations tried on the walk into a narrow budget. A corner of autoformer-tiny (26 genes) takes a few hundred.
WALK_STEPS = 3_000
# Of the digest of a function, and of the text of one met before; among a million, two of one digest have a probability
# of 3e-8.
_DIGEST_BYTES = 8

Latency = Callable[[str, Any], float]
"""The text of an architecture and the architecture -> its latency in milliseconds."""


class Candidate:
    """An architecture of a space; its text and costs are computed when first asked for, and once.

    Args:
        arch: the architecture.
        space: the space it belongs to.
        latency: what measures it; None where no budget asks for latencies.
    """

    def __init__(self, arch: Any, space: SearchSpace, latency: Latency | None = None) -> None:
        self.arch = arch
        self._space = space
        self._latency = latency

    @cached_property
    def arch_json(self) -> str:
        """Its canonical text."""
        return self._space.encode(self.arch)

    @cached_property
    def n_params(self) -> int:
        """Number of parameters."""
        return int(self._space.n_params(self.arch))

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return int(self._space.macs(self.arch))

    @property
    def latency_ms(self) -> float:
        """Time of one sample in milliseconds; measured now if it was not before."""
        if self._latency is None:
            raise RuntimeError("a budget limits the latency, and nothing measures it")
        return self._latency(self.arch_json, self.arch)


class SpaceExhaustedError(SpaceError):
    """Every architecture that could be found inside the budget was proposed already."""


class Known:
    """The architectures that were taken to be proposed, by their texts and by what they compute.

    Those taken since the last batch of proposals are pending: `keep` makes them lasting, `undo` forgets them.

    Args:
        space: where they come from.
        keep_isomorphic: whether architectures that are the same function count as different ones; in a space that does
            not tell, they always do.

    Example:
        >>> from lswag_fast import spaces
        >>> space = spaces.NasBench201()
        >>> known = Known(space, keep_isomorphic=False)
        >>> cells = [f"|{op}~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|" for op in ("none", "avg_pool_3x3")]
        >>> [known.claim(cell, space.decode(cell)) for cell in cells], known.n_isomorphic
        ([True, False], 1)
    """

    def __init__(self, space: SearchSpace, keep_isomorphic: bool) -> None:
        self._space = space if isinstance(space, TellsIsomorphic) and not keep_isomorphic else None
        self._texts: set[str] = set()
        self._functions: set[str] = set()
        # Late in a search the same children come again and again: what they compute is worked out once.
        self._met: set[bytes] = set()
        self._n_kept_isomorphic = 0
        self.n_isomorphic = 0
        self.pending_texts: list[str] = []
        self.pending_functions: list[str] = []

    @property
    def keeps(self) -> bool:
        """Whether architectures that are the same function count as different ones."""
        return self._space is None

    def __len__(self) -> int:
        """The number of architectures."""
        return len(self._texts)

    def __contains__(self, text: object) -> bool:
        """Whether an architecture was taken, by its text."""
        return text in self._texts

    def claim(self, text: str, arch: Any) -> bool:
        """Take an architecture; return False where it, or one that is the same function, was taken before."""
        if text in self._texts:
            return False
        if self._space is not None:
            digest = _digest(text)
            if digest in self._met:
                self.n_isomorphic += 1
                return False
            function = _digest(self._space.canonical(arch)).hex()
            if function in self._functions:
                self._met.add(digest)
                self.n_isomorphic += 1
                return False
            self._functions.add(function)
            self.pending_functions.append(function)
        self._texts.add(text)
        self.pending_texts.append(text)
        return True

    def keep(self) -> None:
        """Make what is pending lasting: it was stored."""
        self.pending_texts, self.pending_functions = [], []
        self._n_kept_isomorphic = self.n_isomorphic

    def undo(self) -> None:
        """Forget what is pending."""
        self._texts.difference_update(self.pending_texts)
        self._functions.difference_update(self.pending_functions)
        self._met.clear()
        self.n_isomorphic = self._n_kept_isomorphic
        self.keep()

    def restore(self, texts: Iterable[str], functions: Iterable[str], n_isomorphic: int) -> None:
        """Take what an earlier run of the search knew, in place of nothing."""
        self._texts.update(texts)
        self._functions.update(functions)
        self.n_isomorphic = self._n_kept_isomorphic = n_isomorphic


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


class CandidatePool:
    """Hands out architectures that are new and inside the budget.

    Args:
        space: where the architectures come from.
        budget: what they may cost.
        rng: the only source of chance; its state and `known` are all that a pool remembers.
        latency: measures an architecture, where the budget limits the latency.
        keep_isomorphic: whether it also gives architectures that are the same function as earlier ones.
    """

    def __init__(
        self,
        space: SearchSpace,
        budget: Budget,
        rng: random.Random,
        latency: Latency | None = None,
        keep_isomorphic: bool = False,
    ) -> None:
        self.space = space
        self.budget = budget
        self.rng = rng
        self.known = Known(space, keep_isomorphic)
        self._latency = latency

    def claim(self, arch: Any) -> Candidate | None:
        """Take `arch` if it is inside the budget and new, see `Known`; else return None."""
        candidate = self._candidate(arch)
        # Late in a search most children were proposed before, which takes less time to see than what they cost.
        if candidate.arch_json in self.known or self.budget.distance(candidate) != INSIDE:
            return None
        return candidate if self._is_new(candidate) else None

    def draw(self) -> Candidate:
        """Return a random new architecture inside the budget.

        Draws at random; when the budget is too narrow for that, walks from the nearest draw towards it by mutations
        that do not lead away (such draws are not uniform over the budget). The number of attempts is bounded.

        Raises:
            BudgetError: nothing inside the budget was found, now or before; names the nearest costs found.
            SpaceExhaustedError: all that was found was taken before.
        """
        if len(self.known) >= self.space.size:
            raise SpaceExhaustedError(f"all {self.space.size} architectures of {self.space.name} were proposed")
        misses = slow_misses = repeats = 0
        most_repeats = min(MAX_REPEATS, REPEATS_PER_ARCH * self.space.size)
        nearest, least = self._draw()
        candidate, distance = nearest, least
        while distance != INSIDE or not self._is_new(candidate):
            misses += distance != INSIDE
            slow_misses += _is_slow_miss(distance)
            repeats += distance == INSIDE
            if misses == MAX_MISSES or slow_misses == MAX_SLOW_MISSES or repeats == most_repeats:
                return self._walk(nearest, least)
            candidate, distance = self._draw()
            if distance < least:
                nearest, least = candidate, distance
        return candidate

    def _draw(self) -> tuple[Candidate, Distance]:
        candidate = self._candidate(self.space.sample(self.rng))
        return candidate, self.budget.distance(candidate)

    def _candidate(self, arch: Any) -> Candidate:
        return Candidate(arch, self.space, self._latency)

    def _is_new(self, candidate: Candidate) -> bool:
        return self.known.claim(candidate.arch_json, candidate.arch)

    def _walk(self, candidate: Candidate, distance: Distance) -> Candidate:
        slow_misses = 0
        for _ in range(WALK_STEPS):
            step = self._candidate(self.space.mutate(candidate.arch, self.rng))
            step_distance = self.budget.distance(step)
            if step_distance == INSIDE and self._is_new(step):
                return step
            if step_distance <= distance:
                candidate, distance = step, step_distance
            slow_misses += _is_slow_miss(step_distance)
            if slow_misses == MAX_SLOW_MISSES:
                break
        raise self._nothing_left(candidate)

    def _nothing_left(self, nearest: Candidate) -> SpaceError | BudgetError:
        if len(self.known):
            return SpaceExhaustedError(f"no further architecture inside the budget was found after {len(self.known)}")
        costs = self.budget.costs(nearest).items()
        found = ", ".join(f"{name} {cost:,}" if isinstance(cost, int) else f"{name} {cost:.4g}" for name, cost in costs)
        name = self.space.name
        return BudgetError(f"no architecture of {name} with {self.budget} was found; the nearest has {found}")


def _is_slow_miss(distance: Distance) -> bool:
    """Whether only the latency keeps an architecture out."""
    counted, measured = distance
    return counted == 0 and measured > 0


def check_reachable(space: SearchSpace, budget: Budget, seed: int, latency: Latency | None = None) -> None:
    """Refuse a budget that no architecture of `space` meets.

    A space that lists its parameter counts (`CountsParams`) is asked; otherwise, and for other quantities, a draw
    from a pool of its own tells.

    Raises:
        BudgetError: names the nearest costs, exactly.
    """
    if budget.params is not None and isinstance(space, CountsParams):
        _check_params(space.name, budget.params, space.n_params_values())
    CandidatePool(space, budget, random.Random(seed), latency).draw()


def _check_params(name: str, window: Window, values: Sequence[int]) -> None:
    place = bisect.bisect_left(values, window.lo)
    if place < len(values) and values[place] <= window.hi:
        return
    nearest = " and ".join(f"{value:,}" for value in values[max(place - 1, 0) : place + 1])
    raise BudgetError(
        f"no architecture of {name} has params {window}; the nearest feasible: {nearest} "
        f"(the space reaches from {values[0]:,} to {values[-1]:,})"
    )
