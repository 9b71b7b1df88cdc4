"""Devices and processes."""

from __future__ import annotations

import pytest
import torch

from lswag_fast.errors import BackendUnavailableError, MissingExtraError
from lswag_fast.training.loop.runtime import Runtime


def test_one_process_on_the_cpu() -> None:
    runtime = Runtime("cpu")
    fabric = runtime.open()
    assert (fabric.device.type, fabric.world_size, runtime.is_main) == ("cpu", 1, True)
    assert runtime.to_dict(fabric) == {"device": "cpu", "precision": "float32", "processes": 1}


def test_bfloat16_keeps_the_weights() -> None:
    fabric = Runtime("cpu", "bfloat16").open()
    module, _ = fabric.setup(torch.nn.Linear(4, 2), torch.optim.SGD([torch.zeros(1)], lr=1.0))
    assert module.weight.dtype == torch.float32
    inputs = torch.randn(3, 4)
    out = module(inputs)
    exact = torch.nn.functional.linear(inputs, module.weight, module.bias)
    assert out.dtype == torch.float32 and not torch.equal(out, exact)
    torch.testing.assert_close(out, exact, rtol=0.05, atol=0.05)  # eight bits of mantissa


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_missing_device_is_named() -> None:
    with pytest.raises(BackendUnavailableError, match="device: torch finds no CUDA device; take cpu"):
        Runtime("cuda").open()


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lightning_fabric", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'lswag-fast\[train\]'"):
        Runtime("cpu").open()
