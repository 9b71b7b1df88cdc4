"""One observed forward pass and the backward that follows it: the seam between the observer and the passes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError
from lswag_fast.observe.backward import OperandGathering, WeightReducer, differentiate
from lswag_fast.observe.calls import ActivationCall, ObservedWeight, Skipped, WeightCall
from lswag_fast.observe.capture import CaptureOptions
from lswag_fast.observe.lineage import constants_of
from lswag_fast.observe.mode import ObservingMode
from lswag_fast.observe.samples.call import Certainty
from lswag_fast.observe.samples.following import FollowingMode
from lswag_fast.observe.samples.probe import (
    Scored,
    depend_on_each_other,
    of_samples,
    resolve_sample_axes,
    run_again,
    unresolved,
)
from lswag_fast.observe.weights import MATRIX_DIMS, WeightTable, overlapping
from lswag_fast.random_state import RandomState


class Observation:
    """What was seen of a model's forward pass; made by `observe`.

    Attributes, once `run` has returned:
        weights: the weights that have a statistic, in order of execution, the pieces of one parameter separately.
        activations: the activation calls in whose outputs the sample axis is known, without gates, masks and scores of
            attention (see `lswag_fast.observe.lineage`).
        pairs: of each call on a weight, by its number, the number of the activation call that feeds it; empty without
            activations.
        empty_activations: the names of the skipped activations whose outputs have no elements, as those of an expert
            without rows.
        skipped: the parameters and activations that take no part, with the reasons.
        n_elements: {name: elements} of the weight matrices, observed or not: the trainable parameters with at least two
            axes longer than 1, whatever call multiplies them with features, or none. Tables are left out: parameters
            that are only added, moved, or looked up by numbers that come from no sample (positions). Computed weights
            are in the place of the parameters that they are computed from.
        couples_samples: whether a BatchNorm in train mode made the samples depend on each other.
    """

    def __init__(self, model: nn.Module, batch: Batch, mode: ObservingMode, probed: Batch) -> None:
        self.weights: tuple[ObservedWeight, ...] = ()
        self.activations: tuple[ActivationCall, ...] = ()
        self.pairs: dict[int, int] = {}
        self.empty_activations: frozenset[str] = frozenset()
        self.skipped: tuple[Skipped, ...] = ()
        self.n_elements: dict[str, int] = {}
        self._model = model
        self._batch = batch
        self._mode = mode
        self._probed = probed
        self._before = RandomState()

    @property
    def couples_samples(self) -> bool:
        """Whether a BatchNorm in train mode made the samples depend on each other."""
        return self._mode.couples_samples

    @property
    def independent_samples(self) -> bool:
        """Whether samples that depend on each other are refused."""
        return self._mode.independent_samples

    @property
    def eval_avoids_coupling(self) -> bool:
        """Whether that BatchNorm would keep the samples apart in eval mode."""
        return self._mode.eval_avoids_coupling

    @property
    def route(self) -> tuple[tuple[int, str], ...]:
        """Which parameters the calls were on, each with the place of the call among all; the last entry ends them.

        Equal where two forward passes took the same way through the model.
        """
        names = {id(parameter): name for name, parameter in self._mode.table.parameters.items()}
        keys = self._mode.keys
        calls = ((index, names[key]) for index, (key, _) in enumerate(keys) if isinstance(key, int) and key in names)
        return (*calls, (len(keys), ""))

    def run(self) -> Any:
        """Run the model on the batch and return its outputs, with a graph if operands are captured.

        Where it stays open which axis of a tensor holds the samples, the model runs again on two or three of them,
        without gradients.
        """
        self._before = before = RandomState()
        with self._mode, torch.set_grad_enabled(self._mode.capture.operands):
            outputs = call_model(self._model, self._batch.inputs)
        self._mode.finish(outputs)
        self._resolve(before)
        self.activations = tuple(call for call in self._mode.activations if call.sample_axis is not None)
        self.pairs = self.pairs_among([call.index for call in self.activations])
        self.empty_activations = frozenset(self._mode.empty)
        self.weights, self.skipped = _sorted_out(self._mode)
        self.n_elements = _n_elements(self._mode)
        return outputs

    def pairs_among(self, activations: Sequence[int]) -> dict[int, int]:
        """`pairs`, if these were the activation calls in whose outputs the samples are known, in order of execution."""
        return self._mode.lineage.pairs(activations) if activations else {}

    def _resolve(self, before: RandomState) -> None:
        """Tell the sample axes that are open; `before` is the state in which the pass began."""
        calls = [call for weight in self._mode.weights.values() for call in weight.calls]
        is_constant = self._mode.lineage.is_constant
        open_calls = unresolved([*calls, *self._mode.activations], is_constant)
        if not open_calls:
            return
        after = RandomState()
        resolve_sample_axes(
            open_calls,
            self._mode.keys,
            self._batch.n_samples,
            self._probed.n_samples,
            partial(run_again, self._model, self._probed, before),
            partial(constants_of, self._model),
            {call.index for call in open_calls if is_constant(call.index)},
        )
        after.restore()

    def following(self, targets: Any) -> FollowingMode:
        """Follow the samples through the calls of a loss, whose targets have them along axis 0: a context manager."""
        self._mode.flow.mark_batch(targets)
        return FollowingMode(self._mode.flow)

    def mixing_calls(self, tensors: Sequence[Tensor], scored: Scored) -> tuple[str, ...]:
        """The calls that make what is scored of one sample depend on other samples, in its value.

        A BatchNorm in train mode is none of them; see `couples_samples`. Where the samples were followed from call to
        call, what a call does to them is known. Where their trail was lost, or a product, a mask or an index may choose
        single samples, the model runs again on the batch, and up to three times with half of its samples replaced,
        without gradients.

        Args:
            tensors: what is scored; only those with samples along axis 0 count.
            scored: makes the same of other outputs of the model and their targets.

        Raises:
            InputError: there are some although samples must be independent.
        """
        by_certainty = self._mode.flow.mixing_calls(of_samples(tensors, self._batch.n_samples))
        found = tuple(by_certainty.get(Certainty.SURE, ()))
        if by_certainty and not found and self._batch.n_samples > 1:
            found = self._found_by_experiment(by_certainty, scored)
        if found and self._mode.independent_samples:
            raise InputError(
                "chunk_size needs samples that do not depend on each other, but the model brings samples of the batch "
                f"together (by {', '.join(found)}); leave chunk_size out"
            )
        return found

    def _found_by_experiment(self, suspected: Mapping[Certainty, Sequence[str]], scored: Scored) -> tuple[str, ...]:
        """The suspected calls, if an experiment shows that samples depend on each other."""
        after = RandomState()

        def run(samples: Sequence[int]) -> Sequence[Tensor]:
            outputs = run_again(self._model, self._probed, self._before, samples)
            with torch.no_grad():
                return scored(outputs, self._probed.take(samples).targets)

        matters = depend_on_each_other(self._batch.n_samples, run)
        after.restore()
        if matters is False:
            return ()
        likely = suspected.get(Certainty.LIKELY, ())
        return tuple(likely or (suspected[Certainty.OPEN] if matters else ()))

    def backward(
        self, total: Tensor, weights: Sequence[ObservedWeight], reducer: WeightReducer, *, keep_graph: bool = False
    ) -> tuple[Skipped, ...]:
        """Differentiate a scalar in the outputs, and hand the operands of these weights' gradients to `reducer`.

        No weight gradient is formed but of weights that the model computes, and nothing upstream of the given weights
        is differentiated.

        Args:
            total: the scalar, for example the sum of the losses of the samples.
            weights: those of `weights` whose gradients are wanted.
            reducer: called with each weight and each of its calls.
            keep_graph: whether another scalar of the same forward is differentiated after it.

        Returns:
            the weights that no gradient reached.

        Raises:
            UnsupportedModelError: the model uses activation checkpointing.
        """
        gathering = OperandGathering(weights, reducer)
        self._mode.receive = gathering.receive
        differentiate(total, weights, keep_graph=keep_graph)
        return gathering.finish()


@contextmanager
def observe(
    model: nn.Module,
    batch: Batch,
    capture: CaptureOptions,
    *,
    probed: Batch | None = None,
    before_write: Callable[[Tensor], None] = lambda tensor: None,
    independent_samples: bool = False,
) -> Iterator[Observation]:
    """Observe one forward pass of a model, and one backward.

    Within the context no parameter asks for a gradient; parameters that asked for none before are not observed. The
    pass may change buffers and random state: see `lswag_fast.passes.shared.preserve`.

    Args:
        model: any module; see `Observation` for what is seen of it.
        batch: the inputs.
        capture: what is kept of the forward pass.
        probed: the samples to choose from where the sample axis has to be told by experiment, at least two; default
            `batch`.
        before_write: called with each tensor that a call of the model is about to write into.
        independent_samples: refuse what makes samples depend on each other.

    Raises:
        InputError: a BatchNorm runs in train mode although samples must be independent.
        UnsupportedModelError: the model uses activation checkpointing or other saved-tensor hooks.

    Example:
        >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
        >>> batch = Batch(torch.randn(5, 3), None, n_samples=5)
        >>> with observe(model, batch, CaptureOptions(n_packed=5)) as observation:
        ...     outputs = observation.run()
        >>> [(weight.name, weight.kind) for weight in observation.weights]
        [('0.weight', 'linear'), ('2.weight', 'linear')]
        >>> [activation.name for activation in observation.activations]
        ['relu@1']
    """
    table = WeightTable(model)  # before the parameters are frozen, since it tells which were
    mode = ObservingMode(model, table, batch.n_samples, capture, before_write, independent_samples=independent_samples)
    mode.flow.mark_batch(batch.inputs)
    mode.lineage.add_batch(batch.inputs)
    with _frozen(table):
        try:
            yield Observation(model, batch, mode, batch if probed is None else probed)
        finally:
            mode.release()


@contextmanager
def _frozen(table: WeightTable) -> Iterator[None]:
    """Ask no gradient of any parameter; the anchors of the observed calls start the graph instead."""
    trainable = [parameter for name, parameter in table.parameters.items() if name not in table.frozen]
    try:
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)


def _sorted_out(mode: ObservingMode) -> tuple[tuple[ObservedWeight, ...], tuple[Skipped, ...]]:
    """The weights that have a statistic, in order of execution, and what has none."""
    unplaced = tuple(Skipped(name, reason, is_activation=True) for name, reason in _unplaced(mode))
    if not mode.capture.operands:
        return (), _skipped(mode.reasons) + unplaced
    reasons = {name: "frozen (requires_grad=False)" for name, p in mode.table.matrices() if name in mode.table.frozen}
    reasons |= mode.reasons
    by_name = _by_name(mode)
    for name, pieces in by_name.items():
        reason = _reason_without_statistic(pieces, mode)
        if reason is not None:
            reasons.setdefault(name, reason)
    behind = {source: name for name in mode.derived.tensors for source in mode.derived.sources([name])}
    for name, _ in mode.table.matrices():
        if name not in by_name and name in behind and name not in mode.table.frozen:
            # Whatever call computed the weight, such as the batch_norm of a weight standardisation.
            reasons[name] = f"the weight {behind[name]!r} is computed from it and stands in its place"
        elif name not in by_name:
            reasons.setdefault(name, "not used in the forward pass as the weight of a linear or convolution call")
    weights = sorted((w for w in mode.weights.values() if w.name not in reasons), key=lambda w: w.first_index)
    return tuple(weights), _skipped(reasons) + unplaced


def _n_elements(mode: ObservingMode) -> dict[str, int]:
    """The elements of each weight matrix that a score should see."""
    used = _by_name(mode)
    computed = [name for name in mode.derived.tensors if name in used]
    computed_from = mode.derived.sources(computed)
    found = {name: used[name][-1].view.numel() for name in computed if not _is_table(name, used[name], mode)}
    for name, parameter in mode.table.matrices():
        pieces = used.get(name, ())
        is_matrix = len([size for size in parameter.shape if size > 1]) >= MATRIX_DIMS and name not in mode.table.frozen
        is_maker = name in computed_from and not any(_multiplies(weight, mode) for weight in pieces)
        if is_matrix and not is_maker and not _is_table(name, pieces, mode):
            found[name] = parameter.numel()
    return found


def _by_name(mode: ObservingMode) -> dict[str, list[ObservedWeight]]:
    """The pieces of each weight."""
    pieces: dict[str, list[ObservedWeight]] = {}
    for weight in mode.weights.values():
        pieces.setdefault(weight.name, []).append(weight)
    return pieces


def _multiplies(weight: ObservedWeight, mode: ObservingMode) -> bool:
    """Whether a call on it receives what comes from samples."""
    return not all(mode.lineage.is_constant(call.index) for call in weight.calls)


def _is_table(name: str, pieces: Sequence[ObservedWeight], mode: ObservingMode) -> bool:
    """Whether a parameter is used, and only as a table: see `Observation.n_elements`."""
    if not pieces:
        return mode.tables.get(name, False)
    by_position = all(weight.looks_up and not _multiplies(weight, mode) for weight in pieces)
    return by_position and mode.tables.get(name, True)


def _unplaced(mode: ObservingMode) -> Iterator[tuple[str, str]]:
    """The activations in whose outputs the samples could not be placed, with the reasons."""
    for call in mode.activations:
        if call.sample_axis is None:
            yield call.name, f"{_unclear(call)} output"
    yield from mode.unpackable.values()


def _skipped(reasons: dict[str, str]) -> tuple[Skipped, ...]:
    return tuple([Skipped(name, reason) for name, reason in reasons.items()])


def _reason_without_statistic(pieces: Sequence[ObservedWeight], mode: ObservingMode) -> str | None:
    """Why the pieces of one parameter have no exact statistic; None if they have."""
    if overlapping([weight.piece for weight in pieces]):
        return "used through views whose elements overlap"
    calls = [call for weight in pieces for call in weight.calls]
    if len(calls) > 1 and any(len({call.geometry for call in weight.calls}) > 1 for weight in pieces):
        return "called as a convolution of different stride, padding, dilation or groups"
    for call in calls:
        if call.sample_axis is None and mode.lineage.is_constant(call.index):
            return f"its {tuple(call.shape)} input is made of parameters and buffers alone, not of samples"
        if call.sample_axis is None:
            return f"{_unclear(call)} input"
        if call.geometry is not None and call.sample_axis.axis != 0:
            return f"the samples lie along a spatial axis of its {tuple(call.shape)} input"
    return None


def _unclear(call: WeightCall | ActivationCall) -> str:
    return f"cannot tell where the samples lie in its {tuple(call.shape)}"
