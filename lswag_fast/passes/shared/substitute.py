"""Running a model with other tensors in the place of its parameters and buffers, which stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call

Call = Callable[[nn.Module, Any], Any]


class _Calling(nn.Module):
    """A module around another that says how it is run; `functional_call` takes modules only."""

    def __init__(self, model: nn.Module, call: Call) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, inputs: Any) -> Any:
        return self.call(self.model, inputs)


def call_with(model: nn.Module, tensors: Mapping[str, Tensor], call: Call, inputs: Any) -> Any:
    """`call(model, inputs)` while each name of `tensors` stands for its tensor."""
    return functional_call(
        _Calling(model, call), {f"model.{name}": tensor for name, tensor in tensors.items()}, (inputs,)
    )
