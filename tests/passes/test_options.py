"""The options of a pass: ranges, and what does not fit a batch."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from lswag_fast.errors import InputError
from lswag_fast.passes.options import PassOptions, parse_variance

GOOD: dict[str, Any] = {
    "loss_fn": None,
    "loss_reduction": None,
    "layers": None,
    "n_groups": None,
    "gradient": "abs",
    "pattern_samples": "auto",
    "row_fraction": 1.0,
    "chunk_size": None,
    "seed": 0,
}


def test_numbers_of_numpy_become_python_s() -> None:
    given = {
        "layers": (np.int64(2), np.int32(7)),
        "pattern_samples": np.int64(16),
        "row_fraction": np.float32(0.5),
        "chunk_size": np.uint8(4),
        "seed": np.uint64(3),
    }
    found = PassOptions(**{**GOOD, **given})
    values = {name: getattr(found, name) for name in given}
    assert values == {"layers": (2, 7), "pattern_samples": 16, "row_fraction": 0.5, "chunk_size": 4, "seed": 3}
    json.dumps(values)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("loss_reduction", "none"),
        ("gradient", "absolute"),
        ("layers", (3,)),
        ("layers", (4, 3)),
        ("layers", (-1, 3)),
        ("layers", (0, 11)),
        ("layers", (0.0, 3.0)),
        ("layers", (False, True)),
        ("layers", 3),
        ("layers", "03"),
        ("row_fraction", 0.0),
        ("row_fraction", 1.5),
        ("row_fraction", True),
        ("row_fraction", float("nan")),
        ("row_fraction", "half"),
        ("pattern_samples", 0),
        ("pattern_samples", 2.0),
        ("pattern_samples", "all"),
        ("pattern_samples", True),
        ("chunk_size", 0),
        ("chunk_size", -1),
        ("chunk_size", 1.5),
        ("seed", -1),
        ("seed", 0.5),
        ("seed", None),
        ("seed", 2**64),
    ],
)
def test_a_value_outside_of_its_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InputError, match=rf"^{name} .*{value!r}".replace("(", r"\(").replace(")", r"\)")):
        PassOptions(**GOOD | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("layers", (0, 10)),
        ("layers", [3, 3]),
        ("row_fraction", 1),
        ("row_fraction", 1e-9),
        ("pattern_samples", 1),
        ("chunk_size", 1),
        ("seed", 2**64 - 1),
        ("loss_reduction", "mean"),
        ("gradient", "signed"),
    ],
)
def test_the_ends_of_each_range_are_taken(name: str, value: Any) -> None:
    assert getattr(PassOptions(**GOOD | {name: value}), name) == value


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pattern_samples": 9}, "pattern_samples is 9, the batch has 8 samples"),
        ({"n_groups": 3}, "'microbatch:3' does not divide the batch of 8 samples"),
        ({"n_groups": 4, "chunk_size": 3}, "chunk_size 3 cuts a micro-batch; make it a multiple of 2"),
    ],
)
def test_what_does_not_fit_the_batch(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        PassOptions(**GOOD | changes).for_batch(8)


@pytest.mark.parametrize("changes", [{"pattern_samples": 8}, {"n_groups": 4}, {"n_groups": 4, "chunk_size": 6}])
def test_what_fits_the_batch(changes: dict[str, Any]) -> None:
    PassOptions(**GOOD | changes).for_batch(8)


@pytest.mark.parametrize(("variance", "expected"), [("sample", None), ("microbatch:2", 2), ("microbatch:16", 16)])
def test_parse_variance(variance: str, expected: int | None) -> None:
    assert parse_variance(variance) == expected


@pytest.mark.parametrize(
    "variance", ["samples", "microbatch", "microbatch:", "microbatch:1", "microbatch:-2", "microbatch:2.0", "", None, 4]
)
def test_another_variance_is_refused(variance: Any) -> None:
    with pytest.raises(InputError, match="variance must be 'sample' or 'microbatch:N'"):
        parse_variance(variance)
