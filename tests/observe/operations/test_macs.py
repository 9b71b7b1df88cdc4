"""What a forward pass multiplies, against closed forms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from lswag_fast.observe.operations.macs import FORMULAS, MacCounter
from support.observing import needs_grouped_products

B, T, E, HEADS = 3, 5, 8, 2


def counted(call: Callable[[], Any]) -> int:
    with torch.no_grad(), MacCounter() as counter:
        call()
    return counter.macs


def randn(*shape: int) -> Tensor:
    return torch.randn(shape)


PRODUCTS = {
    "mm": (lambda: randn(3, 4) @ randn(4, 5), 3 * 4 * 5),
    "matmul": (lambda: randn(2, 3, 4) @ randn(2, 4, 5), 2 * 3 * 4 * 5),
    "matmul, folded": (lambda: randn(2, 3, 4) @ randn(4, 5), 2 * 3 * 4 * 5),
    "mv": (lambda: randn(3, 4) @ randn(4), 3 * 4),
    "dot": (lambda: randn(4) @ randn(4), 4),
    "addmm": (lambda: torch.addmm(randn(5), randn(3, 4), randn(4, 5)), 3 * 4 * 5),
    "addmv": (lambda: torch.addmv(randn(3), randn(3, 4), randn(4)), 3 * 4),
    "baddbmm": (lambda: torch.baddbmm(randn(5), randn(2, 3, 4), randn(2, 4, 5)), 2 * 3 * 4 * 5),
    "addbmm": (lambda: torch.addbmm(randn(5), randn(2, 3, 4), randn(2, 4, 5)), 2 * 3 * 4 * 5),
    "einsum": (lambda: torch.einsum("bhtd,bhsd->bhts", randn(2, 3, 4, 5), randn(2, 3, 6, 5)), 2 * 3 * 4 * 6 * 5),
    "tensordot": (lambda: torch.tensordot(randn(2, 3, 4), randn(3, 4, 5)), 2 * 12 * 5),
    "linear": (lambda: F.linear(randn(2, 3, 4), randn(5, 4), randn(5)), 2 * 3 * 4 * 5),
    "bilinear": (lambda: F.bilinear(randn(7, 3), randn(7, 4), randn(5, 3, 4)), 7 * 5 * (3 + 1) * 4),
    "conv2d": (lambda: F.conv2d(randn(2, 4, 7, 7), randn(6, 4, 3, 3)), 2 * 6 * 25 * 4 * 9),
    "grouped conv2d": (lambda: F.conv2d(randn(2, 4, 7, 7), randn(6, 2, 3, 3), groups=2), 2 * 6 * 25 * 2 * 9),
    "conv3d": (lambda: F.conv3d(randn(2, 4, 5, 5, 5), randn(6, 4, 3, 3, 3)), 2 * 6 * 27 * 4 * 27),
    "conv_transpose2d": (
        lambda: F.conv_transpose2d(randn(2, 4, 7, 7), randn(4, 6, 3, 3), stride=2), 2 * 4 * 49 * 6 * 9
    ),
    "grouped conv_transpose1d": (
        lambda: F.conv_transpose1d(randn(2, 4, 7), randn(4, 3, 3), groups=2), 2 * 4 * 7 * 3 * 3
    ),
    "embedding": (lambda: F.embedding(torch.tensor([1, 2]), randn(5, 4)), 0),
    "elementwise": (lambda: (randn(3, 4) * randn(3, 4)).softmax(-1).sum(), 0),
}  # fmt: skip


@pytest.mark.parametrize(("call", "expected"), PRODUCTS.values(), ids=PRODUCTS)
def test_a_product_has_its_closed_form(call: Callable[[], Any], expected: int) -> None:
    assert counted(call) == expected


@needs_grouped_products
def test_rows_of_groups_go_through_one_matrix_each() -> None:
    rows, matrices = randn(6, 16).bfloat16(), randn(2, 16, 8).bfloat16()
    ends = torch.tensor([2, 6], dtype=torch.int32)
    assert counted(lambda: torch._grouped_mm(rows, matrices, offs=ends)) == 6 * 16 * 8


@pytest.mark.parametrize("backend", [SDPBackend.MATH, SDPBackend.FLASH_ATTENTION])
@pytest.mark.parametrize("causal", [False, True])
def test_attention_costs_the_same_by_every_kernel_of_the_cpu(backend: SDPBackend, causal: bool) -> None:
    query, key, value = randn(B, HEADS, T, 4), randn(B, HEADS, 7, 4), randn(B, HEADS, 7, 4)

    def attend() -> None:
        with sdpa_kernel(backend):
            F.scaled_dot_product_attention(query, key, value, is_causal=causal)

    assert counted(attend) == B * HEADS * T * 7 * (4 + 4)


def test_every_fused_attention_of_torch_has_the_formula() -> None:
    names = {n for n in dir(torch._C._VariableFunctions) if n.startswith("_scaled_dot_product") and "backward" not in n}
    missing = {name for name in names if getattr(torch.ops.aten, name) not in FORMULAS}
    assert missing == {"_scaled_dot_product_attention_math"}  # made of products that are counted


@pytest.mark.parametrize("kernel", ["flash_attention", "efficient_attention", "cudnn_attention"])
def test_kernels_of_devices_are_counted_by_shape(kernel: str) -> None:
    packet = getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}")
    query, key, value = (torch.empty(B, heads, n, 8) for heads, n in ((4, T), (2, 7), (2, 7)))
    assert FORMULAS[packet](None, query, key, value) == B * 4 * T * 7 * (8 + 8)  # fewer key heads than query heads


def test_the_fast_path_of_attention_costs_what_the_slow_one_does() -> None:
    attention, x = nn.MultiheadAttention(E, HEADS, batch_first=True).eval(), randn(B, T, E)
    expected = B * T * 4 * E * E + 2 * B * T * T * E
    with torch.profiler.profile() as profile, torch.no_grad():
        attention(x, x, x, need_weights=False)
    assert any("_native_multi_head_attention" in event.key for event in profile.key_averages())
    assert counted(lambda: attention(x, x, x, need_weights=False)) == expected
    assert counted(lambda: attention.train()(x, x, x)) == expected


def test_the_fast_path_of_an_encoder_layer_costs_what_the_slow_one_does() -> None:
    layer, x = nn.TransformerEncoderLayer(E, HEADS, 12, batch_first=True).eval(), randn(B, T, E)
    expected = B * T * (4 * E * E + 2 * 12 * E) + 2 * B * T * T * E
    assert counted(lambda: layer(x)) == expected
    assert counted(lambda: layer.train()(x)) == expected


@pytest.mark.parametrize(("module", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_recurrent_layers_cost_their_matrices_at_each_step(module: type[nn.Module], gates: int) -> None:
    both = module(5, 6, num_layers=2, bidirectional=True)
    first, second = gates * 6 * (5 + 6), gates * 6 * (12 + 6)
    assert counted(lambda: both(randn(T, B, 5))) == T * B * 2 * (first + second)


def test_inference_mode_hides_nothing() -> None:
    model, x = nn.Sequential(nn.Conv1d(2, 3, 3), nn.Linear(4, 5)), randn(B, 2, 6)

    def run() -> None:
        with torch.inference_mode():
            model(x)

    assert counted(run) == B * (3 * 4 * 2 * 3 + 3 * 4 * 5)


def test_a_call_that_says_what_it_costs_is_not_counted_twice() -> None:
    x, weight = randn(3, 4), randn(5, 4)
    with torch.no_grad(), MacCounter() as counter:
        out = counter.run(lambda: F.linear(x, weight), lambda out: 1000 * out.numel())
        F.linear(x, weight)
    assert out.shape == (3, 5)
    assert counter.macs == 15_000 + 60


def test_counting_goes_on_after_a_call_that_fails() -> None:
    with torch.no_grad(), MacCounter() as counter:
        with pytest.raises(RuntimeError):
            counter.run(lambda: F.linear(randn(3, 4), randn(5, 3)), lambda out: 1)
        F.linear(randn(3, 4), randn(5, 4))
    assert counter.macs == 60
