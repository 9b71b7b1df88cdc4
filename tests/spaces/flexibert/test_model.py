"""The operations of FlexiBERT against scipy and loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import fft

from lswag_fast.spaces.flexibert.layer import Layer
from lswag_fast.spaces.flexibert.model import SpanConvolution, Transform, attend, cosine_transform

X = torch.randn(2, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_cosine_transform_is_that_of_scipy() -> None:
    assert np.allclose(cosine_transform(X).numpy(), fft.dct(X.numpy(), type=2, axis=-1), rtol=1e-12)


@pytest.mark.parametrize("parameter", ["DFT", "DCT"])
def test_a_transform_is_one_of_tokens_and_channels_by_heads(parameter: str) -> None:
    operation = Transform(Layer.parsed(f"LT-{parameter}-2-512-1"), 8).double()
    with torch.no_grad():
        operation.input.weight.copy_(torch.eye(8))
        operation.input.bias.zero_()
        found = operation(X).numpy()
    for head in (slice(0, 4), slice(4, 8)):
        own = X[..., head].numpy()
        expected = fft.fft2(own, axes=(1, 2)).real if parameter == "DFT" else fft.dctn(own, type=2, axes=(1, 2))
        assert np.allclose(found[..., head], expected, rtol=1e-10, atol=1e-10)


def test_a_span_convolution_weighs_the_tokens_around_each() -> None:
    torch.manual_seed(0)
    operation = SpanConvolution(Layer.parsed("DSC-5-4-512-1"), 8).double()
    with torch.no_grad():
        found = operation(X)
        query, span = operation.query(X), operation.pointwise(operation.depthwise(X.transpose(1, 2))).transpose(1, 2)
        kernels = operation.kernel(span * query)
        convolved = operation.convolved(X)
        assert torch.allclose(found[..., :4], attend(query, operation.key(X), operation.value(X), 2))
        for t in range(6):
            for head in range(2):
                weights = kernels[0, t, 5 * head : 5 * head + 5].softmax(0)
                around = [convolved[0, t + k - 2] if 0 <= t + k - 2 < 6 else 0 * convolved[0, 0] for k in range(5)]
                expected = sum(w * row[2 * head : 2 * head + 2] for w, row in zip(weights, around, strict=True))
                assert torch.allclose(found[0, t, 4 + 2 * head : 6 + 2 * head], expected)
