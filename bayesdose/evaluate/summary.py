"""The table of scores by tissue, site-weighted and patient-weighted."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesdose.evaluate._arrays import (
    Floats,
    Weights,
    as_draws,
    as_sites,
    group_codes,
    site_weights,
    weighted_median,
)
from bayesdose.evaluate._sorted_draws import (
    crps_rows,
    eti_rows,
    hdi_rows,
    quantile_rows,
    sorted_blocks,
)
from bayesdose.evaluate.calibration import calibration_line
from bayesdose.evaluate.coverage import interval_coverage
from bayesdose.evaluate.r_squared import lopo_r2, out_of_fold_mean
from bayesdose.evaluate.regression import regression_scores

_PROBS = (0.5, 0.8, 0.95)
_WEIGHTS: tuple[Weights, Weights] = ("site", "patient")


def point_scores(
    observed: ArrayLike,
    point: ArrayLike,
    groups: ArrayLike,
    tissue: ArrayLike,
    *,
    folds: ArrayLike | None = None,
) -> pd.DataFrame:
    """Score point predictions by tissue: what any regressor can be judged by.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), Gy
        Measured absorbed doses, above zero.
    point : array_like of float, shape (n_sites,), Gy
        Point predictions, above zero; for bayesdose the predictive median.
    groups : array_like, shape (n_sites,)
        Patient of each site.
    tissue : array_like, shape (n_sites,)
        Tissue of each site.
    folds : array_like, shape (n_sites,), optional
        Label of the fold that each site was predicted without: its patient under
        leave-one-patient-out, its centre under leave-one-centre-out. R2 then compares with the
        mean of the tissue over the other folds. Without it the predictions count as in-sample
        and R2 compares with the mean of all sites of the tissue.

    Returns
    -------
    pandas.DataFrame
        Two rows a tissue, in order of appearance, with the columns `tissue` to
        `calibration_intercept_upper` of `site_scores`.

    Raises
    ------
    BayesdoseError
        If arrays differ in length, or hold values that are not finite and above zero.
    """
    y = as_sites(observed, "observed", positive=True)
    yhat = as_sites(point, "point", n_sites=y.size, positive=True)
    patient, _ = group_codes(groups, y.size, unit="site")
    fold = None if folds is None else group_codes(folds, y.size, name="folds", unit="site")[0]
    rows = [
        {"tissue": name, "weights": weights}
        | _point_row(y[at], yhat[at], patient[at], None if fold is None else fold[at], weights)
        for name, at in _by_tissue(tissue, y.size)
        for weights in _WEIGHTS
    ]
    return pd.DataFrame(rows)


def site_scores(
    observed: ArrayLike,
    draws: ArrayLike,
    groups: ArrayLike,
    tissue: ArrayLike,
    *,
    folds: ArrayLike | None = None,
) -> pd.DataFrame:
    """Score predictive draws by tissue: errors, R2, coverage, width, CRPS and calibration.

    The point prediction is the predictive median. Each tissue has a row in which every site
    counts 1 (`weights` is "site") and one in which every patient counts 1 in total
    ("patient"): means and medians below are weighted so. Intervals are at 95 % and treat the
    patient as the unit.

    ======================================  =====================================================
    column                                  meaning
    ======================================  =====================================================
    tissue, weights                         what the row is about
    n_sites, n_patients                     sites and patients counted
    mae_gy, rmse_gy                         mean absolute and root mean squared error, Gy
    mape, median_ape                        mean and median of abs(error) / observed (0.25 is 25 %)
    median_relative_error                   median of (predicted - observed) / observed
    r2_gy, r2_log                           1 - SS(error) / SS(observed - training mean), on Gy
                                            and on log Gy; see `folds`
    calibration_slope, _lower, _upper       slope of log observed on log predicted; ideal 1
    calibration_intercept, _lower, _upper   its intercept at 1 Gy predicted, log Gy; ideal 0
    crps_gy                                 mean continuous ranked probability score, Gy
    hdi_coverage_50, _lower, _upper         share of sites inside the 50 % HDI and its interval;
                                            likewise 80, 95
    width_50_gy, median_width_50_gy         mean and median width of the HDI, Gy; likewise 80, 95
    eti_coverage_50, _lower, _upper         the same for the equal-tailed interval; likewise
                                            80, 95
    eti_width_50_gy                         mean width of that interval, Gy; likewise 80, 95
    median_eti_width_50_gy                  its median
    ======================================  =====================================================

    How each is computed: `regression_scores`, `lopo_r2`, `calibration_line`, `crps`, `hdi`,
    `eti` and `interval_coverage`. R2 is NaN where the tissue has no other fold to take a mean
    from or nothing varies; slope and intercept are NaN where all predictions are equal.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), Gy
        Measured absorbed doses, above zero.
    draws : array_like of float, shape (n_draws, n_sites), Gy
        Predictive draws of the measured dose, each with a median above zero.
    groups : array_like, shape (n_sites,)
        Patient of each site.
    tissue : array_like, shape (n_sites,)
        Tissue of each site.
    folds : array_like, shape (n_sites,), optional
        Label of the fold that each site was predicted without, for R2; see `point_scores`.

    Returns
    -------
    pandas.DataFrame
        Two rows a tissue, tissues in order of appearance.

    Raises
    ------
    BayesdoseError
        If arrays differ in length, hold values that are not finite, or a measured dose or a
        predictive median is not above zero.
    """
    y = as_sites(observed, "observed", positive=True)
    site = _site_numbers(y, as_draws(draws, n_sites=y.size))
    patient, _ = group_codes(groups, y.size, unit="site")
    table = point_scores(y, site["median"], patient, tissue, folds=folds)
    extra = [
        _draws_row(y[at], {key: value[at] for key, value in site.items()}, patient[at], weights)
        for _, at in _by_tissue(tissue, y.size)
        for weights in _WEIGHTS
    ]
    return pd.concat([table, pd.DataFrame(extra)], axis=1)


def _by_tissue(tissue: ArrayLike, n_sites: int) -> Iterator[tuple[object, NDArray[np.intp]]]:
    codes, labels = group_codes(tissue, n_sites, name="tissue", unit="site")
    for code, label in enumerate(labels):
        yield label, np.flatnonzero(codes == code)


def _point_row(
    y: Floats,
    yhat: Floats,
    patient: NDArray[np.intp],
    fold: NDArray[np.intp] | None,
    weights: Weights,
) -> dict[str, float]:
    errors = regression_scores(y, yhat, patient, weights)
    line = calibration_line(np.log(y), np.log(yhat), patient, weights=weights)
    return {
        "n_sites": errors.n_sites,
        "n_patients": line.n_groups,
        "mae_gy": errors.mae_gy,
        "rmse_gy": errors.rmse_gy,
        "mape": errors.mape,
        "median_ape": errors.median_ape,
        "median_relative_error": errors.median_relative_error,
        "r2_gy": _r2(y, yhat, patient, fold, weights),
        "r2_log": _r2(np.log(y), np.log(yhat), patient, fold, weights),
        "calibration_slope": line.slope,
        "calibration_slope_lower": line.slope_lower,
        "calibration_slope_upper": line.slope_upper,
        "calibration_intercept": line.intercept,
        "calibration_intercept_lower": line.intercept_lower,
        "calibration_intercept_upper": line.intercept_upper,
    }


def _r2(
    y: Floats,
    yhat: Floats,
    patient: NDArray[np.intp],
    fold: NDArray[np.intp] | None,
    weights: Weights,
) -> float:
    if fold is None:
        reference = np.full(y.size, y.mean())
    elif fold.min() == fold.max():
        return float("nan")
    else:
        reference = out_of_fold_mean(y, fold)
    return lopo_r2(y, yhat, reference, groups=patient, weights=weights)


def _site_numbers(y: Floats, draws: Floats) -> dict[str, Floats]:
    """Median, CRPS and interval ends of every site, (n_sites,) each, from one sort a site."""
    ends = [f"{kind}_{end}_{prob}" for kind in ("hdi", "eti") for prob in _PROBS for end in "lu"]
    site = {key: np.empty(y.size) for key in ("median", "crps", *ends)}
    for sites, rows in sorted_blocks(draws):
        site["median"][sites] = quantile_rows(rows, 0.5)
        site["crps"][sites] = crps_rows(y[sites], rows)
        for prob in _PROBS:
            site[f"hdi_l_{prob}"][sites], site[f"hdi_u_{prob}"][sites] = hdi_rows(rows, prob)
            site[f"eti_l_{prob}"][sites], site[f"eti_u_{prob}"][sites] = eti_rows(rows, prob)
    return site


def _draws_row(
    y: Floats, site: dict[str, Floats], patient: NDArray[np.intp], weights: Weights
) -> dict[str, float]:
    weight = site_weights(weights, patient, y.size)
    row = {"crps_gy": float(np.average(site["crps"], weights=weight))}
    for kind, width_name in (("hdi", "width"), ("eti", "eti_width")):
        for prob in _PROBS:
            lower, upper = site[f"{kind}_l_{prob}"], site[f"{kind}_u_{prob}"]
            inside = interval_coverage(y, lower, upper, patient, weights=weights)
            percent = f"{100 * prob:.0f}"
            row[f"{kind}_coverage_{percent}"] = inside.coverage
            row[f"{kind}_coverage_{percent}_lower"] = inside.lower
            row[f"{kind}_coverage_{percent}_upper"] = inside.upper
            row[f"{width_name}_{percent}_gy"] = float(np.average(upper - lower, weights=weight))
            row[f"median_{width_name}_{percent}_gy"] = weighted_median(upper - lower, weight)
    return row
