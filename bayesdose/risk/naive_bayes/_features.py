"""What one column says of each class: fitted, evaluated, and drawn from its posterior.

A missing value has a factor of 1. This leaves the column out, and marginalises it exactly because
columns are independent within a class.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.naive_bayes._columns import Coding, missing
from bayesdose.risk.naive_bayes.discrete import fit_discrete
from bayesdose.risk.naive_bayes.kernel import fit_kernel
from bayesdose.risk.naive_bayes.normal import fit_normal
from bayesdose.risk.naive_bayes.prior import NaiveBayesPrior

#: Log density ratio of class 1 to class 0 under each draw: values (n,) to (n_draws, n).
LogRatio = Callable[[NDArray[Any]], Floats]


class Feature(Protocol):
    """A fitted column; values are encoded and not missing."""

    def log_density(self, values: NDArray[Any]) -> Floats:
        """Log posterior predictive density in each class, shape (n, n_classes)."""

    def draw(self, draws: int, rng: np.random.Generator) -> LogRatio:
        """Draw the parameters of two classes from the posterior."""


def fit_feature(
    coding: Coding,
    values: NDArray[Any],
    classes: NDArray[np.intp],
    labels: list[Any],
    prior: NaiveBayesPrior | None,
) -> Feature:
    """Fit a column to the rows that have it."""
    present = ~missing(values)
    parts = [values[present & (classes == c)] for c in range(len(labels))]
    for label, part in zip(labels, parts, strict=True):
        if not part.size:
            raise RiskError(
                f"column {coding.column!r} has no value in any row of class {label!r}: nothing "
                "says what it looks like there. Leave the column out."
            )
    if coding.levels:
        return fit_discrete(coding.likelihood, coding.levels, parts, prior)
    if coding.likelihood == "kde":
        return fit_kernel(coding.column, parts, labels)
    return fit_normal(coding.column, parts, labels, prior)


def log_densities(feature: Feature, values: NDArray[Any], n_classes: int) -> Floats:
    """Log density of each row in each class, 0 where missing; shape (n, n_classes)."""
    out = np.zeros((values.size, n_classes))
    present = ~missing(values)
    out[present] = feature.log_density(values[present])
    return out


def drawn_log_ratios(ratio: LogRatio, values: NDArray[Any], draws: int) -> Floats:
    """Log density ratio of each draw and row, 0 where missing; shape (n_draws, n)."""
    out = np.zeros((draws, values.size))
    present = ~missing(values)
    out[:, present] = ratio(values[present])
    return out
