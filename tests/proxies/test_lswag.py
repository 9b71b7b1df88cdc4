"""L-SWAG from per-layer numbers, worked by hand."""

from __future__ import annotations

import math

import pytest

from lswag_fast.proxies.lswag import COMBINES, combined, trainability

LAMBDAS, PSIS = [2.0, -1.0, 0.5], [3, 10, 4]


@pytest.mark.parametrize(("total", "expected"), [(1.0, 0.0), (math.e, 1.0), (0.0, -math.inf), (math.inf, math.inf)])
def test_trainability_is_the_natural_logarithm(total: float, expected: float) -> None:
    assert trainability(total) == expected


def test_trainability_of_nan_is_nan() -> None:
    assert math.isnan(trainability(math.nan))


@pytest.mark.parametrize(
    ("combine", "expected"),
    [
        ("layerwise", 2.0 * 3 - 1.0 * 10 + 0.5 * 4),
        ("product", (2.0 - 1.0 + 0.5) * 12),
        ("log", 1.5 + math.log(3 * 10 * 4)),
    ],
)
def test_combinations(combine: str, expected: float) -> None:
    assert combined(LAMBDAS, PSIS, 12, combine) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("combine", COMBINES)
def test_nan_propagates(combine: str) -> None:
    assert math.isnan(combined([math.nan, 1.0], [2, 2], 3, combine))


def test_the_product_needs_the_union() -> None:
    with pytest.raises(TypeError, match="union_cardinality"):
        combined(LAMBDAS, PSIS, None, "product")


def test_each_layer_needs_a_cardinality() -> None:
    with pytest.raises(ValueError, match="zip"):
        combined(LAMBDAS, PSIS[:2], None, "layerwise")


def test_the_sum_is_exact_whatever_the_order() -> None:
    lambdas = [1e16, 1.0, -1e16]
    assert (
        combined(lambdas, [1, 1, 1], None, "layerwise") == combined(lambdas[::-1], [1, 1, 1], None, "layerwise") == 1.0
    )
