"""The layers that a block may have."""

from __future__ import annotations

import pytest

from lswag_fast.spaces.burgerformer.choices import MEAT, NO_LAYER, Layer, layers, operations


def test_texts_are_those_of_the_public_code() -> None:
    assert NO_LAYER.text() == "skip-skip-skip-skip-skip"
    assert Layer("self_atten", "GN", False, "relu6").text() == "skip-skip-self_atten-GN-relu6"
    assert Layer("avgpool", "LN", True, "skip").text() == "skip-LN-avgpool-skip-skip"


@pytest.mark.parametrize(
    ("stage", "layer", "n_ops"), [(0, 0, 3), (1, 2, 3), (2, 0, 5), (3, 2, 5), (0, MEAT, 1), (3, MEAT, 1)]
)
def test_each_operation_comes_with_a_norm_before_or_after_it_and_an_activation(
    stage: int, layer: int, n_ops: int
) -> None:
    assert len(operations(stage, layer)) == 1 + n_ops
    assert len(layers(stage, layer)) == 1 + n_ops * 3 * 2 * 4
    for text, found in layers(stage, layer).items():
        _, before, op, after, activation = text.split("-")
        assert (op, activation) == (found.op, found.activation)
        assert {before, after} == {"skip", found.norm}
