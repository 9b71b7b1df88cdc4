"""Which models are taken; each of the others is refused by name, saying what to pass instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from lswag_fast import kernels
from lswag_fast.data.batch import Batch
from lswag_fast.errors import (
    BackendUnavailableError,
    DeviceMismatchError,
    InputError,
    UnsupportedModelError,
)
from lswag_fast.passes.shared.model_checks import check_model

BATCH = Batch.checked((torch.randn(4, 3), torch.tensor([0, 1, 0, 1])))


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 5), nn.ReLU(), nn.Linear(5, 2))


def compiled_in_place() -> nn.Module:
    model = mlp()
    model[0].compile()
    return model


def sparse() -> nn.Module:
    model = mlp()
    model[0].weight = nn.Parameter(model[0].weight.detach().to_sparse())
    return model


def quantised() -> nn.Module:
    layer = torch.ao.nn.quantized.Linear(3, 5)
    return nn.Sequential(layer, nn.Linear(5, 2))


def meta() -> nn.Module:
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(3, 5))


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (lambda: torch.relu, "must be a torch.nn.Module, got builtin_function_or_method"),
    "scripted": (lambda: torch.jit.script(mlp()), "the model is scripted.*original Python module"),
    "traced": (lambda: torch.jit.trace(mlp(), torch.randn(1, 3)), "scripted"),
    "scripted part": (lambda: nn.Sequential(torch.jit.script(mlp())), "^0 is scripted"),
    "compiled": (lambda: torch.compile(mlp(), backend="eager"), r"torch.compile'd.*model\._orig_mod"),
    "compiled in place": (compiled_in_place, "^0 is compiled in place"),
    "data parallel": (lambda: nn.DataParallel(mlp()), "DataParallel: score model.module"),
    "quantised": (quantised, "^0 is a quantised Linear: score the float model"),
    "lazy": (lambda: nn.Sequential(nn.LazyLinear(4)), "^0.weight is uninitialised"),
    "meta": (meta, "^0.weight lies on the meta device"),
    "sparse": (sparse, "^0.weight is sparse"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(("make", "message"), REFUSED.values(), ids=REFUSED)
def test_refused_by_name(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(UnsupportedModelError, match=message):
        check_model(make(), BATCH)


@pytest.mark.parametrize("wrapper", ["DistributedDataParallel", "FullyShardedDataParallel"])
def test_wrappers_that_need_a_process_group_are_known_by_class(wrapper: str) -> None:
    kind = type(wrapper, (nn.Module,), {"__module__": "torch.somewhere"})
    with pytest.raises(UnsupportedModelError, match=wrapper):
        check_model(kind(), BATCH)


def test_a_users_class_of_the_same_name_is_taken() -> None:
    kind = type("DataParallel", (nn.Linear,), {"__module__": "users.code"})
    assert check_model(kind(3, 2), BATCH) == torch.device("cpu")


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_gradients_switched_off_around_the_call(context: Callable[[], Any]) -> None:
    with context(), pytest.raises(InputError, match="gradients are switched off around the call"):
        check_model(mlp(), BATCH)


def test_a_model_without_parameters() -> None:
    with pytest.raises(InputError, match="no parameters"):
        check_model(nn.ReLU(), BATCH)


class Elsewhere:
    """Stands for a tensor on a device that this machine need not have."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)


class Fake(nn.Module):
    """Claims parameters on the given devices."""

    def __init__(self, *devices: str) -> None:
        super().__init__()
        self.devices = devices

    def parameters(self, recurse: bool = True) -> Any:
        return iter([Elsewhere(device) for device in self.devices])


def test_model_and_batch_on_different_devices_names_both() -> None:
    with pytest.raises(DeviceMismatchError, match="model lies on cuda:1, the batch on cpu"):
        check_model(Fake("cuda:1"), BATCH)


def test_parameters_on_several_devices() -> None:
    with pytest.raises(DeviceMismatchError, match="several devices: cpu, cuda:0"):
        check_model(Fake("cuda:0", "cpu"), BATCH)


def test_a_device_without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels.device, "device_problem", lambda device: f"no kernels for {device}")
    with pytest.raises(BackendUnavailableError, match="no kernels for cpu"):
        check_model(mlp(), BATCH)


def test_a_plain_model_is_taken_with_its_device() -> None:
    assert check_model(mlp(), BATCH) == torch.device("cpu")
