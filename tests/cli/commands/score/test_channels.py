"""`lswag-fast score` of a network of one's own that takes other images than those of three channels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lswag_fast.cli import main

GREY = """
from torch import nn

class Grey(nn.Sequential):
    def __init__(self, **said):
        super().__init__(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 10))
        vars(self).update(said)

def make():
    return Grey()

def saying():
    return Grey(input_shape=(1, 8, 8))

def saying_otherwise():
    return Grey(input_shape=(1, 8, 6))
"""


@pytest.fixture
def grey(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Score one of the grey networks on 4 images of 8 pixels, by the number of parameters and the gradient."""
    (tmp_path / "grey_networks.py").write_text(GREY)
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 4), dtype=np.uint8)
    labels = np.array([0, 1, 2, 0, 1, 2])
    np.savez("images.npz", x=images[..., :3], y=labels, x_four=images, y_four=labels)

    def score(name: str, *argv: str) -> tuple[int, str, str]:
        code = main(["score", f"grey_networks:{name}", "--batch-size", "4", "--proxies", "params,grad_norm", *argv])
        return code, *capsys.readouterr()

    return score


@pytest.mark.parametrize("source", ["digits", "synthetic", "images.npz"])
def test_a_network_of_grey_images_is_given_such(grey: Any, source: str) -> None:
    found = [
        grey(name, "--data", source, "--json", "-", *words)
        for name, words in (
            ("make", ["--channels", "1", "--image-size", "8"]),
            ("saying", []),
            ("saying_otherwise", ["--channels", "1", "--image-size", "8"]),
        )
    ]
    assert [code for code, *_ in found] == [0, 0, 0]
    values = [json.loads(out)["scores"]["grad_norm"]["value"] for _, out, _ in found]
    assert values[0] == values[1] == values[2] > 0


@pytest.mark.parametrize(
    ("name", "argv", "words"),
    [
        ("make", ["--image-size", "8"], "cannot compute with this batch, inputs (4, 3, 8, 8) of torch.float32"),
        (
            "make",
            ["--image-size", "8"],
            "gives a network of yours images (--channels, --image-size), or texts with --length",
        ),
        ("saying", ["--channels", "3"], "cannot compute with this batch, inputs (4, 3, 8, 8) of torch.float32"),
        ("saying_otherwise", [], "its input_shape is (1, 8, 6), expected (C, H, W) of one square image; say what it"),
        ("saying_otherwise", ["--channels", "1"], "its input_shape is (1, 8, 6)"),
        ("saying", ["--channels", "0"], "--channels: '0' is not a whole number of at least 1"),
        ("saying", ["--data", "images.npz", "--split", "four"], "--data: "),
    ],
)
def test_images_that_do_not_fit_are_refused(grey: Any, name: str, argv: list[str], words: str) -> None:
    code, out, err = grey(name, "--proxies", "grad_norm", *argv)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert words in err


def test_channels_are_for_a_network_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    for network, origin in (('nasbench201:{"cell":""}', "nasbench201"), ("timm:resnet18", "timm")):
        assert main(["score", network, "--channels", "1"]) == 2
        assert f"--channels: {origin} says itself what it takes; leave it out" in capsys.readouterr().err
