"""The CUDA device that the tests of this folder run on; without one they are skipped, or fail where one is asked for.

`python tests/kernels/cuda/emulated.py` runs the same tests with the CUDA kernels executed on the host.
"""

from __future__ import annotations

import os

import pytest
import torch

from lswag_fast import kernels
from support.device import EMULATED, REQUIRED, Device


@pytest.fixture
def device() -> Device:
    if os.environ.get(EMULATED):
        return Device(emulated=True)
    problem = "torch finds no CUDA device here"
    if torch.cuda.is_available():
        problem = kernels.device_problem(torch.device("cuda", torch.cuda.current_device()))
    if problem is not None:
        (pytest.fail if os.environ.get(REQUIRED) else pytest.skip)(problem)
    return Device(emulated=False)
