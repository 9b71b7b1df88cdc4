"""Where tensors are computed: on the CPU, or in the current stream of a CUDA device that the build can run on."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.kernels.binary import core, require_core

MIN_CAPABILITY = (8, 0)
"""Compute capability that the kernels need: asynchronous copies, bfloat16 in tensor cores."""

_DRIVERS = {12: "525", 13: "580"}
"""The first NVIDIA driver for each major version of the CUDA runtime, which is linked into the extension."""


def device_problem(device: torch.device) -> str | None:
    """Why the kernels cannot run on `device`, and what to do; None where they can.

    Raises BackendUnavailableError where the extension is missing.
    """
    require_core()
    if device.type == "cpu":
        return None
    if device.type != "cuda":
        return f"there are no kernels for {device}: move the model and the batch to the CPU or a CUDA device"
    return _build_problem() or _capability_problem(device.index if device.index is not None else 0)


def require_device(device: torch.device) -> None:
    """Raise BackendUnavailableError, saying what was built, where the kernels cannot run on `device`."""
    problem = device_problem(device)
    if problem is not None:
        raise BackendUnavailableError(problem)


def stream_of(tensors: dict[str, Tensor]) -> core.Stream | None:
    """The current stream of the device that all tensors lie on; None for the CPU.

    Raises BackendUnavailableError for a device that the kernels do not run on, InputError for several.
    """
    if not [tensor for tensor in tensors.values() if not tensor.is_cpu]:
        return None
    for name, tensor in tensors.items():
        problem = device_problem(tensor.device)
        if problem is not None:
            raise BackendUnavailableError(f"{name} lies on {tensor.device}: {problem}")
    devices = {tensor.device: name for name, tensor in tensors.items()}
    if len(devices) > 1:
        places = ", ".join(f"{name} on {device}" for device, name in devices.items())
        raise InputError(f"the tensors lie on several devices: {places}; move them to one")
    (device,) = devices
    return core.Stream(device.index or 0, torch.cuda.current_stream(device).cuda_stream)


@lru_cache(maxsize=1)
def _build_problem() -> str | None:
    """What keeps the build from running on any CUDA device of this machine."""
    toolkit, _ = core.cuda_build()
    if not toolkit:
        return (
            f"this is a CPU-only build ({', '.join(core.isa_compiled())}; {core.compiler}): install again where the "
            "build finds nvcc, or move the model and the batch to the CPU"
        )
    return _driver_problem(toolkit, core.cuda_driver_version())


def _driver_problem(toolkit: str, driver_version: int) -> str | None:
    """`driver_version`: of the newest CUDA that the driver supports, 1000 major + 10 minor; 0 without a driver."""
    major = int(toolkit.split(".")[0])
    if driver_version // 1000 >= major:
        return None
    found = "no driver was found here"
    if driver_version:
        found = f"the driver here supports CUDA {driver_version // 1000}.{driver_version % 1000 // 10} at most"
    return (
        f"the kernels were built with CUDA {toolkit}, which needs an NVIDIA driver "
        f"{_DRIVERS.get(major, 'of its time')} or newer; {found}: update it, or move the model and the batch to the CPU"
    )


@lru_cache(maxsize=64)
def _capability_problem(index: int) -> str | None:
    """What the device with this number lacks."""
    found = torch.cuda.get_device_capability(index)
    if found >= MIN_CAPABILITY:
        return None
    return (
        f"cuda:{index} ({torch.cuda.get_device_name(index)}) has compute capability {found[0]}.{found[1]}; the kernels "
        f"need {MIN_CAPABILITY[0]}.{MIN_CAPABILITY[1]} or higher: move the model and the batch to the CPU"
    )
