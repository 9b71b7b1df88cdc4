"""How a space, a network or a batch is found by the words on the command line."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
import torch

from lswag_fast.cli import targets
from lswag_fast.cli.values import space_assignment
from lswag_fast.errors import DataError, InputError, SpaceError, UnsupportedModelError
from lswag_fast.spaces import AutoFormer, ProxylessNas
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
    with pytest.raises(SpaceError, match="Sequential is not a search space: it lacks 'name', 'input_shape'"):
        targets.find_space("support.user_networks:cnn", given())


def space_set(*texts: str) -> list[Any]:
    return [space_assignment(text) for text in texts]


@pytest.mark.parametrize(
    ("name", "texts", "expected"),
    [
        (
            "autoformer-tiny",
            ["mlp_ratio=3,3.5,4", "qkv_dim=192,256", "max_relative_position=7"],
            AutoFormer("tiny", mlp_ratio=(3, 3.5, 4), qkv_dim=(192, 256), max_relative_position=7),
        ),
        (
            "proxylessnas",
            ["squeeze_excitation=true", "activation=swish", "width_mult=1.4", "stage_widths=32,40,80,96,192,320"],
            ProxylessNas(
                squeeze_excitation=True, activation="swish", width_mult=1.4, stage_widths=(32, 40, 80, 96, 192, 320)
            ),
        ),
    ],
)
def test_a_named_space_takes_its_further_options(name: str, texts: list[str], expected: Any) -> None:
    args = given(space=name, space_set=space_set(*texts))
    assert repr(targets.find_space(name, args)) == repr(expected)
    module, expression = targets.python_of(name, args)
    assert repr(eval(expression, {module: __import__(module)})) == repr(expected)
    words = [str(word) for word in targets.space_words(args)]
    assert words == [word for text in texts for word in ("--space-set", text)]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("proxylessnas", "activation=gelu", "^--space-set activation: found 'gelu', expected one of relu6, swish$"),
        (
            "proxylessnas",
            "activation=swish,relu6",
            r"^--space-set activation: found \['swish', 'relu6'\], expected one",
        ),
        ("proxylessnas", "width_mult=wide", "^--space-set width_mult: found 'wide', expected a positive number$"),
        ("proxylessnas", "stage_widths=32", "^--space-set stage_widths: found 32, expected 6 whole numbers$"),
        ("proxylessnas", "squeeze_excitation=1", "^--space-set squeeze_excitation: found 1, expected True or False$"),
        (
            "autoformer-tiny",
            "mlp_ratio=3,x",
            "^--space-set mlp_ratio: found .*, expected one or more positive numbers$",
        ),
        ("autoformer-tiny", "qkv_dim=191", "^--space-set qkv_dim: none of 191 is a multiple of 3 heads$"),
        ("autoformer-tiny", "max_relative_position=0", "^--space-set max_relative_position: found 0, expected a pos"),
        ("autoformer-tiny", "depth=3", "^--space-set depth: cannot be set for .*; allowed are .*mlp_ratio, qkv_dim"),
        ("nasbench201", "chanels=4", "^--space-set chanels: .*; allowed are .*, channels, cells_per_stage$"),
        ("support.user_networks:Mlps", "channels=4", "^--space-set channels: support.* decides this itself"),
    ],
)
def test_a_further_option_that_is_wrong_is_named(name: str, text: str, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        targets.find_space(name, given(space_set=space_set(text)))


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


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("segmentsemantic", r"the task 'segmentation' wants outputs \(C, 32, 32\) for each image; .* give \(10,\)$"),
        ("autoencoding", r"the task 'autoencoding' wants outputs \(3, 32, 32\) for each image"),
        ("jigsaw", "image_size: 32 pixels cannot be cut into 3 tiles a side"),
    ],
)
def test_a_task_that_the_networks_do_not_fit_names_its_option(task: str, words: str) -> None:
    space = targets.find_space("nasbench201", given(image_size=32))
    with pytest.raises(InputError, match=f"^--task: {words}"):
        targets.space_batch(space, given(task=task, data="digits"))


def test_names_are_found_called_and_refused() -> None:
    assert targets.find("support.user_networks:cnn") is user_networks.cnn
    assert isinstance(targets.make("support.user_networks:cnn"), torch.nn.Module)
    with pytest.raises(InputError, match="must be callable; found int"):
        targets.find("sys:maxsize")
    with pytest.raises(InputError, match=r"^json:dump_s: there is no 'dump_s' in json; did you mean 'dumps'\?$"):
        targets.find("json:dump_s")
    with pytest.raises(InputError, match=r"^json:anything: there is no 'anything' in json$"):
        targets.find("json:anything")
    with pytest.raises(InputError, match="'dumps' must be callable without arguments"):
        targets.make("json:dumps")


def test_threads_are_as_before_afterwards() -> None:
    before = torch.get_num_threads()
    with targets.threads(before + 1):
        assert torch.get_num_threads() == before + 1
    with targets.threads(None):
        assert torch.get_num_threads() == before
    assert torch.get_num_threads() == before


def test_images_that_a_network_does_not_take_are_named_where_its_outputs_are_asked_for() -> None:
    args = given(network="support.user_networks:cnn", task="regression")
    with pytest.raises(UnsupportedModelError, match=r"--task: support.user_networks:cnn cannot .* shape \(1, 8, 8\): "):
        targets.network_batch(user_networks.cnn(), "synthetic", 8, None, args, channels=1)
