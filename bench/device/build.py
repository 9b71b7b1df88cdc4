"""Build the kernels in a copy of the sources: what is installed stays as it is, and nothing is fetched.

`python -m bench.device.build --tree FOLDER --cmake FOLDER`, with `--emulated` for the CUDA kernels on the host.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[2]
COPIED = ("csrc", "lswag_fast", "bench", "tests", "CMakeLists.txt", "pyproject.toml", "conftest.py")
NOT_COPIED = shutil.ignore_patterns("*.so", "__pycache__", "results", "golden")
MODULE = "_core*.so"
TOOLKIT = Path("/usr/local/cuda/bin/nvcc")  # where NVIDIA's installer puts it


def copy_sources(tree: Path) -> None:
    """Copy what is built and run, with its times, so that a second build compiles only what changed."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=NOT_COPIED)
        else:
            shutil.copy2(source, tree / name)


def nvcc() -> str | None:
    """The CUDA compiler."""
    found = shutil.which("nvcc")
    return found or (str(TOOLKIT) if TOOLKIT.exists() else None)


def pybind11_headers() -> Path | None:
    """The folder with pybind11's headers: of its package, or the copy that torch brings."""
    for package in ("pybind11", "torch"):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).parent / "include"
            if (folder / "pybind11" / "pybind11.h").exists():
                return folder
    return None


def missing(emulated: bool) -> list[str]:
    """What a build lacks here, a line each."""
    lacks = []
    if shutil.which("cmake") is None:
        lacks.append("cmake 3.20 or newer is not on the PATH")
    if pybind11_headers() is None:
        lacks.append("pybind11's headers are neither installed nor in torch's include folder")
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        lacks.append(f"Python.h is not in {headers}: the headers of this Python are missing")
    if not emulated and nvcc() is None:
        lacks.append(f"nvcc is neither on the PATH nor at {TOOLKIT}")
    return lacks


def configuration(tree: Path, emulated: bool) -> list[str]:
    """The options of cmake: the module for this Python, and of the CUDA kernels those for the device that is here."""
    options = [f"-DPython_EXECUTABLE={sys.executable}", f"-DLSWAG_PYBIND11_INCLUDE={pybind11_headers()}"]
    if emulated:
        return [*options, "-DLSWAG_CUDA=OFF", "-DLSWAG_TESTS=ON", "-DLSWAG_PYTHON=ON"]
    import torch

    major, minor = torch.cuda.get_device_capability()
    options += ["-DLSWAG_CUDA=ON", f"-DCMAKE_CUDA_COMPILER={nvcc()}", "-DLSWAG_INPLACE=ON"]
    return [*options, f"-DCMAKE_CUDA_ARCHITECTURES={major}{minor}-real"]


def build(tree: Path, cmake: Path, emulated: bool) -> None:
    """Build the module into the package of the copy."""
    target = "_core_emulated" if emulated else "_core"
    n_jobs = str(os.cpu_count() or 1)
    for command in (
        ["cmake", "-S", str(tree), "-B", str(cmake), *configuration(tree, emulated)],
        ["cmake", "--build", str(cmake), "--target", target, "--parallel", n_jobs],
    ):
        subprocess.run(command, check=True)
    if emulated:
        (module,) = (cmake / "tests/kernels/emulator").glob(MODULE)
        shutil.copy2(module, tree / "lswag_fast")


def main() -> int:
    """Read the command line, copy and build."""
    parser = argparse.ArgumentParser(description="Build the kernels in a copy of the sources.")
    parser.add_argument("--tree", type=Path, required=True, help="the copy, which is replaced")
    parser.add_argument("--cmake", type=Path, required=True, help="the folder of the build, which is continued")
    parser.add_argument("--emulated", action="store_true", help="the CUDA kernels, executed on the host")
    parser.add_argument("--module", type=Path, help="a binary extension that is there already, instead of a build")
    options = parser.parse_args()
    copy_sources(options.tree)
    if options.module is not None:
        shutil.copy2(options.module, options.tree / "lswag_fast")
        return 0
    if lacks := missing(options.emulated):
        sys.stderr.write("".join(f"{line}\n" for line in lacks))
        return 1
    try:
        build(options.tree, options.cmake, options.emulated)
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"{' '.join(error.cmd)} failed\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
