"""What a network of a library wants to be fed."""

from __future__ import annotations

import sys

import pytest

from lswag_fast.errors import InputError, MissingExtraError
from lswag_fast.integrations.network_inputs import TokenInputs, library, square, unknown_name


@pytest.mark.parametrize("padding", [0, 3, 6])
def test_every_token_but_the_padding_is_drawn(padding: int) -> None:
    tokens, _ = TokenInputs(vocabulary=7, length=50, padding=padding).draw(20, num_classes=2)
    assert set(tokens.flatten().tolist()) == set(range(7)) - {padding}


@pytest.mark.parametrize("padding", [None, -1, 7])
def test_a_padding_that_is_no_token_leaves_all_of_them(padding: int | None) -> None:
    tokens, _ = TokenInputs(vocabulary=7, length=50, padding=padding).draw(20, num_classes=2)
    assert set(tokens.flatten().tolist()) == set(range(7))


def test_targets_are_of_rows_or_of_tokens() -> None:
    of_rows, of_tokens = (
        TokenInputs(vocabulary=9, length=30, per_token=each).draw(40, num_classes=3)[1] for each in (False, True)
    )
    assert (of_rows.shape, of_tokens.shape) == ((40,), (40, 30))
    assert set(of_rows.tolist()) == set(of_tokens.flatten().tolist()) == {0, 1, 2}


def test_the_seed_decides_what_is_drawn() -> None:
    first, again, other = (TokenInputs(50, 8).draw(4, 2, seed)[0].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    known = ["resnet18", "resnet34", "vgg11"]
    error = unknown_name("timm", "resnet19", known)
    assert str(error) == "timm has no classifier of images named 'resnet19'; the nearest are resnet18, resnet34"
    assert str(unknown_name("timm", "zzz", known)).endswith("named 'zzz' among its 3")


def test_images_are_square() -> None:
    assert square("hf", "x.json", 32) == square("hf", "x.json", [32, 32]) == 32
    with pytest.raises(InputError, match=r"hf:x\.json takes images of 32 x 16 pixels, and only square ones"):
        square("hf", "x.json", (32, 16))


def test_a_library_that_is_missing_or_broken_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(
        MissingExtraError, match=r"needs timm, which is not installed; pip install 'lswag-fast\[timm\]'"
    ):
        library("timm")

    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms\ndoes not exist")

    monkeypatch.setattr("lswag_fast.integrations.network_inputs.import_module", broken)
    with pytest.raises(InputError, match=r"cannot be loaded beside torch .*nms does not exist.*the same index"):
        library("torchvision")
