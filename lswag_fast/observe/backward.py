"""The backward of an observation: operands of the chosen weights are gathered until a weight has those of all calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from lswag_fast.errors import UnsupportedModelError
from lswag_fast.observe.calls import ObservedWeight, Skipped, WeightCall

REENTRANT_CHECKPOINTING = (
    "the model uses reentrant activation checkpointing, which recomputes outside of the observer; "
    "score the model without checkpointing"
)


class WeightReducer(Protocol):
    """What a backward hands the weights to."""

    def reduce_call(self, weight: ObservedWeight, call: WeightCall) -> None:
        """Take what is needed of one call while its output can still be had."""

    def reduce_weight(self, weight: ObservedWeight) -> None:
        """Reduce a weight; its calls hold their operands until this returns."""


class OperandGathering:
    """Receives operands during backward, and hands a weight to the reducer once those of its calls are complete."""

    def __init__(self, weights: Sequence[ObservedWeight], reducer: WeightReducer) -> None:
        self._reducer = reducer
        self._wanted = {id(call): weight for weight in weights for call in weight.calls}
        self._missing = {id(weight): len(weight.calls) for weight in weights}
        self._earliest = min((call.index for weight in weights for call in weight.calls), default=0)
        self._weights = tuple(weights)

    def receive(self, weight: ObservedWeight, call: WeightCall) -> bool:
        """Take the operands of one call; True when a wanted call lies further upstream."""
        if id(call) in self._wanted:
            self._missing[id(weight)] -= 1
            self._reducer.reduce_call(weight, call)
            if self._missing[id(weight)] == 0:
                self._complete(weight)
        else:
            call.operands = None
        call.output = None
        return call.index > self._earliest

    def finish(self) -> tuple[Skipped, ...]:
        """Reduce the weights some of whose calls saw no gradient; list the names that saw none."""
        unreached: dict[str, Skipped] = {}
        for weight in self._weights:
            missing = self._missing[id(weight)]
            if 0 < missing < len(weight.calls):
                self._complete(weight)
            elif missing == len(weight.calls):
                unreached[weight.name] = Skipped(
                    weight.name, "no gradient reached it: its output is not used in the loss"
                )
        reached = {weight.name for weight in self._weights if self._missing[id(weight)] < len(weight.calls)}
        return tuple(skip for name, skip in unreached.items() if name not in reached)

    def _complete(self, weight: ObservedWeight) -> None:
        self._reducer.reduce_weight(weight)
        for call in weight.calls:
            call.operands = None


def differentiate(total: Tensor, weights: Sequence[ObservedWeight], *, keep_graph: bool = False) -> None:
    """Run backward from a scalar, no deeper than the calls on these weights.

    With `keep_graph` other scalars of the same forward can be differentiated after it.

    Raises UnsupportedModelError for activation checkpointing of the reentrant kind.
    """
    anchors = [call.anchor for weight in weights for call in weight.calls]
    if not anchors or not total.requires_grad:
        return
    try:
        torch.autograd.grad(total, anchors, retain_graph=keep_graph, allow_unused=True)
    except RuntimeError as error:
        if "checkpoint" in str(error).lower():  # torch gives it no class of its own
            raise UnsupportedModelError(REENTRANT_CHECKPOINTING) from error
        raise
