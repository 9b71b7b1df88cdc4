"""Short texts that tell two batches, or two sets of weights, apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch


def fingerprint(data: Any) -> str:
    """Return 16 hexadecimal digits that depend on every bit of the tensors in nested tuples, lists and dictionaries.

    What is neither counts by its text.
    """
    digest = hashlib.sha256()
    _update(digest, data)
    return digest.hexdigest()[:16]


def _update(digest: Any, data: Any) -> None:
    if isinstance(data, torch.Tensor):
        digest.update(f"{data.dtype}{tuple(data.shape)}".encode())
        digest.update(data.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    elif isinstance(data, Mapping):
        for key in data:
            digest.update(f"{key}:".encode())
            _update(digest, data[key])
    elif isinstance(data, (tuple, list)):
        digest.update(f"[{len(data)}]".encode())
        for item in data:
            _update(digest, item)
    else:
        digest.update(repr(data).encode())
