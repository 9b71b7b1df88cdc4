"""An image file as a tensor, as viewers show it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lswag_fast.errors import DataError, needs_extra, reason

if TYPE_CHECKING:
    from PIL.Image import Image

UINT8_MAX = 255.0
EXIF_ORIENTATION = 0x0112


def decode(source: Path | io.BytesIO, name: str) -> Tensor:
    """Read an image file, turned as its EXIF data ask.

    Args:
        source: the file, or its bytes.
        name: what an error calls it.

    Returns:
        float32 (3, H, W) in [0, 1].

    Raises:
        DataError: it is no image, damaged, or of more than 8 bits per channel.
        MissingExtraError: pillow is not installed.

    Example:
        >>> decode(io.BytesIO(b"P5 2 1 255 " + bytes([0, 255])), "a.pgm")[0]
        tensor([[0., 1.]])
    """
    with needs_extra("images", "pillow"):
        import PIL.Image
    try:
        with PIL.Image.open(source) as image:
            if image.mode[0] in "IF":
                raise ValueError(f"mode {image.mode} has more than 8 bits per channel, convert it first")
            pixels = np.array(_upright(image, image.convert("RGB")))
    except PIL.UnidentifiedImageError as error:
        raise DataError(f"data {name}: not a readable image (format unknown or damaged)") from error
    except (OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"data {name}: not a readable image ({reason(error)})") from error
    return torch.from_numpy(pixels).permute(2, 0, 1).float() / UINT8_MAX


def _upright(file: Image, image: Image) -> Image:
    """Return the image of a loaded file, turned as the file's EXIF data ask.

    Not `ImageOps.exif_transpose`, which writes the EXIF data anew and fails where they hold what cannot be written.
    """
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    try:
        turn = turns.get(file.getexif().get(EXIF_ORIENTATION, 1))
    except SyntaxError:  # their header is damaged: they ask for nothing, and the pixels are whole
        turn = None
    return image if turn is None else image.transpose(turn)
