"""How long a network takes for one image on this machine."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

# The first passes allocate and choose algorithms; the median of the others ignores what else the machine did.
WARM_UP = 2
REPEATS = 7


def measure_latency_ms(model: nn.Module, input_shape: tuple[int, int, int]) -> float:
    """Return the median time of a forward pass of one image in milliseconds.

    In eval mode, without gradients, on torch's present number of threads; on the device of the model's parameters. The
    model is left in eval mode.

    Args:
        model: a network of images.
        input_shape: (C, H, W) of the image.

    Example:
        >>> measure_latency_ms(nn.Conv2d(3, 8, 3), (3, 16, 16)) > 0
        True
    """
    parameter = next(model.parameters())
    image = torch.zeros((1, *input_shape), dtype=parameter.dtype, device=parameter.device)
    model.eval()
    times = []
    with torch.inference_mode():
        for _ in range(WARM_UP + REPEATS):
            start = time.perf_counter()
            model(image)
            if image.is_cuda:
                torch.cuda.synchronize(image.device)
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[WARM_UP:])
