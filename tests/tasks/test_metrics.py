"""Metrics, by hand or against a loop."""

from __future__ import annotations

import math

import torch

from lswag_fast.tasks import metrics


def test_classes() -> None:
    outputs = torch.tensor([[0.1, 0.9, 0.0], [0.3, 0.2, 0.1], [0.0, 0.0, 1.0]])
    assert metrics.accuracy(outputs, torch.tensor([1, 2, 2])) == 2 / 3
    # yes to 3 labels, of which 2 are true; 4 are true: F1 = 4 / 7
    assert metrics.f1(torch.tensor([[1.0, 1, 1, -1, -1]]), torch.tensor([[1, 1, 0, 1, 1]])) == 4 / 7
    assert metrics.f1(torch.tensor([[-1.0]]), torch.tensor([[0]])) == 0


def test_numbers() -> None:
    assert metrics.negative_mse(torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])) == -2.5


def test_mean_iou_leaves_out_classes_that_do_not_occur() -> None:
    said, true = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 1]])
    outputs = torch.nn.functional.one_hot(said, 5).permute(0, 2, 1).float()
    assert math.isclose(metrics.mean_iou(outputs, true), (1 / 2 + 2 / 3) / 2)


def test_ssim_is_that_of_a_loop_over_windows() -> None:
    torch.manual_seed(0)
    x, y = torch.rand(1, 1, 12, 13, dtype=torch.float64), torch.rand(1, 1, 12, 13, dtype=torch.float64)
    weights = [[math.exp(-((i - 5) ** 2 + (j - 5) ** 2) / (2 * 1.5**2)) for j in range(11)] for i in range(11)]
    total = sum(map(sum, weights))
    found = []
    for top in range(2):
        for left in range(3):
            cells = [
                (weights[i][j] / total, float(x[0, 0, top + i, left + j]), float(y[0, 0, top + i, left + j]))
                for i in range(11)
                for j in range(11)
            ]
            mx, my = sum(w * a for w, a, _ in cells), sum(w * b for w, _, b in cells)
            vx, vy = sum(w * (a - mx) ** 2 for w, a, _ in cells), sum(w * (b - my) ** 2 for w, _, b in cells)
            cov = sum(w * (a - mx) * (b - my) for w, a, b in cells)
            c1, c2 = 0.01**2, 0.03**2
            found.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    assert math.isclose(metrics.ssim(x, y), sum(found) / len(found), rel_tol=1e-9)
    assert metrics.ssim(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)) == 1
