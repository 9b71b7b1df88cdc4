"""The text of a layer of FlexiBERT, and its parameters."""

from __future__ import annotations

import pytest

from lswag_fast.errors import SpaceError
from lswag_fast.spaces.flexibert.layer import LAYERS, Layer


def test_every_text_is_read_and_written() -> None:
    assert len(LAYERS) == 48
    assert all(str(Layer.parsed(text)) == text for text in LAYERS)
    with pytest.raises(SpaceError, match="layers: found 'SA-SDP-3-512-1', expected OPERATION"):
        Layer.parsed("SA-SDP-3-512-1")


def test_the_weighted_product_has_one_matrix_more() -> None:
    scaled, weighted = (Layer.parsed(f"SA-{product}-2-512-1") for product in ("SDP", "WMA"))
    assert weighted.n_params(128) - scaled.n_params(128) == 128**2
    assert weighted.macs(128, 10) - scaled.macs(128, 10) == 10 * 128**2


def test_half_of_the_heads_of_a_convolution_attend() -> None:
    assert [Layer.parsed(f"DSC-5-{heads}-512-1").n_attending for heads in (2, 4)] == [1, 2]
