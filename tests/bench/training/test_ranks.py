"""The correlations of a table by hand: of networks of two widths, over all and inside of each."""

import numpy as np
import pandas as pd
import pytest

from bench.training.ranks import COLUMNS, ranked


def test_over_all_and_inside_one_width() -> None:
    """Wider networks are better by 100; inside a width l2_norm ranks them the wrong way round."""
    inside = np.tile(np.arange(10.0), 2)
    width = np.repeat([64, 128], 10)
    sizes = 1000.0 * width + inside  # of one width, all lie inside a window of 8 %
    accuracy = 100.0 * (width == 128) + inside
    table = pd.DataFrame(
        {
            "inherited_accuracy": accuracy,
            "n_params": sizes,
            "embed_dim": width,
            "params": sizes,
            "l2_norm": 100.0 * (width == 128) - inside,
        }
    )
    found = ranked(table, n_bootstrap=5)
    assert list(found.index) == ["params", "l2_norm"]
    assert set(found.columns) < set(COLUMNS)
    assert found.loc["params", ["spearman", "window", "width"]].tolist() == pytest.approx([1, 1, 1])
    # Of 20 ranks the differences are 9, 7, 5, ... in each half: 1 - 6 * 2 * 330 / (20 * 399).
    expected = [1 - 6 * 2 * 330 / (20 * 399), -1, -1]
    assert found.loc["l2_norm", ["spearman", "window", "width"]].tolist() == pytest.approx(expected)
    assert found.loc["params", ["n", "n_window", "n_width"]].tolist() == [20, 20, 20]
