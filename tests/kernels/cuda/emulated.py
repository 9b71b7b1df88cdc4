"""Run the tests of this folder in the emulator: `python tests/kernels/cuda/emulated.py FOLDER [pytest arguments]`.

FOLDER holds the extension module that a build with -DLSWAG_TESTS=ON -DLSWAG_PYTHON=ON links against the emulated
kernels. It takes the place of the installed one, so this must be a process of its own.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest


def install(folder: Path) -> None:
    """Make the module in `folder` the binary extension of this process."""
    import torch  # noqa: F401 # first, as in the package

    (path,) = folder.glob("_core*.so")
    spec = importlib.util.spec_from_file_location("lswag_fast._core", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)


def main() -> int:
    """Load the module and hand over to pytest."""
    install(Path(sys.argv[1]))
    os.environ["LSWAG_EMULATED"] = "1"
    return int(pytest.main(["-m", "cuda", str(Path(__file__).parent), *sys.argv[2:]]))


if __name__ == "__main__":
    sys.exit(main())
