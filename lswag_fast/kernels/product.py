"""Products of float32 matrices by units that multiply bfloat16 many times as fast."""

from __future__ import annotations

import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.kernels.binary import core, native, view

_MATRIX_DIMS = 2


def has_float_product() -> bool:
    """Whether the instruction set in use has `float_product`: "amx" has.

    Raises:
        BackendUnavailableError: there is no extension, or the instruction set that was asked for is not available here.

    Example:
        >>> from lswag_fast.kernels import set_isa
        >>> set_isa("baseline")
        >>> has_float_product()
        False
        >>> set_isa(None)
    """
    with native():
        return core.has_float_product()


def float_product(a: Tensor, b: Tensor, bias: Tensor | None = None) -> Tensor | None:
    """The product a b + bias of float32 matrices, with the errors of float32, in the time of some products of bfloat16.

    Each number is cut into three of bfloat16, which together have all of its 24 bits; six of the nine products of these
    pieces are added, exact in themselves, in float32. The same bits for any number of threads.

    Args:
        a: (M, K), with contiguous rows.
        b: (K, N), with contiguous rows or columns.
        bias: (N,), contiguous.

    Returns:
        (M, N), contiguous; None where an element of a or b is infinite or NaN, which cannot be cut.

    Raises:
        InputError: shapes that do not fit, or a dtype or strides other than these.
        BackendUnavailableError: the instruction set in use has no such product; see `has_float_product`.

    Example:
        >>> a, b = torch.ones(3, 4), torch.arange(8.0).reshape(4, 2)
        >>> float_product(a, b).tolist() if has_float_product() else (a @ b).tolist()
        [[12.0, 16.0], [12.0, 16.0], [12.0, 16.0]]
    """
    if a.dim() != _MATRIX_DIMS or b.dim() != _MATRIX_DIMS or a.shape[1] != b.shape[0] or a.shape[1] == 0:
        raise InputError(f"a {tuple(a.shape)} times b {tuple(b.shape)} is no product of matrices")
    out = torch.empty((a.shape[0], b.shape[1]), dtype=torch.float32, device=a.device)
    operands = view(a, "a"), view(b, "b"), None if bias is None else view(bias, "bias")
    with native():
        try:
            finite = core.float_product(*operands, out.data_ptr(), torch.get_num_threads())
        except ValueError as error:
            raise InputError(str(error)) from error
    return out if finite else None
