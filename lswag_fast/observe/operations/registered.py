"""Activations that the user makes known: functions of Python or torch, and classes of modules.

A function mode sees the calls of torch that a Python function makes, not the function. While a pass runs, the
interpreter reports every return (`sys.setprofile`), and what a registered function returns is handed to a marker that
function modes do see. Nothing is watched where no Python function or class is registered.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, MethodDescriptorType
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.overrides import handle_torch_function, has_torch_function

from lswag_fast.errors import InputError, UnsupportedModelError
from lswag_fast.observe.operations.activations import add_activation
from lswag_fast.observe.operations.elementwise import EFFECTS, Effect

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(frozen=True)
class _Registered:
    """What returns of one piece of code mean: activations, of instances of `module_type` only where that is given."""

    code: CodeType
    mark: Callable[[Tensor], Tensor]
    module_type: type[nn.Module] | None


_REGISTERED: dict[int, list[_Registered]] = {}
"""By the identity of the code."""


def register_activation(activation: T) -> T:
    """Make an activation known: the sign of its output is its pattern, and what it calls inside counts no more.

    To be called once, where the function or class is defined or imported; a worker process has to import that, too.
    While one of Python's functions or a class is registered, passes take some per cent longer.

    Args:
        activation: a Python function or a function of torch, that returns one tensor; or a class of modules whose
            forward does.

    Returns:
        The activation itself, so that this can be used as a decorator.

    Raises:
        InputError: it is neither a function nor a class of modules with a forward.

    Example:
        >>> import torch, lswag_fast
        >>> @lswag_fast.register_activation
        ... def snake(x):
        ...     return x + torch.sin(x) ** 2
        >>> class Net(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.first, self.last = torch.nn.Linear(8, 16), torch.nn.Linear(16, 3)
        ...     def forward(self, x):
        ...         return self.last(snake(self.first(x)))
        >>> found = lswag_fast.score(Net(), (torch.randn(8, 8), torch.arange(8) % 3), pattern_samples=8)
        >>> [layer.activation for layer in found.layers]
        ['snake@1', 'snake@1']
    """
    if isinstance(activation, (BuiltinFunctionType, MethodDescriptorType)):
        add_activation(activation)  # of torch: a function mode sees it
        return activation
    is_class = inspect.isclass(activation) and issubclass(activation, nn.Module)
    function = inspect.unwrap(activation.forward if is_class else activation)  # type: ignore[attr-defined]
    if not isinstance(function, FunctionType) or function is nn.Module.forward:
        raise InputError(
            f"{activation!r} is no activation that can be registered: give a function, or a class of modules with a "
            "forward (of an instance, its class)"
        )
    module_type = activation if is_class else None
    entries = _REGISTERED.setdefault(id(function.__code__), [])
    if all(entry.module_type is not module_type for entry in entries):
        entries.append(_Registered(function.__code__, _marker(activation.__name__), module_type))  # type: ignore[arg-type]
    return activation


def _marker(name: str) -> Callable[[Tensor], Tensor]:
    """A function that gives back what it gets, and that function modes see as an activation called `name`."""

    def mark(out: Tensor) -> Tensor:
        if has_torch_function((out,)):
            marked: Tensor = handle_torch_function(mark, (out,), out)
            return marked
        return out

    mark.__name__ = name
    add_activation(mark)
    EFFECTS[mark] = Effect.WHOLE
    return mark


class ReturnWatch:
    """Within this context, what a registered activation returns is marked."""

    def __init__(self) -> None:
        self._watches = False

    def __enter__(self) -> None:
        """Begin to watch.

        Raises:
            UnsupportedModelError: a profiler watches already.
        """
        self._watches = bool(_REGISTERED)
        if not self._watches:
            return
        if sys.getprofile() is not None:
            raise UnsupportedModelError(
                "a profiler is active (sys.setprofile), and registered activations are found by the same means; score "
                "without it"
            )
        sys.setprofile(_on_event)

    def __exit__(self, *error: object) -> None:
        """Watch no more."""
        if self._watches:
            sys.setprofile(None)


def _on_event(frame: FrameType, event: str, returned: Any) -> None:
    if event != "return" or returned is None:  # also where an exception leaves the function
        return
    for entry in _REGISTERED.get(id(frame.f_code), ()):
        if entry.module_type is not None and not isinstance(_first_argument(frame), entry.module_type):
            continue
        if not isinstance(returned, Tensor):
            raise InputError(
                f"the registered activation {entry.mark.__name__} returned {type(returned).__name__}, not a tensor"
            )
        entry.mark(returned)
        return


def _first_argument(frame: FrameType) -> Any:
    return frame.f_locals.get(frame.f_code.co_varnames[0])
