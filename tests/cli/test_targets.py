"""How a space, a network or a batch is found by the words on the command line."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch

from lswag_fast.cli import targets
from lswag_fast.errors import DataError, InputError, SpaceError
from support import user_networks


def given(**changes: Any) -> argparse.Namespace:
    usual = {"image_size": None, "patch_size": None, "num_classes": None, "checkpoint": None, "seed": 0}
    usual |= {"mode": None, "init": "own", "batch_size": 4, "split": None}
    return argparse.Namespace(**{**usual, **changes})


def test_a_named_space_takes_the_options_that_were_given() -> None:
    space = targets.find_space("nasbench201", given(image_size=16, num_classes=7))
    assert (space.input_shape, space.num_classes) == ((3, 16, 16), 7)


def test_a_space_of_the_users_own_decides_its_options_itself() -> None:
    assert targets.find_space("support.user_networks:Mlps", given()).name == "mlps"
    with pytest.raises(SpaceError, match=r"--image-size: support\.user_networks:Mlps decides this itself"):
        targets.find_space("support.user_networks:Mlps", given(image_size=16))
    with pytest.raises(SpaceError, match="Sequential is not a search space: it lacks name, input_shape"):
        targets.find_space("support.user_networks:cnn", given())


def test_a_checkpoint_is_for_spaces_that_read_them() -> None:
    space = user_networks.Mlps()
    assert targets.checkpoint(space, given()) is None
    with pytest.raises(InputError, match="--checkpoint: mlps reads no checkpoints"):
        targets.checkpoint(space, given(checkpoint="weights.pth"))


def test_networks_are_built_alike_and_prepared_as_asked() -> None:
    space, arch = user_networks.Mlps(), {"widths": [8, 8]}
    first, again = (targets.network_builder(space, given())(arch) for _ in range(2))
    assert torch.equal(first[1].weight, again[1].weight)
    prepared = targets.network_builder(space, given(mode="eval"))(arch)
    assert (first.training, prepared.training) == (True, False)


def test_a_batch_that_cannot_be_had_names_its_option() -> None:
    assert targets.load_batch("synthetic", 8, 3, given()).batch[0].shape == (4, 3, 8, 8)
    with pytest.raises(DataError, match=r"^--data: "):
        targets.load_batch("no/such/folder", 8, 3, given())
    with pytest.raises(DataError, match=r"^--data: data digits \(UCI, 8 x 8\) has 10 classes, .* with num_classes=10"):
        targets.load_batch("digits", 8, 3, given())


def test_names_are_found_called_and_refused() -> None:
    assert targets.find("support.user_networks:cnn") is user_networks.cnn
    assert isinstance(targets.make("support.user_networks:cnn"), torch.nn.Module)
    with pytest.raises(InputError, match="must be callable; found int"):
        targets.find("sys:maxsize")
    with pytest.raises(InputError, match="'dumps' must be callable without arguments"):
        targets.make("json:dumps")


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with targets.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with targets.threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before
