"""Networks by name: what all libraries have in common."""

from __future__ import annotations

import re
import sys

import pytest
import torch

from lswag_fast.errors import InputError, MissingExtraError
from lswag_fast.integrations import is_named, named_network
from support.offline import refuse_network
from support.zoo_libraries import library

library("torchvision")


def test_the_prefix_makes_a_name() -> None:
    assert [is_named(text) for text in ("timm:a", "torchvision:b", "hf:c.json", "timm:")] == [True] * 4
    assert [is_named(text) for text in ("timm", "torchvision.models:resnet18", "own.hf:make")] == [False] * 3


def test_the_seed_draws_the_weights_and_leaves_the_random_state(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_network(monkeypatch)
    before = torch.get_rng_state()
    first, again, other = (
        named_network("torchvision:squeezenet1_1", num_classes=3, seed=seed).model.features[0].weight
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("target", ["resnet18", "keras:resnet18", "", 3])
def test_what_begins_with_no_library_is_refused(target: object) -> None:
    with pytest.raises(InputError, match="names no network of a library; expected one of timm, torchvision, hf"):
        named_network(target)


def test_what_a_library_refuses_is_one_line() -> None:
    words = "torchvision:vit_b_32 cannot be built: AssertionError: Input shape indivisible by patch size!"
    with pytest.raises(InputError, match=re.escape(words)):
        named_network("torchvision:vit_b_32", image_size=33)


@pytest.mark.parametrize(
    ("prefix", "package"), [("timm", "timm"), ("torchvision", "torchvision"), ("hf", "transformers")]
)
def test_a_missing_library_says_what_to_install(prefix: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=re.escape(f"pip install 'lswag-fast[{package}]'")):
        named_network(f"{prefix}:anything")
