"""What a precision needs of the machine and of the model."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import lswag_fast
from lswag_fast import ScoreOptions, kernels, search, spaces
from lswag_fast.errors import BackendUnavailableError, InputError
from lswag_fast.passes.shared.precision import check_castable, check_precision, in_precision

BFLOAT16 = ScoreOptions(precision="bfloat16")
CPU = torch.device("cpu")
BATCH = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2


@pytest.fixture
def _baseline() -> Iterator[None]:
    """An instruction set that every machine has, and that has no products of bfloat16."""
    kernels.set_isa("baseline")
    yield
    kernels.set_isa(None)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 16), nn.GELU(), nn.Linear(16, 2))


@pytest.mark.usefixtures("_baseline")
def test_a_cpu_without_products_of_bfloat16_is_refused() -> None:
    with pytest.raises(BackendUnavailableError, match="precision='bfloat16': instruction set baseline has no products"):
        lswag_fast.score(network(), BATCH, precision="bfloat16")


@pytest.mark.usefixtures("_baseline")
def test_a_search_is_refused_before_it_is_begun(tmp_path: Any) -> None:
    space = spaces.AutoFormer(
        embed_dim=(16,), depth=(1,), num_heads=(1,), mlp_ratio=(1,), image_size=8, patch_size=4, num_classes=10
    )
    batch = torch.randn(8, 3, 8, 8), torch.arange(8)
    with pytest.raises(BackendUnavailableError, match="precision='bfloat16'"):
        search(space, batch, n_trials=1, storage=tmp_path / "run", options=BFLOAT16)
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("_baseline")
def test_nothing_is_asked_of_the_machine_for_float32_or_for_a_device() -> None:
    check_precision(ScoreOptions(), CPU)
    check_precision(BFLOAT16, torch.device("cuda", 0))


def test_a_model_in_float64_is_refused() -> None:
    check_castable(network().double(), ScoreOptions())
    with pytest.raises(InputError, match=r"precision='bfloat16': 0\.weight is float64"):
        check_castable(network().double(), BFLOAT16)


def test_products_are_in_the_precision_and_weights_are_not() -> None:
    model = network()
    with in_precision(BFLOAT16, CPU):
        assert model(BATCH[0]).dtype == torch.bfloat16
    assert model[0].weight.dtype == torch.float32
    with in_precision(ScoreOptions(), CPU):
        assert model(BATCH[0]).dtype == torch.float32
    assert not torch.is_autocast_enabled("cpu")


def test_there_is_no_other_precision() -> None:
    with pytest.raises(InputError, match="precision must be one of 'float32', 'bfloat16', got 'float16'"):
        ScoreOptions(precision="float16")  # type: ignore[arg-type]
