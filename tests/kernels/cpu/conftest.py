"""Fixtures of the kernel tests: every instruction set of this machine, and torch's thread count put back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lswag_fast import kernels


@pytest.fixture(params=kernels.isa_list())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Run the test once under each instruction set."""
    kernels.set_isa(request.param)
    yield request.param
    kernels.set_isa(None)


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
