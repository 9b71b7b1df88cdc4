"""gradient_stats of bfloat16 operands against float64 sums of operands rounded by a definition of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.cpu.gradient_oracle import FLOAT32, assert_close, linear_gradients, select_rows, stats_of
from lswag_fast import kernels, reference
from lswag_fast.kernels import Moments, gradient_stats

# (samples, positions, inputs, outputs): edges of blocks of 32 positions, of pairs, of tiles of 64 columns and 16 rows.
SIZES = [(4, 9, 3, 1), (5, 31, 64, 16), (8, 32, 65, 17), (4, 33, 63, 15), (4, 64, 130, 33), (3, 197, 200, 100)]

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda t: t.contiguous(),
    "features_outside": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "time_major": lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
    "samples_inside": lambda t: t.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "every_other": lambda t: torch.stack([t, torch.full_like(t, float("nan"))], 3).flatten(2)[..., ::2],
}


def operands(size: tuple[int, int, int, int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    b, t, i, o = size
    return torch.randn(b, t, i, generator=generator), torch.randn(b, t, o, generator=generator)


def check(
    calls: Sequence[tuple[Tensor, Tensor]], layout: Callable[[Tensor], Tensor] = lambda t: t, **options: Any
) -> None:
    """Round float32 operands by the definition for the oracle, by torch for the kernel."""
    rounded = [(reference.round_to_bfloat16(x), reference.round_to_bfloat16(g)) for x, g in calls]
    given = [(layout(x.bfloat16()), layout(g.bfloat16())) for x, g in calls]
    gradients = linear_gradients(rounded)
    weight = torch.randn(gradients.shape[1:], generator=torch.Generator().manual_seed(1))
    blocks = options.get("row_blocks")
    expected = stats_of(
        select_rows(gradients, blocks),
        absolute=options.get("gradient", "abs") == "abs",
        weight=select_rows(weight[None], blocks)[0],
        rounding=reference.rounding_error(given),
        least=reference.least_deviation(given),
    )
    for n_threads in (1, 2):
        torch.set_num_threads(n_threads)
        found = gradient_stats(given, batch_gradient=True, weight=weight, **options)
        assert_close(found, expected, FLOAT32)


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size: tuple[int, int, int, int], gradient: str, isa: str, generator: torch.Generator) -> None:
    check([operands(size, generator)], gradient=gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, isa: str, generator: torch.Generator) -> None:
    check([operands((8, 37, 70, 19), generator)], LAYOUTS[layout])


def test_several_calls_are_one_gradient(isa: str, generator: torch.Generator) -> None:
    check([operands((8, 21, 70, 19), generator), operands((8, 4, 70, 19), generator)])


@pytest.mark.parametrize("blocks", [[0], [2], [0, 2], []])
def test_row_blocks(blocks: list[int], isa: str, generator: torch.Generator) -> None:
    check([operands((8, 37, 70, 19), generator)], row_blocks=blocks)


@pytest.mark.parametrize("exponents", [(-100, -20), (-120, 100), (60, 60)])
def test_magnitudes(exponents: tuple[int, int], isa: str, generator: torch.Generator) -> None:
    """Products beyond the range of float32, which scaling brings back."""
    x, grad_out = operands((8, 37, 70, 19), generator)
    check([(torch.ldexp(x, torch.tensor(exponents[0])), torch.ldexp(grad_out, torch.tensor(exponents[1])))])


def test_chunks_continue(isa: str, generator: torch.Generator) -> None:
    x, grad_out = (t.bfloat16() for t in operands((9, 37, 70, 19), generator))
    moments = Moments.empty(19, 70, torch.bfloat16)
    for chunk in (slice(0, 2), slice(2, 9)):
        found = gradient_stats([(x[chunk], grad_out[chunk])], moments=moments)
    whole = gradient_stats([(x, grad_out)])
    assert found["sum_inv_sigma"] == pytest.approx(whole["sum_inv_sigma"], rel=FLOAT32)


def test_not_a_number_is_counted_where_it_is(isa: str, generator: torch.Generator) -> None:
    x, grad_out = (t.bfloat16() for t in operands((4, 37, 70, 19), generator))
    x[1, 5, 3], grad_out[2, 36, 7] = float("nan"), float("inf")
    found = gradient_stats([(x, grad_out)])
    assert found["n_nonfinite"] == 19 + 70 - 1


@pytest.mark.skipif("amx" not in kernels.isa_list(), reason="no AMX here")
def test_without_bfloat16_amx_has_the_bits_of_avx512(generator: torch.Generator) -> None:
    call = operands((8, 37, 70, 19), generator)
    found = {}
    for name in ("amx", "avx512"):
        kernels.set_isa(name)
        found[name] = gradient_stats([call], batch_gradient=True)
    kernels.set_isa(None)
    assert found["amx"] == found["avx512"]


def test_the_definition_rounds_as_torch_does() -> None:
    halfway = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8) * 2**-130, 2**-133, 3.4e38, 0.0, float("inf")])
    for values in (halfway, torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 10):
        assert torch.equal(reference.round_to_bfloat16(values), values.bfloat16().double())
