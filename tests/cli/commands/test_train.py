"""`lswag-fast train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch

from cli.commands.test_supernet import FACTORY, QUICK, SUPERNET, files, load_space
from lswag_fast.cli import main
from lswag_fast.data.splits import split_images
from lswag_fast.training.loop.folder import TrainingFolder
from training.runs import WEIGHTS, write_images

ARCH = '{"embed_dim":16,"depth":1,"num_heads":[1],"mlp_ratio":[2.0]}'
TRAIN = ["train", f"tiny_space:make:{ARCH}", "--data", "images.npz", *QUICK, "--out", "run"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "tiny_space.py").write_text(FACTORY)
    write_images(tmp_path / "images.npz")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_trains_a_network_of_a_space(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(TRAIN) == 0
    out = capsys.readouterr().out
    result = json.loads((folder / "run" / "result.json").read_text())
    assert result["arch"] == ARCH and result["test"]["n"] == 6
    low, high = result["test"]["interval"]
    assert (
        f"test:       {result['test']['accuracy']:.2%} of 6 images right, 95 % interval {low:.2%} to {high:.2%}" in out
    )
    assert files(folder / "run") == ["lock", "log.csv", "result.json", "settings.json", WEIGHTS]
    namespace: dict[str, object] = {}
    exec("\n".join(result["python"]), namespace)  # the three lines that were printed
    assert all(f"    {line}\n" in out for line in result["python"])
    stored = safetensors.torch.load_file(folder / "run" / WEIGHTS)
    assert all(torch.equal(stored[name], value) for name, value in namespace["model"].state_dict().items())  # type: ignore[attr-defined]
    assert main(TRAIN) == 0  # it has ended: said again
    assert capsys.readouterr().out == out
    moved = [str(folder / "images.npz") if word == "images.npz" else word for word in TRAIN]
    assert main(moved) == 0  # the same images by another path
    assert "test:       " in capsys.readouterr().out
    (folder / "run" / "log.csv").unlink()
    assert main(TRAIN) == 0  # the network is whole without its log
    assert capsys.readouterr().out == out


def test_inherits_the_weights_of_a_supernet(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from lswag_fast.training.supernet import load

    assert main([*SUPERNET[:-1], "supernet"]) == 0
    # A learning rate that moves nothing: what comes out is what was inherited.
    assert main([*TRAIN, "--init", "supernet", "--lr", "1e-30", "--epochs", "1"]) == 0
    space = load_space()
    expected = space.build(json.loads(ARCH), load(folder / "supernet", space).weights)  # type: ignore[attr-defined, arg-type]
    stored = safetensors.torch.load_file(folder / "run" / WEIGHTS)
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(stored[name], value, rtol=0, atol=2e-5)  # the recipe ends at a rate of 1e-5
    assert main([*TRAIN[:1], f"tiny_space:deeper:{ARCH}", *TRAIN[2:-1], "other", "--init", "supernet"]) == 2
    assert "--init: supernet holds the weights of another space" in capsys.readouterr().err
    assert main([*TRAIN, "--init", "run"]) == 2
    assert "--init: run is the folder of a trained network, not of a supernet" in capsys.readouterr().err


def test_trains_a_network_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tiny_space:network", "--image-size", "8", *TRAIN[2:]]) == 0
    assert "    model = tiny_space.network()\n" in capsys.readouterr().out


def test_writes_a_network_with_batch_norm_as_onnx(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="comes with the extra 'onnx'")
    pytest.importorskip("onnxscript", reason="comes with the extra 'onnx'")
    assert main(["train", "tiny_space:convolutional", "--image-size", "8", *TRAIN[2:], "--onnx"]) == 0
    out = capsys.readouterr().out
    assert "run/network.onnx: its logits differ from torch's by " in out
    namespace: dict[str, object] = {}
    exec("\n".join(json.loads((folder / "run" / "result.json").read_text())["python"]), namespace)
    model: torch.nn.Module = namespace["model"].eval()  # type: ignore[attr-defined]
    assert model.state_dict()["1.running_mean"].abs().min() > 0  # of the images that it was trained on
    images, _ = split_images("images.npz", image_size=8).test.tensors()
    (logits,) = onnxruntime.InferenceSession("run/network.onnx").run(None, {"images": images.numpy()})
    # The tolerance that the file was written with.
    torch.testing.assert_close(torch.from_numpy(logits), model(images).detach(), rtol=1e-4, atol=1e-4)


def test_a_loss_that_is_no_number_ends_it_and_keeps_the_state_before(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["train", "tiny_space:breaking", "--image-size", "8", *TRAIN[2:]]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    assert err.startswith("lswag-fast: error: the loss is NaN or infinite at step 5 of 6; the state after step 3 is ")
    kept = TrainingFolder(folder / "run").state()
    assert kept is not None and kept.step == 3 and all(tensor.isfinite().all() for tensor in kept.tensors.values())
    assert not (folder / "run" / WEIGHTS).exists()
    assert main(command) == 0  # the fifth step of this process is not made
    assert "continuing after step 3 of 6" in capsys.readouterr().err


MISTAKES = [
    (["tiny_space"], "NETWORK must be SPACE:ARCHJSON or package.module:factory; found 'tiny_space'"),
    (["tiny_space:make"], "tiny_space:make returned a search space; name one of its architectures too, tiny_space:mak"),
    (["tiny_space:network"], "--image-size: say which side in pixels"),
    (["tiny_space:dictionary", "--image-size", "8"], "the network returns dict for 1 images"),
    (["tiny_space:network", "--image-size", "8", "--init", "x"], "is not of a space, so there is no supernet of it"),
    (["tiny_space:make:{}"], "tiny_space:make: architecture: found the fields none"),
    ([f"tiny_space:make:{ARCH}", "--init", "no_such"], "--init: no_such is no folder of a training"),
    ([f"tiny_space:make:{ARCH}", "--data", "digits"], "has 10 classes, and the networks tell only 3 apart"),
]


@pytest.mark.parametrize(("words", "message"), MISTAKES)
def test_a_mistake_is_one_line_and_leaves_nothing(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(["train", *words[:1], "--data", "images.npz", *QUICK, *words[1:], "--out", "a/b"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("lswag-fast: error: ") and message in err and err.count("\n") == 1
    assert not (folder / "a").exists()


def test_a_missing_library_for_onnx_is_named_before_anything(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert main([*TRAIN, "--onnx"]) == 2
    assert "this needs onnxruntime, which is not installed; pip install 'lswag-fast[onnx]'" in capsys.readouterr().err
    assert not (folder / "run").exists()


FAILING = """
import tiny_space

class Failing(type(tiny_space.make())):
    def build(self, arch, weights=None):
        if arch["depth"] == 1:
            raise ValueError("no such depth")

def make():
    sizes = {"image_size": 8, "patch_size": 4, "num_classes": 3}
    return Failing(embed_dim=(16, 32), depth=(1, 2), num_heads=1, mlp_ratio=(1, 2), **sizes)
"""


@pytest.mark.parametrize("command", ["train", "supernet", "score"])
def test_a_space_that_builds_nothing_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (folder / "failing_space.py").write_text(FAILING)
    training = ["--data", "images.npz", *QUICK, "--out", "run"]
    of = {
        "supernet": ["failing_space:make", *training],
        "score": [f"failing_space:make:{ARCH}", "--data", "images.npz"],
    }
    assert main([command, *of.get(command, [f"failing_space:make:{ARCH}", *training])]) == 2
    reason = {"supernet": "returned NoneType; it must return a torch.nn.Module"}.get(
        command, "failed: ValueError: no such depth (failing_space.py, line 7)"
    )
    error = capsys.readouterr().err
    assert error.startswith("lswag-fast: error: autoformer: build of {") and error.endswith(f"{reason}\n")
    assert error.count("\n") == 1 and not (folder / "run").exists()
