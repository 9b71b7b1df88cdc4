"""How a supernet is found by the words on the command line; the commands that take one test the rest."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lswag_fast.cli import main, targets
from lswag_fast.cli.training import supernets
from lswag_fast.spaces import AutoFormer
from training.supernets import MODULE, save_supernet

OTHER = MODULE.replace("def make", "def other").replace('"depth": (1, 2)', '"depth": (1, 3)')
NOTHING = "def nothing(): pass\n"
ARCH = '{"embed_dim":16,"depth":1,"num_heads":[1],"mlp_ratio":[1.0]}'
COMMANDS = {
    "benchmark": ["benchmark", "{space}", "--supernet", "{folder}", "--trials", "2"],
    "compare": ["compare", "{space}", "--supernet", "{folder}", "--trials", "2", "--methods", "random", "--seeds", "1"],
    "search": ["search", "{space}", "--supernet", "{folder}", "--trials", "2", "--proxies", "inherited_accuracy"],
    "train": ["train", "{space}:" + ARCH.replace("{", "{{").replace("}", "}}"), "--init", "{folder}", "--epochs", "1"],
}
FAULTS = [
    ("small_spaces:make", "begun", "the training in begun has not ended; run its command again to continue it"),
    ("small_spaces:make", "cut", "cut/weights.safetensors cannot be read"),
    ("small_spaces:make", "garbled", "garbled/settings.json cannot be read"),
    ("small_spaces:make", "without", "without/settings.json is damaged: it has no 'data.source'"),
    ("small_spaces:make", "empty", "empty is no folder of a training: it has no settings.json"),
    ("small_spaces:other", "whole", "whole holds the weights of another space: space.choices was"),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole supernet, and what may be left of one."""
    folder = tmp_path_factory.mktemp("supernets")
    (folder / "small_spaces.py").write_text(MODULE + OTHER + NOTHING)
    save_supernet(folder / "whole")
    for name in ("begun", "cut", "garbled", "without"):
        shutil.copytree(folder / "whole", folder / name)
    (folder / "begun" / "weights.safetensors").unlink()
    weights = (folder / "whole" / "weights.safetensors").read_bytes()
    (folder / "cut" / "weights.safetensors").write_bytes(weights[: len(weights) // 2])
    (folder / "garbled" / "settings.json").write_text('{"schema_version": 1, "ki')
    settings = json.loads((folder / "whole" / "settings.json").read_bytes())
    del settings["data"]
    (folder / "without" / "settings.json").write_text(json.dumps(settings))
    (folder / "empty").mkdir()
    return folder


def run(command: str, space: str, folder: str = "whole") -> int:
    """The exit code of a command on a supernet, with a new --out."""
    words = [word.format(space=space, folder=folder) for word in COMMANDS[command]]
    return main([*words, "--out", "new/out.csv"])


@pytest.mark.parametrize(("space", "name", "message"), FAULTS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_supernet_that_cannot_be_used_is_one_line_and_leaves_nothing(
    trained: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    space: str,
    name: str,
    message: str,
) -> None:
    monkeypatch.chdir(trained)
    before = sorted(path.name for path in (trained / name).iterdir())
    assert run(command, space, name) == 2
    out, err = capsys.readouterr()
    option = "--init" if command == "train" else "--supernet"
    assert err.startswith(f"lswag-fast: error: {option}: {message}") and err.count("\n") == 1 and out == ""
    assert not (trained / "new").exists()
    assert sorted(path.name for path in (trained / name).iterdir()) == before


@pytest.mark.parametrize("command", COMMANDS)
def test_a_space_that_is_none_is_not_blamed_on_the_supernet(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(trained)
    assert run(command, "small_spaces:nothing") == 2
    err = capsys.readouterr().err
    assert err.startswith("lswag-fast: error: small_spaces:nothing: NoneType is not a search space: it lacks 'name', ")
    assert "'num_classes'" in err and err.count("\n") == 1 and not (trained / "new").exists()


@pytest.mark.parametrize("command", ["benchmark", "compare", "search"])
def test_a_supernet_of_a_space_without_a_name_asks_for_what_makes_it(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.chdir(trained)
    assert run(command, "autoformer-tiny") == 2
    said = "--supernet: whole holds the weights of a space of its own, not of autoformer-tiny; give as SPACE what makes"
    assert capsys.readouterr().err == f"lswag-fast: error: {said} it, package.module:factory\n"


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
