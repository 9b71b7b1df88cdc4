"""`lswag-fast supernet`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from lswag_fast.cli import main
from lswag_fast.training.loop import loop
from lswag_fast.training.supernet import Supernet, load
from training.runs import WEIGHTS, write_images

FACTORY = """
from torch import nn
from lswag_fast.spaces import AutoFormer, NasBench201

def make(depth=(1, 2)):
    sizes = {"image_size": 8, "patch_size": 4, "num_classes": 3}
    return AutoFormer(embed_dim=(16, 32), depth=depth, num_heads=1, mlp_ratio=(1, 2), **sizes)

def deeper():
    return make((1, 3))

def cells():
    return NasBench201(channels=4, cells_per_stage=1, image_size=8, num_classes=3)

def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 3))

def convolutional():
    layers = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    return nn.Sequential(*layers, nn.Linear(8, 3))

def breaking():
    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.n_steps = nn.Linear(192, 3), 0
        def forward(self, images):
            self.n_steps += self.training
            logits = self.layer(images.flatten(1))
            return logits * float("nan") if self.n_steps == 5 else logits
    return Network()

def dictionary():
    class Network(nn.Module):
        def forward(self, images):
            return {"logits": images}
    return Network()
"""
QUICK = ["--epochs", "2", "--batch-size", "16", "--device", "cpu", "--threads", "1"]
SUPERNET = ["supernet", "tiny_space:make", "--data", "images.npz", *QUICK, "--out", "run"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tiny_space.py").write_text(FACTORY)
    write_images(tmp_path / "images.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_trains_and_says_how_good_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SUPERNET, "--tensorboard"]) == 0
    out = capsys.readouterr().out
    assert "trained on images.npz (x): 48 to train on, 6 for validation, 6 for the test" in out
    assert "least network: " in out and "largest network: " in out and f"weights: run/{WEIGHTS}" in out
    assert files(folder / "run") == ["lock", "log.csv", "settings.json", "tensorboard", WEIGHTS]
    assert main([*SUPERNET]) == 0  # it has ended: said again, nothing is trained
    assert capsys.readouterr().out == out


def test_interrupted_it_names_what_continues_and_ends_the_same(
    folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main([*SUPERNET[:-1], "whole"]) == 0
    capfd.readouterr()
    step = loop.Loop._train_step

    def interrupted(self: loop.Loop, *batch: object) -> object:
        if self._step == 1:
            signal.raise_signal(signal.SIGTERM)
        return step(self, *batch)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "_train_step", interrupted)
        assert main(SUPERNET) == 143
    err = capfd.readouterr().err
    assert "SIGTERM: stopping after the step that is made" in err
    assert f"continue: lswag-fast {' '.join(SUPERNET[:2])}" in err
    assert main(SUPERNET) == 0
    assert "continuing after step 2 of 6" in capfd.readouterr().err
    assert (folder / "run" / WEIGHTS).read_bytes() == (folder / "whole" / WEIGHTS).read_bytes()
    assert load(folder / "run", load_space()).settings["recipe"]["epochs"] == 2


def load_space() -> object:
    namespace: dict[str, object] = {}
    exec(FACTORY, namespace)
    return namespace["make"]()  # type: ignore[operator]


MISTAKES = [
    (["supernet", "gpt"], "gpt: networks of images are trained here, and those of this space take texts"),
    (["supernet", "tiny_space:cells", "--data", "images.npz"], "nasbench201 has no shared weights that can be trained"),
    (["supernet", "tiny_space:make", "--data", "one_class.npz"], "--data: data one_class.npz (x): has one class"),
    (
        ["supernet", "tiny_space:make", "--data", "lone.npz"],
        "--data: data lone.npz (x): class 1 has 1 different image; it needs 3, one for each of the parts",
    ),
    (
        ["supernet", "tiny_space:make", "--data", "fewer.npz"],
        "--data: data fewer.npz: found 20 images in x and 19 labels in y",
    ),
    (["supernet", "tiny_space:make", "--data", "shares.npz"], "--data: data shares.npz: y is float64 of shape (20,)"),
    (["supernet", "tiny_space:make", "--data", "digits"], "has 10 classes, and the networks tell only 3 apart"),
    (["supernet", "tiny_space:make", "--data", "sizes.npz"], "--data: data sizes.npz: x holds pickled objects"),
    (["supernet", "tiny_space:make", "--data", "synthetic"], "is noise, of which nothing can be learned"),
    (
        ["supernet", "tiny_space:make", "--data", "images.npz", "--batch-size", "64"],
        "--batch-size: 64 is more than the 48 images",
    ),
    (["supernet", "tiny_space:make", "--data", "images.npz", "--recipe", "short", "--epochs", "0"], "--epochs"),
    (["supernet", "tiny_space:make", "--data", "images.npz", "--image-size", "9"], "--image-size: tiny_space:make"),
    (
        ["supernet", "tiny_space:make", "--data", "images.npz", "--recipe-set", "label_smoothing=2"],
        "--recipe-set: label_smoothing: found 2, expected a share from 0 to below 1",
    ),
    (
        ["supernet", "tiny_space:make", "--data", "images.npz", "--recipe-set", "mixup=1", "--batch-size", "7"],
        "--batch-size: found 7, and recipe short mixes images in pairs",
    ),
]


@pytest.mark.parametrize(("command", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], command: list[str], message: str
) -> None:
    np.savez("one_class.npz", x=np.zeros((20, 8, 8), np.uint8), y=np.zeros(20, np.int64))
    pixels = np.random.default_rng(0).integers(0, 255, (20, 8, 8)).astype(np.uint8)
    np.savez("lone.npz", x=pixels, y=np.array([0] * 19 + [1]))
    np.savez("fewer.npz", x=pixels, y=np.arange(19) % 3)
    np.savez("shares.npz", x=pixels, y=np.linspace(0, 2, 20))
    np.savez("sizes.npz", x=np.array([np.zeros((8, 8)), np.zeros((9, 9))], dtype=object), y=np.arange(2))
    before = files(folder)
    assert main([*command, "--device", "cpu", "--out", "a/b"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("lswag-fast: error: ") and message in err and err.count("\n") == 1
    assert files(folder) == before or files(folder) == sorted([*before, "__pycache__"])


@pytest.mark.parametrize("library", ["lightning_fabric", "safetensors.torch"])
def test_a_missing_library_is_named_before_anything(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    assert main(SUPERNET) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "which is not installed; pip install 'lswag-fast[train]'" in err
    assert not (folder / "run").exists()


def test_a_loss_that_is_no_number_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = Supernet.forward
    with monkeypatch.context() as patch:
        patch.setattr(Supernet, "forward", lambda *inputs: forward(*inputs) * float("nan"))
        assert main(SUPERNET) == 2
    err = capsys.readouterr().err
    assert err.startswith("lswag-fast: error: the loss is NaN or infinite at step 1 of 6; nothing was stored; ")
    assert err.count("\n") == 1 and "a lower learning rate (--lr) or a longer warm-up (--recipe-set warmup" in err
    assert not (folder / "run" / WEIGHTS).exists()
    assert main(SUPERNET) == 0  # the folder can be used


def test_other_settings_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(SUPERNET) == 0
    assert main([*SUPERNET, "--lr", "0.01"]) == 2
    assert "recipe.lr was 0.003, now 0.01; name another folder" in capsys.readouterr().err
    assert main([*SUPERNET, "--recipe-set", "weight_decay=0.1"]) == 2
    assert "recipe.weight_decay was 0.05, now 0.1; name another folder" in capsys.readouterr().err
    assert main(["supernet", "tiny_space:deeper", *SUPERNET[2:]]) == 2
    assert "space.choices was" in capsys.readouterr().err
