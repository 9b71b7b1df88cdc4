"""What is measured of trained networks: outputs and targets of a batch -> a number; higher is better."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from lswag_fast.tasks.losses import mse

_WINDOW, _SIGMA = 11, 1.5
_STABLE = 0.01**2, 0.03**2
"""C1 and C2 of SSIM (Wang et al., 2004) for a data range of 1, which the benchmark uses."""


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    """The share of samples whose largest logit is that of their class.

    Example:
        >>> accuracy(torch.tensor([[1.0, 0.0], [3.0, 2.0]]), torch.tensor([0, 1]))
        0.5
    """
    return float((outputs.argmax(1) == targets).double().mean())


def f1(outputs: Tensor, targets: Tensor) -> float:
    """The F1 score of all labels together: 2 TP / (2 TP + FP + FN), a logit above 0 meaning yes.

    Example:
        >>> f1(torch.tensor([[1.0, -1.0, 1.0]]), torch.tensor([[1, 1, 0]]))
        0.5
    """
    said, true = outputs > 0, targets > 0.5
    both = int((said & true).sum())
    return 2 * both / max(1, int(said.sum()) + int(true.sum()))


def negative_mse(outputs: Tensor, targets: Tensor) -> float:
    """The negative mean square error, as the benchmark gives that of room layouts.

    Example:
        >>> negative_mse(torch.zeros(2, 2), torch.ones(2, 2))
        -1.0
    """
    return -float(mse(outputs, targets).mean())


def mean_iou(outputs: Tensor, targets: Tensor) -> float:
    """The mean over the classes that occur of intersection / union, of logits (B, C, ...) and classes (B, ...).

    Example:
        >>> mean_iou(torch.tensor([[[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]]), torch.tensor([[0, 1, 1]]))
        0.5
    """
    said, shares = outputs.argmax(1), []
    for label in range(outputs.shape[1]):
        ours, theirs = said == label, targets == label
        union = int((ours | theirs).sum())
        if union:
            shares.append(int((ours & theirs).sum()) / union)
    return sum(shares) / len(shares)


def ssim(outputs: Tensor, targets: Tensor) -> float:
    """The structural similarity of images (B, C, H, W), a Gaussian window of 11 pixels (fewer in smaller ones).

    Example:
        >>> ssim(torch.eye(12)[None, None], torch.eye(12)[None, None])
        1.0
    """
    side = min(_WINDOW, *outputs.shape[2:])
    weights = torch.exp(-((torch.arange(side, dtype=torch.float64) - (side - 1) / 2) ** 2) / (2 * _SIGMA**2))
    window = torch.outer(weights, weights) / weights.sum() ** 2

    def local(image: Tensor) -> Tensor:
        return F.conv2d(image.flatten(0, 1)[:, None], window[None, None].to(image))

    x, y = outputs.double(), targets.double()
    mean_x, mean_y = local(x), local(y)
    var_x, var_y = local(x * x) - mean_x**2, local(y * y) - mean_y**2
    covariance = local(x * y) - mean_x * mean_y
    c1, c2 = _STABLE
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return float((luminance * (2 * covariance + c2) / (var_x + var_y + c2)).mean())
