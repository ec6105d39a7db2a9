"""Mean and covariance of the log dose of one patient's sites at each draw, given measured rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdose._arviz import pareto_smoothed
from bayesdose.dose import joint
from bayesdose.dose.conditional import patient_gram
from bayesdose.dose.cycles import activity_column, check_one_row_a_site, site_labels
from bayesdose.dose.levels import with_levels
from bayesdose.dose.measured_rows import (
    GIVEN,
    PREDICTED,
    TRAINED,
    check_collapses,
    check_kind,
    encode_together,
    without_measurement,
)
from bayesdose.dose.training import Fitted, check_is_table, check_table
from bayesdose.errors import ConfigError, PredictionError


@dataclass(frozen=True)
class Moments:
    """Normal laws of n sites at S draws; their mixture is the predictive law.

    Parameters
    ----------
    mean : numpy.ndarray of shape (S, n), log Gy/GBq
    covariance : numpy.ndarray of shape (S, n, n)
    weights : numpy.ndarray of shape (S,)
        Of the draws, summing to 1.
    error : numpy.ndarray of shape (n,)
        Variance of a measurement of each site, on the log scale.
    labels : pandas.DataFrame of n rows
        patient_id, site_id, tissue and cycle.
    """

    mean: np.ndarray
    covariance: np.ndarray
    weights: np.ndarray
    error: np.ndarray
    labels: pd.DataFrame


def patient_moments(
    fitted: Fitted, sites: pd.DataFrame, given: pd.DataFrame | None, kind: str
) -> Moments:
    """Laws of one patient's sites.

    Parameters
    ----------
    fitted : Fitted
        A fitted model with an activity, whose likelihood collapses.
    sites : pandas.DataFrame
        One row a site of one patient.
    given : pandas.DataFrame or None
        Rows of the patient that were measured since training.
    kind : {"new_patient", "known_patient"}
        Whether the patient's training rows are conditioned on too.

    Returns
    -------
    Moments

    Raises
    ------
    ConfigError
        When the kind is unknown, or there are several patients.
    PredictionError
        When the model cannot be conditioned on measured rows.
    """
    if kind not in ("new_patient", "known_patient"):
        raise ConfigError(f"kind: got {kind!r}; allowed are new_patient, known_patient")
    check_is_table(sites, "the table of sites")
    check_collapses(fitted)
    spec, encoding, draws = fitted.encoding.spec, fitted.encoding, fitted.draws
    check_kind(fitted, sites, kind, given)
    bare = without_measurement(sites, spec).assign(**{activity_column(spec): 1.0})
    frame = check_table(bare, spec, response_required=False)
    check_one_row_a_site(frame, spec)
    patients = frame[spec.patient].astype(str).unique()
    if len(patients) != 1:
        raise ConfigError(f"sites: has {len(patients)} patients; give those of one")
    if given is not None:
        given = check_table(given, spec, response_required=True)
        given = given[given[spec.patient].astype(str) == patients[0]]
        rng = np.random.default_rng([fitted.info["random_seed"], 4])
        encoding, draws = with_levels(encoding, draws, given, rng)
    known = kind == "known_patient"
    rows, role = encode_together(encoding, fitted.training, frame, given, known=known)
    again = np.isin(rows.site[role == PREDICTED], rows.site[role != PREDICTED])
    if again.any():
        site = frame["site_id"].iloc[int(np.flatnonzero(again)[0])]
        raise PredictionError(
            f"site {str(site)!r} was measured already; leave it out of the sites to ask about"
        )
    assert draws.precision is not None
    assert draws.shift is not None
    precision, shift = draws.precision, draws.shift
    if (role == TRAINED).any():
        p = shift.shape[1]
        gram, _ = patient_gram(encoding, draws, rows.take(role == TRAINED).compact())
        precision, shift = precision - gram[:, :p, :p], shift - gram[:, :p, p]
    coefficients = joint.coefficient_law(precision, shift)
    law = joint.law_of(encoding, draws, rows, coefficients, persistent=False)
    order = np.argsort(np.where(role == PREDICTED, 3, role), kind="stable")
    mean, covariance, log_ratio = _conditioned(law, order, role[order])
    weights = np.full(len(draws), 1 / len(draws))
    if (role == GIVEN).any():
        weights, _ = pareto_smoothed(log_ratio)
    return Moments(mean, covariance, weights, _errors(sites, fitted), site_labels(frame, spec))


def _conditioned(
    law: joint.Law, order: np.ndarray, role: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments of the rows to predict, the last, given the others; density of those given."""
    groups = order[None]
    m = int((role != PREDICTED).sum())
    covariance = joint.covariance_of(law, groups, joint.loadings(law, groups))
    covariance[:, :m, :m] += joint.error_covariance(law.rows, groups[:, :m])[..., None]
    mean = joint.mean_of(law, order)
    chol = joint.cholesky(covariance[:, :m, :m])
    white = joint.forward(chol, (law.rows.y[order[:m], None] - mean[:m])[None])
    new = role[:m] == GIVEN
    log_ratio = -(0.5 * white[0, new] ** 2 + np.log(chol[0, new, new])).sum(0)
    across = [joint.forward(chol, covariance[:, :m, j]) for j in range(m, len(order))]
    loaded = np.stack([one[0] for one in across])  # (n, m, S)
    mean = mean[m:] + np.einsum("nms,ms->ns", loaded, white[0])
    left = covariance[0, m:, m:] - np.einsum("ims,jms->ijs", loaded, loaded)
    return mean.T, left.transpose(2, 0, 1), log_ratio


def _errors(sites: pd.DataFrame, fitted: Fitted) -> np.ndarray:
    spec = fitted.encoding.spec
    total = np.zeros(len(sites))
    for name in (spec.dose_cv, spec.dose_cv_shared):
        if name is not None:
            cv = sites[name].to_numpy(float) if name in sites.columns else np.nan
            total = total + np.log1p(np.square(cv))
    return total
