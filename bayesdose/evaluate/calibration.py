"""Calibration of predictions: the line of observed on predicted, and each patient as a whole."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate._arrays import (
    Floats,
    Weights,
    as_draws,
    as_sites,
    check_probability,
    group_codes,
    site_weights,
)


@dataclass(frozen=True)
class CalibrationLine:
    """Regression of observed on predicted log dose; 1 and 0 are ideal.

    Attributes
    ----------
    slope, slope_lower, slope_upper : float
        Slope and its interval; below 1 the predictions are too far apart.
    intercept, intercept_lower, intercept_upper : float, log Gy
        Observed log dose where the predicted log dose is 0 (1 Gy), and its interval.
    n_sites, n_groups : int
        Sites and patients counted.
    """

    slope: float
    slope_lower: float
    slope_upper: float
    intercept: float
    intercept_lower: float
    intercept_upper: float
    n_sites: int
    n_groups: int


def calibration_line(
    observed_log: ArrayLike,
    predicted_log: ArrayLike,
    groups: ArrayLike,
    *,
    weights: Weights = "site",
    prob: float = 0.95,
) -> CalibrationLine:
    """Calibration slope and intercept with intervals that treat the patient as the unit.

    Weighted least squares of observed on predicted log dose. The covariance is the jackknife
    over patients (CR3, also written CV3)::

        V = (G - 1) / G * sum_g (b_-g - b)(b_-g - b)',

    with ``b_-g`` the line without patient g, and intervals use Student's t with G - 1 degrees of
    freedom: with few and unequal patients it covers better than the usual sandwich (CR1).

    Parameters
    ----------
    observed_log : array_like of float, shape (n_sites,), log Gy
        Logarithm of the measured doses.
    predicted_log : array_like of float, shape (n_sites,), log Gy
        Logarithm of the predictive medians.
    groups : array_like, shape (n_sites,)
        Patient of each site.
    weights : {"site", "patient"}
        Every site counts 1, or every patient counts 1 in total.
    prob : float
        Confidence level of the intervals.

    Returns
    -------
    CalibrationLine
        Slope, intercept and intervals. NaN slope and intercept where all predictions are equal;
        NaN intervals where there is one patient, or all predictions are equal without one of
        the patients.

    Raises
    ------
    BayesdoseError
        If arrays differ in length or hold values that are not finite.

    References
    ----------
    J. G. MacKinnon, M. O. Nielsen and M. D. Webb, Fast and reliable jackknife and bootstrap
    methods for cluster-robust inference, J. Appl. Econom. 38 (2023) 671-694,
    doi 10.1002/jae.2969 (cited from memory).
    """
    y = as_sites(observed_log, "observed_log")
    x = as_sites(predicted_log, "predicted_log", n_sites=y.size)
    codes, labels = group_codes(groups, y.size, unit="site")
    weight = site_weights(weights, groups, y.size)
    n_groups = len(labels)

    # Weighted sums of 1, x, y, xx and xy by patient, (5, G), about the centre of the data.
    centre = np.average([x, y], axis=1, weights=weight)
    dx, dy = x - centre[0], y - centre[1]
    terms = (np.ones_like(dx), dx, dy, dx**2, dx * dy)
    by_patient = np.array([np.bincount(codes, weights=weight * term) for term in terms])
    total = by_patient.sum(axis=1, keepdims=True)
    # Predictions that differ by rounding alone are equal: (1e-10)^2 of their size, and without
    # a patient (1e-6)^2 of the spread that they had with it.
    smallest = max(1e-20 * float(weight @ (1.0 + x**2)), 1e-12 * float(weight @ dx**2))

    line = _line(total, centre, smallest)
    left_out = _line(total - by_patient, centre, smallest)
    variance = (n_groups - 1.0) / n_groups * ((left_out - line) ** 2).sum(axis=1)
    half = stdtrit(n_groups - 1.0, 0.5 + 0.5 * check_probability(prob)) * np.sqrt(variance)
    (intercept, slope), (intercept_half, slope_half) = line[:, 0], half
    return CalibrationLine(
        slope=float(slope),
        slope_lower=float(slope - slope_half),
        slope_upper=float(slope + slope_half),
        intercept=float(intercept),
        intercept_lower=float(intercept - intercept_half),
        intercept_upper=float(intercept + intercept_half),
        n_sites=y.size,
        n_groups=n_groups,
    )


def whitened_residuals(
    observed_log: ArrayLike, draws_log: ArrayLike, groups: ArrayLike
) -> pd.DataFrame:
    """Joint calibration of each patient: chi-squared of the whitened residuals.

    For a patient with n sites, observed log doses y and joint predictive draws of mean m and
    covariance C, chi2 = (y - m)' C^-1 (y - m) is the squared length of the whitened residual
    L^-1 (y - m), C = L L'. It sees what sites one by one hide: sites that move together more, or
    less, than the model says. For Gaussian draws it follows the chi-squared distribution with n
    degrees of freedom; the p-value does not assume that. It is the share of the S + 1 vectors,
    draws and observation, that lie at least as far from their common mean in their common
    covariance as the observation does. If the observation is exchangeable with the draws, that
    share is uniform on 1/(S + 1), ..., 1, whatever the distribution. Small: the patient lies
    outside what was predicted; near 1 in most patients: predictions are too wide.

    Parameters
    ----------
    observed_log : array_like of float, shape (n_sites,), log Gy
        Logarithm of the measured doses.
    draws_log : array_like of float, shape (n_draws, n_sites), log Gy
        Logarithm of joint predictive draws: the sites of a patient share a draw.
    groups : array_like, shape (n_sites,)
        Patient of each site.

    Returns
    -------
    pandas.DataFrame
        One row a patient in order of appearance: `patient_id`, `n_sites`, `chi2`, `p_value`.

    Raises
    ------
    BayesdoseError
        If arrays differ in length or hold values that are not finite, if a patient has fewer
        than ten draws a site, or if the draws of a patient's sites do not vary independently.
    """
    y = as_sites(observed_log, "observed_log")
    draws = as_draws(draws_log, n_sites=y.size, name="draws_log")
    codes, labels = group_codes(groups, y.size, unit="site")
    rows = []
    for code, label in enumerate(labels):
        sites = np.flatnonzero(codes == code)
        if draws.shape[0] < 10 * sites.size:
            raise BayesdoseError(
                f"Patient {label!r} has {sites.size} sites and {draws.shape[0]} draws; their "
                f"covariance needs at least {10 * sites.size} draws. Draw more."
            )
        own = draws[:, sites]
        everything = np.vstack([own, y[sites]])
        try:
            chi2 = _squared_distance(y[None, sites], own)[0]
            distance = _squared_distance(everything, everything)
        except np.linalg.LinAlgError as err:
            raise BayesdoseError(
                f"The draws of patient {label!r} have a singular covariance: some of its sites "
                "are exact functions of others, or do not vary. Pass draws of the measured dose."
            ) from err
        p_value = float((distance >= distance[-1]).mean())
        rows.append((label, sites.size, float(chi2), p_value))
    return pd.DataFrame(rows, columns=["patient_id", "n_sites", "chi2", "p_value"])


def _line(sums: Floats, centre: Floats, smallest: float) -> Floats:
    """Intercept and slope, (2, m), from m columns of sums of 1, dx, dy, dx dx and dx dy."""
    n, sx, sy, sxx, sxy = np.where(sums[0] > 0, sums, np.nan)
    spread = sxx - sx**2 / n
    slope = (sxy - sx * sy / n) / np.where(spread > smallest, spread, np.nan)
    return np.array([centre[1] + sy / n - slope * (centre[0] + sx / n), slope])


def _squared_distance(points: Floats, draws: Floats) -> Floats:
    """Squared Mahalanobis distance of each point from the mean of `draws`."""
    covariance = np.atleast_2d(np.cov(draws, rowvar=False))
    root = np.linalg.cholesky(covariance)
    return (np.linalg.solve(root, (points - draws.mean(axis=0)).T) ** 2).sum(axis=0)
