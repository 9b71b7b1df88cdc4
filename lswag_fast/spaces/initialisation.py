"""Drawing the weights of a network anew: the initialisations that networks of a benchmark are scored with."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from lswag_fast.errors import InputError

GAUSSIAN_STD = 0.02

INITIALISATIONS: dict[str, Callable[[Tensor], Tensor] | None] = {
    "own": None,
    "kaiming": partial(nn.init.kaiming_normal_, mode="fan_in", nonlinearity="relu"),
    "xavier": nn.init.xavier_normal_,
    "gaussian": partial(nn.init.normal_, std=GAUSSIAN_STD),
}
"""By name, what draws a weight: Kaiming normal by fan-in, Xavier normal, N(0, 0.02^2); "own" leaves it as built."""


def check_initialisation(name: str) -> None:
    """Raise InputError for an unknown initialisation."""
    if name not in INITIALISATIONS:
        raise InputError(f"init must be one of {', '.join(INITIALISATIONS)}, got {name!r}")


def initialise(model: nn.Module, initialisation: str, seed: int) -> nn.Module:
    """Draw the weights of all linear and convolution modules anew, in place; their biases become 0.

    The random state is left as it was.

    Args:
        model: any network.
        initialisation: a name of `INITIALISATIONS`; "own" changes nothing.
        seed: of the weights.

    Returns:
        The model itself.

    Raises:
        InputError: there is no such initialisation.

    Example:
        >>> model = initialise(nn.Linear(200, 300), "gaussian", seed=0)
        >>> round(model.weight.std().item(), 3), model.bias.any().item()
        (0.02, False)
    """
    check_initialisation(initialisation)
    draw = INITIALISATIONS[initialisation]
    if draw is None:
        return model
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(seed)
        for module in model.modules():
            if isinstance(module, (nn.Linear, nn.Conv1d, nn.Conv2d)):
                draw(module.weight)
                if module.bias is not None:
                    module.bias.zero_()
    return model
