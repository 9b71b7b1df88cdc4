"""The user's batch: what is taken, what is refused and how it is cut."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError, ZeroVarianceError

X, Y = torch.arange(12.0).reshape(4, 3), torch.tensor([0, 1, 2, 0])
Pair = namedtuple("Pair", "image mask")


@pytest.mark.parametrize(
    "inputs",
    [X, (X, X), [X, X], {"a": X, "b": X}, Pair(X, X), {"nested": (X, {"deep": X})}, (X, torch.ones(7, 7))],
    ids=["tensor", "tuple", "list", "dict", "named tuple", "nested", "with a mask of its own size"],
)
def test_accepted_inputs(inputs: Any) -> None:
    assert Batch.checked((inputs, Y)).n_samples == 4
    assert Batch.checked([inputs, Y]).n_samples == 4


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (X, r"pair \(inputs, targets\), got Tensor"),
        (DataLoader([(X, Y)]), r"got DataLoader; next\(iter\(loader\)\) is the first batch"),
        ((X,), "pair"),
        ((X, Y, Y), "pair"),
        (("text", Y), "must hold a tensor, got str"),
        (({}, Y), "must hold a tensor"),
        ((X.numpy(), Y), "must hold a tensor, got ndarray"),
        ((torch.tensor(1.0), Y), "inputs is a scalar"),
        ((X[:1], Y[:1]), "1 sample.*at least 2"),
        ((X[:0], Y[:0]), "0 sample"),
        ((X, Y[:3]), "targets has 3 samples, inputs has 4"),
        ((X, {"label": Y[:3]}), r"targets\['label'\] has 3 samples"),
        ((X / 0, Y), "inputs holds 12 NaN or infinite"),
        (({"a": X, "b": X.log()}, Y), r"inputs\['b'\] holds 1 NaN or infinite"),
        ((X, Y / 0), "targets holds 4 NaN or infinite"),
        ((X.to_sparse(), Y), "torch.sparse_coo"),
        ((X.to(torch.complex64), Y), "torch.complex64"),
        ((torch.quantize_per_tensor(X, 0.1, 0, torch.qint8), Y), "torch.qint8"),
        ((X.to("meta"), Y), "meta device"),
        ((torch.nested.nested_tensor(list(X)), Y), "inputs: a nested tensor has samples of several shapes"),
        ((X, torch.nested.nested_tensor(list(X))), "targets: a nested tensor"),
        ((torch.masked.masked_tensor(X, X > 1), Y), "inputs: a MaskedTensor is not supported"),
    ],
)
def test_a_bad_batch_is_refused_naming_the_part(batch: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Batch.checked(batch)


def test_equal_samples_have_no_variance() -> None:
    with pytest.raises(ZeroVarianceError, match="all 4 samples of the batch are identical"):
        Batch.checked((torch.ones(4, 3), torch.ones(4, dtype=torch.long)))


def test_equal_inputs_with_different_labels_are_taken() -> None:
    assert Batch.checked((torch.ones(4, 3), Y)).n_samples == 4


def test_take_cuts_every_tensor_with_samples_and_keeps_the_kinds() -> None:
    mask = torch.ones(7, 7)
    batch = Batch.checked((Pair({"x": X}, [mask, X]), Y))
    part = batch.take([2, 0])
    assert isinstance(part.inputs, Pair)
    assert torch.equal(part.inputs.image["x"], X[[2, 0]])
    assert part.inputs.mask[0] is mask
    assert torch.equal(part.inputs.mask[1], X[[2, 0]])
    assert torch.equal(part.targets, Y[[2, 0]])
    assert part.n_samples == 2


def test_take_a_slice() -> None:
    part = Batch.checked((X, Y)).take(slice(3, 6))
    assert part.n_samples == 1
    assert torch.equal(part.inputs, X[3:])


def test_chunks_cover_the_batch_in_order() -> None:
    batch = Batch.checked((X, Y))
    assert [chunk.n_samples for chunk in batch.chunks(2)] == [2, 2]
    assert torch.equal(torch.cat([chunk.inputs for chunk in batch.chunks(2)]), X)
    for whole in (None, 3, 4, 99):
        assert list(batch.chunks(whole)) == [batch]


@pytest.mark.parametrize("n_samples", range(2, 12))
def test_no_chunk_is_a_single_sample(n_samples: int) -> None:
    batch = Batch(torch.arange(n_samples), None, n_samples)
    for chunk_size in range(2, n_samples + 1):
        chunks = list(batch.chunks(chunk_size))
        assert torch.equal(torch.cat([chunk.inputs for chunk in chunks]), batch.inputs)
        assert all(2 <= chunk.n_samples <= chunk_size + 1 for chunk in chunks)


def test_call_model_passes_tensors_tuples_and_dicts() -> None:
    class Echo(nn.Module):
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            return args, kwargs

    assert call_model(Echo(), X) == ((X,), {})
    assert call_model(Echo(), (1, 2)) == ((1, 2), {})
    assert call_model(Echo(), [1, 2]) == ((1, 2), {})
    assert call_model(Echo(), {"a": 1}) == ((), {"a": 1})


# ---- lists of batches ----


def pairs(n: int = 2) -> list[tuple[object, torch.Tensor]]:
    return [({"x": torch.randn(3, 4), "scale": torch.ones(4)}, torch.arange(3)) for _ in range(n)]


def test_a_list_of_batches_is_joined_in_order() -> None:
    batches = pairs()
    joined = Batch.checked(batches)
    assert (joined.n_samples, joined.n_batches) == (6, 2)
    assert torch.equal(joined.inputs["x"], torch.cat([b[0]["x"] for b in batches]))
    assert torch.equal(joined.inputs["scale"], torch.ones(4))  # it has no samples: the same in all
    assert torch.equal(joined.targets, torch.arange(3).repeat(2))


def test_a_pair_as_a_list_is_one_batch() -> None:
    assert Batch.checked([torch.randn(3, 4), torch.arange(3)]).n_batches == 1


def test_batches_of_a_list_must_fit() -> None:
    x, y = torch.randn(3, 4), torch.arange(3)
    with pytest.raises(InputError, match="batches of one size, got sizes"):
        Batch.checked([(x, y), (x[:2], y[:2])])
    with pytest.raises(InputError, match="inputs differ in shape or dtype"):
        Batch.checked([(x, y), (x.double(), y)])
    with pytest.raises(InputError, match="inputs differ in kind"):
        Batch.checked([(x, y), ((x,), y)])
    with pytest.raises(InputError, match="inputs differ in their keys"):
        Batch.checked([({"a": x}, y), ({"b": x}, y)])
    with pytest.raises(InputError, match="inputs differ in length"):
        Batch.checked([((x,), y), ((x, x), y)])
    unlike = pairs()
    unlike[1][0]["scale"].add_(1)
    with pytest.raises(InputError, match=r"inputs\['scale'\] has no samples along axis 0 and differs"):
        Batch.checked(unlike)
    with pytest.raises(InputError, match="has 1 sample"):
        Batch.checked([(x[:1], y[:1]), (x[:1], y[:1])])


def test_map_samples_replaces_floating_point_samples_only() -> None:
    inputs = {
        "x": torch.ones(3, 2),
        "index": torch.arange(3),
        "mask": torch.ones(2, 2),
        "more": (torch.ones(3), "text"),
    }
    mapped = Batch(inputs, torch.ones(3), 3).map_samples(lambda x: x + 1, "this")
    assert mapped.inputs["x"].tolist() == [[2.0, 2.0]] * 3
    assert mapped.inputs["more"][0].tolist() == [2.0] * 3
    assert mapped.inputs["index"] is inputs["index"]
    assert mapped.inputs["mask"] is inputs["mask"]
    assert mapped.inputs["more"][1] == "text"
    assert mapped.targets.tolist() == [1.0] * 3


def test_map_samples_without_floating_point_samples_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^zen wants noise: the batch's inputs are torch.int64, with no floating-point"
    ):
        Batch(torch.arange(3), None, 3).map_samples(torch.sin, "zen wants noise")


def test_a_packed_sequence_is_refused_by_name() -> None:
    packed = nn.utils.rnn.pack_sequence([torch.randn(3, 2), torch.randn(2, 2)])
    with pytest.raises(InputError, match="a PackedSequence"):
        Batch.checked((packed, torch.arange(2)))


@pytest.mark.parametrize("targets", [torch.arange(2), [{"boxes": torch.rand(5, 4)}, {"boxes": torch.rand(1, 4)}]])
def test_a_list_of_images_is_refused_by_name(targets: Any) -> None:
    images = [torch.randn(3, 8, 8), torch.randn(3, 9, 7)]
    with pytest.raises(InputError, match=r"one entry for each of 2 samples.*needs a wrapper"):
        Batch.checked((images, targets))
