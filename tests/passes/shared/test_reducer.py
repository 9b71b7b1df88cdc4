"""Which weights a pass looks at: the percentile bins of Equation 6."""

from __future__ import annotations

import pytest

from lswag_fast.passes.shared.reducer import percentile


@pytest.mark.parametrize(
    ("n_layers", "expected"),
    [
        (1, [10]),
        (2, [5, 10]),
        (3, [3, 6, 10]),
        (10, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (11, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    ],
)
def test_the_bin_of_each_layer(n_layers: int, expected: list[int]) -> None:
    assert [percentile(layer, n_layers) for layer in range(1, n_layers + 1)] == expected


@pytest.mark.parametrize("n_layers", [7, 53, 100, 161])
def test_only_the_last_layer_lies_in_bin_ten(n_layers: int) -> None:
    bins = [percentile(layer, n_layers) for layer in range(1, n_layers + 1)]
    assert bins == sorted(bins)
    assert bins.count(10) == 1
