"""The toy experiment of the paper's Theorem 1: `python -m bench.theorem1 mnist_test10k.npz --out
bench/results/theorem1/theorem1.csv --plot bench/results/theorem1/theorem1.png`.

A linear regressor without bias sees 1,000 MNIST images of norm 1. At its first weights, drawn by one of four
initialisations, the gradients g(x_i) of the samples have a mean mu_j and a variance sigma_j^2 in each weight j. It is
trained by one step against the sum of the gradients, as the theorem says ("step"), or for an epoch of single samples,
as the supplement's Figure 5 does ("epoch"). Each row of the result is one of both, for a learning rate eta and one kind
of target: the rank correlation of sum_j mu_j^2 with the loss afterwards over 1,000 draws, and how many draws keep the
bound of the theorem, and that of ZiCo's Equation 6, which is the same without the mean.

Neither says what the targets are. "digit" regresses the digit, from 0 to 9; "one-hot" has an output for each digit,
over which loss and gradients are summed. Both trainings are linear in the residuals X w - y, and computed as such.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from lswag_fast.evaluation.correlation import correlate
from lswag_fast.plots.style import MARKERS, SERIES, label_axes, new_figure, set_title

Array = NDArray[np.float64]

N_SAMPLES = 1000
INITIALISATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "Kaiming uniform": nn.init.kaiming_uniform_,
    "Kaiming normal": nn.init.kaiming_normal_,
    "Xavier uniform": nn.init.xavier_uniform_,
    "Xavier normal": nn.init.xavier_normal_,
}
ROUNDING = 1e-9
"""By what part of itself a bound may be missed by rounded numbers."""


class Gradients(NamedTuple):
    """Of each draw of the first weights, over all of them: the sum of mu_j^2, and of sigma_j^2."""

    means: Array
    variances: Array


def gradients(x: Array, residuals: Array) -> Gradients:
    """What the gradients residual_i * x_i have, for the rows x_i (M, d) and residuals (M, draws, outputs)."""
    n_samples = len(x)
    mean = np.tensordot(x.T, residuals, 1) / n_samples
    squares = (residuals**2 * (x**2).sum(1)[:, None, None]).mean(0)
    means = (mean**2).sum((0, 2))
    return Gradients(means, squares.sum(1) - means)


def loss(residuals: Array) -> Array:
    """Half the sum of the squares, of each draw."""
    return 0.5 * (residuals**2).sum((0, 2))


def bound(found: Gradients, n_samples: int, eta: float) -> Array:
    """Theorem 1: M / 2 times the sum of sigma_j^2 + ((M eta - 1) mu_j)^2."""
    return 0.5 * n_samples * (found.variances + (n_samples * eta - 1) ** 2 * found.means)


def bound_without_mean(found: Gradients, n_samples: int) -> Array:
    """ZiCo's Equation 6: M / 2 times the sum of sigma_j^2, whatever the learning rate."""
    return 0.5 * n_samples * found.variances


def step(gram: Array, eta: float) -> Array:
    """What one step against the sum of all gradients makes of the residuals, as a matrix (M, M)."""
    return np.eye(len(gram)) - eta * gram


def epoch(gram: Array, eta: float) -> Array:
    """What a step for each sample, in their order, makes of the residuals, as a matrix (M, M)."""
    product = np.eye(len(gram))
    for place in range(len(gram)):
        product -= eta * np.outer(gram[:, place], product[place])
    return product


TRAININGS = {"epoch": epoch, "step": step}


def images(path: Path) -> tuple[Array, Array]:
    """The first 1,000 images as rows of norm 1, and their digits."""
    with np.load(path) as arrays:
        x = arrays["x_test"][:N_SAMPLES].reshape(N_SAMPLES, -1).astype(np.float64)
        return x / np.linalg.norm(x, axis=1, keepdims=True), arrays["y_test"][:N_SAMPLES]


def targets(digits: Array) -> dict[str, Array]:
    """(M, outputs) of each kind."""
    return {"digit": digits.astype(np.float64)[:, None], "one-hot": np.eye(10)[digits.astype(int)]}


def first_weights(n_inputs: int, n_outputs: int, n_draws: int, seed: int) -> tuple[Array, list[str]]:
    """Weights (d, draws, outputs), and how each draw was made: one of the four ways at random."""
    generator = np.random.default_rng(seed)
    names = [str(name) for name in generator.choice(list(INITIALISATIONS), n_draws)]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        drawn = [INITIALISATIONS[name](torch.empty(n_outputs, n_inputs, dtype=torch.float64)).numpy() for name in names]
    return np.stack(drawn).transpose(2, 0, 1), names


def measured(residuals: Array, found: Gradients, trained: Array, eta: float) -> tuple[dict[str, Any], pd.DataFrame]:
    """A row of the result, and the points of its figure; `trained` is what training makes of residuals."""
    n_samples = len(residuals)
    after = loss(np.tensordot(trained, residuals, 1))
    points = pd.DataFrame({"mean_squared": found.means, "loss": after})
    rho = correlate(points, "loss", ["mean_squared"]).iloc[0]
    kept = after <= bound(found, n_samples, eta) * (1 + ROUNDING)
    kept_without = after <= bound_without_mean(found, n_samples) * (1 + ROUNDING)
    row = {
        "spearman": rho["spearman"],
        "low": rho["spearman_low"],
        "high": rho["spearman_high"],
        "within_bound": kept.mean(),
        "within_zico_bound": kept_without.mean(),
        "n": len(points),
    }
    return row, points


def plot(panels: dict[float, tuple[pd.DataFrame, list[str]]], path: Path) -> None:
    """Loss against the sum of mu_j^2, a panel for each learning rate, a colour for each initialisation."""
    figure = new_figure(4 * len(panels), 3.4)
    for axes, (eta, (points, names)) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        for name, color, marker in zip(INITIALISATIONS, SERIES, MARKERS, strict=False):
            chosen = points[[drawn == name for drawn in names]]
            axes.plot(chosen["mean_squared"], chosen["loss"], marker, color=color, markersize=2.5, label=name)
        label_axes(axes, "sum of the squared means of the gradients", "loss after an epoch")
        set_title(axes, f"learning rate {eta:g}")
    axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=112)


def main() -> None:
    """Run the whole experiment and write it."""
    parser = argparse.ArgumentParser(description="The toy experiment of Theorem 1.")
    parser.add_argument("images", type=Path, help="MNIST as an .npz file with x_test and y_test")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--plot", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    x, digits = images(options.images)
    rows, panels = [], {}
    etas = (1 / (10 * N_SAMPLES), 3 / N_SAMPLES, 1.0)
    trained = {(name, eta): train(x @ x.T, eta) for name, train in TRAININGS.items() for eta in etas}
    for kind, y in targets(digits).items():
        weights, names = first_weights(x.shape[1], y.shape[1], options.draws, options.seed)
        residuals = np.tensordot(x, weights, 1) - y[:, None, :]
        found = gradients(x, residuals)
        for (training, eta), matrix in trained.items():
            row, points = measured(residuals, found, matrix, eta)
            rows.append({"target": kind, "training": training, "eta": eta, **row, "seed": options.seed})
            if (kind, training) == ("one-hot", "epoch"):
                panels[eta] = points, names
            sys.stdout.write(f"{rows[-1]}\n")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).round(4).to_csv(options.out, index=False)
    plot(panels, options.plot)


if __name__ == "__main__":
    main()
