"""What a fit of LIBRA found."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Attributes:
        selection: names of the selected proxies, z1 first.
        rho: Spearman correlation of the combination with the target on the rows of the fit, 0 where the combination is
            the same for all.
        proxies: one row per proxy, with the columns rho (Spearman with the target, signed), in_tolerance,
            information_gain (bits), bias, bias_distance, role (z1, z2, z3 or empty) and note.
        target: name of the target's column.
        bias: name of the bias's column.
        n_rows: rows that were used.
        n_dropped: rows that were left out, for a value that is NaN or infinite.
        n_bins: bins of the entropies.
        target_bias: correlation of the target with the bias.
        tolerance: the one that was used, see `Libra`.
        proposals: with stability, what the halves selected, see `stability.proposals`, and the `rho` of each.
    """

    selection: tuple[str, ...]
    rho: float
    proxies: pd.DataFrame
    target: str
    bias: str
    n_rows: int
    n_dropped: int
    n_bins: int
    target_bias: float
    tolerance: float
    proposals: pd.DataFrame | None = None
