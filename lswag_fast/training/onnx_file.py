"""A trained network as an ONNX file, compared with torch before it is kept."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from lswag_fast.errors import OnnxError, StorageError, needs_extra, reason
from lswag_fast.files.durable import replace_file

TOLERANCE = 1e-4
"""Largest difference of a logit between torch and ONNX Runtime, as a share of the largest logit or of 1."""


def check_libraries() -> None:
    """Raise MissingExtraError unless ONNX files can be written and run."""
    with needs_extra("onnx", "onnxruntime"):
        import onnxruntime  # noqa: F401
    with needs_extra("onnx", "onnxscript"):
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401


def write_onnx(model: nn.Module, images: Tensor, path: Path) -> float:
    """Write a network as an ONNX file, for any number of images, once ONNX Runtime gives torch's logits.

    Args:
        model: in eval mode, on the CPU.
        images: (B, C, H, W), at least two, to compare the logits on.
        path: the file, which is replaced whole.

    Returns:
        The largest difference of a logit, as a share of the largest logit or of 1.

    Raises:
        OnnxError: the network cannot be written as ONNX, or the logits differ by more than `TOLERANCE`.
        StorageError: the file cannot be written.
        MissingExtraError: a library is not installed.
    """
    check_libraries()
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        aside = Path(folder, "network.onnx")
        _export(model, images, aside)
        session = onnxruntime.InferenceSession(str(aside), providers=["CPUExecutionProvider"])
        content = aside.read_bytes()
    with torch.inference_mode():
        expected = model(images)
    (found,) = session.run(None, {session.get_inputs()[0].name: images.numpy()})
    difference = (torch.from_numpy(found) - expected).abs().max() / expected.abs().max().clamp(min=1)
    if not difference <= TOLERANCE:
        raise OnnxError(f"the ONNX file gives other logits than torch, by {float(difference):.2g} of the largest")
    try:
        replace_file(path, content)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {reason(error)}") from error
    return float(difference)


def _export(model: nn.Module, images: Tensor, path: Path) -> None:
    batch = torch.export.Dim("batch", min=1)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch's own exporter, about itself
            torch.onnx.export(
                model,
                (images,),
                str(path),
                input_names=["images"],
                output_names=["logits"],
                dynamic_shapes=({0: batch},),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # the exporter raises what its passes raise, of many kinds
        text = next(iter(str(error).splitlines()), type(error).__name__)
        raise OnnxError(f"torch cannot write this network as ONNX ({text})") from error
