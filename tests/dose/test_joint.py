"""Small matrices with the draws last, against NumPy's."""

import numpy as np
import pytest

from bayesdose.dose import joint


@pytest.fixture
def matrices() -> np.ndarray:
    root = np.random.default_rng(1).normal(size=(3, 50, 4, 6))
    return np.moveaxis(root @ np.swapaxes(root, 2, 3), 1, 3)


def test_cholesky(matrices: np.ndarray) -> None:
    expected = np.linalg.cholesky(np.moveaxis(matrices, 3, 1))
    np.testing.assert_allclose(np.moveaxis(joint.cholesky(matrices), 3, 1), expected, rtol=1e-10)


def test_solving(matrices: np.ndarray) -> None:
    values = np.random.default_rng(2).normal(size=(3, 4, 50))
    root = joint.cholesky(matrices)
    found = joint.backward(root, joint.forward(root, values))
    expected = np.linalg.solve(np.moveaxis(matrices, 3, 1), np.moveaxis(values, 2, 1)[..., None])
    np.testing.assert_allclose(np.moveaxis(found, 2, 1), expected[..., 0], rtol=1e-7)


def test_coefficient_law() -> None:
    rng = np.random.default_rng(3)
    root = rng.normal(size=(5, 3, 3))
    precision, shift = root @ np.swapaxes(root, 1, 2) + np.eye(3), rng.normal(size=(5, 3))
    mean, covariance = joint.coefficient_law(precision, shift)
    np.testing.assert_allclose(precision @ covariance, np.tile(np.eye(3), (5, 1, 1)), atol=1e-10)
    expected = np.linalg.solve(precision, shift[..., None])
    np.testing.assert_allclose(mean.T, expected[..., 0], rtol=1e-9)
