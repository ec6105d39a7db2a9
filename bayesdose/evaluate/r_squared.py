"""Shares of variance explained: Bayesian (in the model) and out of fold (in the data)."""

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate._arrays import (
    Floats,
    Weights,
    as_draws,
    as_sites,
    group_codes,
    site_weights,
)


def bayes_r2(mean_draws: ArrayLike, residual_sd_draws: ArrayLike) -> Floats:
    """Bayesian R2, one value a draw.

        R2_s = var_n(mu_n) / (var_n(mu_n) + mean_n sigma_n^2)

    with the sample variance (divisor n_sites - 1) over sites. It is the share of the variance of
    *future* data that the model itself claims to explain, not a validation. `mean_draws` must be
    draws of the mean function: predictive draws, which carry the residual noise, would count the
    noise as explained. Conditional or marginal is the caller's choice of mu and sigma: with the
    patient effects in mu and sigma the residual sd, or without them in mu and their variance in
    sigma^2.

    Parameters
    ----------
    mean_draws : array_like of float, shape (n_draws, n_sites), any unit
        Posterior draws of the mean of each site, on the scale that the R2 is for.
    residual_sd_draws : array_like of float, shape (n_draws,) or (n_draws, n_sites), same unit
        Posterior draws of the residual standard deviation, common or of each site.

    Returns
    -------
    ndarray of float, shape (n_draws,)
        R2 of each draw; NaN where neither the means nor the residuals vary.

    Raises
    ------
    BayesdoseError
        If shapes do not match, a value is not finite or negative, or there is only one site.

    References
    ----------
    A. Gelman, B. Goodrich, J. Gabry and A. Vehtari, Am. Stat. 73 (2019) 307-309,
    doi 10.1080/00031305.2018.1549100.
    """
    mean = as_draws(mean_draws, name="mean_draws")
    if mean.shape[1] < 2:
        raise BayesdoseError("`mean_draws` holds one site; a variance needs at least two.")
    sd = np.asarray(residual_sd_draws, dtype=np.float64)
    if sd.shape not in (mean.shape, mean.shape[:1]):
        raise BayesdoseError(
            f"`residual_sd_draws` must have shape {mean.shape[:1]} or {mean.shape}, to match "
            f"`mean_draws`; got {sd.shape}."
        )
    if not (np.isfinite(sd).all() and (sd >= 0).all()):
        raise BayesdoseError("`residual_sd_draws` must be finite and not negative.")
    explained = mean.var(axis=1, ddof=1)
    residual = sd**2 if sd.ndim == 1 else (sd**2).mean(axis=1)
    total = explained + residual
    return np.divide(explained, total, out=np.full_like(total, np.nan), where=total > 0)


def lopo_r2(
    observed: ArrayLike,
    point: ArrayLike,
    train_mean: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    weights: Weights = "site",
) -> float:
    """R2 of predictions made without the site's patient (or centre).

        R2 = 1 - sum_j w_j (y_j - yhat_j)^2 / sum_j w_j (y_j - ybar_j)^2

    where ybar_j is the mean of the data that were left to train on: 0 is as good as that mean,
    below 0 is worse.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), Gy or log Gy
        Measured values.
    point : array_like of float, shape (n_sites,), unit of `observed`
        Predictions made without the site's fold.
    train_mean : array_like of float, shape (n_sites,), unit of `observed`
        Mean of the training data of the site's fold; see `out_of_fold_mean`.
    groups : array_like, shape (n_sites,), optional
        Patient of each site; needed for ``weights="patient"``.
    weights : {"site", "patient"}
        Every site counts 1, or every patient counts 1 in total.

    Returns
    -------
    float
        R2; NaN where the training mean is right everywhere, so that nothing is left to explain.

    Raises
    ------
    BayesdoseError
        If arrays differ in length or hold values that are not finite.
    """
    y = as_sites(observed, "observed")
    weight = site_weights(weights, groups, y.size)
    unexplained = weight @ (y - as_sites(point, "point", n_sites=y.size)) ** 2
    total = weight @ (y - as_sites(train_mean, "train_mean", n_sites=y.size)) ** 2
    return float(1.0 - unexplained / total) if total > 0.0 else float("nan")


def out_of_fold_mean(observed: ArrayLike, folds: ArrayLike) -> Floats:
    """Mean over the sites of all other folds, for each site.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), any unit
        Measured values of one tissue.
    folds : array_like, shape (n_sites,)
        Label of the fold that each site was left out with: its patient, or its centre.

    Returns
    -------
    ndarray of float, shape (n_sites,), unit of `observed`
        Training mean of each site; NaN where there is only one fold.

    Raises
    ------
    BayesdoseError
        If arrays differ in length or hold values that are not finite.
    """
    y = as_sites(observed, "observed")
    codes, _ = group_codes(folds, y.size, name="folds", unit="site")
    others_n = y.size - np.bincount(codes)
    others_sum = np.array([y[codes != fold].sum() for fold in range(others_n.size)])
    mean: Floats = np.divide(
        others_sum, others_n, out=np.full(others_n.size, np.nan), where=others_n > 0
    )
    return mean[codes]
