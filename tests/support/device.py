"""Where the tests of the CUDA kernels run: on a device, or in the emulator with CPU tensors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor

from lswag_fast import kernels
from lswag_fast.kernels.binary import core

EMULATED = "LSWAG_EMULATED"
REQUIRED = "LSWAG_REQUIRE_DEVICE"
"""Where this variable is set, a missing device is a failure rather than a reason to skip."""


class Device:
    """Where the kernels under test run."""

    def __init__(self, emulated: bool) -> None:
        self.emulated = emulated
        self.torch_device = torch.device("cpu" if emulated else "cuda")

    def put(self, tensor: Tensor) -> Tensor:
        """The tensor on the device with the same strides, its memory around it included."""
        if self.emulated:
            return tensor
        whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage()).to(self.torch_device)
        return whole.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())

    @contextmanager
    def active(self) -> Iterator[None]:
        """In here tensors that were put on the device are computed there."""
        if not self.emulated:
            yield
            return
        with mock.patch.object(kernels.device, "stream_of", lambda tensors: core.Stream(0, 0)):
            yield
