"""How long a network takes for one image or text on this machine."""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor, nn

# The first passes allocate and choose algorithms; the median of the others ignores what else the machine did.
WARM_UP = 2
REPEATS = 7


def measure_latency_ms(model: nn.Module, inputs: Tensor) -> float:
    """Return the median time of a forward pass of one image or text in milliseconds.

    In eval mode, without gradients, on torch's present number of threads; on the device of the model's parameters. The
    model is left in eval mode.

    Args:
        model: a network.
        inputs: what it takes, of one sample; real numbers in the type of the parameters.

    Example:
        >>> measure_latency_ms(nn.Conv2d(3, 8, 3), torch.zeros(1, 3, 16, 16)) > 0
        True
    """
    parameter = next(model.parameters())
    inputs = inputs.to(parameter.device, parameter.dtype if inputs.is_floating_point() else inputs.dtype)
    model.eval()
    times = []
    with torch.inference_mode():
        for _ in range(WARM_UP + REPEATS):
            start = time.perf_counter()
            model(inputs)
            if inputs.is_cuda:
                torch.cuda.synchronize(inputs.device)
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[WARM_UP:])
