"""Architectures of all sizes of a space: drawn uniformly, nearly all would lie in the middle."""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterator
from itertools import islice

from lswag_fast.errors import InputError
from lswag_fast.spaces import SearchSpace

N_CLASSES = 10
"""Of size, from the smallest to the largest architecture of the pilot."""
PILOT = 1000
"""Architectures that the classes of size are taken from."""
MAX_DRAWS = 5000
"""A class that so many architectures miss is taken to have no further member."""


def draw_by_size(space: SearchSpace, n: int, seed: int = 0) -> list[str]:
    """Draw different architectures, as many of each of ten classes of size as there are.

    The classes divide the logarithm of the number of parameters evenly, from the smallest to the largest of 1,000
    random architectures. Inside a class, architectures are as the space's `sample` draws them. They come class by
    class in turn, so that the first few are of all sizes too, and a larger `n` adds to the list.

    Args:
        space: the space.
        n: how many.
        seed: decides all.

    Returns:
        The architectures as the space's `encode` writes them.

    Raises:
        InputError: `n` is not positive, or the space has no more so many different architectures.

    Example:
        >>> from lswag_fast import spaces
        >>> space = spaces.AutoFormer(embed_dim=(32, 64, 128), depth=(1, 2, 3), num_heads=(1, 2), mlp_ratio=(1, 2))
        >>> texts = draw_by_size(space, 50)
        >>> texts[:20] == draw_by_size(space, 20)
        True
    """
    if not 1 <= n <= space.size:
        raise InputError(f"n is {n:,}, the space {space.name} has {space.size:,} architectures")
    found = list(islice(_by_size(space, random.Random(seed)), n))
    if len(found) < n:
        raise InputError(
            f"n is {n:,}; after {len(found):,} architectures of {space.name}, {MAX_DRAWS:,} draws gave no other one: "
            f"ask for {len(found):,}"
        )
    return found


def _by_size(space: SearchSpace, rng: random.Random) -> Iterator[str]:
    """Architectures, class by class in turn, until no class has more."""
    pilot = [space.sample(rng) for _ in range(PILOT)]
    sizes = [math.log(max(1, space.n_params(arch))) for arch in pilot]
    low, width = min(sizes), (max(sizes) - min(sizes)) / N_CLASSES
    waiting: list[deque[str]] = [deque() for _ in range(N_CLASSES if width else 1)]
    seen: set[str] = set()

    def put(arch: dict[str, object]) -> None:
        text = space.encode(arch)
        if text not in seen:
            seen.add(text)
            place = int((math.log(max(1, space.n_params(arch))) - low) / width) if width else 0
            waiting[min(max(place, 0), len(waiting) - 1)].append(text)

    for arch in pilot:
        put(arch)
    turn = deque(waiting)
    while turn:
        own = turn.popleft()
        draws = 0
        while not own and draws < MAX_DRAWS and len(seen) < space.size:
            put(space.sample(rng))
            draws += 1
        if own:
            yield own.popleft()
            turn.append(own)
