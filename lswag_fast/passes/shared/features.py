"""The features of a forward pass: the tensors that a proxy asks for by the name of a module or by a function.

And the products of their rows, by whose eigenvalues they are measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import call_model
from lswag_fast.errors import InputError
from lswag_fast.options import Features

_HOW = "pass features=, the name of a module, a pattern of names or f(model, inputs) -> tensor or list of tensors"


def feature_tensors(
    model: nn.Module,
    inputs: Any,
    features: Features | None,
    needed: str = "this pass needs features",
    own: str = "forward_features",
) -> list[Tensor]:
    """Run the model on `inputs` and return the features that `features` names.

    Args:
        model: runs once, as it is, with gradients on or off as they are.
        inputs: as the model takes them.
        features: the name of a module, for its output; a pattern of names, for the outputs of all modules that match,
            in order of execution, a module that is called twice giving two; or `features(model, inputs)`. None stands
            for the model's method `own`. A `*` stays within one part of a name: "blocks.*" are the blocks and
            "blocks.*.attn" their attention modules.
        needed: who needs them, as the beginning of the message when there are none.
        own: the name of the method, called as the model is, that returns the features of a model that has it.

    Returns:
        The features, at least one.

    Raises:
        InputError: a name that no module has or that never runs, features that are no tensors or complex, or None
            where the model has no such method.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> [tuple(feature.shape) for feature in feature_tensors(model, torch.ones(5, 3), "[12]")]
        [(5, 4), (5, 2)]
    """
    if isinstance(features, str):
        return _outputs(model, inputs, features)
    if callable(features):
        return _tensors("features(model, inputs)", features(model, inputs))
    if features is not None:
        raise InputError(f"features must be a name, a pattern of names or a function, got {features!r}")
    method = getattr(model, own, None)
    if not callable(method):
        raise InputError(f"{needed}: {type(model).__name__} has no {own}; {_HOW}")
    return _tensors(f"model.{own}", call_model(method, inputs))


def _tensors(source: str, found: Any) -> list[Tensor]:
    tensors = list(found) if isinstance(found, Sequence) else [found]
    if not tensors:
        raise InputError(f"{source} returned no features")
    for tensor in tensors:
        if not isinstance(tensor, Tensor):
            raise InputError(f"{source} gave {type(tensor).__name__} where a tensor is needed; {_HOW}")
        if tensor.is_complex():
            raise InputError(f"{source} gave complex features of shape {tuple(tensor.shape)}; name real ones")
    return tensors


def _outputs(model: nn.Module, inputs: Any, pattern: str) -> list[Tensor]:
    named = model.named_modules(remove_duplicate=False)  # a shared module by any of its names
    matching = {module: name for name, module in named if name and _matches(name, pattern)}
    if not matching:
        raise InputError(f"features={pattern!r} is the name of no module of {type(model).__name__}; {_HOW}")
    found: list[Tensor] = []
    handles = []
    try:
        for module, name in matching.items():
            handles.append(module.register_forward_hook(_keeping(name, found)))
        call_model(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not found:
        raise InputError(f"features={pattern!r}: {', '.join(matching.values())} never ran in the forward pass")
    return found


def _matches(name: str, pattern: str) -> bool:
    parts, patterns = name.split("."), pattern.split(".")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _keeping(name: str, found: list[Tensor]) -> Any:
    def keep(module: nn.Module, args: Any, output: Any) -> Tensor:
        (tensor,) = _tensors(f"module {name!r}", [output])
        found.append(tensor)
        return torch.clone(tensor)  # the model continues with a copy: what follows may work in place

    return keep


def smaller_products(rows: Tensor) -> Tensor:
    """The products of the columns of (N, C), (C, C), or those of its rows, (N, N), if there are fewer.

    Their eigenvalues that are not 0 are the same: the squares of the singular values.

    Example:
        >>> smaller_products(torch.tensor([[3.0, 4.0]])), smaller_products(torch.tensor([[3.0], [4.0]]))
        (tensor([[25.]]), tensor([[25.]]))
    """
    return rows.t() @ rows if rows.shape[0] > rows.shape[1] else rows @ rows.t()
