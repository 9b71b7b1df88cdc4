"""The NTK pass: both ways of multiplying gradients against the gradients themselves, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast import reference
from lswag_fast.data.batch import Batch
from lswag_fast.errors import InputError, NothingObservedError
from lswag_fast.kernels import ConvGeometry
from lswag_fast.observe import Operands
from lswag_fast.options import ScoreOptions
from lswag_fast.passes import ntk
from lswag_fast.passes.ntk import PerSampleGradients, gradient_products, run_ntk
from networks import NETWORKS
from support.snapshot import assert_unchanged, snapshot


def normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape)), dtype=torch.float64)


def products(gradients: Tensor) -> Tensor:
    flat = gradients.flatten(1)
    return flat @ flat.t()


WAYS = pytest.mark.parametrize("way", ["_by_positions", "_by_tiles"])
LINEAR = [((5, 7), (5, 3)), ((5, 2, 7), (5, 2, 3)), ((4, 3, 5, 6), (4, 3, 5, 2)), ((3, 40, 2), (3, 40, 3))]


@WAYS
@pytest.mark.parametrize(("x_shape", "grad_shape"), LINEAR)
def test_linear(way: str, x_shape: tuple[int, ...], grad_shape: tuple[int, ...]) -> None:
    x, grad_out = normal(*x_shape), normal(*grad_shape)
    expected = products(reference.linear_gradients(x, grad_out))
    found = getattr(ntk, way)(PerSampleGradients([(x, grad_out)], None))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)  # float64 in another order
    torch.testing.assert_close(gradient_products([(x, grad_out)], None), expected, rtol=1e-12, atol=1e-12)


CONVOLUTIONS = [
    ((4, 6, 9), (8, 6, 3), ConvGeometry((3,), (2,), (1,), (1,), 1)),
    ((4, 6, 9), (6, 1, 3), ConvGeometry((3,), (1,), (0,), (2,), 6)),
    ((3, 4, 7, 6), (6, 2, 3, 2), ConvGeometry((3, 2), (2, 1), (1, 0), (1, 2), 2)),
    ((5, 3, 8, 8), (2, 3, 1, 1), ConvGeometry((1, 1), (1, 1), (0, 0), (1, 1), 1)),
    ((3, 5, 6, 7), (10, 1, 3, 3), ConvGeometry((3, 3), (2, 1), (1, 1), (1, 1), 5)),
    ((3, 9, 5, 5), (6, 3, 3, 3), ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 3)),
]


def convolved(x_shape: tuple[int, ...], weight_shape: tuple[int, ...], conv: ConvGeometry) -> tuple[Operands, Tensor]:
    """Operands of a convolution, and the products of their gradients."""
    function = torch.conv1d if len(conv.kernel_size) == 1 else torch.conv2d
    x = normal(*x_shape)
    arguments = conv.stride, conv.padding, conv.dilation, conv.groups
    grad_out = normal(*function(x, normal(*weight_shape), None, *arguments).shape)
    return (x, grad_out), products(reference.conv_gradients(x, grad_out, weight_shape, *arguments))


@WAYS
@pytest.mark.parametrize(("x_shape", "weight_shape", "conv"), CONVOLUTIONS)
def test_convolutions(way: str, x_shape: tuple[int, ...], weight_shape: tuple[int, ...], conv: ConvGeometry) -> None:
    call, expected = convolved(x_shape, weight_shape, conv)
    found = getattr(ntk, way)(PerSampleGradients([call], conv))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-10)  # float64 in another order
    torch.testing.assert_close(gradient_products([call], conv), expected, rtol=1e-12, atol=1e-10)


def test_images_with_the_channels_last() -> None:
    conv = ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 4)
    (x, grad_out), expected = convolved((3, 4, 6, 6), (8, 1, 3, 3), conv)
    call = tuple(operand.contiguous(memory_format=torch.channels_last) for operand in (x, grad_out))
    torch.testing.assert_close(gradient_products([call], conv), expected, rtol=1e-12, atol=1e-10)


def test_all_groups_go_through_together(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes, unfold = [], F.unfold
    monkeypatch.setattr(F, "unfold", lambda x, *geometry: shapes.append(tuple(x.shape)) or unfold(x, *geometry))
    conv = ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 32)
    call, expected = convolved((4, 32, 5, 5), (32, 1, 3, 3), conv)
    torch.testing.assert_close(gradient_products([call], conv), expected, rtol=1e-12, atol=1e-10)
    assert shapes == [(4, 32, 5, 5)]


@pytest.mark.parametrize(("tile", "inputs"), [(3 * 7 * 2, 30 * 7 * 2), (1, 1)])
def test_small_tiles_give_the_same(monkeypatch: pytest.MonkeyPatch, tile: int, inputs: int) -> None:
    gradients = PerSampleGradients([(normal(3, 30, 7), normal(3, 30, 11))], None)
    whole = ntk._by_tiles(gradients)
    monkeypatch.setattr(ntk, "_TILE_ELEMENTS", tile)  # two output rows at a time, one in the last tile; always one
    monkeypatch.setattr(ntk, "_INPUT_ELEMENTS", inputs)  # two samples at a time, one at the end; always one
    torch.testing.assert_close(ntk._by_tiles(gradients), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("tile", "n_tiles"), [(3 * 2 * 27 * 2, 2), (3 * 27, 6)])
def test_small_tiles_of_groups_give_the_same(monkeypatch: pytest.MonkeyPatch, tile: int, n_tiles: int) -> None:
    conv = ConvGeometry((3, 3), (1, 1), (1, 1), (1, 1), 3)
    call, expected = convolved((3, 9, 5, 5), (6, 3, 3, 3), conv)
    monkeypatch.setattr(ntk, "_TILE_ELEMENTS", tile)  # two of the three groups of two rows at a time; one row
    gradients = PerSampleGradients([call], conv)
    assert len(list(gradients.tiles())) == n_tiles
    torch.testing.assert_close(ntk._by_tiles(gradients), expected, rtol=1e-12, atol=1e-10)


def test_two_calls_add_their_gradients_before_the_product() -> None:
    calls = [(normal(4, 3, 5), normal(4, 3, 2)), (normal(4, 6, 5), normal(4, 6, 2))]
    expected = products(sum(reference.linear_gradients(*call) for call in calls))
    torch.testing.assert_close(gradient_products(calls, None), expected, rtol=1e-12, atol=1e-12)


def test_half_precision_is_multiplied_in_float32() -> None:
    x, grad_out = normal(4, 9, 5).bfloat16(), normal(4, 9, 3).bfloat16()
    expected = products(reference.linear_gradients(x, grad_out))
    torch.testing.assert_close(gradient_products([(x, grad_out)], None), expected, rtol=1e-5, atol=1e-4)  # float32 sums


def run(model: nn.Module, batch: tuple[Any, Any], **options: Any) -> ntk.NtkMeasurements:
    given: dict[str, Any] = {"layers": None, "chunk_size": None, **options}
    chosen = ScoreOptions(layers=given["layers"], chunk_size=given["chunk_size"])
    before = snapshot(model)
    try:
        return run_ntk(model, Batch(*batch, len(batch[1])), chosen, frozenset(("gram",)))
    finally:
        assert_unchanged(model, before)


@pytest.mark.parametrize("network", ["vit", "depthwise_multiplier", "grouped", "inverted_residuals"])
def test_every_weight_has_its_kernel(network: str) -> None:
    net = NETWORKS[network]
    model, (inputs, targets) = net.build()
    found = run(model, (inputs, targets)).gram
    assert set(found) == set(net.observed)
    for name, kernel in found.items():
        torch.testing.assert_close(kernel, reference.ntk(model, inputs, [name]), rtol=1e-9, atol=1e-9)  # float64


def test_layers_choose_the_weights() -> None:
    assert list(run(*NETWORKS["mlp"].build(), layers=(10, 10)).gram) == ["4.weight"]


def test_the_pieces_of_a_parameter_add_up() -> None:
    net = NETWORKS["disjoint_parts"]
    model, (inputs, targets) = net.build()
    found = run(model, (inputs, targets)).gram["weight"]
    torch.testing.assert_close(found, reference.ntk(model, inputs, ["weight"]), rtol=1e-9, atol=1e-9)  # float64


@pytest.mark.parametrize(
    ("model", "options", "error", "message"),
    [
        (nn.Linear(3, 2), {"chunk_size": 2}, InputError, "the ntk pass takes the whole batch at once"),
        (nn.Sequential(nn.Linear(3, 1), nn.Flatten(0)), {}, InputError, r"the ntk pass needs logits \(B, C\)"),
        (nn.Sequential(nn.Linear(3, 2).requires_grad_(False)), {}, NothingObservedError, "frozen"),
    ],
)
def test_refusals(model: nn.Module, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        run(model, (torch.randn(4, 3), torch.zeros(4).long()), **options)
