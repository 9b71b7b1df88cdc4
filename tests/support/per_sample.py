"""The per-sample gradients that an observation stands for, beside those of a loop over the samples."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from lswag_fast import reference
from lswag_fast.data.batch import Batch, call_model
from lswag_fast.observe import CaptureOptions, Observation, ObservedWeight, WeightCall, observe
from lswag_fast.passes.shared.preserve import preserve_model_state

ROUNDING = {"rtol": 1e-10, "atol": 1e-10}  # float64 in another order, through a few calls


class Called(nn.Module):
    """A model of one function of the inputs and of parameters `a`, `b`, ..."""

    def __init__(self, function: Any, *parameters: Tensor) -> None:
        super().__init__()
        self.names = "abcdef"[: len(parameters)]
        for name, parameter in zip(self.names, parameters, strict=True):
            self.register_parameter(name, nn.Parameter(parameter))
        self.function = function

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, *(getattr(self, name) for name in self.names))


class _Gathering:
    """Adds up the gradients of the weights in the place that each has in its parameter."""

    def __init__(self, model: nn.Module, n_samples: int) -> None:
        self.parameters = dict(model.named_parameters())
        self.n_samples = n_samples
        self.found: dict[str, Tensor] = {}

    def reduce_call(self, weight: ObservedWeight, call: WeightCall) -> None:
        pass

    def reduce_weight(self, weight: ObservedWeight) -> None:
        parameter, piece, conv = self.parameters[weight.name], weight.piece, weight.conv
        whole = self.found.setdefault(weight.name, torch.zeros(self.n_samples, parameter.numel(), dtype=torch.float64))
        for x, grad_out in weight.gradient_operands(self.n_samples):
            if conv is None:
                gradients = reference.linear_gradients(x, grad_out)
            else:
                shape = torch.Size((weight.view.shape[0], x.shape[1] // conv.groups, *conv.kernel_size))
                geometry = (conv.stride, conv.padding, conv.dilation, conv.groups)
                with torch.enable_grad():
                    gradients = reference.conv_gradients(x, grad_out, shape, *geometry)
            for row, gradient in zip(whole, gradients, strict=True):
                row.as_strided(piece.size, piece.stride, piece.offset + row.storage_offset()).add_(
                    gradient.reshape(piece.size)
                )


def observed_gradients(model: nn.Module, inputs: Any, n_samples: int) -> tuple[dict[str, Tensor], Observation, Any]:
    """By parameter (B, ...), the gradients of the samples' shares of `weighted`; the observation and the outputs."""
    gathering = _Gathering(model, n_samples)
    with preserve_model_state(model, 0), observe(model, Batch(inputs, None, n_samples), CaptureOptions(0)) as found:
        outputs = found.run()
        if found.weights:
            found.backward(weighted(outputs).sum(), found.weights, gathering)
    shaped = {name: g.reshape(n_samples, *gathering.parameters[name].shape) for name, g in gathering.found.items()}
    return shaped, found, outputs


def exact_gradients(model: nn.Module, inputs: Any, n_samples: int, names: list[str]) -> dict[str, Tensor]:
    """The same by torch, sample for sample."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        shares = weighted(call_model(model, inputs))
    parameters = [dict(model.named_parameters())[name] for name in names]
    if not names:
        return {}
    rows = [torch.autograd.grad(shares[b], parameters, retain_graph=True) for b in range(n_samples)]
    return {name: torch.stack([row[k] for row in rows]) for k, name in enumerate(names)}


def weighted(outputs: Any) -> Tensor:
    """One number per sample, (B,): its outputs, in each tensor along axis 0, with weights that differ."""
    tensors = [outputs] if isinstance(outputs, Tensor) else [t for t in outputs if isinstance(t, Tensor)]
    total = torch.zeros(len(tensors[0]), dtype=torch.float64)
    for tensor in tensors:
        rows = tensor.reshape(len(tensor), -1)
        weights = torch.sin(torch.arange(rows.numel(), dtype=torch.float64)).reshape(rows.shape)
        total = total + (rows * rows * weights).sum(1)
    return total


def assert_per_sample(model: nn.Module, inputs: Any, n_samples: int, observed: list[str]) -> Observation:
    """Exactly these parameters are observed, with the outputs and the per-sample gradients that torch gives."""
    model, inputs = model.double(), _double(inputs)
    found, observation, outputs = observed_gradients(model, inputs, n_samples)
    assert sorted(found) == sorted(observed), observation.skipped
    for name, gradients in exact_gradients(model, inputs, n_samples, observed).items():
        torch.testing.assert_close(found[name], gradients, **ROUNDING)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.testing.assert_close(outputs, call_model(model, inputs), **ROUNDING)
    return observation


def _double(inputs: Any) -> Any:
    if isinstance(inputs, Tensor):
        return inputs.double() if inputs.is_floating_point() else inputs
    return tuple(map(_double, inputs))
