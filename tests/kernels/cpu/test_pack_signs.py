"""pack_signs against a plain comparison, bit by bit: everything here is exact."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kernels.cpu.pattern_support import ODD_SIZES, pack_rows, settings
from lswag_fast import kernels
from lswag_fast.errors import BackendUnavailableError, InputError

ISAS = kernels.isa_list()
DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)

# Each takes a contiguous (S, C, H, W) activation and gives one of the same shape and values in other memory.
LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda y: y,
    "channels_last": lambda y: y.contiguous(memory_format=torch.channels_last),
    "samples_innermost": lambda y: y.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "samples_in_the_middle": lambda y: y.transpose(0, 2).contiguous().transpose(0, 2),
    "axes_reversed": lambda y: y.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0),
    "every_second_element": lambda y: torch.stack((y, -y), dim=-1).flatten(3)[..., ::2],
    "part_of_a_larger_tensor": lambda y: torch.nn.functional.pad(y, (2, 1, 3, 1, 1, 2, 0, 4))[
        : y.shape[0], 1 : 1 + y.shape[1], 3 : 3 + y.shape[2], 2 : 2 + y.shape[3]
    ],
}


def activation(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """About half positive, with exact zeros of both signs among the rest, as activations have."""
    y = torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))
    return torch.where(y.abs() < 0.2, torch.copysign(torch.zeros(()), y), y).to(dtype)


def expected(y: Tensor, n_samples: int, layout: str) -> Tensor:
    signs = (y[:n_samples] > 0).reshape(n_samples, -1)
    return pack_rows(signs.T if layout == "neuron" else signs)


def check(y: Tensor, n_samples: int) -> None:
    for layout in ("neuron", "sample"):
        packed = kernels.pack_signs(y, n_samples, layout)
        assert packed.dtype == torch.int64 and packed.is_contiguous()
        assert torch.equal(packed, expected(y, n_samples, layout)), layout


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_dtype_layout_isa(isa: str, dtype: torch.dtype, layout: str) -> None:
    y = activation((37, 5, 6, 11), dtype)
    arranged = LAYOUTS[layout](y)
    assert torch.equal(arranged, y)
    with settings(isa):
        check(arranged, 35)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_odd_sizes(isa: str, dtype: torch.dtype) -> None:
    with settings(isa):
        for n_neurons in ODD_SIZES:
            for n_samples in (1, 2, 3, 4, 5, 7, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 128, 130):
                check(activation((130, n_neurons), dtype), n_samples)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", ["contiguous", "channels_last", "samples_innermost"])
def test_blocks_and_threads_do_not_change_the_words(isa: str, dtype: torch.dtype, layout: str) -> None:
    y = LAYOUTS[layout](activation((5, 24, 33, 47), dtype))  # several blocks for each thread, the last one short
    words, rows = expected(y, 4, "neuron"), expected(y, 4, "sample")
    for threads in (1, 2, 3):
        with settings(isa, threads):
            assert torch.equal(kernels.pack_signs(y, 4), words)
            assert torch.equal(kernels.pack_signs(y, 4, "sample"), rows)


def test_any_number_of_axes() -> None:
    check(activation((9,)), 9)
    check(activation((9, 1, 1)), 9)
    check(activation((3, 2, 1, 2, 1, 3, 2, 1, 2, 2)).transpose(1, 8), 3)


def test_expanded_axes() -> None:
    check(activation((6, 1, 7)).expand(6, 5, 7), 6)
    check(activation((6, 5, 1)).expand(6, 5, 7), 6)
    check(activation((1, 70)).expand(66, 70), 66)
    check(activation((1, 1)).expand(3, 70), 2)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("flush", [False, True])
def test_special_values(isa: str, dtype: torch.dtype, flush: bool) -> None:
    finfo = torch.finfo(dtype)
    positive = [finfo.smallest_normal, finfo.smallest_normal * finfo.eps, finfo.max, float("inf"), 1.0]
    rest = [0.0, -0.0, float("nan"), -finfo.smallest_normal * finfo.eps, -finfo.max, -float("inf"), -1.0]
    y = torch.tensor([positive + rest] * 5, dtype=torch.float64).to(dtype)
    negative_nan = torch.copysign(y[:, 7:8], torch.tensor(-1.0, dtype=dtype))
    integer = {2: torch.int16, 4: torch.int32, 8: torch.int64}[dtype.itemsize]
    nan_next_to_infinity = (y[:, 3:4].view(integer) + 1).view(dtype)
    y = torch.cat((y, negative_nan, nan_next_to_infinity), dim=1)
    assert y[:, -2:].isnan().all()
    assert (y[0, :5] != 0).all()
    torch.set_flush_denormal(flush)
    try:
        with settings(isa):
            packed = kernels.pack_signs(y, 5)
    finally:
        torch.set_flush_denormal(False)
    assert packed[:, 0].tolist() == [0b11111] * 5 + [0] * 9


def test_no_neurons() -> None:
    y = torch.empty(70, 3, 0)
    assert kernels.pack_signs(y, 70).shape == (0, 2)
    assert kernels.pack_signs(y, 70, "sample").shape == (70, 0)


def test_reads_no_sample_past_the_first_ones() -> None:
    y = activation((8, 50))
    other = torch.cat((y[:5], -y[5:]))
    assert torch.equal(kernels.pack_signs(y, 5), kernels.pack_signs(other, 5))


@pytest.mark.parametrize("n_samples", [0, -1, 5])
def test_refuses_a_number_of_samples(n_samples: int) -> None:
    with pytest.raises(InputError, match=f"n_samples is {n_samples}.*take 1 up to"):
        kernels.pack_signs(torch.ones(4, 3), n_samples)


@pytest.mark.parametrize(
    "y",
    [torch.ones(4, 3, dtype=torch.int32), torch.ones(4, 3, dtype=torch.complex64), torch.ones(4, 3).to_sparse()],
    ids=["int32", "complex64", "sparse"],
)
def test_refuses_a_dtype(y: Tensor) -> None:
    with pytest.raises(InputError, match="float32, float64, bfloat16 or float16"):
        kernels.pack_signs(y, 4)


def test_refuses_a_device_a_layout_and_a_scalar() -> None:
    with pytest.raises(BackendUnavailableError, match="meta"):
        kernels.pack_signs(torch.ones(4, 3, device="meta"), 4)
    with pytest.raises(InputError, match="layout is 'rows'"):
        kernels.pack_signs(torch.ones(4, 3), 4, "rows")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="shape"):
        kernels.pack_signs(torch.ones(()), 1)


@pytest.mark.parametrize(
    ("n_samples", "dtype"),
    [(1, torch.uint8), (8, torch.uint8), (9, torch.int16), (16, torch.int16), (17, torch.int32), (32, torch.int32),
     (33, torch.int64), (64, torch.int64), (65, torch.int64)],
)  # fmt: skip
def test_narrow_words_are_the_same_when_they_are_wide_again(n_samples: int, dtype: torch.dtype) -> None:
    words = kernels.pack_signs(torch.cat([activation((n_samples, 50)), torch.ones(n_samples, 1)], 1), n_samples)
    narrow = kernels.narrow_words(words, n_samples)
    assert narrow.dtype == dtype
    assert torch.equal(kernels.wide_words(narrow, n_samples), words)
