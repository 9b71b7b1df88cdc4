"""LIBRA: the choice of three proxies for a benchmark, and their combination (Casarin, Escalera, Lanz, CVPR 2025)."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from scipy.stats import pearsonr, spearmanr

from lswag_fast.data.tables import MIN_ROWS, finite_numbers, numbers
from lswag_fast.errors import InputError, LswagWarning, StorageError, TableError
from lswag_fast.libra import information
from lswag_fast.libra.fit import Fit
from lswag_fast.libra.information import Binning, Codes, Logarithm
from lswag_fast.libra.ranking import oriented, rank_aggregate
from lswag_fast.libra.ranks import Aggregate, check_aggregate
from lswag_fast.libra.stability import Rows, proposals
from lswag_fast.libra.stored import SCHEMA_VERSION
from lswag_fast.proxies import list_proxies

Correlation = Literal["rank", "raw"]
WIDER_TOLERANCE = 0.2
"""What the authors widen the tolerance to where it leaves too few proxies (supplement E)."""

_DECIMALS = 12
"""Of all that is compared, so that equal numbers are ties and the bound is strict however sums were rounded."""

_ROLES = ("z1", "z2", "z3")


class Libra:
    """Select three proxies for a target (Algorithm 1) and combine them.

    z1 has the highest Spearman correlation rho with the target; z2, among the proxies whose rho lies within the
    tolerance of it, the lowest information gain H(y|z1) - H(y|z1, z2); z3, among those, the bias nearest to that of the
    target. The selection needs a target, so it is no zero-cost proxy itself: fit on one benchmark, use on another.

    Args:
        tolerance: candidates have rho_1 - tolerance < rho <= rho_1. Where that leaves fewer than two beside z1 it is
            widened to 0.2, as the authors do, and a warning says so; where that does not help the selection is shorter.
        bias: how biases are correlated: "rank", Pearson of the ranks (the text), or "raw", of the values (the published
            Table 6).
        logarithm: of the number of bins of the entropies, see `information.sturges_bins`.
        binning: where the bins' edges lie, see `information.discretised`; both defaults are those of the notebook of
            NAS-Bench-Suite-Zero. With "equal_width" the gain is not invariant under monotone transforms: one outlier
            makes a proxy look as if it added nothing, and it is then chosen.
        combine: how `predict` combines the three; the paper does not say. See `rank_aggregate`. "product" may rank far
            below the best of the three when one of them is heavy-tailed: most of its scaled scores are then near 0.
        stability: None, the published choice; or a number of random halves of the table. Each half proposes a selection
            by Algorithm 1, and the one whose combination ranks the held-out halves best, on average, is taken; the best
            proxy alone is judged with them, and what ranks the whole table worse than it is never taken. The choice
            changes less from sample to sample.
        seed: of the halves.

    Raises:
        InputError: another value of an option.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> accuracy, params = rng.normal(size=50), rng.normal(size=50)
        >>> proxies = {name: accuracy + rng.normal(size=50) / 4 for name in ("nwot", "zico", "snip", "fisher")}
        >>> table = pd.DataFrame({"accuracy": accuracy, "params": params, **proxies})
        >>> libra = Libra().fit(table, target="accuracy", bias="params")
        >>> len(libra.selection)
        3
        >>> libra.explain().index[0] == libra.selection[0]
        True
        >>> bool(libra.predict(table).corr(table["accuracy"], method="spearman") > 0.9)
        True
        >>> libra.to_dict()["fitted_on"]["n_rows"]
        50
    """

    def __init__(
        self,
        tolerance: float = 0.1,
        *,
        bias: Correlation = "rank",
        logarithm: Logarithm = "natural",
        binning: Binning = "equal_width",
        combine: Aggregate = "log_rank",
        stability: int | None = None,
        seed: int = 0,
    ) -> None:
        is_number = isinstance(tolerance, (int, float, np.integer, np.floating)) and not isinstance(tolerance, bool)
        if not is_number or not 0 < tolerance < 2:
            raise InputError(f"tolerance must lie in (0, 2), got {tolerance!r}")
        options = (("bias", bias, Correlation), ("logarithm", logarithm, Logarithm), ("binning", binning, Binning))
        check_aggregate("combine", combine)
        for name, value, kind in options:
            if value not in get_args(kind):
                raise InputError(f"{name} must be one of {', '.join(get_args(kind))}, got {value!r}")
        self.tolerance = float(tolerance)
        self.bias = bias
        self.logarithm = logarithm
        self.binning = binning
        self.combine = combine
        self.stability = _checked_halves(stability)
        self.seed = seed
        self._fit: Fit | None = None

    def fit(
        self, table: pd.DataFrame, target: str, bias: str = "params", proxies: Sequence[str] | None = None
    ) -> Libra:
        """Select on a table of architectures x (target, proxies, bias).

        Args:
            table: as of `lswag_fast.tables`; rows where a column in use is NaN or infinite are left out, see `explain`.
            target: the column of the accuracy.
            bias: the column that proxies may be biased to, which may be a proxy itself.
            proxies: the columns to choose from; None for those named like a registered proxy. Registered proxies for
                which lower is better are negated, all others are taken as they are.

        Returns:
            Itself.

        Raises:
            TableError: a column is not there or holds no numbers, fewer than 10 rows are finite (20 with stability), or
                the target is constant.
            InputError: fewer than two proxies vary.

        Example:
            >>> values = np.arange(12.0)
            >>> columns = ("accuracy", "size", "nwot", "zico", "snip")
            >>> Libra().fit(pd.DataFrame(dict.fromkeys(columns, values)), "accuracy", bias="size").result.n_rows
            12
        """
        names = _proxy_columns(table, target) if proxies is None else list(dict.fromkeys(proxies))
        if not names:
            raise InputError("no proxy to choose from; give the names of columns in proxies")
        if target in names:
            raise InputError(f"the target {target!r} is among the proxies; leave it out there")
        chosen, n_dropped = finite_numbers(table, [target, bias, *names])
        if chosen[target].nunique() == 1:
            raise TableError(f"the target {target!r} is {chosen[target].iloc[0]} in every row")
        if chosen[bias].nunique() == 1:
            warnings.warn(
                f"LIBRA: the bias {bias!r} is {chosen[bias].iloc[0]:g} in every row, so that no proxy leans to it: the "
                "third is chosen by its correlation alone",
                LswagWarning,
                stacklevel=2,
            )
        scores = oriented(chosen, names)
        fit = self._selected(scores, chosen[target], chosen[bias], n_dropped)
        if self.stability is not None:
            fit = self._stabilised(fit, scores, chosen[target], chosen[bias], self.stability)
        constant = [name for name in names if chosen[name].nunique() == 1]
        fit.proxies.loc[constant, "note"] = [f"constant, {chosen[name].iloc[0]:g}" for name in constant]
        self._fit = fit
        return self

    def _selected(self, scores: pd.DataFrame, y: pd.Series, bias: pd.Series, n_dropped: int) -> Fit:
        rows = self._measured(scores, y, bias)
        order = rows.dropna(subset="rho").sort_values(["rho", "name"], ascending=[False, True]).index
        if len(order) < 2:  # z1 and z2
            raise InputError(f"LIBRA chooses among proxies that vary, and found {len(order)}")
        z1 = order[0]
        tolerance, near = self._candidates(rows["rho"], order)
        rows.loc[[z1, *near], "in_tolerance"] = True
        n_bins = information.sturges_bins(len(y), self.logarithm)
        self._add_gains(rows, scores, y, z1, near, n_bins)
        selection = [z1, *_least(rows, near, "information_gain")]
        selection += _least(rows, [name for name in near if name not in selection], "bias_distance")
        rows["role"] = _roles(rows.index, selection)
        found = rows.loc[[*order, *rows.index.difference(order, sort=False)]].drop(columns="name")
        target_bias = _correlated(y, bias, self.bias)
        chosen = tuple(selection)
        rho = self._rho(chosen, scores, y)
        return Fit(chosen, rho, found, str(y.name), str(bias.name), len(y), n_dropped, n_bins, target_bias, tolerance)

    def _rho(self, chosen: tuple[str, ...], scores: pd.DataFrame, y: pd.Series) -> float:
        combined = rank_aggregate(scores[list(chosen)], self.combine)
        if combined.nunique() == 1:  # a product of which each row has a factor 0 ranks nothing
            return 0.0
        return _rounded(spearmanr(combined, y).statistic)

    def _stabilised(self, fit: Fit, scores: pd.DataFrame, y: pd.Series, bias: pd.Series, n_halves: int) -> Fit:
        """The fit with the selection that best ranks what it was not chosen on."""
        if len(y) < 2 * MIN_ROWS:
            raise TableError(f"stability needs {2 * MIN_ROWS} finite rows to cut in halves, the table has {len(y)}")

        scores, y, bias = scores.sort_index(), y.sort_index(), bias.sort_index()  # the cuts see no order of rows

        def select(rows: Rows) -> tuple[str, ...]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", LswagWarning)  # what the whole table has to say was said
                return self._selected(scores.iloc[rows], y.iloc[rows], bias.iloc[rows], 0).selection

        def rho(chosen: tuple[str, ...], rows: Rows) -> float:
            return self._rho(chosen, scores.iloc[rows], y.iloc[rows])

        alone = fit.selection[:1]
        found = proposals(select, rho, n_rows=len(y), n_halves=n_halves, seed=self.seed, also=[fit.selection, alone])
        found["rho"] = [self._rho(chosen, scores, y) for chosen in found["selection"]]
        taken = found[found["rho"] >= self._rho(alone, scores, y)].iloc[0]
        rows = fit.proxies.assign(role=_roles(fit.proxies.index, taken["selection"]))
        return replace(fit, selection=taken["selection"], rho=float(taken["rho"]), proxies=rows, proposals=found)

    def _measured(self, scores: pd.DataFrame, y: pd.Series, bias: pd.Series) -> pd.DataFrame:
        """Correlation and bias of every proxy that varies."""
        target_bias = _correlated(y, bias, self.bias)
        rows = []
        for name in scores.columns:
            z = scores[name]
            varies = z.nunique() > 1
            own_bias = _correlated(z, bias, self.bias) if varies else np.nan
            rows.append(
                {
                    "name": name,
                    "rho": _rounded(spearmanr(z, y).statistic) if varies else np.nan,
                    "in_tolerance": False,
                    "information_gain": np.nan,
                    "bias": own_bias,
                    "bias_distance": _rounded(abs(target_bias - own_bias)),
                    "role": "",
                    "note": "",
                }
            )
        return pd.DataFrame(rows).set_index("name", drop=False).rename_axis("proxy")

    def _candidates(self, rho: pd.Series, order: pd.Index) -> tuple[float, list[str]]:
        """The tolerance that was used, and the proxies within it beside the best."""
        best = rho[order[0]]
        for tolerance in (self.tolerance, max(self.tolerance, WIDER_TOLERANCE)):
            near = [name for name in order[1:] if _rounded(best - tolerance) < rho[name]]
            if len(near) >= len(_ROLES) - 1:
                break
        if tolerance != self.tolerance or len(near) < len(_ROLES) - 1:
            widened = f"; widened to {tolerance:g}, which leaves" if tolerance != self.tolerance else ":"
            warnings.warn(
                f"LIBRA: within {self.tolerance:g} of the best proxy ({order[0]}, rho {best:.3f}) lie too few others"
                f"{widened} {len(near)}",
                LswagWarning,
                stacklevel=4,
            )
        return tolerance, near

    def _add_gains(
        self, rows: pd.DataFrame, scores: pd.DataFrame, y: pd.Series, z1: str, near: Sequence[str], n_bins: int
    ) -> None:
        def codes(column: pd.Series) -> Codes:
            return information.discretised(column.to_numpy(dtype=float), n_bins, self.binning)

        target, first = codes(y), codes(scores[z1])
        alone = information.conditional_entropy(target, [first])
        for name in near:
            together = information.conditional_entropy(target, [first, codes(scores[name])])
            rows.loc[name, "information_gain"] = _rounded(alone - together)

    @property
    def result(self) -> Fit:
        """Everything the fit found.

        Raises:
            InputError: `fit` was not called.
        """
        if self._fit is None:
            raise InputError("fit first: nothing is selected yet")
        return self._fit

    @property
    def selection(self) -> tuple[str, ...]:
        """(z1, z2, z3); shorter where the table has too few proxies near the best."""
        return self.result.selection

    def explain(self) -> pd.DataFrame:
        """Return every number that led to the choice, one row per proxy, best first.

        Returns:
            The table `proxies` of `Fit`; `result` has the numbers of the whole table beside it.

        Raises:
            InputError: `fit` was not called.
        """
        return self.result.proxies.copy()

    def predict(self, table: pd.DataFrame) -> pd.Series:
        """Combine the selected proxies of each architecture into one number, higher is better.

        Args:
            table: with the columns of the selected proxies. The numbers depend on which architectures are ranked
                together.

        Returns:
            A Series with the index of the table; NaN for an architecture with a NaN or infinite value.

        Raises:
            InputError: `fit` was not called.
            TableError: the table lacks one of the columns.
        """
        names = list(self.selection)
        return rank_aggregate(oriented(numbers(table, names), names), self.combine)

    def to_dict(self) -> dict[str, Any]:
        """Return the selection and how it came about, as JSON values.

        Raises:
            InputError: `fit` was not called.
        """
        found = self.result
        rows = found.proxies.reset_index().astype(object).where(lambda t: t.notna(), None)
        return {
            "schema_version": SCHEMA_VERSION,
            "selection": list(found.selection),
            "combine": self.combine,
            "options": {
                "tolerance": self.tolerance,
                "bias": self.bias,
                "logarithm": self.logarithm,
                "binning": self.binning,
                "stability": self.stability,
                "seed": self.seed,
            },
            "fitted_on": {
                "target": found.target,
                "bias": found.bias,
                "n_rows": found.n_rows,
                "n_dropped": found.n_dropped,
                "n_bins": found.n_bins,
                "rho": found.rho,
                "target_bias": found.target_bias,
                "tolerance": found.tolerance,
            },
            "proxies": rows.to_dict(orient="records"),
            "proposals": None if found.proposals is None else json.loads(found.proposals.to_json(orient="records")),
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` as JSON, which `read_selection` reads.

        Args:
            path: the file; its folder is made if need be.

        Raises:
            InputError: `fit` was not called.
            StorageError: the file cannot be written.

        Example:
            >>> import tempfile
            >>> from lswag_fast.libra.stored import read_selection
            >>> columns = ("accuracy", "size", "nwot", "zico", "snip")
            >>> libra = Libra().fit(pd.DataFrame(dict.fromkeys(columns, np.arange(12.0))), "accuracy", bias="size")
            >>> with tempfile.NamedTemporaryFile(suffix=".json") as file:
            ...     libra.save(file.name)
            ...     read_selection(file.name).proxies == libra.selection
            True
        """
        text = json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n"
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(text, encoding="utf-8")
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def _proxy_columns(table: pd.DataFrame, target: str) -> list[str]:
    known = {info.name for info in list_proxies()}
    return [name for name in table.columns if name in known and name != target]


def _correlated(values: pd.Series, bias: pd.Series, kind: Correlation) -> float:
    """Pearson correlation with the bias, of the ranks or of the values; 0 where the bias is constant."""
    if bias.nunique() == 1:
        return 0.0
    found = (
        spearmanr(values, bias) if kind == "rank" else pearsonr(values, bias)
    )  # Spearman's is Pearson's of the ranks
    return float(found.statistic)


def _rounded(value: float) -> float:
    return round(float(value), _DECIMALS) + 0.0  # no -0.0


def _roles(names: pd.Index, selection: Sequence[str]) -> list[str]:
    roles = dict(zip(selection, _ROLES, strict=False))
    return [roles.get(name, "") for name in names]


def _checked_halves(stability: int | None) -> int | None:
    if stability is None:
        return None
    if not isinstance(stability, (int, np.integer)) or isinstance(stability, bool) or stability < 1:
        raise InputError(f"stability must be None or a number of halves of at least 1, got {stability!r}")
    return int(stability)


def _least(rows: pd.DataFrame, names: Sequence[str], column: str) -> list[str]:
    """The name with the least value, ties going to the higher rho, then to the name; none of none."""
    if not names:
        return []
    ordered = rows.loc[list(names)].sort_values([column, "rho", "name"], ascending=[True, False, True])
    return [str(ordered.index[0])]
