"""gradient_stats of bfloat16 operands against float64 sums of operands rounded by a definition of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from kernels.cpu.gradient_oracle import (
    FLOAT32,
    assert_close,
    conv_gradients,
    linear_gradients,
    linear_operands,
    select_rows,
    stats_of,
)
from lswag_fast import kernels, reference
from lswag_fast.kernels import ConvGeometry, Moments, gradient_stats

# (samples, positions, inputs, outputs): edges of blocks of 32 positions, of pairs, of tiles of 64 columns and 16 rows.
SIZES = [(4, 9, 3, 1), (5, 31, 64, 16), (8, 32, 65, 17), (4, 33, 63, 15), (4, 64, 130, 33), (3, 197, 200, 100)]

LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda t: t.contiguous(),
    "features_outside": lambda t: t.transpose(1, 2).contiguous().transpose(1, 2),
    "time_major": lambda t: t.transpose(0, 1).contiguous().transpose(0, 1),
    "samples_inside": lambda t: t.permute(1, 2, 0).contiguous().permute(2, 0, 1),
    "every_other": lambda t: torch.stack([t, torch.full_like(t, float("nan"))], 3).flatten(2)[..., ::2],
}


def check(
    calls: Sequence[tuple[Tensor, Tensor]],
    layout: Callable[[Tensor], Tensor] = lambda t: t,
    conv: ConvGeometry | None = None,
    **options: Any,
) -> None:
    """Round float32 operands by the definition for the oracle, by torch for the kernel."""
    rounded = [(reference.round_to_bfloat16(x), reference.round_to_bfloat16(g)) for x, g in calls]
    given = [(layout(x.bfloat16()), layout(g.bfloat16())) for x, g in calls]
    gradients = linear_gradients(rounded) if conv is None else conv_gradients(rounded, conv)
    feature_axis = -1 if conv is None else 1
    weight = torch.randn(gradients.shape[1:], generator=torch.Generator().manual_seed(1))
    blocks = options.get("row_blocks")
    expected = stats_of(
        select_rows(gradients, blocks),
        absolute=options.get("gradient", "abs") == "abs",
        weight=select_rows(weight[None], blocks)[0],
        rounding=reference.rounding_error(given, feature_axis),
        least=reference.least_deviation(given, feature_axis),
    )
    torch.set_num_threads(1)
    found = gradient_stats(given, conv=conv, batch_gradient=True, weight=weight, **options)
    assert_close(found, expected, FLOAT32)
    torch.set_num_threads(2)
    assert gradient_stats(given, conv=conv, batch_gradient=True, weight=weight, **options) == found


@pytest.mark.parametrize("gradient", ["abs", "signed"])
@pytest.mark.parametrize("size", SIZES)
def test_sizes(size: tuple[int, int, int, int], gradient: str, isa: str, generator: torch.Generator) -> None:
    check([linear_operands(size, generator)], gradient=gradient)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, isa: str, generator: torch.Generator) -> None:
    check([linear_operands((8, 37, 70, 19), generator)], LAYOUTS[layout])


def conv_operands(
    size: Sequence[int], n_out: int, conv: ConvGeometry, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    x = torch.randn(*size, generator=generator)
    of = zip(size[2:], conv.padding, conv.dilation, conv.kernel_size, conv.stride, strict=True)
    sizes = [(n + 2 * pad - step * (k - 1) - 1) // stride + 1 for n, pad, step, k, stride in of]
    return x, torch.randn(size[0], n_out, *sizes, generator=generator)


def conv2d(kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1) -> ConvGeometry:
    return ConvGeometry((kernel,) * 2, (stride,) * 2, (padding,) * 2, (dilation,) * 2, groups)


CONVS = [
    ((3, 16, 8, 8), 16, conv2d(3, padding=1)),
    ((3, 5, 9, 13), 21, conv2d(3, padding=1)),
    ((3, 20, 7, 5), 33, conv2d(3)),
    ((3, 3, 25, 33), 17, conv2d(7, stride=2, padding=3)),
    ((3, 6, 40, 31), 18, conv2d(4, stride=3, padding=1)),
    ((3, 6, 11, 12), 18, conv2d(3, padding=2, dilation=2)),
    ((3, 32, 6, 7), 40, conv2d(3, padding=1, groups=2)),
    ((3, 8, 6, 6), 16, conv2d(5, padding=2, groups=8)),
    ((3, 33, 6, 7), 20, conv2d(1)),
    ((3, 20, 33, 40), 20, conv2d(1, stride=2)),
    ((3, 10, 37), 19, ConvGeometry((3,), (1,), (1,), (1,), 1)),
    ((3, 10, 70), 19, ConvGeometry((5,), (2,), (2,), (1,), 1)),
    ((3, 10, 9, 20), 16, ConvGeometry((3, 1), (2, 1), (1, 0), (1, 1), 1)),
]


@pytest.mark.parametrize("case", CONVS, ids=str)
@pytest.mark.parametrize("channels_last", [False, True])
def test_convolutions(
    case: tuple[tuple[int, ...], int, ConvGeometry], channels_last: bool, isa: str, generator: torch.Generator
) -> None:
    size, n_out, conv = case
    layout = LAYOUTS["contiguous"]
    if channels_last:
        layout = lambda t: t.movedim(1, -1).contiguous().movedim(-1, 1)  # noqa: E731
    check([conv_operands(size, n_out, conv, generator)], layout, conv)


def test_several_calls_of_a_convolution_with_planes_of_their_own(isa: str, generator: torch.Generator) -> None:
    for conv in (conv2d(3, padding=1), conv2d(3, stride=2, padding=1)):
        check([conv_operands((3, 6, n, n + 9), 19, conv, generator) for n in (9, 6)], conv=conv)


def test_row_blocks_of_a_convolution(isa: str, generator: torch.Generator) -> None:
    conv = conv2d(3, padding=1)
    check([conv_operands((3, 6, 8, 8), 40, conv, generator)], conv=conv, row_blocks=[0, 2, 4])


def test_several_calls_are_one_gradient(isa: str, generator: torch.Generator) -> None:
    check([linear_operands((8, 21, 70, 19), generator), linear_operands((8, 4, 70, 19), generator)])


@pytest.mark.parametrize("blocks", [[0], [2], [0, 2], []])
def test_row_blocks(blocks: list[int], isa: str, generator: torch.Generator) -> None:
    check([linear_operands((8, 37, 70, 19), generator)], row_blocks=blocks)


@pytest.mark.parametrize("exponents", [(-100, -20), (-120, 100), (60, 60)])
def test_magnitudes(exponents: tuple[int, int], isa: str, generator: torch.Generator) -> None:
    """Products beyond the range of float32, which scaling brings back."""
    x, grad_out = linear_operands((8, 37, 70, 19), generator)
    check([(torch.ldexp(x, torch.tensor(exponents[0])), torch.ldexp(grad_out, torch.tensor(exponents[1])))])


def test_chunks_continue(isa: str, generator: torch.Generator) -> None:
    x, grad_out = (t.bfloat16() for t in linear_operands((9, 37, 70, 19), generator))
    moments = Moments.empty(19, 70, torch.bfloat16)
    for chunk in (slice(0, 2), slice(2, 9)):
        found = gradient_stats([(x[chunk], grad_out[chunk])], moments=moments)
    whole = gradient_stats([(x, grad_out)])
    assert found["sum_inv_sigma"] == pytest.approx(whole["sum_inv_sigma"], rel=FLOAT32)


def test_not_a_number_is_counted_where_it_is(isa: str, generator: torch.Generator) -> None:
    x, grad_out = (t.bfloat16() for t in linear_operands((4, 37, 70, 19), generator))
    x[1, 5, 3], grad_out[2, 36, 7] = float("nan"), float("inf")
    found = gradient_stats([(x, grad_out)])
    assert found["n_nonfinite"] == 19 + 70 - 1


@pytest.mark.parametrize("name", ["amx", "avx512_bf16"])
def test_without_bfloat16_it_has_the_bits_of_avx512(name: str, generator: torch.Generator) -> None:
    if name not in kernels.isa_list():
        pytest.skip(f"no {name} here")
    call = linear_operands((8, 37, 70, 19), generator)
    found = {}
    for isa in (name, "avx512"):
        kernels.set_isa(isa)
        found[isa] = gradient_stats([call], batch_gradient=True)
    kernels.set_isa(None)
    assert found[name] == found["avx512"]


def test_the_definition_rounds_as_torch_does() -> None:
    halfway = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8) * 2**-130, 2**-133, 3.4e38, 0.0, float("inf")])
    for values in (halfway, torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 10):
        assert torch.equal(reference.round_to_bfloat16(values), values.bfloat16().double())
