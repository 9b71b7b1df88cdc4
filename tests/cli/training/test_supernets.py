"""How a supernet is found by the words on the command line; the commands that take one test the rest."""

from __future__ import annotations

import argparse
from types import SimpleNamespace
from typing import Any

from lswag_fast.cli import targets
from lswag_fast.cli.training import supernets
from lswag_fast.spaces import AutoFormer


def test_what_a_supernet_was_made_with_need_not_be_said_again() -> None:
    space = AutoFormer("tiny", image_size=32, patch_size=4, num_classes=10, mlp_ratio=(3, 4))
    options = {"image_size": 32, "patch_size": 4, "num_classes": 10, "mlp_ratio": [3, 4]}
    supernet: Any = SimpleNamespace(space=space, settings={"metadata": {"space_options": options}})
    args = argparse.Namespace(space="autoformer-tiny", init="own")
    supernets.take_sizes(args, supernet)
    assert targets.space_options(args) == options
    assert repr(targets.find_space("autoformer-tiny", args)) == repr(space)
    supernet.settings["metadata"] = {}  # trained from Python
    supernets.take_sizes(args, supernet)
    assert targets.space_options(args) == {key: value for key, value in options.items() if key != "mlp_ratio"}
