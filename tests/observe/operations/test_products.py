"""The products of a linear call, by whichever library: those of torch up to rounding."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lswag_fast import kernels
from lswag_fast.observe.operations import products

SHAPES = [(3, 5), (3, 4, 5), (2, 3, 4, 5), (0, 5), (3, 0, 5)]
DTYPES = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 2**-6}  # a few roundings of sums of 5 to 6 terms


@pytest.mark.parametrize("onednn", [True, False], ids=["oneDNN", "BLAS"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_products_are_those_of_torch(shape: tuple[int, ...], bias: bool, dtype: torch.dtype, onednn: bool) -> None:
    x, weight = torch.randn(shape, dtype=dtype), torch.randn(6, 5, dtype=dtype)
    shift = torch.randn(6, dtype=dtype) if bias else None
    grad_out = torch.randn(*shape[:-1], 6, dtype=dtype)
    with torch.backends.mkldnn.flags(enabled=onednn):
        out, grad_x = products.linear(x, weight, shift), products.input_gradient(grad_out, weight)
    tolerance = {"rtol": DTYPES[dtype], "atol": 4 * DTYPES[dtype]}
    torch.testing.assert_close(out, F.linear(x, weight, shift), **tolerance)
    torch.testing.assert_close(grad_x, grad_out @ weight, **tolerance)


@pytest.mark.parametrize(
    "arrange",
    [lambda t: t.t().contiguous().t(), lambda t: t.repeat_interleave(2, 0)[::2], lambda t: t[:1].expand_as(t)],
)
def test_strided_operands(arrange) -> None:
    x, weight = arrange(torch.randn(4, 5)), arrange(torch.randn(6, 5))
    torch.testing.assert_close(products.linear(x, weight, None), F.linear(x, weight))
    grad_out = arrange(torch.randn(4, 6))
    torch.testing.assert_close(products.input_gradient(grad_out, weight), grad_out @ weight)


def test_a_vector_has_its_product_too() -> None:
    x, weight = torch.randn(5), torch.randn(6, 5)
    torch.testing.assert_close(products.linear(x, weight, None), F.linear(x, weight))


def test_a_sparse_weight_is_left_to_torch() -> None:
    x, weight = torch.randn(300, 40), torch.randn(64, 40).relu()
    torch.testing.assert_close(products.linear(x, weight.to_sparse(), None), F.linear(x, weight))


def test_what_does_not_fit_is_said_in_the_words_of_torch() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        products.linear(torch.randn(4, 3), torch.randn(6, 5), None)


@pytest.fixture
def tiles(monkeypatch: pytest.MonkeyPatch) -> list[torch.Size]:
    """The shapes that were given to `kernels.float_product`, which stays as it is."""
    given = []

    def watched(a: torch.Tensor, b: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor | None:
        given.append(a.shape)
        return kernels.float_product(a, b, bias)

    monkeypatch.setattr(products, "float_product", watched)
    return given


@pytest.mark.skipif("amx" not in kernels.isa_list(), reason="no instruction set with products of tiles here")
class TestTiles:
    def test_large_products_are_those_of_torch(self, tiles: list[torch.Size]) -> None:
        x, weight, bias = torch.randn(8, 40, 64), torch.randn(96, 64), torch.randn(192)[::2]
        grad_out = torch.randn(8, 40, 96)
        torch.testing.assert_close(products.linear(x, weight, bias), F.linear(x, weight, bias))
        torch.testing.assert_close(products.input_gradient(grad_out, weight), grad_out @ weight)
        torch.testing.assert_close(
            products.linear(x[:, ::2, ::2], weight[:, ::2], None), x[:, ::2, ::2] @ weight[:, ::2].t()
        )
        assert tiles == [(320, 64), (320, 96)]

    def test_what_is_not_finite_is_left_to_torch(self, tiles: list[torch.Size]) -> None:
        x, weight = torch.randn(320, 64), torch.randn(96, 64)
        x[5, 7] = float("inf")
        out = products.linear(x, weight, None)
        torch.testing.assert_close(out, F.linear(x, weight), equal_nan=True)
        assert tiles and out[5].isinf().all() and out[6].isfinite().all()

    def test_small_products_are_left_to_torch(self, tiles: list[torch.Size]) -> None:
        products.linear(torch.randn(320, 16), torch.randn(96, 16), None)
        products.linear(torch.randn(200, 64), torch.randn(96, 64), None)
        products.linear(torch.randn(320, 64).double(), torch.randn(96, 64).double(), None)
        assert not tiles

    def test_another_instruction_set_has_none(self, tiles: list[torch.Size]) -> None:
        kernels.set_isa("avx512")
        products.linear(torch.randn(320, 64), torch.randn(96, 64), None)
        kernels.set_isa(None)
        assert not tiles
