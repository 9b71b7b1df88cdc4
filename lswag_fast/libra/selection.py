"""LIBRA: the choice of up to three proxies for a benchmark, and their combination (Casarin et al., CVPR 2025)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from lswag_fast.data.tables import checked_table, finite_numbers, numbers
from lswag_fast.errors import InputError, TableError, warn
from lswag_fast.files.durable import write_whole
from lswag_fast.libra.algorithm1 import ROLES, WIDER_TOLERANCE, Correlation, Measured, measure
from lswag_fast.libra.fit import Fit
from lswag_fast.libra.halves import join_by_gain, random_halves
from lswag_fast.libra.information import Binning, Logarithm
from lswag_fast.libra.judge import Candidates, Judge
from lswag_fast.libra.ranking import oriented, rank_aggregate
from lswag_fast.libra.ranks import Aggregate, check_aggregate
from lswag_fast.libra.stored import SCHEMA_VERSION
from lswag_fast.libra.weights import weighted_members
from lswag_fast.libra.windows import ComparisonWindow, check_window
from lswag_fast.option_checks import check_names
from lswag_fast.proxies import list_proxies

if TYPE_CHECKING:
    from lswag_fast.libra.held_out import HeldOut

Rule = Literal["weights", "halves", "published"]
MOST_HALVES = 10_000
"""More would run for hours; the standard error that they measure is known well from far fewer."""


class Libra:
    """Select proxies for a target and combine them.

    z1 has the highest Spearman correlation rho with the target. By the rule "weights", which departs from the paper,
    every proxy counts with a weight of its own, below 0 where it counts against, fitted to the ranks of the target, and
    drawn towards z1 alone the more, the fewer architectures there are. The weights are kept only where they rank halves
    of the table that they were not fitted to better than the best proxy alone, by more than one standard error of that
    gain; else z1 alone is the answer. By the other rules, candidates to join z1 are the proxies whose rho lies within
    the tolerance of it (Algorithm 1). By "halves", the candidate that raises the correlation on random halves of the
    table most joins, if by more than one standard error, and so on up to three; one proxy alone is a possible answer
    here, too. By "published", z2 is the candidate with the lowest information gain H(y|z1) - H(y|z1, z2), and z3, of
    the others, the one whose bias is nearest to that of the target: three where there are two candidates, also where
    they rank worse together than z1 alone. The selection needs a target, so it is no zero-cost proxy itself: fit on one
    benchmark, use on another.

    Args:
        tolerance: candidates have rho_1 - tolerance < rho <= rho_1. Where that leaves the published rule fewer than two
            beside z1 it is widened to 0.2, as the authors do, and a warning says so; where that does not help the
            selection is shorter.
        rule: which proxies count, and how much, see above.
        bias: how biases are correlated: "rank", Pearson of the ranks (the text), or "raw", of the values (the published
            Table 6).
        logarithm: of the number of bins of the entropies, see `information.sturges_bins`.
        binning: where the bins' edges lie, see `information.discretised`; both defaults are those of the notebook of
            NAS-Bench-Suite-Zero. With "equal_width" the gain is not invariant under monotone transforms: one outlier
            makes a proxy look as if it added nothing, and the published rule then chooses it.
        combine: how `predict` combines them; the paper does not say. See `rank_aggregate`. The rule "weights" knows
            "log_rank" only. "product" may rank far
            below the best of the three when one of them is heavy-tailed: most of its scaled scores are then near 0.
        halves: how many halves of the table the rules "halves" and "weights" look at.
        seed: of the halves.

    Raises:
        InputError: another value of an option.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> accuracy, params = rng.normal(size=80), rng.normal(size=80)
        >>> proxies = {name: accuracy + rng.normal(size=80) / 2 for name in ("nwot", "zico", "snip", "fisher")}
        >>> table = pd.DataFrame({"accuracy": accuracy, "params": params, **proxies})
        >>> libra = Libra().fit(table, target="accuracy", bias="params")
        >>> libra
        Libra(rule='weights': selected snip, zico, fisher, nwot)
        >>> libra.explain().index[0] == libra.selection[0]
        True
        >>> bool(libra.predict(table).corr(table["accuracy"], method="spearman") > 0.9)
        True
        >>> libra.to_dict()["fitted_on"]["n_rows"]
        80
    """

    def __init__(
        self,
        tolerance: float = 0.1,
        *,
        rule: Rule = "weights",
        bias: Correlation = "rank",
        logarithm: Logarithm = "natural",
        binning: Binning = "equal_width",
        combine: Aggregate = "log_rank",
        halves: int = 20,
        seed: int = 0,
    ) -> None:
        is_number = isinstance(tolerance, (int, float, np.integer, np.floating)) and not isinstance(tolerance, bool)
        if not is_number or not 0 < tolerance < 2:
            raise InputError(f"tolerance must lie in (0, 2), got {tolerance!r}")
        check_aggregate("combine", combine)
        _check_choice("rule", rule, Rule)
        if rule == "weights" and combine != "log_rank":
            raise InputError(
                f'rule="weights" weighs logarithms of ranks, got combine={combine!r}; take rule="halves" or "published"'
            )
        _check_choice("bias", bias, Correlation)
        _check_choice("logarithm", logarithm, Logarithm)
        _check_choice("binning", binning, Binning)
        self.tolerance = float(tolerance)
        self.rule = rule
        self.bias = bias
        self.logarithm = logarithm
        self.binning = binning
        self.combine = combine
        self.halves = _checked_halves(halves)
        self.seed = _checked_seed(seed)
        self._fit: Fit | None = None

    def __repr__(self) -> str:
        found = "not fitted" if self._fit is None else f"selected {', '.join(self._fit.selection)}"
        return f"Libra(rule={self.rule!r}: {found})"

    def fit(
        self,
        table: pd.DataFrame,
        target: str,
        bias: str = "params",
        proxies: Sequence[str] | None = None,
        window: ComparisonWindow | None = None,
    ) -> Libra:
        """Select on a table of architectures x (target, proxies, bias).

        Args:
            table: as of `lswag_fast.tables`; rows where a column in use is NaN or infinite are left out, see `explain`.
            target: the column of the accuracy.
            bias: the column that proxies may be biased to, which may be a proxy itself.
            proxies: the columns to choose from; None for those named like a registered proxy. Registered proxies for
                which lower is better are negated, all others are taken as they are.
            window: every rho is then the mean of the correlations inside such windows, which is what counts under the
                budget of a search; see `lswag_fast.libra.windows`.

        Returns:
            Itself.

        Raises:
            TableError: a column is not there or holds no numbers, an architecture is named twice, fewer than 10 rows
                are finite (20 with the rules "halves" and "weights"), no window holds 10, or the target is constant.
            InputError: fewer than two proxies vary, or the target is among them or is the bias; proxies are no list of
                names, or the window is none.

        Example:
            >>> values = np.arange(20.0)
            >>> columns = ("accuracy", "size", "nwot", "zico", "snip")
            >>> Libra().fit(pd.DataFrame(dict.fromkeys(columns, values)), "accuracy", bias="size").result.n_rows
            20
        """
        checked_table(table)
        check_window(window)
        found = _proxy_columns(table, target) if proxies is None else proxies
        if isinstance(found, Sequence) and not found:
            raise InputError("no proxy to choose from; give the names of columns in proxies")
        check_names("proxies", found)
        names = list(dict.fromkeys(found))
        if target in names:
            raise InputError(f"the target {target!r} is among the proxies; leave it out there")
        if target == bias:
            raise InputError(f"the target {target!r} is the bias, too; name what the proxies may lean to")
        chosen, n_dropped = finite_numbers(table, [target, bias, *names])
        _check_target(chosen, target)
        if self.rule == "published":
            _warn_of_constant(chosen, bias)
        sizes = None if window is None else window.sizes(table)[chosen.index]
        candidates = Candidates(oriented(chosen, names), chosen[target], chosen[bias], sizes, window)
        self._fit = self._selected(candidates, n_dropped)
        constant = [name for name in names if chosen[name].nunique() == 1]
        self._fit.proxies.loc[constant, "note"] = [f"constant, {chosen[name].iloc[0]:g}" for name in constant]
        return self

    def _selected(self, table: Candidates, n_dropped: int) -> Fit:
        judge = Judge(table, None, self.combine)
        if table.window is not None:
            judge.windows.check(table.window)
        measured = self._measured(table, judge)
        weighted = weighted_members(table, self.halves, self.seed) if self.rule == "weights" else None
        steps: pd.DataFrame | None = None
        if weighted is not None:
            selection = list(weighted.names)
        elif self.rule == "weights":
            selection = [measured.first]
        elif self.rule == "published":
            selection = measured.published()
        else:
            judges = random_halves(table, self.halves, self.seed, self.combine)
            selection, steps = join_by_gain(measured.first, measured.near, judges)
        roles = {} if weighted is not None else dict(zip(selection, ROLES, strict=False))
        rows = measured.rows.assign(role=[roles.get(name, "") for name in measured.rows.index])
        ordered = [*measured.order, *rows.index.difference(measured.order, sort=False)]
        return Fit(
            selection=tuple(selection),
            rho=judge.rho(selection, None if weighted is None else weighted.weights),
            proxies=rows.loc[ordered].drop(columns="name"),
            target=str(table.target.name),
            bias=str(table.bias.name),
            n_rows=len(table),
            n_dropped=n_dropped,
            n_bins=measured.n_bins,
            target_bias=measured.target_bias,
            tolerance=measured.tolerance,
            window=table.window,
            steps=steps,
            weighted=weighted,
        )

    def _measured(self, table: Candidates, judge: Judge) -> Measured:
        wider = [max(self.tolerance, WIDER_TOLERANCE)] if self.rule == "published" else []
        measured = measure(
            table,
            judge,
            [self.tolerance, *wider],
            bias=self.bias,
            logarithm=self.logarithm,
            binning=self.binning,
        )
        if self.rule == "published" and (measured.tolerance != self.tolerance or measured.is_short()):
            is_wider = measured.tolerance != self.tolerance
            widened = f"; widened to {measured.tolerance:g}, which leaves" if is_wider else ":"
            warn(
                f"LIBRA: within {self.tolerance:g} of the best proxy ({measured.first}, rho "
                f"{measured.rows['rho'].max():.3f}) lie too few others{widened} {len(measured.near)}"
            )
        return measured

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
        """z1 and what joined it; by the rule "weights" all that count, the largest weight first."""
        return self.result.selection

    def explain(self) -> pd.DataFrame:
        """Return the numbers of every proxy that Algorithm 1 looks at, one row per proxy, best first.

        Returns:
            The table `proxies` of `Fit`; `result` has the numbers of the whole table beside it, and in `steps` the
            gains by which the rule "halves" chose.

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
        return rank_aggregate(oriented(numbers(table, names), names), self.combine, self.result.weights)

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
            "weights": None if found.weights is None else list(found.weights),
            "options": {
                "tolerance": self.tolerance,
                "bias": self.bias,
                "logarithm": self.logarithm,
                "binning": self.binning,
                "rule": self.rule,
                "halves": self.halves,
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
                "window": None if found.window is None else asdict(found.window),
            },
            "proxies": rows.to_dict(orient="records"),
            "steps": None if found.steps is None else json.loads(found.steps.to_json(orient="records")),
        }

    def save(self, path: str | os.PathLike[str], held_out: HeldOut | None = None) -> None:
        """Write `to_dict` as JSON, which `read_selection` reads.

        Args:
            path: the file; its folder is made if need be.
            held_out: what the rule is worth where it was not fitted (`lswag_fast.libra.held_out.held_out`), written
                beside it; a search by the selection says so when it starts.

        Raises:
            InputError: `fit` was not called.
            StorageError: the file cannot be written.

        Example:
            >>> import tempfile
            >>> from lswag_fast.libra.stored import read_selection
            >>> columns = ("accuracy", "size", "nwot", "zico", "snip")
            >>> libra = Libra().fit(pd.DataFrame(dict.fromkeys(columns, np.arange(20.0))), "accuracy", bias="size")
            >>> with tempfile.NamedTemporaryFile(suffix=".json") as file:
            ...     libra.save(file.name)
            ...     read_selection(file.name).proxies == libra.selection
            True
        """
        worth = {} if held_out is None else {"held_out": asdict(held_out)}
        text = json.dumps({**self.to_dict(), **worth}, indent=2, allow_nan=False) + "\n"
        write_whole(Path(path), text.encode())


def _proxy_columns(table: pd.DataFrame, target: str) -> list[str]:
    known = {info.name for info in list_proxies()}
    return [name for name in table.columns if name in known and name != target]


def _check_target(table: pd.DataFrame, target: str) -> None:
    """Refuse a target that says nothing."""
    if table[target].nunique() == 1:
        raise TableError(f"the target {target!r} is {table[target].iloc[0]} in every row")


def _warn_of_constant(table: pd.DataFrame, bias: str) -> None:
    """Warn of a bias that says nothing, by which the published rule chooses."""
    if table[bias].nunique() == 1:
        warn(
            f"LIBRA: the bias {bias!r} is {float(table[bias].iloc[0]):g} in every row, so that no proxy leans to it: "
            "the published rule chooses its third by the correlation alone"
        )


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        raise InputError(f"{name} must be one of {', '.join(get_args(choices))}, got {value!r}")


def _checked_halves(halves: int) -> int:
    is_number = isinstance(halves, (int, np.integer)) and not isinstance(halves, bool)
    if not is_number or not 2 <= halves <= MOST_HALVES:
        raise InputError(f"halves must be a number from 2 to {MOST_HALVES:,}, got {halves!r}")
    return int(halves)


def _checked_seed(seed: int) -> int:
    is_number = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool)
    if not is_number or seed < 0:
        raise InputError(f"seed must be an integer >= 0, got {seed!r}")
    return int(seed)
