"""An image file is decoded as viewers show it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from lswag_fast.data.decoding import EXIF_ORIENTATION, decode

CORNERS = np.array([[250, 180, 120], [60, 0, 0]], np.uint8)
"""How a picture is to be seen; each corner tells how it was turned."""
STORED = {
    1: CORNERS,
    2: CORNERS[:, ::-1],
    3: CORNERS[::-1, ::-1],
    4: CORNERS[::-1],
    5: CORNERS.T,
    6: np.rot90(CORNERS, 1),
    7: CORNERS[::-1, ::-1].T,
    8: np.rot90(CORNERS, -1),
    9: CORNERS,  # no orientation
}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
@pytest.mark.parametrize("orientation", STORED)
def test_a_photograph_is_turned_as_its_exif_data_ask(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = orientation
    path = tmp_path / f"a.{suffix}"
    large = np.kron(STORED[orientation], np.ones((8, 8), np.uint8))
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    Image.fromarray(large).convert("RGB").save(path, exif=exif, **options)
    image = decode(path, "a")
    assert torch.allclose(image[0, 4::8, 4::8], torch.from_numpy(CORNERS) / 255, atol=0.05)


def test_damaged_exif_data_turn_nothing(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6
    path = tmp_path / "a.webp"
    Image.fromarray(CORNERS).save(path, exif=exif, lossless=True)
    path.write_bytes(path.read_bytes().replace(b"MM\0*", b"MN\0*"))
    assert torch.equal(decode(path, "a")[0], torch.from_numpy(CORNERS) / 255)
