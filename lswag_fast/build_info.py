"""What was built, what runs, and what is wrong with it: the facts behind `lswag-fast info`."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from lswag_fast import __version__, kernels
from lswag_fast.errors import BackendUnavailableError
from lswag_fast.kernels.openmp import openmp_runtimes

_UNKNOWN = "unknown"


@dataclass(frozen=True)
class BuildInfo:
    """The state of the installed package in this process. Strings are for people; "unknown" where nothing is known."""

    version: str
    compiler: str
    build_type: str
    isas_compiled: tuple[str, ...]
    isas_supported: tuple[str, ...]
    """Compiled and runnable on this machine, best first."""
    isa_active: str
    bfloat16_problem: str
    """Why `precision="bfloat16"` is refused on the CPU; empty where it is not."""
    openmp_runtimes: tuple[str, ...]
    """Files of the OpenMP runtimes loaded in this process (Linux only, else empty)."""
    torch_version: str
    torch_threads: int
    cuda_toolkit: str
    """Version of CUDA that the kernels were built with; empty for a CPU-only build."""
    cuda_architectures: str
    devices: tuple[str, ...]
    """Devices that the kernels can run on."""
    problems: tuple[str, ...]
    """What keeps the package from working, or from working well, and what to do; empty if all is well."""


def _runtime_problems(runtimes: tuple[str, ...]) -> list[str]:
    if len(runtimes) < 2:
        return []
    return [
        f"{len(runtimes)} OpenMP runtimes are loaded ({', '.join(runtimes)}): their threads compete. Import torch "
        "before any other library that brings one, or install builds that share one"
    ]


def _version_problems(version: str, built_version: str) -> list[str]:
    if version == built_version or _UNKNOWN in (version, built_version):
        return []
    return [f"the extension was built for version {built_version}, the package is {version}: build it again"]


def _devices(facts: kernels.BuildFacts) -> tuple[list[str], list[str]]:
    """The devices that the kernels can run on, and what is wrong with the CUDA devices that torch sees beside them."""
    if not facts.isas:
        return [], []
    devices, problems = ["cpu"], []
    for index in range(torch.cuda.device_count() if facts.cuda_toolkit else 0):
        problem = kernels.device_problem(torch.device("cuda", index))
        if problem is None:
            devices.append(f"cuda:{index} ({torch.cuda.get_device_name(index)})")
        else:
            problems.append(problem)
    return devices, problems


def info() -> BuildInfo:
    """Collect what was built and what runs. Never raises: what is missing is named in `problems`.

    Example:
        >>> import lswag_fast
        >>> lswag_fast.info().isa_active in lswag_fast.info().isas_supported
        True
    """
    problems: list[str] = []
    facts = kernels.BuildFacts(__version__, _UNKNOWN, _UNKNOWN, ())
    supported: tuple[str, ...] = ()
    active = bfloat16_problem = _UNKNOWN
    try:
        facts = kernels.build_facts()
        supported = tuple(kernels.isa_list())
        active = kernels.isa_active()
        bfloat16_problem = kernels.bfloat16_problem() or ""
    except BackendUnavailableError as error:
        problems.append(str(error))
    runtimes = openmp_runtimes()
    devices, device_problems = _devices(facts)
    problems += _version_problems(__version__, facts.version) + _runtime_problems(runtimes) + device_problems
    return BuildInfo(
        version=__version__,
        compiler=facts.compiler,
        build_type=facts.build_type,
        isas_compiled=facts.isas,
        isas_supported=supported,
        isa_active=active,
        bfloat16_problem=bfloat16_problem,
        openmp_runtimes=runtimes,
        torch_version=torch.__version__,
        torch_threads=torch.get_num_threads(),
        cuda_toolkit=facts.cuda_toolkit,
        cuda_architectures=facts.cuda_architectures,
        devices=tuple(devices),
        problems=tuple(problems),
    )


def _listed(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"


def format_info(info: BuildInfo) -> str:
    """A readable text of a few lines, without a newline at the end."""
    cuda = f"built with CUDA {info.cuda_toolkit} for {info.cuda_architectures}"
    if not info.cuda_toolkit:
        cuda = "built without CUDA"
    lines = [
        ("lswag_fast", f"{info.version} ({info.compiler}, {info.build_type})"),
        ("instruction sets", f"{info.isa_active} active; {_listed(info.isas_supported)} usable here"),
        ("", f"{_listed(info.isas_compiled)} compiled"),
        (
            "bfloat16",
            f"no: {info.bfloat16_problem}" if info.bfloat16_problem else "multiplied by the CPU's own instructions",
        ),
        ("devices", f"{_listed(info.devices)} ({cuda})"),
        ("torch", f"{info.torch_version}, {info.torch_threads} threads"),
        ("OpenMP", _listed(info.openmp_runtimes)),
        *(("warning", problem) for problem in info.problems),
    ]
    return "\n".join(f"{name:<18}{text}" for name, text in lines)
