"""Batches of texts: what is drawn, what is told of it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from lswag_fast.data import load_text
from lswag_fast.data.texts import IGNORED, MASK
from lswag_fast.errors import DataError, InputError


def test_pieces_are_of_the_text_and_labels_the_next_bytes(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes(bytes(range(100)))
    tokens, labels = load_text(file, batch_size=10, length=7, seed=1).batch
    assert (labels == tokens + 1).all() and (tokens[:, 1:] == tokens[:, :-1] + 1).all()
    assert len(set(tokens[:, 0].tolist())) == 10  # each begins elsewhere
    assert labels.max() <= 99


def test_masked_bytes_are_told_and_no_others() -> None:
    plain, _ = load_text(batch_size=6, length=40).batch
    tokens, labels = load_text(batch_size=6, length=40, masked=True).batch
    hidden = tokens == MASK
    assert hidden.sum(1).tolist() == [6] * 6  # 15 % of 40
    assert (labels[~hidden] == IGNORED).all() and (labels[hidden] == plain[hidden]).all()
    assert (tokens[~hidden] == plain[~hidden]).all()
    _, few = load_text(batch_size=2, length=2, masked=True).batch
    assert (few >= 0).sum(1).tolist() == [1, 1]


def test_the_seed_decides_the_pieces() -> None:
    first, same, other = (load_text(batch_size=4, length=16, seed=seed).tokens for seed in (0, 0, 1))
    assert (first == same).all() and not (first == other).all()


def test_the_packaged_text_is_ascii() -> None:
    tokens, _ = load_text(batch_size=2, length=3000).batch
    assert int(tokens.max()) < 128
    assert bytes(load_text(batch_size=1, length=3353).tokens[0].tolist()).startswith(b"Alice was beginning")


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("short")
    with pytest.raises(
        DataError, match="has 5 bytes, of which 4 different pieces of 3 bytes cannot be drawn; it takes 7"
    ):
        load_text(tmp_path / "short.txt", batch_size=4, length=3)
    with pytest.raises(DataError, match=r"data .*absent\.txt: cannot be read"):
        load_text(tmp_path / "absent.txt", batch_size=4, length=3)
    with pytest.raises(InputError, match="length must be a positive whole number, got 0"):
        load_text(batch_size=4, length=0)


@pytest.mark.parametrize("masked", [False, True])
def test_a_default_device_that_is_not_the_cpu_changes_nothing(masked: bool) -> None:
    tokens, labels = load_text(batch_size=4, length=16, masked=masked).batch
    with torch.device("meta"):
        found = load_text(batch_size=4, length=16, masked=masked).batch
    assert torch.equal(found[0], tokens)
    assert torch.equal(found[1], labels)
