"""BatchNorm calls: in train mode they make the samples of a batch depend on each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

BATCH_NORMS = frozenset((F.batch_norm, torch.batch_norm))

_TRAINING = 5  # position of `training` among the arguments of both
_MEAN = {F.batch_norm: 1, torch.batch_norm: 3}  # of `running_mean`


def in_train_mode(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a BatchNorm call with these arguments normalises by the statistics of the batch."""
    return bool(args[_TRAINING] if len(args) > _TRAINING else kwargs.get("training", False))


def has_statistics(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a BatchNorm call is given running statistics, which it would normalise by in eval mode.

    Example:
        >>> has_statistics(F.batch_norm, (torch.ones(2, 3), None, None), {"training": True})
        False
    """
    position = _MEAN[func]
    return (args[position] if len(args) > position else kwargs.get("running_mean")) is not None
