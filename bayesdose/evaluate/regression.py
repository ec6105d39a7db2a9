"""Errors of point predictions in Gy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.evaluate._arrays import Weights, as_sites, site_weights, weighted_median


@dataclass(frozen=True)
class RegressionScores:
    """Errors of point predictions, e = predicted - observed.

    Attributes
    ----------
    n_sites : int
        Sites counted.
    mae_gy, rmse_gy : float, Gy
        Mean of ``|e|``, and root of the mean of e^2.
    mape, median_ape : float
        Mean and median of ``|e| / observed``, as fractions: 0.25 is 25 %.
    median_relative_error : float
        Median of e / observed, signed: below zero the predictions are too low.
    """

    n_sites: int
    mae_gy: float
    rmse_gy: float
    mape: float
    median_ape: float
    median_relative_error: float


def regression_scores(
    observed: ArrayLike,
    point: ArrayLike,
    groups: ArrayLike | None = None,
    weights: Weights = "site",
) -> RegressionScores:
    """Errors of point predictions on the dose scale.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), Gy
        Measured absorbed doses, above zero.
    point : array_like of float, shape (n_sites,), Gy
        Point predictions, for bayesdose the predictive median.
    groups : array_like, shape (n_sites,), optional
        Patient of each site; needed for ``weights="patient"``.
    weights : {"site", "patient"}
        Every site counts 1, or every patient counts 1 in total. Medians are weighted medians.

    Returns
    -------
    RegressionScores
        Errors in Gy and relative to the measured dose.

    Raises
    ------
    BayesdoseError
        If arrays differ in length, hold values that are not finite, or a measured dose is not
        above zero.
    """
    y = as_sites(observed, "observed", positive=True)
    error = as_sites(point, "point", n_sites=y.size) - y
    weight = site_weights(weights, groups, y.size)
    relative = error / y
    return RegressionScores(
        n_sites=y.size,
        mae_gy=float(np.average(np.abs(error), weights=weight)),
        rmse_gy=float(np.sqrt(np.average(error**2, weights=weight))),
        mape=float(np.average(np.abs(relative), weights=weight)),
        median_ape=weighted_median(np.abs(relative), weight),
        median_relative_error=weighted_median(relative, weight),
    )
