"""ONNX files, run by ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from lswag_fast.errors import OnnxError
from lswag_fast.training import onnx_file
from lswag_fast.training.onnx_file import write_onnx
from training.runs import SPACE

onnxruntime = pytest.importorskip("onnxruntime", reason="comes with the extra 'onnx'")


def test_gives_the_logits_of_torch_for_any_number_of_images(tmp_path: Path) -> None:
    model = SPACE.build(SPACE.extremes()[1]).eval()
    for parameter in model.parameters():
        parameter.data.mul_(5)  # as drawn its logits are all but equal
    generator = torch.Generator().manual_seed(0)
    path = tmp_path / "network.onnx"
    assert write_onnx(model, torch.randn(4, *SPACE.input_shape, generator=generator), path) <= 1e-4
    session = onnxruntime.InferenceSession(str(path))
    for n in (1, 3):
        images = torch.randn(n, *SPACE.input_shape, generator=generator)
        (logits,) = session.run(None, {"images": images.numpy()})
        expected = model(images).detach()
        torch.testing.assert_close(
            torch.from_numpy(logits), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )


def test_other_logits_are_refused_and_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    export = onnx_file._export
    monkeypatch.setattr(onnx_file, "_export", lambda _, images, path: export(model, images, path))
    other = nn.Sequential(nn.Flatten(), nn.Linear(12, 3)).eval()
    with pytest.raises(OnnxError, match="the ONNX file gives other logits than torch, by "):
        write_onnx(other, torch.randn(2, 3, 2, 2), tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    class Branching(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1) if images.sum() > 0 else images.flatten(1) * 2

    with pytest.raises(OnnxError, match="torch cannot write this network as ONNX"):
        write_onnx(Branching().eval(), torch.randn(2, 3, 2, 2), tmp_path / "network.onnx")
    assert not list(tmp_path.iterdir())
