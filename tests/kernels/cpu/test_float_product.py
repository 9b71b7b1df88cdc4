"""float_product against products in float64: its errors are no larger than those of a sum in float32."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lswag_fast import kernels
from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.kernels import float_product

ISAS = [isa for isa in kernels.isa_list() if isa == "amx"]
UNIT = 2.0**-24

pytestmark = pytest.mark.skipif(not ISAS, reason="no instruction set with products of tiles here")


@pytest.fixture(autouse=True)
def _tiles() -> Iterator[None]:
    kernels.set_isa("amx")
    yield
    kernels.set_isa(None)


def assert_like_float32(found: Tensor | None, a: Tensor, b: Tensor, bias: Tensor | None = None) -> None:
    """No element is further off than the K + 8 roundings of a sum of K products in float32 allow.

    6 K terms are added, but those of the smaller planes, 2^-8 of the others and less, weigh little: one further
    rounding for each block of 32 covers them, and 8 the pieces that are left out, the powers of two and the bias.
    """
    assert found is not None
    exact = a.double() @ b.double()
    sizes = a.double().abs() @ b.double().abs()
    if bias is not None:
        exact, sizes = exact + bias.double(), sizes + bias.double().abs()
    bound = (a.shape[1] * (1 + 1 / 32) + 8) * UNIT * sizes
    assert ((found.double() - exact).abs() <= bound + 2.0**-149).all()


# Edges of panels of 32 rows and columns, of blocks of 32 terms, of blocks of 256 rows, and more than a cache holds.
@pytest.mark.parametrize(
    "size",
    [(1, 1, 1), (31, 33, 32), (32, 32, 31), (33, 31, 65), (129, 64, 200), (300, 100, 17), (1100, 1000, 40)],
    ids=str,
)
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("columns", [True, False], ids=["contiguous columns", "contiguous rows"])
def test_sizes_and_layouts(
    size: tuple[int, int, int], with_bias: bool, columns: bool, generator: torch.Generator
) -> None:
    m, n, k = size
    a = torch.randn(m, k, generator=generator)
    b = torch.randn(n, k, generator=generator).t() if columns else torch.randn(k, n, generator=generator)
    bias = torch.randn(n, generator=generator) if with_bias else None
    found = float_product(a, b, bias)
    assert found is not None and found.shape == (m, n) and found.is_contiguous()
    assert_like_float32(found, a, b, bias)


def test_slices_of_larger_matrices(generator: torch.Generator) -> None:
    a, weight = torch.randn(70, 90, generator=generator)[3:, 5:77], torch.randn(80, 100, generator=generator)
    assert_like_float32(float_product(a, weight[:50, :72].t()), a, weight[:50, :72].t())
    assert_like_float32(float_product(a, weight[2:74, 7:60]), a, weight[2:74, 7:60])


def test_the_error_of_long_sums_is_below_that_of_torch(generator: torch.Generator) -> None:
    a, b = torch.randn(256, 3000, generator=generator), torch.randn(3000, 256, generator=generator)
    exact = a.double() @ b.double()
    found = float_product(a, b)
    assert found is not None
    assert (found - exact).norm() <= (a @ b - exact).norm()


@settings(deadline=None, max_examples=60)
@given(st.integers(-120, 120), st.integers(-120, 120), st.integers(0, 2**32 - 1))
def test_any_size_of_elements(of_a: int, of_b: int, seed: int) -> None:
    """Rows of a and columns of b keep the precision of float32 at any size, if their products are in its range."""
    if not -100 < of_a + of_b < 110:
        of_b = -of_a
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(5, 40, generator=generator) * 2.0**of_a
    b = torch.randn(40, 7, generator=generator) * 2.0**of_b
    a[1], b[:, 2] = a[1] * 2.0**-6, b[:, 2] * 2.0**6
    a[3], b[:, 4] = 0, 0
    found = float_product(a, b)
    assert_like_float32(found, a, b)
    assert found is not None and (found[3] == 0).all() and (found[:, 4] == 0).all()


@pytest.mark.parametrize("value", [2.0**127 * 1.999, 2.0**-126, 2.0**-149, -3.4e38], ids=str)
def test_the_ends_of_the_range_are_exact(value: float) -> None:
    a, b = torch.full((2, 1), value), torch.ones(1, 3)
    found = float_product(a, b)
    assert found is not None and (found == value).all()


@pytest.mark.parametrize("value", [float("inf"), -float("inf"), float("nan")], ids=str)
def test_there_is_none_of_what_is_not_finite(value: float) -> None:
    a, b = torch.ones(40, 50), torch.ones(50, 60)
    for operand in (a, b):
        whole = operand.clone()
        operand[33, 34] = value
        assert float_product(a, b) is None and float_product(a, b.t().contiguous().t()) is None
        operand.copy_(whole)
    assert float_product(a, b) is not None


def test_threads_make_no_difference(generator: torch.Generator) -> None:
    a, b = torch.randn(700, 130, generator=generator), torch.randn(130, 90, generator=generator)
    found = []
    n_threads = torch.get_num_threads()
    for n in (1, 2, 3):
        torch.set_num_threads(n)
        found.append(float_product(a, b))
    torch.set_num_threads(n_threads)
    assert torch.equal(found[0], found[1]) and torch.equal(found[0], found[2])


def test_bfloat16_products_of_others_are_untouched(generator: torch.Generator) -> None:
    """oneDNN configures the tile registers for itself; a product in between must not disturb it, nor be disturbed."""
    a, b = torch.randn(64, 64, generator=generator), torch.randn(64, 64, generator=generator)
    before = a.bfloat16() @ b.bfloat16(), float_product(a, b)
    for _ in range(3):
        assert torch.equal(a.bfloat16() @ b.bfloat16(), before[0])
        assert torch.equal(float_product(a, b), before[1])


@pytest.mark.parametrize(
    ("a", "b", "bias"),
    [
        (torch.ones(2, 3), torch.ones(4, 5), None),
        (torch.ones(2, 3, 4), torch.ones(4, 5), None),
        (torch.ones(2, 0), torch.ones(0, 5), None),
        (torch.ones(2, 3).double(), torch.ones(3, 5), None),
        (torch.ones(3, 2).t(), torch.ones(3, 5), None),
        (torch.ones(2, 3), torch.ones(3, 5), torch.ones(4)),
        (torch.ones(2, 3), torch.ones(6, 10)[::2, ::2], None),
    ],
)
def test_what_does_not_fit_is_refused(a: Tensor, b: Tensor, bias: Tensor | None) -> None:
    with pytest.raises(InputError):
        float_product(a, b, bias)


def test_other_instruction_sets_say_that_they_have_none() -> None:
    kernels.set_isa("baseline")
    assert not kernels.has_float_product()
    with pytest.raises(BackendUnavailableError, match="'baseline' has no float_product"):
        float_product(torch.ones(2, 3), torch.ones(3, 2))
