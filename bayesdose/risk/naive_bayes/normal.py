"""Gaussian and log-normal columns: normal-inverse-gamma posteriors, Student-t predictions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.naive_bayes.prior import NaiveBayesPrior


@dataclass(frozen=True)
class NormalFeature:
    """A normal distribution in each class, of the values or of their logarithms.

    Parameters
    ----------
    mean : ndarray of shape (n_classes,)
        Posterior mean, or the mean of the rows for plug-in.
    variance : ndarray of shape (n_classes,)
        Scale of the posterior of the variance, or the variance of the rows over their number.
    weight : ndarray of shape (n_classes,)
        Rows that the mean rests on; infinite for plug-in.
    df : ndarray of shape (n_classes,)
        Degrees of freedom of the variance; infinite for plug-in.

    Notes
    -----
    With n rows of mean m and sum of squares S, and the prior's centre m0, scale s0, weight k0 and
    degrees of freedom v0: weight k = k0 + n, df v = v0 + n, mean (k0 m0 + n m) / k, and
    ``v variance = v0 s0^2 + S + k0 n (m - m0)^2 / k``. A new value is Student-t with v degrees of
    freedom about the mean, of squared scale ``variance (1 + 1 / k)``.

    References
    ----------
    Gelman et al., Bayesian Data Analysis, 3rd edition, section 3.3 (from memory; checked against
    numerical integration).
    """

    mean: Floats
    variance: Floats
    weight: Floats
    df: Floats

    def log_density(self, values: Floats) -> Floats:
        """Log predictive density; the 1/x of a log-normal is the same in all classes and left out.

        Parameters
        ----------
        values : ndarray of shape (n,)
            Values, or their logarithms.

        Returns
        -------
        ndarray of shape (n, n_classes)
        """
        from scipy.stats import t

        scale = np.sqrt(self.variance * (1.0 + 1.0 / self.weight))
        with np.errstate(over="ignore"):  # the model refuses densities that are not finite
            out: Floats = t.logpdf(values[:, None], self.df, self.mean, scale)
        return out

    def draw(self, draws: int, rng: np.random.Generator) -> Callable[[Floats], Floats]:
        """Draw means and variances of two classes from the posterior.

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
        sd = np.sqrt(self.df * self.variance / rng.chisquare(self.df, (draws, 2)))
        mean = self.mean + sd / np.sqrt(self.weight) * rng.standard_normal((draws, 2))

        def ratio(values: Floats) -> Floats:
            z0, z1 = ((values - mean[:, c, None]) / sd[:, c, None] for c in (0, 1))
            return np.log(sd[:, 0] / sd[:, 1])[:, None] + 0.5 * (z0**2 - z1**2)

        return ratio


def fit_normal(
    column: Any, parts: list[Floats], labels: list[Any], prior: NaiveBayesPrior | None
) -> NormalFeature:
    """Fit a column.

    Parameters
    ----------
    column : hashable
        Its name, for messages.
    parts : list of ndarray
        Values of each class, one or more.
    labels : list
        Names of the classes.
    prior : NaiveBayesPrior or None
        None for plug-in estimates.

    Returns
    -------
    NormalFeature

    Raises
    ------
    RiskError
        When the values do not vary: in a class for plug-in, over all rows for a prior that takes
        its scale from them.
    """
    n = np.array([part.size for part in parts], dtype=np.float64)
    mean = np.array([part.mean() for part in parts])
    variance = np.array([part.var() for part in parts])
    if prior is None:
        flat = [c for c, part in enumerate(parts) if part.min() == part.max()]
        if flat:
            raise RiskError(
                f"column {column!r} has one value only in class {labels[flat[0]]!r} "
                f"({parts[flat[0]].size} rows): its variance there is 0. Take prior='weak', or "
                "leave the column out."
            )
        return NormalFeature(mean, variance, np.full(n.size, np.inf), np.full(n.size, np.inf))
    pooled = np.concatenate(parts)
    if prior.scale is None and pooled.min() == pooled.max():
        raise RiskError(
            f"column {column!r} is the same in all {pooled.size} rows that have it: it gives the "
            "prior no scale. Leave the column out, or give NaiveBayesPrior(scale=...)."
        )
    centre = pooled.mean() if prior.centre is None else prior.centre
    scale = pooled.std(ddof=1) if prior.scale is None else prior.scale
    weight, df = prior.mean_weight + n, prior.variance_df + n
    squares = (
        prior.variance_df * scale**2
        + n * variance
        + prior.mean_weight * n / weight * (mean - centre) ** 2
    )
    return NormalFeature((prior.mean_weight * centre + n * mean) / weight, squares / df, weight, df)
