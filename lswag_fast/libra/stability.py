"""A more stable selection of proxies: what random halves of a table select, judged on the held-out halves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Rows = NDArray[np.int64]
Chosen = tuple[str, ...]

N_PROPOSED, RHO_HELD_OUT = "n_proposed", "rho_held_out"


def proposals(
    select: Callable[[Rows], Chosen],
    rho: Callable[[Chosen, Rows], float],
    *,
    n_rows: int,
    n_halves: int,
    seed: int,
    also: Sequence[Chosen],
) -> pd.DataFrame:
    """What `n_halves` random halves of the rows select, and how well it ranks the held-out rows, best first.

    Args:
        select: the selection of some rows.
        rho: the rank correlation of a selection's combination with the target on some rows.
        n_rows: of the table.
        n_halves: how often it is cut in two.
        seed: of the cuts.
        also: selections that are judged whether a half proposes them or not.

    Returns:
        One row per selection: `n_proposed`, by how many halves; `rho_held_out`, the mean over all held-out halves.
        Equal ones by how often they were proposed, then by their names.

    Example:
        >>> found = proposals(
        ...     lambda rows: ("nwot",), lambda chosen, rows: 0.5, n_rows=4, n_halves=3, seed=0, also=[("zico",)]
        ... )
        >>> found.to_dict("records")[0]
        {'selection': ('nwot',), 'n_proposed': 3, 'rho_held_out': 0.5}
    """
    rng = np.random.default_rng(seed)
    counts: dict[Chosen, int] = dict.fromkeys(also, 0)
    held_out = []
    for _ in range(n_halves):
        order = rng.permutation(n_rows)
        chosen = select(np.sort(order[: n_rows // 2]))
        counts[chosen] = counts.get(chosen, 0) + 1
        held_out.append(np.sort(order[n_rows // 2 :]))
    found = pd.DataFrame(
        [(chosen, count, float(np.mean([rho(chosen, rows) for rows in held_out]))) for chosen, count in counts.items()],
        columns=["selection", N_PROPOSED, RHO_HELD_OUT],
    )
    return found.sort_values([RHO_HELD_OUT, N_PROPOSED, "selection"], ascending=[False, False, True], ignore_index=True)
