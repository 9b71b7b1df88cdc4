"""What a fit of LIBRA found."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lswag_fast.libra.weights import WeightedMembers
from lswag_fast.libra.windows import ComparisonWindow


@dataclass(frozen=True)
class Fit:
    """What a fit found.

    Every rho is a Spearman correlation with the target; with a window the mean of those inside the windows.

    Attributes:
        selection: names of the selected proxies, z1 first.
        rho: of the combination, on the rows of the fit; 0 where the combination is the same for all.
        proxies: one row per proxy, with the columns rho (signed), in_tolerance, information_gain (bits), bias,
            bias_distance, role (z1, z2, z3 or empty) and note.
        target: name of the target's column.
        bias: name of the bias's column.
        n_rows: rows that were used.
        n_dropped: rows that were left out, for a value that is NaN or infinite.
        n_bins: bins of the entropies.
        target_bias: correlation of the target with the bias.
        tolerance: the one that was used, see `Libra`.
        window: inside of what architectures were compared; None for all with all.
        steps: with the rule "halves", what was tried, see `lswag_fast.libra.halves.join_by_gain`.
        weighted: with the rule "weights", how much each member counts and what that gained on held-out halves; None
            where it gained no more than chance.
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
    window: ComparisonWindow | None = None
    steps: pd.DataFrame | None = None
    weighted: WeightedMembers | None = None

    @property
    def weights(self) -> tuple[float, ...] | None:
        """How much each member counts; None for all alike."""
        return None if self.weighted is None else self.weighted.weights
