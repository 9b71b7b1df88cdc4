"""The binary extension, and how tensors are handed to it: the only importer of the binary."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType

import torch
from torch import Tensor

from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.kernels.openmp import share_runtime

__all__ = ["MAX_DIMS", "core", "native", "require_core", "view"]

_IMPORT_ERROR: ImportError | None = None
share_runtime()  # before the extension, which brings none
try:
    from lswag_fast import _core as core
except ImportError as error:
    core = None  # type: ignore[assignment] # `require_core` stands before every use
    _IMPORT_ERROR = error

_PARENT = Path(__file__).resolve().parents[2]
MAX_DIMS = 8
"""Axes that a view in the kernels can have."""

_DTYPE_NAMES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}


def require_core() -> None:
    """Raise BackendUnavailableError, saying what to do, where the extension is missing."""
    if _IMPORT_ERROR is not None:
        raise BackendUnavailableError(
            f"the binary extension lswag_fast._core cannot be imported ({_IMPORT_ERROR}); {_remedy(_PARENT)}"
        ) from _IMPORT_ERROR


def _remedy(parent: Path) -> str:
    """What to do where the package that lies in `parent` has no extension."""
    if (parent / "csrc").is_dir():  # the working folder goes before what is installed
        return (
            f"Python took the sources in {parent}, where nothing is compiled. If the package is installed, start "
            "Python in another folder; if not, `pip install .`, or `pip install --editable .` to work in this one"
        )
    return "install the package with `pip install .`, which needs a C++17 compiler"


class native:  # noqa: N801 # used like a function; `contextmanager` would cost as much as a small kernel
    """Around calls into the extension: it must be there, and have what was asked for."""

    def __enter__(self) -> None:
        if core is None:
            require_core()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (core.IsaError, core.CudaError)):
            raise BackendUnavailableError(str(error)) from error
        if isinstance(error, AttributeError) and error.obj is core:  # older than the Python files beside it
            raise BackendUnavailableError(
                f"the binary extension {core.__file__} was built from other sources and lacks {error.name!r}; build it "
                "again with `pip install .`, in a clone with `make`"
            ) from error


def view(tensor: Tensor, name: str) -> core.View:
    """The tensor as the kernels see it. It borrows the memory.

    Raises InputError for a dtype, layout or number of axes that the kernels do not take.
    """
    if tensor.layout != torch.strided or tensor.dtype not in _DTYPE_NAMES:
        raise InputError(
            f"{name} is {tensor.layout} {tensor.dtype}; the kernels take strided float32, float64, bfloat16 or float16"
        )
    if tensor.ndim > MAX_DIMS:
        raise InputError(f"{name} has {tensor.ndim} dimensions; the kernels take at most {MAX_DIMS}")
    if core is None:
        require_core()
    dtype = getattr(core.DType, _DTYPE_NAMES[tensor.dtype])
    return core.View(tensor.data_ptr(), dtype, tuple(tensor.shape), tensor.stride())
