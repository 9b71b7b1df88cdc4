"""One batch of texts as tokens for a language model: `load_text("alice", batch_size=16, length=64)`."""

from __future__ import annotations

import random
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from lswag_fast.errors import DataError, InputError, reason

MASK = 256
"""The token that stands for a hidden byte; the tokens below are the bytes themselves."""
IGNORED = -100
"""The target of a token that does not count."""
MASKED_SHARE = 0.15
MAX_BYTES = 16 * 2**20


@dataclass(frozen=True)
class TextBatch:
    """Texts as tokens, and what is to be told of them.

    Attributes:
        tokens: (B, length) int64, the bytes of each text, or `MASK`.
        labels: (B, length) int64, the byte to be told at each token; `IGNORED` where none is.
        description: the origin, in words for a person.

    Example:
        >>> drawn = load_text("alice", batch_size=2, length=8)
        >>> drawn.description
        'alice, 2 texts of 8 bytes, next byte, seed 0'
    """

    tokens: Tensor
    labels: Tensor
    description: str

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """The pair (tokens, labels) that `score` and `search` take, with `loss_fn=TokenLoss()`."""
        return self.tokens, self.labels


def load_text(
    source: str | Path = "alice", *, batch_size: int, length: int, masked: bool = False, seed: int = 0
) -> TextBatch:
    """Draw pieces of a text, each token a byte.

    Each piece begins at another byte, every one equally likely; pieces may overlap. Of a text in UTF-8 a letter that
    is no ASCII is two bytes or more.

    Args:
        source: "alice", the beginning of Alice's Adventures in Wonderland (Lewis Carroll, 1865), which comes with the
            package and is in the public domain; or a file of your own, of any language.
        batch_size: number of pieces B.
        length: bytes of a piece.
        masked: False for a model that tells the next byte of each, which the labels are then; True for one that tells
            the hidden ones: of each piece 15 % of the bytes, one at least, are `MASK`, and the others do not count.
        seed: determines, alone, which pieces are drawn and what of them is hidden.

    Returns:
        The tokens and the labels, (B, length) each.

    Raises:
        InputError: an impossible argument.
        DataError: the file is missing, cannot be read, or is too short.

    Example:
        >>> tokens, labels = load_text(batch_size=4, length=16).batch
        >>> bool((tokens[:, 1:] == labels[:, :-1]).all())
        True
        >>> tokens, labels = load_text(batch_size=4, length=16, masked=True).batch
        >>> int((labels >= 0).sum()), bool(((tokens == MASK) == (labels >= 0)).all())
        (8, True)
    """
    for name, value in (("batch_size", batch_size), ("length", length)):
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise InputError(f"{name} must be a positive whole number, got {value!r}")
    text = torch.tensor(list(_read(source)), dtype=torch.long, device="cpu")
    n_starts = len(text) - length  # one more byte is there to be told
    if n_starts < batch_size:
        raise DataError(
            f"data {source}: has {len(text)} bytes, of which {batch_size} different pieces of {length} bytes cannot be "
            f"drawn; it takes {batch_size + length}"
        )
    rng = random.Random(seed)
    starts = rng.sample(range(n_starts), batch_size)
    pieces = torch.stack([text[start : start + length + 1] for start in starts])
    tokens, labels = pieces[:, :-1].clone(), pieces[:, 1:].clone()
    if masked:
        labels = torch.full_like(tokens, IGNORED)
        for row, label in zip(tokens, labels, strict=True):
            chosen = rng.sample(range(length), max(1, round(MASKED_SHARE * length)))
            hidden = torch.tensor(chosen, device="cpu")
            label[hidden] = row[hidden]
            row[hidden] = MASK
    task = "masked bytes" if masked else "next byte"
    return TextBatch(tokens, labels, f"{source}, {batch_size} texts of {length} bytes, {task}, seed {seed}")


def _read(source: str | Path) -> bytes:
    if source == "alice":
        return resources.files(__package__).joinpath("alice.txt").read_bytes()
    try:
        path = Path(source)
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"data {source}: has more than {MAX_BYTES:,} bytes; use a part of it")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"data {source}: cannot be read ({reason(error)}); name a file of text, or alice") from error
