"""Telling the sample axis by running the model on two other samples, and giving up where that tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lswag_fast.errors import LswagWarning
from lswag_fast.observe.calls import WeightCall
from lswag_fast.observe.operations.linear import LINEAR
from lswag_fast.observe.samples.axis import AxisCandidates, SampleAxis, candidates_by_size
from lswag_fast.observe.samples.probe import (
    ProbeMode,
    depend_on_each_other,
    probe_samples,
    resolve_sample_axes,
    unresolved,
)

B, C = 4, 3
WEIGHT = nn.Parameter(torch.eye(C), requires_grad=False)

Arrange = Callable[[Tensor], Tensor]
"""Puts samples (b, T, C) the way the linear layer sees them."""


def resolved(
    arrange: Arrange, n_tokens: int, n_samples: int = B, key: object = id(WEIGHT), constant_calls: Sequence[int] = ()
) -> SampleAxis | None:
    """The sample axis that the probe finds for one linear call, the call number 0, on arranged samples."""
    torch.manual_seed(0)
    samples = torch.randn(n_samples, n_tokens, C)
    x = arrange(samples)
    candidates = candidates_by_size(x.shape, n_samples, range(x.dim() - 1))
    call = WeightCall(0, LINEAR, x.shape, candidates, torch.zeros(()))
    call.sample_axis = None

    def run(chosen: Sequence[int]) -> None:
        F.linear(arrange(samples[torch.as_tensor(chosen)]), WEIGHT)

    resolve_sample_axes([call], [(key, 1)], n_samples, n_samples, run, constant_calls=constant_calls)
    return call.sample_axis


def windows(x: Tensor) -> Tensor:
    return x.unflatten(1, (2, -1)).flatten(0, 1)


def window_major(x: Tensor) -> Tensor:
    return x.unflatten(1, (2, -1)).transpose(0, 1).flatten(0, 1)


CASES: dict[str, tuple[Arrange, int, SampleAxis | None]] = {
    "batch first, T = B": (lambda x: x, B, SampleAxis(0)),
    "time major, T = B": (lambda x: x.transpose(0, 1), B, SampleAxis(1)),
    "time major, T = 2B": (lambda x: x.transpose(0, 1), 2 * B, SampleAxis(1)),
    "windows, sample major": (windows, 6, SampleAxis(0, 1, 2)),
    "windows, window major": (window_major, 6, SampleAxis(0, 2, 1)),
    "windows as long as the batch": (windows, 2 * B, SampleAxis(0, 1, 2)),
    "flattened, sample major": (lambda x: x.flatten(0, 1), 3, SampleAxis(0, 1, 3)),
    "flattened, time major": (lambda x: x.transpose(0, 1).flatten(0, 1), 3, SampleAxis(0, 3, 1)),
    "rows of all samples mixed": (lambda x: x.flatten(0, 1) + x.sum(), 2, None),
    "samples shuffled within windows": (lambda x: x.flatten(0, 1).roll(1, 0), 2, None),
    "no samples at all": (lambda x: torch.ones(2 * B, C), 2, None),
}


@pytest.mark.parametrize(("arrange", "n_tokens", "expected"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("n_samples", [B, 2])
def test_the_probe_tells_where_the_samples_are(arrange, n_tokens, expected, n_samples: int) -> None:
    n_tokens = n_tokens * n_samples // B if n_tokens % B == 0 else n_tokens
    assert resolved(arrange, n_tokens, n_samples) == expected


@pytest.mark.parametrize(
    ("arrange", "expected"),
    [
        (lambda x: torch.ones(len(x), 2, C), SampleAxis(0)),
        (lambda x: torch.ones(2, len(x), C), SampleAxis(1)),
        (lambda x: torch.ones(2 * len(x), C), None),  # of two entries for each sample the order stays open
        (lambda x: torch.ones(B, 2, C), None),
    ],
)
@pytest.mark.parametrize("n_samples", [B, 2])
def test_one_run_tells_where_the_samples_are_in_what_comes_from_none(arrange, expected, n_samples: int) -> None:
    seen: list[int] = []

    def counted(x: Tensor) -> Tensor:
        seen.append(len(x))
        return arrange(x)

    assert resolved(counted, 2, n_samples, constant_calls=[0]) == resolved(arrange, 2, n_samples) == expected
    assert len(seen) == 2  # the pass itself, and one run


def test_a_call_that_the_probe_does_not_make_stays_open() -> None:
    assert resolved(lambda x: x, B, key="another weight") is None


def test_a_model_that_does_not_run_on_two_samples_is_a_warning() -> None:
    def picky(x: Tensor) -> Tensor:
        if len(x) != B:
            raise ValueError("exactly four samples")
        return x

    with pytest.warns(LswagWarning, match="does not run on a batch of 2 samples.*exactly four"):
        assert resolved(picky, B) is None


def test_resolved_calls_need_no_probe() -> None:
    def call(options: tuple[SampleAxis, ...], certain: bool) -> WeightCall:
        return WeightCall(0, LINEAR, torch.Size((B, C)), AxisCandidates(options, certain), torch.zeros(()))

    known, hopeless, open_one = call((SampleAxis(0),), True), call((), False), call((SampleAxis(0),), False)
    assert known.sample_axis == SampleAxis(0)
    assert unresolved([known, hopeless, open_one]) == [open_one]


@pytest.mark.parametrize(
    ("options", "is_open"),
    [
        ((SampleAxis(1, 1, 16), SampleAxis(1, 16, 1)), False),
        ((SampleAxis(0), SampleAxis(1, 1, 16), SampleAxis(1, 16, 1)), True),
    ],
)
def test_several_entries_for_each_sample_need_no_probe_where_no_sample_takes_part(options, is_open: bool) -> None:
    call = WeightCall(7, LINEAR, torch.Size((B, 64)), AxisCandidates(options, certain=False), torch.zeros(()))
    assert unresolved([call]) == [call]
    assert unresolved([call], is_constant=lambda index: index == 7) == ([call] if is_open else [])


@pytest.mark.parametrize("n_samples", [2, 3, 4, 64])
def test_probe_runs_differ_in_row_0_only_and_in_number_from_the_batch(n_samples: int) -> None:
    first, second = probe_samples(n_samples, n_samples)
    assert len(first) == len(second) != n_samples
    assert first[0] != second[0]
    assert first[1:] == second[1:]
    assert max(first + second) < n_samples


def test_a_chunk_of_one_sample_is_probed_with_samples_of_the_whole_batch() -> None:
    first, second = probe_samples(1, 5)
    assert (first, second) == ([0, 1], [2, 1])


def test_the_probing_mode_numbers_calls_as_the_observing_mode_does() -> None:
    def run() -> None:
        x = F.relu(F.linear(torch.randn(B, C), WEIGHT))
        F.conv1d(x[:, :, None], WEIGHT[:, :, None])

    with ProbeMode(B) as first:
        run()
    activation = first.keys[1]
    with ProbeMode(B, keep=frozenset((activation,))) as second:
        run()
    assert second.keys == first.keys == list(second.shapes)
    assert [tuple(shape) for shape in second.shapes.values()] == [(B, C), (B, C), (B, C, 1)]
    assert second.kept.keys() == {activation}


@pytest.mark.parametrize(
    ("scored", "depends", "n_runs"),
    [(lambda x: x - x.mean(0), True, 2), (lambda x: x * 2, False, 4), (lambda x: x.sum(), None, 1)],
    ids=["of all", "of one each", "no samples"],
)
def test_what_shows_that_samples_depend_ends_the_experiment(
    scored: Callable[[Tensor], Tensor], depends: bool | None, n_runs: int
) -> None:
    samples = torch.randn(B, C, generator=torch.Generator().manual_seed(0))
    runs = []

    def run(chosen: Sequence[int]) -> list[Tensor]:
        runs.append(chosen)
        return [scored(samples[torch.as_tensor(chosen)])]

    assert depend_on_each_other(B, run) is depends
    assert len(runs) == n_runs


def test_a_batch_norm_in_train_mode_is_left_out_of_the_experiment() -> None:
    samples = torch.randn(B, C, 5, generator=torch.Generator().manual_seed(0))
    norm = nn.BatchNorm1d(C)
    assert depend_on_each_other(B, lambda chosen: [norm(samples[torch.as_tensor(chosen)])]) is False
    assert norm.num_batches_tracked.item() == 4  # it was called
