"""Running out of memory: halve the chunk and say so, until one sample or micro-batch remains."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch import nn

import lswag_fast
from lswag_fast.errors import LswagWarning
from lswag_fast.options import ScoreOptions
from lswag_fast.passes.shared.memory import halving_chunks, is_out_of_memory


class Hungry(nn.Module):
    """Runs out of memory for more than `limit` samples."""

    def __init__(self, limit: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
        self.limit, self.error = limit, error

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > self.limit:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        return self.layers(x)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 5, generator=generator, dtype=torch.float64), torch.arange(8) % 3


def hungry(limit: int, **options: Any) -> tuple[lswag_fast.Score, list[str]]:
    """The score of a hungry model, and what was said."""
    torch.manual_seed(0)
    model = Hungry(limit).double()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score = lswag_fast.score(model, batch(), pattern_samples=4, **options)
    assert all(issubclass(w.category, LswagWarning) for w in caught)
    return score, [str(w.message) for w in caught]


@pytest.mark.parametrize(("limit", "chunks"), [(8, []), (4, [4]), (3, [4, 2]), (2, [4, 2])])
def test_the_chunk_is_halved_and_the_score_stays(limit: int, chunks: list[int]) -> None:
    score, said = hungry(limit)
    full, _ = hungry(8)
    assert [int(message.rsplit(" ", 1)[1]) for message in said] == chunks
    assert score.value == pytest.approx(full.value, rel=1e-12)  # float64; only the order of sums differs


def test_a_micro_batch_is_never_cut() -> None:
    score, said = hungry(3, variance="microbatch:4")
    full, _ = hungry(8, variance="microbatch:4")
    assert said[-1].endswith("going on with 2")
    assert score.value == pytest.approx(full.value, rel=1e-12)
    with pytest.raises(torch.OutOfMemoryError):
        hungry(1, variance="microbatch:4")


def test_two_samples_that_do_not_fit_raise_what_the_model_raised() -> None:
    with pytest.raises(torch.OutOfMemoryError, match="can't allocate"):
        hungry(1)


@pytest.mark.parametrize("error", [MemoryError, RuntimeError])
def test_memory_errors_of_the_cpu_count(error: type[Exception]) -> None:
    assert is_out_of_memory(error("DefaultCPUAllocator: can't allocate memory"))


@pytest.mark.parametrize(
    ("n_samples", "n_groups", "chunk_size", "expected"),
    [
        (8, None, None, [None, 4, 2]),
        (7, None, None, [None, 4, 2]),
        (5, None, 99, [99, 3, 2]),
        (12, 4, 9, [9, 6, 3]),
        (12, 2, None, [None, 6]),
    ],
)
@pytest.mark.filterwarnings("ignore::lswag_fast.LswagWarning")
def test_the_sequence_of_chunks(n_samples: int, n_groups: int | None, chunk_size: int | None, expected: Any) -> None:
    chunks: list[int | None] = []

    def fail(options: ScoreOptions) -> None:
        chunks.append(options.chunk_size)
        raise MemoryError

    variance = "sample" if n_groups is None else f"microbatch:{n_groups}"
    with pytest.raises(MemoryError):
        halving_chunks(fail, ScoreOptions(variance=variance, chunk_size=chunk_size), n_samples)
    assert chunks == expected


def test_another_error_is_not_retried() -> None:
    runs: list[int | None] = []

    def fail(options: ScoreOptions) -> None:
        runs.append(options.chunk_size)
        raise RuntimeError("shapes cannot be multiplied")

    options = ScoreOptions()
    with pytest.raises(RuntimeError, match="shapes cannot"):
        halving_chunks(fail, options, 8)
    assert runs == [None]
