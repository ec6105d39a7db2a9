"""Categorical, ordinal and Bernoulli columns: Dirichlet posteriors of the shares of levels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.naive_bayes.prior import NaiveBayesPrior

Codes = NDArray[np.intp]


@dataclass(frozen=True)
class DiscreteFeature:
    """Shares of the levels of a column in each class.

    Parameters
    ----------
    levels : tuple
        Levels, in order where they have one.
    counts : ndarray of shape (n_classes, n_levels)
        Concentration of the Dirichlet posterior: rows of each level and what the prior adds;
        for plug-in rows alone.

    Notes
    -----
    The predicted share of a level is its count over the counts of its class. The prior adds
    ``level_count`` to each level; to level k of K ordered ones ``K level_count q_k`` instead. q is
    learnt from all classes together: of ``(n_k + 1) / (n + K)`` each level keeps half and gives a
    quarter to each neighbour, an end keeping what would leave the scale.
    """

    levels: tuple[Any, ...]
    counts: Floats

    def log_density(self, values: Codes) -> Floats:
        """Log predicted share of each level in each class, minus infinity where it is 0.

        Parameters
        ----------
        values : ndarray of int of shape (n,)
            Codes of levels.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        with np.errstate(divide="ignore"):
            shares: Floats = np.log(self.counts / self.counts.sum(1, keepdims=True))
        return shares[:, values].T

    def draw(self, draws: int, rng: np.random.Generator) -> Callable[[Codes], Floats]:
        """Draw shares of two classes from the posterior.

        Parameters
        ----------
        draws : int
            How many.
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        callable
            From codes of shape (n,) to log density ratios of shape (draws, n).
        """
        logs = log_dirichlet(self.counts, draws, rng)
        ratios = logs[:, 1] - logs[:, 0]
        return lambda values: ratios[:, values]


def fit_discrete(
    likelihood: str,
    levels: tuple[Any, ...],
    parts: list[Codes],
    prior: NaiveBayesPrior | None,
) -> DiscreteFeature:
    """Fit a column.

    Parameters
    ----------
    likelihood : str
        ``categorical``, ``ordinal`` or ``bernoulli``.
    levels : tuple
        Its levels.
    parts : list of ndarray of int
        Codes of each class.
    prior : NaiveBayesPrior or None
        None for plug-in estimates.

    Returns
    -------
    DiscreteFeature
    """
    counts = np.array([np.bincount(part, minlength=len(levels)) for part in parts], dtype=float)
    added: Floats | float = 0.0
    if prior is not None:
        added = prior.level_count
        if likelihood == "ordinal":
            added = prior.level_count * len(levels) * smoothed_shares(counts.sum(0))
    return DiscreteFeature(levels, counts + added)


def smoothed_shares(counts: Floats) -> Floats:
    """Shares of ordered levels, spread to their neighbours.

    Parameters
    ----------
    counts : ndarray of shape (n_levels,)
        Rows of each level.

    Returns
    -------
    ndarray of shape (n_levels,)
        Shares, all above 0, of sum 1.
    """
    shares = (counts + 1.0) / (counts.sum() + counts.size)
    beyond = np.pad(shares, 1, mode="edge")
    out: Floats = 0.25 * beyond[:-2] + 0.5 * shares + 0.25 * beyond[2:]
    return out


def log_dirichlet(concentration: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """Draw logarithms of Dirichlet shares, which do not underflow at small concentrations.

    Parameters
    ----------
    concentration : ndarray of shape (..., n_levels)
        Concentrations, above 0.
    draws : int
        How many.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    ndarray of shape (draws, ..., n_levels)
    """
    from scipy.special import logsumexp

    shape = (draws, *concentration.shape)
    # G(a) is G(a + 1) U^(1/a)
    logs = np.log(rng.standard_gamma(concentration + 1.0, shape))
    logs -= rng.standard_exponential(shape) / concentration
    out: Floats = logs - logsumexp(logs, axis=-1, keepdims=True)
    return out
