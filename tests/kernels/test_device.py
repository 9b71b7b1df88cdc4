"""Which devices the kernels run on, and what is said where they do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from lswag_fast import kernels
from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.kernels import device
from lswag_fast.kernels.binary import core

CUDA = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    yield
    device._build_problem.cache_clear()
    device._capability_problem.cache_clear()


def pretend(
    monkeypatch: pytest.MonkeyPatch, toolkit: str, driver: int = 0, capability: tuple[int, int] = (8, 0)
) -> None:
    """A build, a driver and a device."""
    device._build_problem.cache_clear()
    device._capability_problem.cache_clear()
    monkeypatch.setattr(core, "cuda_build", lambda: (toolkit, "sm_80"))
    monkeypatch.setattr(core, "cuda_driver_version", lambda: driver)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla")


def test_the_cpu_is_always_there() -> None:
    assert kernels.device_problem(torch.device("cpu")) is None
    kernels.require_device(torch.device("cpu"))


def test_a_device_of_another_kind() -> None:
    with pytest.raises(BackendUnavailableError, match="no kernels for meta"):
        kernels.require_device(torch.device("meta"))


def test_a_cpu_only_build_says_what_was_built(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, toolkit="")
    with pytest.raises(BackendUnavailableError, match=r"CPU-only build \(.*baseline.*where the build finds nvcc"):
        kernels.require_device(CUDA)


@pytest.mark.parametrize(
    ("driver", "found"), [(12080, "the driver here supports CUDA 12.8 at most"), (0, "no driver was found here")]
)
def test_an_old_driver(monkeypatch: pytest.MonkeyPatch, driver: int, found: str) -> None:
    pretend(monkeypatch, toolkit="13.0", driver=driver)
    with pytest.raises(BackendUnavailableError, match=f"built with CUDA 13.0, .* driver 580 or newer; {found}"):
        kernels.require_device(CUDA)


def test_an_old_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, toolkit="13.0", driver=13000, capability=(7, 5))
    with pytest.raises(BackendUnavailableError, match=r"cuda:0 \(Tesla\) has compute capability 7\.5.*need 8\.0"):
        kernels.require_device(CUDA)


def test_a_fitting_device(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, toolkit="13.0", driver=13010, capability=(9, 0))
    assert kernels.device_problem(CUDA) is None


def test_tensors_on_several_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "device_problem", lambda found: None)
    with pytest.raises(InputError, match="several devices: y on cpu, words on meta"):
        device.stream_of({"y": torch.zeros(2), "words": torch.zeros(2, device="meta")})


def test_a_build_without_cuda_throws_where_it_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    if core.cuda_build()[0]:
        pytest.skip("this build has the CUDA kernels")
    with pytest.raises(core.CudaError, match="not part of this build"):
        core.cuda_count_distinct_bytes([5])
