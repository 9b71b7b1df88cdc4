"""Random numbers that depend on the seed and on what they are for, and on nothing that happened before.

So a training that was cut needs no state of a generator to go on as if nothing had happened, and it sees the same
images in the same order on one process and on several.
"""

from __future__ import annotations

import hashlib


def derived_seed(seed: int, *purpose: str | int) -> int:
    """Return 64 bits for one purpose, such as the order of the images in an epoch.

    Args:
        seed: of the training.
        *purpose: what the numbers are for.

    Example:
        >>> derived_seed(0, "order", 3) == derived_seed(0, "order", 3) != derived_seed(0, "order", 4)
        True
    """
    text = " ".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
