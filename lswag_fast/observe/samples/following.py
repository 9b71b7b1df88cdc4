"""Following the samples through calls that are not the model's: those of a loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch.overrides import TorchFunctionMode

from lswag_fast.observe.samples.flow import SampleFlow
from lswag_fast.observe.weights import tensors_in


class FollowingMode(TorchFunctionMode):
    """Runs every call as it is and tells `flow` of it."""

    def __init__(self, flow: SampleFlow) -> None:
        super().__init__()
        self._flow = flow

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one call."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        self._flow.follow(func, args, kwargs, tensors_in(args, kwargs), out)
        return out
