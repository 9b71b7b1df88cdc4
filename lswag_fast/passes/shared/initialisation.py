"""Drawing the weights of a network anew, or rescuing those that its own initialisation switches off."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from lswag_fast.data.batch import Batch, call_model
from lswag_fast.errors import InputError
from lswag_fast.observe import WeightRecorder
from lswag_fast.observe.scales import ScaleRecorder
from lswag_fast.options import Initialisation, ScoreOptions
from lswag_fast.passes.shared.preserve import preserve_model_state

NORMAL_STD = 0.02

_KAIMING = partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu")
_DRAWS: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming": _KAIMING,
    "xavier": nn.init.xavier_normal_,
    "normal": partial(nn.init.normal_, std=NORMAL_STD),
}
"""By name, what draws a weight: Kaiming normal by fan-in, Xavier normal, N(0, 0.02^2)."""

INITIALISATIONS: tuple[str, ...] = get_args(Initialisation)
"""The names: "own" leaves a network as it is built, and "rescue" mends only what is switched off."""


def initialise(model: nn.Module, initialisation: str, seed: int, inputs: Any = None) -> nn.Module:
    """Draw the weights of all linear and convolution modules anew, in place, with biases of 0; or rescue the network.

    The random state is left as it was. A *rescue* sets the scales that are 0 or constant (of norms, layers and
    branches: what the forward multiplies features by) to 1, their identity, and draws as "kaiming" does the weights of
    linear and convolution calls that are constant, a zero head say, which have none. Everything else stays.

    Args:
        model: any network.
        initialisation: a name of `INITIALISATIONS`; "own" changes nothing.
        seed: of the weights.
        inputs: what the model is called with, for a rescue: two samples or more, whatever their values.

    Returns:
        The model itself.

    Raises:
        InputError: there is no such initialisation, a module computes its weight (weight norm, pruning), or a rescue
            without inputs.

    Example:
        >>> model = initialise(nn.Linear(200, 300), "normal", seed=0)
        >>> round(model.weight.std().item(), 3), model.bias.any().item()
        (0.02, False)
    """
    if initialisation not in INITIALISATIONS:
        raise InputError(f"init must be one of {', '.join(INITIALISATIONS)}, got {initialisation!r}")
    if initialisation == "own":
        return model
    if initialisation == "rescue":
        if inputs is None:
            raise InputError("init='rescue' looks at a forward pass, which needs inputs")
        scales, weights = _switched_off(model, inputs, seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        if initialisation == "rescue":
            for scale in scales:
                scale.fill_(1)
            for weight in weights:
                _draw(weight, _KAIMING)
            return model
        for name, module in model.named_modules():
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                _draw(_own_weight(name, module), _DRAWS[initialisation])
                if module.bias is not None:
                    module.bias.zero_()
    return model


@contextmanager
def initialised(model: nn.Module, batch: Batch, options: ScoreOptions) -> Iterator[None]:
    """Inside, the model has the weights that `options.init` says; afterwards its own again, also after an exception.

    Example:
        >>> model, batch = nn.Linear(3, 2), Batch(torch.ones(2, 3), None, 2)
        >>> before = model.weight.detach().clone()
        >>> with initialised(model, batch, ScoreOptions(init="kaiming")):
        ...     inside = model.weight.detach().clone()
        >>> torch.equal(inside, before), torch.equal(model.weight, before)
        (False, True)
    """
    if options.init == "own":
        yield
        return
    with preserve_model_state(model, options.seed, watched=False) as snapshot:
        for name, _ in model.named_parameters():
            snapshot.protect(name)
        initialise(model, options.init, options.seed, batch.take([0, 1]).inputs)
        yield


def _own_weight(name: str, module: nn.Module) -> Tensor:
    """The weight of a module, which must be a parameter of its own."""
    weight = module._parameters.get("weight")
    if weight is None or is_parametrized(module, "weight"):
        raise InputError(
            f"init: {name or 'the model'} computes its weight (weight norm, pruning), which cannot be drawn; leave "
            "init out, or say init='rescue'"
        )
    return weight


def _draw(weight: Tensor, draw: Callable[[Tensor], Tensor]) -> None:
    """Draw a weight on the CPU and in float32, so that every device, dtype and layout gets the same numbers."""
    weight.copy_(draw(torch.empty(weight.shape, dtype=torch.float32, device="cpu")))


def _switched_off(model: nn.Module, inputs: Any, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """The scales that are 0 or constant, and the weights of calls that are."""
    parameters = dict(model.named_parameters())
    scales, weights = ScaleRecorder(parameters), WeightRecorder(parameters)
    with preserve_model_state(model, seed, watched=False) as snapshot, torch.no_grad():
        model.eval()
        with scales, weights, snapshot.watch():
            call_model(model, inputs)
    dead = [name for name in weights.weights if _is_constant(parameters[name])]
    off = [name for name in parameters if name in scales.scales and name not in weights.weights]
    return [parameters[n] for n in off if _is_constant(parameters[n])], [parameters[n] for n in dead]


def _is_constant(parameter: Tensor) -> bool:
    """Whether all elements are one number; a single element is only where it is 0, since it may be a temperature."""
    if parameter.numel() < 2:  # one element
        return not bool(parameter.any())
    return bool((parameter == parameter.flatten()[0]).all())
