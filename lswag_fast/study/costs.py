"""The costs of an architecture: the one table of what they are called, and how their values are written."""

from __future__ import annotations

from dataclasses import dataclass

from lswag_fast.errors import InputError

_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))
NOT_MEASURED = "-"


@dataclass(frozen=True)
class Cost:
    """A cost of an architecture.

    Attributes:
        field: of a trial, and a column of its table: `n_params`.
        budget: the quantity that a budget limits, and the option of the command line: `params`.
        name: in a sentence: `parameters`.
        heading: above a column: `params`.
        unit: of a value that is not a count; empty for counts.
    """

    field: str
    budget: str
    name: str
    heading: str
    unit: str = ""

    @property
    def label(self) -> str:
        """What an axis is labelled with."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def write(self, value: float | None) -> str:
        """Write a value in four digits with its unit; `-` where it was not measured."""
        if value is None:
            return NOT_MEASURED
        return f"{value:.4g} {self.unit}" if self.unit else write_count(value)


def write_count(value: float) -> str:
    """Write a count in four digits and a unit; small whole numbers as they are.

    Example:
        >>> write_count(5_712_345), write_count(950)
        ('5.712 M', '950')
    """
    for unit, letter in _UNITS:
        if abs(value) >= unit:
            return f"{value / unit:.4g} {letter}"
    return f"{value:.4g}"


COSTS = {
    cost.field: cost
    for cost in (
        Cost("n_params", "params", "parameters", "params"),
        Cost("macs", "macs", "MACs", "MACs"),
        Cost("latency_ms", "latency_ms", "latency", "latency", unit="ms"),
    )
}
"""All costs by their field of a trial."""


def get_cost(field: str) -> Cost:
    """Return a cost by its field of a trial.

    Raises:
        InputError: there is no such cost.

    Example:
        >>> get_cost("latency_ms").write(3.14159)
        '3.142 ms'
    """
    if field not in COSTS:
        raise InputError(f"cost must be one of {', '.join(COSTS)}; found {field!r}")
    return COSTS[field]
