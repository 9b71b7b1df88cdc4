"""Products in bfloat16, on machines that have them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from lswag_fast import kernels
from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.options import ScoreOptions

_DEFAULT = "float32"


def check_precision(options: ScoreOptions, device: torch.device) -> None:
    """Refuse a precision that the device has no products of.

    Raises:
        BackendUnavailableError: bfloat16 on a CPU without instructions for it.

    Example:
        >>> check_precision(ScoreOptions(precision="float32"), torch.device("cpu"))
    """
    if options.precision == _DEFAULT or device.type != "cpu":
        return
    problem = kernels.bfloat16_problem()
    if problem is not None:
        raise BackendUnavailableError(f"precision={options.precision!r}: {problem}; leave precision out")


def check_castable(model: nn.Module, options: ScoreOptions) -> None:
    """Refuse a model whose products autocast would leave as they are.

    Raises:
        InputError: a parameter is float64.

    Example:
        >>> check_castable(nn.Linear(2, 2), ScoreOptions(precision="bfloat16"))
    """
    if options.precision == _DEFAULT:
        return
    for name, parameter in model.named_parameters():
        if parameter.dtype == torch.float64:
            raise InputError(
                f"precision={options.precision!r}: {name} is float64, which autocast leaves as it is; use "
                "model.float() and a batch of float32, or leave precision out"
            )


def in_precision(options: ScoreOptions, device: torch.device) -> AbstractContextManager[object]:
    """Around a forward: products in the precision asked for. The backward follows outside, in that of its forward.

    Example:
        >>> with in_precision(ScoreOptions(precision="bfloat16"), torch.device("cpu")):
        ...     nn.Linear(2, 2)(torch.ones(1, 2)).dtype
        torch.bfloat16
    """
    if options.precision == _DEFAULT:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)
