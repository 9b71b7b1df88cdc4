"""From the raw record of a forward pass to the weights that have a statistic, in order of execution, and the rest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lswag_fast.observe.calls import ActivationCall, ObservedWeight, Skipped
from lswag_fast.observe.mode import ObservingMode
from lswag_fast.observe.probe import resolve_sample_axes
from lswag_fast.observe.weights import overlapping


@dataclass(frozen=True)
class Observation:
    """The observable weights (pieces of one parameter separately) and activations of a pass, and what was skipped."""

    weights: tuple[ObservedWeight, ...]
    activations: tuple[ActivationCall, ...]
    skipped: tuple[Skipped, ...]


def outcome(mode: ObservingMode, n_available: int, probe: Callable[[Sequence[int]], None]) -> Observation:
    """Settle where the samples lie and sort out what cannot be scored.

    `probe(samples)` runs the model forward on those of the `n_available` samples, in eval mode and without gradients.
    """
    calls = [call for weight in mode.weights.values() for call in weight.calls]
    resolve_sample_axes([*calls, *mode.activations], mode.n_calls, mode.n_samples, n_available, probe)
    settled = tuple(a for a in mode.activations if a.sample_axis is not None)
    unclear = {a.name: f"{_unclear(a)} output" for a in mode.activations if a.sample_axis is None}
    if not mode.keeps.operands:
        return Observation((), settled, tuple(Skipped(name, why) for name, why in (mode.reasons | unclear).items()))
    reasons = {name: "frozen (requires_grad=False)" for name, p in mode.table.matrices() if name in mode.table.frozen}
    reasons |= mode.reasons
    by_name: defaultdict[str, list[ObservedWeight]] = defaultdict(list)
    for weight in mode.weights.values():
        by_name[weight.name].append(weight)
    for name, pieces in by_name.items():
        reason = _unobservable(pieces)
        if reason is not None:
            reasons.setdefault(name, reason)
    for name, _ in mode.table.matrices():
        if name not in by_name:
            reasons.setdefault(name, "not used in the forward pass as the weight of a linear or convolution call")
    reasons |= unclear
    weights = sorted((w for w in mode.weights.values() if w.name not in reasons), key=lambda w: w.first_index)
    return Observation(tuple(weights), settled, tuple(Skipped(name, reason) for name, reason in reasons.items()))


def _unobservable(pieces: Sequence[ObservedWeight]) -> str | None:
    if overlapping(weight.piece for weight in pieces):
        return "used through views whose elements overlap"
    if any(len({call.conv for call in weight.calls}) > 1 for weight in pieces):
        return "called as a convolution of different stride, padding, dilation or groups"
    for call in (call for weight in pieces for call in weight.calls):
        if call.sample_axis is None:
            return f"{_unclear(call)} input"
        if call.conv is not None and call.sample_axis.axis != 0:
            return f"the samples lie along a spatial axis of its {tuple(call.shape)} input"
    return None


def _unclear(call: object) -> str:
    return f"cannot tell where the samples lie in its {tuple(getattr(call, 'shape', ()))}"
