"""BatchNorm calls: in train mode they make the samples of a batch depend on each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F

BATCH_NORMS = frozenset((F.batch_norm, torch.batch_norm))

_TRAINING = 5  # position of `training` among the arguments of both


def in_train_mode(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a BatchNorm call with these arguments normalises by the statistics of the batch."""
    return bool(args[_TRAINING] if len(args) > _TRAINING else kwargs.get("training", False))
