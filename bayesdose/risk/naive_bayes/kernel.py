"""Columns of any shape: Gaussian kernels over the training values of each class."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats

#: Numbers in the largest array of kernels.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class KernelFeature:
    """Kernel density of each class; it keeps the training values, which are what it is made of.

    Parameters
    ----------
    values : tuple of ndarray
        Training values of each class.
    bandwidth : ndarray of shape (n_classes,)
        Standard deviation of the kernels: Scott's ``sd n^(-1/5)``.

    References
    ----------
    Scott 1992, Multivariate Density Estimation; Rubin 1981, Ann. Stat. 9:130, for the bootstrap
    (both from memory; the density is checked against SciPy's ``gaussian_kde``).
    """

    values: tuple[Floats, ...]
    bandwidth: Floats

    def log_density(self, values: Floats) -> Floats:
        """Log density in each class.

        Parameters
        ----------
        values : ndarray of shape (n,)
            Values.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        from scipy.special import logsumexp

        out = np.empty((values.size, len(self.values)))
        for c, centres in enumerate(self.values):
            step = max(1, _BLOCK // centres.size)
            for start in range(0, values.size, step):
                rows = slice(start, start + step)
                out[rows, c] = logsumexp(self._kernels(values[rows], c), axis=1)
            out[:, c] -= np.log(centres.size)
        return out

    def draw(self, draws: int, rng: np.random.Generator) -> Callable[[Floats], Floats]:
        """Draw weights of the training values of two classes: Rubin's Bayesian bootstrap.

        Parameters
        ----------
        draws : int
            How many.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        callable
            From values of shape (n,) to log density ratios of shape (draws, n).
        """
        weights = [rng.dirichlet(np.ones(centres.size), draws) for centres in self.values]

        def ratio(values: Floats) -> Floats:
            logs = []
            for c, weight in enumerate(weights):
                kernels = self._kernels(values, c)
                top = kernels.max(axis=1, keepdims=True)
                logs.append(np.log(weight @ np.exp(kernels - top).T) + top[:, 0])
            return logs[1] - logs[0]

        return ratio

    def _kernels(self, values: Floats, c: int) -> Floats:
        width = self.bandwidth[c]
        z = (values[:, None] - self.values[c]) / width
        with np.errstate(over="ignore"):  # the model refuses densities that are not finite
            out: Floats = -0.5 * z**2 - np.log(width * np.sqrt(2.0 * np.pi))
        return out


def fit_kernel(column: Any, parts: list[Floats], labels: list[Any]) -> KernelFeature:
    """Fit a column.

    Parameters
    ----------
    column : hashable
        Its name, for messages.
    parts : list of ndarray
        Values of each class, one or more.
    labels : list
        Names of the classes.

    Returns
    -------
    KernelFeature

    Raises
    ------
    RiskError
        When a class has one value only.
    """
    for label, part in zip(labels, parts, strict=True):
        if part.min() == part.max():
            raise RiskError(
                f"column {column!r} has one value only in class {label!r} ({part.size} rows): a "
                "kernel density has no bandwidth there. Take gaussian, or leave the column out."
            )
    bandwidth = np.array([part.std(ddof=1) * part.size**-0.2 for part in parts])
    return KernelFeature(tuple(parts), bandwidth)
