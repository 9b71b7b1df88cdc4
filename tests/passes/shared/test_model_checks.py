"""Which models are taken; each of the others is refused by name, saying what to pass instead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from lswag_fast import kernels
from lswag_fast.data.batch import Batch
from lswag_fast.errors import (
    BackendUnavailableError,
    DeviceMismatchError,
    InputError,
    LswagError,
    LswagWarning,
    UnsupportedModelError,
)
from lswag_fast.passes.shared.model_checks import check_model
from lswag_fast.scoring import score

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


def made_under_inference_mode() -> nn.Module:
    with torch.inference_mode():
        return mlp()


def exported() -> nn.Module:
    return torch.export.export(mlp(), (torch.randn(2, 3),)).module()


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
    "made under inference_mode": (made_under_inference_mode, "^0.weight was made under inference_mode"),
    "exported": (exported, "the model was exported .* original Python module"),
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


def test_a_refused_model_stays_trainable() -> None:
    model = made_under_inference_mode()
    with pytest.raises(UnsupportedModelError):
        score(model, (torch.randn(4, 3), torch.arange(4) % 2))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_call_from_inside_of_vmap() -> None:
    model = mlp()

    def inside(x: Tensor) -> Tensor:
        return torch.tensor(score(model, (x, torch.arange(4) % 2)).value)

    with pytest.raises(InputError, match=r"inside of torch\.func"):
        torch.func.vmap(inside)(torch.randn(2, 4, 3))


def test_a_call_from_inside_of_a_mode_of_tensors_without_values() -> None:
    with FakeTensorMode(), pytest.raises(InputError, match="inside of a FakeTensorMode"):
        score(mlp(), (torch.randn(4, 3), torch.arange(4) % 2))


def test_a_batch_made_under_inference_mode() -> None:
    with torch.inference_mode():
        x = torch.randn(4, 3)
    with pytest.raises(InputError, match=r"batch inputs was made under inference_mode; pass inputs\.clone"):
        score(mlp(), (x, torch.arange(4) % 2))


def test_a_model_without_parameters() -> None:
    with pytest.raises(InputError, match="no parameters"):
        check_model(nn.ReLU(), BATCH)


class Elsewhere(nn.Parameter):
    """Stands for a parameter on a device that this machine need not have."""

    claimed: torch.device
    device = property(lambda self: self.claimed)  # type: ignore[assignment]


class Fake(nn.Module):
    """Claims parameters on the given devices."""

    def __init__(self, *devices: str) -> None:
        super().__init__()
        for number, device in enumerate(devices):
            parameter = Elsewhere(torch.zeros(1))
            parameter.claimed = torch.device(device)
            self.register_parameter(str(number), parameter)


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


def cnn() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))


IMAGES, LABELS = torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 5
WRONG: dict[str, tuple[nn.Module, torch.Tensor, str]] = {
    "half model": (cnn().half(), IMAGES, r"inputs are torch\.float32, .*torch\.float16.* x\.to\(torch\.float16\)"),
    "double batch": (cnn(), IMAGES.double(), r"inputs are torch\.float64, .*torch\.float32.* x\.to\(torch\.float32\)"),
    "bytes": (cnn(), (IMAGES * 9).to(torch.uint8), r"inputs are torch\.uint8, .* x\.to\(torch\.float32\)"),
    "channels": (cnn(), IMAGES[:, :1], r"with this batch, inputs \(8, 1, 8, 8\) of torch\.float32: Given groups=1"),
    "features": (mlp(), IMAGES[:, 0, 0, :4], r"with this batch, inputs \(8, 4\) .*shapes cannot be multiplied"),
    "recurrent": (nn.LSTM(4, 5), IMAGES[:, 0], r"inputs \(8, 8, 8\) of torch\.float32: input\.size\(-1\) must"),
    "no tokens": (nn.Sequential(nn.Embedding(6, 6), nn.Flatten()), IMAGES[:, 0, 0], r"of torch\.float32: .*indices"),
}


@pytest.mark.parametrize(("model", "inputs", "message"), WRONG.values(), ids=WRONG)
def test_a_batch_that_torch_cannot_compute_with_is_named_in_one_line(
    model: nn.Module, inputs: torch.Tensor, message: str
) -> None:
    with pytest.raises(LswagError, match=message) as refused:
        score(model, (inputs, LABELS))
    assert "\n" not in str(refused.value)
    assert isinstance(refused.value.__cause__, RuntimeError)


def test_a_model_that_converts_its_inputs_is_scored() -> None:
    class Converting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.inner = cnn()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x.float() / 255)

    bytes_ = (IMAGES.abs() * 50).to(torch.uint8)
    model = Converting()
    given, converted = (bytes_, LABELS), (bytes_.float() / 255, LABELS)
    assert score(model, given, proxy="zico").value == score(model.inner, converted, proxy="zico").value


def test_hooks_of_a_weight_are_said_not_to_be_applied() -> None:
    model = mlp()
    plain = score(model, (torch.randn(4, 3), torch.tensor([0, 1, 0, 1])), proxy="params").value
    model[2].weight.register_hook(lambda gradient: gradient * 0)
    with pytest.warns(LswagWarning, match=r"2.weight: hooks that change a weight's gradient \(register_hook\) are not"):
        assert score(model, (torch.randn(4, 3), torch.tensor([0, 1, 0, 1])), proxy="params").value == plain


def test_a_token_that_the_table_has_no_row_for_is_named() -> None:
    model, tokens = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 9)), torch.randint(9, (4, 5))
    tokens[1, 2] = 30
    with pytest.raises(
        InputError, match=r"the model looks up what it has no row for: inputs run from \d to 30; "
    ) as refused:
        score(model, (tokens, tokens % 9), proxy="near")
    assert isinstance(refused.value.__cause__, IndexError)


def test_an_index_error_on_images_stays_the_models_own() -> None:
    class Broken(nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return [x][1]

    with pytest.raises(IndexError, match="list index out of range"):
        score(Broken(3, 3), (IMAGES, LABELS), proxy="flops")
