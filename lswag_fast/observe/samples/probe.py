"""Telling the sample axis by experiment, where the sizes of a tensor leave it open.

The model runs again on two samples, in the mode in which it is scored but without gradients, and draws the same random
numbers. A BatchNorm in train mode, which would make all samples depend on each other, gives back its input. An axis
that holds samples changes its length in proportion. Where an axis holds k rows per sample, a second run with sample 0
replaced shows their order.

Whether samples depend on each other is told by runs of the whole batch instead, with halves of it replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import warn
from lswag_fast.observe.calls import ActivationCall, WeightCall
from lswag_fast.observe.dispatch import CallMode, Key
from lswag_fast.observe.operations import BATCH_NORMS, BoundCall, ObservedOperation, in_train_mode
from lswag_fast.observe.samples.axis import AxisCandidates, Place, SampleAxis, fits_rows, fits_shape
from lswag_fast.random_state import RandomState

Run = Callable[[Sequence[int]], Any]
"""Runs the model forward on the given samples of the batch, without gradients, with the random numbers of the pass."""

Scored = Callable[[Any, Any], Sequence[Tensor]]
"""Makes what is scored, the tensors with samples along axis 0 among it, of a model's outputs and the targets."""


class ProbeMode(CallMode):
    """Records the shape of each weight or activation call's tensor, and the tensors of the calls in `keep`."""

    def __init__(self, n_samples: int, keep: frozenset[Key] = frozenset(), constants: Iterable[Tensor] = ()) -> None:
        super().__init__(n_samples, constants)
        self.shapes: dict[Key, torch.Size] = {}
        self.kept: dict[Key, Tensor] = {}
        self.outputs: Any = None
        self._keep = keep

    def on_weight_call(
        self,
        index: int,
        operation: ObservedOperation,
        call: BoundCall,
        candidates: AxisCandidates,
        run: Callable[[], Tensor],
    ) -> Tensor:
        """Record the input of a call on a weight."""
        self._record(index, call.x)
        return run()

    def on_activation(self, index: int, func: Callable[..., Any], out: Tensor) -> None:
        """Record an activation's output."""
        self._record(index, out)

    def on_other(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Run any other call, but no BatchNorm in train mode."""
        return _without_batch_norm(func, args, kwargs)

    def _record(self, index: int, tensor: Tensor) -> None:
        key = self.keys[index]
        self.shapes[key] = tensor.shape
        if key in self._keep:
            self.kept[key] = tensor.detach().clone()


class WithoutBatchNorm(TorchFunctionMode):
    """Runs all calls but a BatchNorm in train mode, and sorts none of them, which costs as much as a small network."""

    outputs: Any = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Run one call."""
        return _without_batch_norm(func, args, kwargs or {})


def _without_batch_norm(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    if func in BATCH_NORMS and in_train_mode(args, kwargs):
        return (args[0] if args else kwargs["input"]).clone()
    return func(*args, **kwargs)


def run_again(model: nn.Module, batch: Batch, state: RandomState, samples: Sequence[int]) -> Any:
    """Run the model on some samples of a batch, without gradients, with the random numbers that begin at `state`."""
    state.restore()
    with torch.no_grad():
        return call_model(model, batch.take(samples).inputs)


def probe_samples(n_samples: int, n_available: int) -> tuple[list[int], list[int]]:
    """Sample indices of the two probe runs; they differ in row 0 only, and their number is not `n_samples`.

    `n_available` (at least 2) is the number of samples that may be drawn from.
    """
    if n_samples == 2:  # two samples are probed with three rows
        return [0, 1, 0], [1, 1, 0]
    return [0, 1], [min(2, n_available - 1), 1]


def unresolved(
    calls: Iterable[WeightCall | ActivationCall], is_constant: Callable[[int], bool] = lambda call: False
) -> list[WeightCall | ActivationCall]:
    """The calls whose sample axis is open, and which an experiment may tell.

    `is_constant` says of the number of a call whether its tensor comes from no sample. There an axis that holds several
    entries of each stays open, whatever is tried.
    """
    found = [call for call in calls if call.sample_axis is None and call.candidates.options]
    return [call for call in found if not is_constant(call.index) or any(map(_is_plain, call.candidates.options))]


def resolve_sample_axes(
    open_calls: Sequence[WeightCall | ActivationCall],
    keys: Sequence[Key],
    n_samples: int,
    n_available: int,
    run: Run,
    constants: Callable[[], Iterable[Tensor]] = tuple,
    constant_calls: Collection[int] = (),
) -> None:
    """Set `sample_axis` of every `unresolved` call that the probe can tell; the others keep None.

    The observed pass ran on `n_samples` samples; `keys` names its calls by their numbers. A call that a probe does not
    make, because it takes another path through the model, stays open. `constants` gives the tensors of the model that
    come from no sample; `constant_calls` are the numbers of the calls whose tensors do not either, so that the samples
    decide no more than their sizes, and a single run tells.
    """
    first, second = probe_samples(n_samples, n_available)
    keep = frozenset(keys[call.index] for call in open_calls)
    before = _probe(run, ProbeMode(len(first), keep, constants()), first)
    if before is None:
        return
    fitting = {id(call): _fitting(call, before.shapes.get(keys[call.index]), len(first)) for call in open_calls}
    for call in open_calls:
        if call.index in constant_calls:
            fitting[id(call)] = _of_same_values(fitting[id(call)])
    doubtful = [call for call in open_calls if fitting[id(call)] and call.index not in constant_calls]
    if doubtful:
        after = _probe(run, ProbeMode(len(second), keep, constants()), second)
        for call in doubtful:
            fitting[id(call)] = _changing(fitting[id(call)], before, after, keys[call.index])
    for call in open_calls:
        sample_axes = fitting[id(call)]
        call.sample_axis = sample_axes[0] if len(sample_axes) == 1 else None


_Mode = TypeVar("_Mode", ProbeMode, WithoutBatchNorm)


def _probe(run: Run, mode: _Mode, samples: Sequence[int]) -> _Mode | None:
    """One run, whose outputs the mode keeps; None, with a warning, when the model does not run on these samples."""
    try:
        with mode:
            mode.outputs = run(samples)
    except Exception as error:  # whatever a user's forward raises on a batch of another size
        warn(
            f"the model does not run on a batch of {len(samples)} samples ({type(error).__name__}: {error}), so where "
            "the samples lie in some of its tensors, or whether they depend on each other, stays open; see "
            "Score.skipped"
        )
        return None
    return mode


def depend_on_each_other(n_samples: int, run: Run) -> bool | None:
    """Whether what is scored of one sample changes with other samples; None where the experiment cannot tell.

    `run` returns the tensors that are scored. All runs have the size of the batch: groups of samples, and what counts
    them, are then those of the pass.

    Values that differ by less than the square root of the rounding unit differ by rounding: the sizes of products may
    follow the data.
    """
    first: tuple[Sequence[int], list[Tensor]] | None = None
    for samples in experiments(n_samples):
        mode = _probe(run, WithoutBatchNorm(), samples)
        scored = of_samples(mode.outputs, n_samples) if mode is not None else []
        if not scored:
            return None
        if first is None:
            first = samples, scored
        elif _changed(first, (samples, scored)):
            return True
    return False


def experiments(n_samples: int) -> list[list[int]]:
    """Sample indices of runs of a whole batch: as it is, and with a half, the other, and a third one replaced.

    One sample stands in for all of a half, so that what a batch counts, ranks or compares changes; those that stay keep
    their rows and their random numbers. The largest of all may be in either half. The halves are drawn by chance, and
    there is a third, since groups of samples might each lie within one.
    """
    generator = torch.Generator().manual_seed(0)
    one, other = (torch.randperm(n_samples, generator=generator, device="cpu").tolist() for _ in range(2))
    half = n_samples // 2
    found = [list(range(n_samples))]
    for replaced, kept in ((one[:half], one[half:]), (one[half:], one[:half]), (other[:half], other[half:])):
        gone = set(replaced)
        found.append([kept[0] if sample in gone else sample for sample in range(n_samples)])
    return found


def _changed(before: tuple[Sequence[int], list[Tensor]], after: tuple[Sequence[int], list[Tensor]]) -> bool:
    """Whether the rows of the samples that two runs have in the same place differ."""
    same = [row for row, pair in enumerate(zip(before[0], after[0], strict=True)) if pair[0] == pair[1]]
    pairs = zip(before[1], after[1], strict=False)
    return any(one.shape != other.shape or _differ(one[same], other[same]) for one, other in pairs)


def of_samples(tensors: Iterable[Tensor], n_samples: int) -> list[Tensor]:
    """The tensors of numbers that have the samples along axis 0."""
    return [t for t in tensors if t.dim() and len(t) == n_samples and _is_real(t)]


def _is_real(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and tensor.layout == torch.strided


def _differ(before: Tensor, after: Tensor) -> bool:
    tolerance = torch.finfo(before.dtype).eps ** 0.5
    largest = max(before.abs().max().item(), after.abs().max().item())
    return not torch.allclose(before, after, rtol=0, atol=tolerance * largest, equal_nan=True)


def _changing(
    sample_axes: Sequence[SampleAxis], before: ProbeMode, after: ProbeMode | None, key: Key
) -> list[SampleAxis]:
    if after is None or before.shapes[key] != after.shapes.get(key):
        return []
    pair = before.kept[key], after.kept[key]
    same = _of_same_values(sample_axes)
    if same and torch.equal(*pair):
        return same
    return [sample_axis for sample_axis in sample_axes if fits_rows(sample_axis, *pair, before.n_samples)]


def _of_same_values(sample_axes: Sequence[SampleAxis]) -> list[SampleAxis]:
    """The axis whose length grew with the samples, which are all the same there: a branch that is switched off, a
    learned token. Where an axis holds several entries of each, their order stays open.
    """
    return list(sample_axes) if len(sample_axes) == 1 and _is_plain(sample_axes[0]) else []


def _is_plain(place: Place) -> bool:
    """Whether a place is an axis with one entry for each sample."""
    return isinstance(place, SampleAxis) and place.outer == place.inner == 1


def _fitting(call: WeightCall | ActivationCall, shape: torch.Size | None, n_probe: int) -> list[SampleAxis]:
    if shape is None:
        return []
    options = (option for option in call.candidates.options if isinstance(option, SampleAxis))
    return [option for option in options if fits_shape(option, call.shape, shape, n_probe)]
