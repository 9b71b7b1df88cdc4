"""Theorem 1: its bound holds for whatever data, ZiCo's does not, and training as a matrix is training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.theorem1 import TRAININGS, Array, bound, bound_without_mean, first_weights, gradients, loss, step

SIZES = st.integers(1, 6)


def drawn(n_samples: int, n_inputs: int, n_outputs: int, seed: int) -> tuple[Array, Array, Array]:
    """Rows of norm 1, targets, and weights (d, 1, outputs) of all sizes."""
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((n_samples, n_inputs))
    y = generator.standard_normal((n_samples, n_outputs)) * 10 ** generator.uniform(-2, 2)
    return x / np.linalg.norm(x, axis=1, keepdims=True), y, generator.standard_normal((n_inputs, 1, n_outputs))


def residuals_of(x: Array, y: Array, weights: Array) -> Array:
    found: Array = np.tensordot(x, weights, 1) - y[:, None, :]
    return found


@settings(max_examples=60, deadline=None)
@given(SIZES, SIZES, st.integers(1, 3), st.integers(0, 10**6), st.floats(0, 5))
def test_the_bound_holds_for_random_data_and_any_learning_rate(n: int, d: int, k: int, seed: int, eta: float) -> None:
    x, y, weights = drawn(n, d, k, seed)
    before = residuals_of(x, y, weights)
    found = gradients(x, before)
    # The step on the weights themselves, sample by sample, as the theorem has it.
    total = sum(np.outer(x[i], before[i, 0]) for i in range(n))
    after = loss(residuals_of(x, y, weights - eta * np.asarray(total)[:, None, :]))
    assert after <= bound(found, n, eta) * (1 + 1e-9) + 1e-12  # rounding


def test_zicos_bound_is_broken_by_two_equal_samples() -> None:
    """No variance, so its bound is 0; but a small step leaves most of the loss: (1 - 2 eta)^2."""
    x, before = np.ones((2, 1)), np.ones((2, 1, 1))
    found, eta = gradients(x, before), 1 / 20  # 1 / (10 M)
    after = loss(np.tensordot(step(x @ x.T, eta), before, 1))
    assert after == pytest.approx(0.81)
    assert bound_without_mean(found, 2) == 0 < after
    assert bound(found, 2, eta) == pytest.approx(0.81)  # the theorem's is tight here
    assert bound(found, 2, 1 / 2) == bound_without_mean(found, 2)  # equal at 1 / M


def test_means_and_variances_are_those_of_the_gradients_of_single_samples() -> None:
    x, y, weights = drawn(5, 3, 2, seed=1)
    before = residuals_of(x, y, weights)
    single = np.stack([np.outer(x[i], before[i, 0]).ravel() for i in range(5)])
    found = gradients(x, before)
    assert found.means == pytest.approx((single.mean(0) ** 2).sum())
    assert found.variances == pytest.approx(single.var(0).sum())


@pytest.mark.parametrize("name", TRAININGS)
def test_trainings_as_matrices_train_the_weights(name: str) -> None:
    x, y, weights = drawn(4, 3, 2, seed=2)
    trained = weights.copy()
    for i in [[0], [1], [2], [3]] if name == "epoch" else [[0, 1, 2, 3]]:
        trained -= 0.3 * np.tensordot(x[i].T, residuals_of(x, y, trained)[i], 1)
    expected = residuals_of(x, y, trained)
    np.testing.assert_allclose(np.tensordot(TRAININGS[name](x @ x.T, 0.3), residuals_of(x, y, weights), 1), expected)


def test_each_draw_is_one_of_four_initialisations() -> None:
    weights, names = first_weights(784, 2, 40, seed=0)
    assert weights.shape == (784, 40, 2) and len(set(names)) == 4
    for name in set(names):
        deviation = weights[:, [drawn == name for drawn in names]].std()
        expected = (2 / 784) ** 0.5 if name.startswith("Kaiming") else (2 / 786) ** 0.5
        assert deviation == pytest.approx(expected, rel=0.05)
