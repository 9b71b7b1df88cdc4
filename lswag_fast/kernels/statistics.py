"""The statistics of a weight's gradients, by the names that csrc/common/statistics.h gives them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

from lswag_fast.kernels.binary import core, require_core

Combination = Literal["count", "sum", "max"]


@dataclass(frozen=True)
class Statistic:
    """What is known of a statistic, whatever the weight.

    Attributes:
        name: its name, also in C++ and in `lswag_fast.reference`.
        combination: how the values of two parts of a weight become that of both. A "sum" over some of the rows is
            scaled up to an estimate of the sum over all rows; a "count" and a "max" stay those of the rows looked at.
        needs: what `gradient_stats` must be asked for or given: "batch_gradient", "weight", and "magnitudes" for
            `gradient="abs"`.
    """

    name: str
    combination: Combination
    needs: frozenset[str]


@lru_cache(maxsize=1)
def statistics() -> tuple[Statistic, ...]:
    """Every statistic that the kernels compute, in their order.

    Raises:
        BackendUnavailableError: the extension is missing.

    Example:
        >>> [statistic.name for statistic in statistics() if statistic.combination == "max"]
        ['max_abs_batch_gradient']
    """
    require_core()
    return tuple(
        Statistic(name, cast(Combination, combination), frozenset(needs))
        for name, combination, needs in core.statistics()
    )


@lru_cache(maxsize=8)
def _measured(given: frozenset[str]) -> tuple[tuple[int, str], ...]:
    """The places and names of the statistics that need no more than what was given."""
    return tuple((place, found.name) for place, found in enumerate(statistics()) if found.needs <= given)


@dataclass(frozen=True)
class GradientStats:
    """The statistics of a weight, or of some of its rows: `stats["sum_inv_sigma"]`.

    mu and sigma are the mean and the population standard deviation over the samples of |g|, or of g with
    `gradient="signed"`; G is the batch gradient, the sum over the samples of the signed g; w is the weight. The sums
    run over the elements of the weight whose moments are finite.

    ============================== ====================================== ==============================
    name                           value                                  needs
    ============================== ====================================== ==============================
    ``n_zero_variance``            elements with sigma = 0, a rounding
                                   error, or below the floor
    ``n_nonfinite``                elements left out of all others
    ``sum_inv_sigma``              sum of 1/sigma (L-SWAG, Eq. 1)
    ``sum_mu_over_sigma``          sum of mu/sigma (ZiCo, Eq. 15)
    ``sum_gsnr``                   sum of (E g)^2 / (Var g + xi)          batch gradient
    ``sum_mean_abs_over_sigma``    sum of E|g|/sigma, sigma that of the   batch gradient, magnitudes
                                   signed g (ZiCo's code)
    ``sum_batch_gradient``         sum of G                               batch gradient
    ``sum_squared_batch_gradient`` sum of G^2                             batch gradient
    ``max_abs_batch_gradient``     largest |G|                            batch gradient
    ``sum_weight_gradient``        sum of w G                             batch gradient, weight
    ``sum_abs_weight_gradient``    sum of |w G|                           batch gradient, weight
    ============================== ====================================== ==============================

    Those elements are left out of the sums that divide by sigma; `lswag_fast.reference.is_rounding` and
    `least_deviation` say which.

    Attributes:
        n_weights: elements of the weight that were looked at.
        values: those of the statistics whose needs were met, by name.

    Example:
        >>> stats = GradientStats(4, {"n_zero_variance": 1.0, "n_nonfinite": 0.0, "sum_inv_sigma": 2.5})
        >>> stats["sum_inv_sigma"], stats.n_zero_variance
        (2.5, 1)
    """

    n_weights: int
    values: Mapping[str, float]

    def __getitem__(self, name: str) -> float:
        """A statistic by name; LookupError, saying what it needs, where it was not measured."""
        if name in self.values:
            return self.values[name]
        for statistic in statistics():
            if statistic.name == name:
                raise LookupError(f"{name} was not measured: it needs {', '.join(sorted(statistic.needs))}")
        raise LookupError(f"no statistic is named {name!r}; there are {', '.join(s.name for s in statistics())}")

    def __contains__(self, name: str) -> bool:
        """Whether a statistic was measured."""
        return name in self.values

    @property
    def n_zero_variance(self) -> int:
        """Elements whose gradient is the same in every sample, up to rounding errors and the floor."""
        return int(self.values["n_zero_variance"])

    @property
    def n_nonfinite(self) -> int:
        """Elements with a NaN or infinite gradient in some sample."""
        return int(self.values["n_nonfinite"])

    @property
    def n_finite_variance(self) -> int:
        """Elements with a finite, positive variance: those that make the sums over 1/sigma."""
        return self.n_weights - self.n_zero_variance - self.n_nonfinite

    @classmethod
    def of_kernel(cls, n_weights: int, values: Sequence[float], given: frozenset[str]) -> GradientStats:
        """What a kernel returned, without the statistics that need more than what was `given`."""
        return cls(n_weights, {name: values[place] for place, name in _measured(given)})

    @classmethod
    def combined(cls, parts: Sequence[tuple[float, GradientStats]]) -> GradientStats:
        """The statistics of a weight from those of its parts, each with the factor that scales its sums up.

        The factor makes up for rows that were not looked at: sums are estimates of those over all rows. A largest
        value has no such factor: it is that of the rows looked at, a lower bound of that of the weight.

        Example:
            >>> rows = GradientStats(8, {"sum_inv_sigma": 3.0, "max_abs_batch_gradient": 0.5})
            >>> GradientStats.combined([(2.0, rows), (1.0, rows)]).values
            {'sum_inv_sigma': 9.0, 'max_abs_batch_gradient': 0.5}
        """
        if len(parts) == 1 and parts[0][0] == 1:  # most weights
            return parts[0][1]
        values: dict[str, float] = {}
        for statistic in statistics():
            found = [(factor, part.values.get(statistic.name)) for factor, part in parts]
            known = [(factor, value) for factor, value in found if value is not None]
            if len(known) < len(found):
                continue
            if statistic.combination == "max":
                values[statistic.name] = max((value for _, value in known), default=0.0)
            elif statistic.combination == "count":
                values[statistic.name] = sum(value for _, value in known)
            else:
                values[statistic.name] = sum(value * factor for factor, value in known)
        return cls(sum(part.n_weights for _, part in parts), values)
