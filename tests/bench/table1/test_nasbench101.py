"""A row of the published arrays as an architecture."""

from __future__ import annotations

import numpy as np
import pytest

from bench.table1.nasbench101 import table_of
from lswag_fast.spaces import NasBench101


def test_a_cell_by_hand() -> None:
    """input -> 3x3 -> output, and input -> output; bits 0, 1 and 2 are 0 -> 1, 0 -> 2 and 1 -> 2."""
    n = 12
    arrays = {
        "n_vertices": np.full(n, 3),
        "edge_bits": np.full(n, 0b111),
        "ops": np.array([[op, -1, -1, -1, -1] for op in (0, 1, 2)] * 4),
        "test_acc": np.linspace(0.8, 0.9, n),
        "params": np.arange(n),
    }
    table = table_of({name: values[:3] for name, values in arrays.items()})
    space = NasBench101()
    archs = [space.decode(text) for text in table.index]
    assert [arch["ops"][1] for arch in archs] == ["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"]
    assert archs[0]["matrix"] == [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    assert table["cifar10_test"].iloc[0] == pytest.approx(80) and table["published_params"].tolist() == [0, 1, 2]
