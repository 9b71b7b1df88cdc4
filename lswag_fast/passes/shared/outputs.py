"""What a model returned: the part that the user chose, and the logits in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lswag_fast.errors import InputError
from lswag_fast.observe.weights import tensors_in
from lswag_fast.options import Output, ScoreOptions

HOW = "say output=, the place, the name or a function of the part that holds the logits"


def chosen_output(outputs: Any, output: Output | None) -> Any:
    """The part of what a model returned that `output` names.

    Args:
        outputs: what the model returned.
        output: the place of a part in a tuple, its name (a key or an attribute), or `f(outputs)`; None for all.

    Raises:
        InputError: there is no such part.

    Example:
        >>> features, logits = object(), object()
        >>> chosen_output((features, logits), -1) is chosen_output({"logits": logits}, "logits") is logits
        True
    """
    if output is None:
        return outputs
    if callable(output):
        return output(outputs)
    if isinstance(outputs, Tensor):
        raise InputError(f"output={output!r}: the model returned a tensor, of which nothing is to be chosen")
    try:
        if isinstance(output, int) or isinstance(outputs, Mapping):
            return outputs[output]
        return getattr(outputs, output)
    except (LookupError, AttributeError, TypeError) as error:
        raise InputError(f"output={output!r}: the model returned {described(outputs)}") from error


def find_logits(outputs: Any) -> Tensor | None:
    """The logits among what a model returned: the tensor itself, or its item or attribute `logits`."""
    if isinstance(outputs, Tensor):
        return outputs
    found = outputs.get("logits") if isinstance(outputs, Mapping) else getattr(outputs, "logits", None)
    return found if isinstance(found, Tensor) else None


def real(logits: Tensor) -> Tensor:
    """The logits themselves.

    Raises:
        InputError: they are complex numbers, which have no cross-entropy and no largest one, or sparse.
    """
    if logits.layout != torch.strided:
        raise InputError(f"the model returned logits of {logits.layout}; say output=lambda z: z.to_dense()")
    if logits.is_complex():
        raise InputError(f"the model returned {logits.dtype}, not real logits; say output=lambda z: z.abs()")
    return logits


def described(outputs: Any) -> str:
    """What a model returned, for a message.

    Example:
        >>> described((1, 2)), described({"a": 1}), described(None)
        ('a tuple of 2', 'a dict (keys: a)', 'None')
    """
    if outputs is None:
        return "None"
    kind = f"a {type(outputs).__name__}"
    if isinstance(outputs, Mapping):
        return f"{kind} (keys: {', '.join(map(str, outputs)) or 'none'})"
    return f"{kind} of {len(outputs)}" if isinstance(outputs, (tuple, list)) else kind


def scored_tensors(outputs: Any, options: ScoreOptions) -> list[Tensor]:
    """The tensors among what a model returned that the loss can be made of.

    These are the logits of the chosen part; for a `loss_fn` all of it, and for a function as `output` all outputs.

    Example:
        >>> import torch
        >>> logits, balance = torch.zeros(2, 3), torch.zeros(())
        >>> outputs = {"logits": logits, "balance": balance}
        >>> len(scored_tensors(outputs, ScoreOptions())), len(scored_tensors(outputs, ScoreOptions(loss_fn=print)))
        (1, 2)
    """
    chosen = outputs if callable(options.output) else chosen_output(outputs, options.output)
    logits = None if callable(options.loss_fn) else find_logits(chosen)
    if logits is not None:
        return [logits]
    parts = chosen if isinstance(chosen, (Tensor, Mapping, tuple, list)) else getattr(chosen, "__dict__", {})
    return tensors_in(dict(parts) if isinstance(parts, Mapping) else parts)
