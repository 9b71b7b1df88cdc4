"""The arithmetic of bench/kernels/cpu_roofline.py, against counts by hand."""

from __future__ import annotations

import pytest

from bench.kernels.cpu_roofline import SHAPES, Shape, table


def test_a_linear_call() -> None:
    shape = Shape(n_samples=2, out_positions=3, in_positions=3, n_inputs=5, n_outputs=7)
    assert shape.flop == 2 * 2 * 3 * 35
    assert shape.n_bytes == 4 * (2 * 3 * (5 + 7) + 2 * 2 * 35)


def test_a_depthwise_convolution_has_one_input_for_each_output() -> None:
    shape = SHAPES["depthwise 3x3, 96 channels"]
    assert shape.n_weights == 96 * 9
    assert shape.flop / shape.n_bytes == pytest.approx(2 * 9 / (4 * 2), rel=1e-3)  # the weights are few


def test_every_call_is_in_the_table() -> None:
    lines = table()
    assert len([line for line in lines if line.startswith("| ")]) == len(SHAPES) + 2
    assert "| Autoformer-S, qkv | 5.58 | 45.8 | 121.8 |" in lines
