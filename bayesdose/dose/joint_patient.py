"""Mean and covariance of the log dose of one patient's sites at each draw, given measured rows."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdose._arviz import pareto_smoothed
from bayesdose.dose import joint
from bayesdose.dose.conditional import law_without
from bayesdose.dose.levels import with_levels
from bayesdose.dose.measured_rows import (
    GIVEN,
    PREDICTED,
    TRAINED,
    check_collapses,
    check_given,
    encode_together,
)
from bayesdose.dose.site_draws import site_labels
from bayesdose.dose.sites_to_plan import check_sites
from bayesdose.dose.training import Fitted
from bayesdose.errors import ConfigError, PredictionError


@dataclass(frozen=True)
class Moments:
    """Normal laws of n sites at S draws; their mixture is the predictive law.

    Parameters
    ----------
    mean, variance : numpy.ndarray of shape (S, n), log Gy/GBq
        Of the true log dose.
    measured_mean, measured_variance : numpy.ndarray of shape (S, n), log Gy/GBq
        Of a measurement of each site.
    across : numpy.ndarray of shape (S, n, n)
        Covariance of a measurement of site k with the true log dose of site j, at [s, k, j].
    weights : numpy.ndarray of shape (S,)
        Of the draws, summing to 1.
    labels : pandas.DataFrame of n rows
        patient_id, site_id, tissue and cycle.
    """

    mean: np.ndarray
    variance: np.ndarray
    measured_mean: np.ndarray
    measured_variance: np.ndarray
    across: np.ndarray
    weights: np.ndarray
    labels: pd.DataFrame


def patient_moments(
    fitted: Fitted,
    sites: pd.DataFrame,
    given: pd.DataFrame | None,
    kind: str,
    cv: dict[str, float],
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
    cv : dict of float
        Relative uncertainty of the measurements to come, by ``"dose_cv"`` and
        ``"dose_cv_shared"``, where it is not that of the model's columns.

    Returns
    -------
    Moments

    Raises
    ------
    ConfigError
        When the kind is unknown, there are several patients, or an uncertainty is not known.
    PredictionError
        When the model cannot be conditioned on measured rows.
    """
    if kind not in ("new_patient", "known_patient"):
        raise ConfigError(f"kind: got {kind!r}; allowed are new_patient, known_patient")
    check_collapses(fitted)
    spec, encoding, draws = fitted.encoding.spec, fitted.encoding, fitted.draws
    frame = check_sites(fitted, sites, kind, given)
    patients = frame[spec.patient].astype(str).unique()
    if len(patients) != 1:
        raise ConfigError(f"sites: has {len(patients)} patients; give those of one")
    if given is not None:
        given = check_given(given, frame, spec)
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
    coefficients = joint.coefficient_law(*law_without(encoding, draws, rows.take(role == TRAINED)))
    law = joint.law_of(encoding, draws, rows, coefficients, persistent=False)
    # rows to predict, the last, are measured with the errors that are stated for them
    own, shared = (_error_variance(sites, fitted, name, cv) for name in _ERRORS)
    predicted = role == PREDICTED
    rows.own_var[predicted], rows.shared_var[predicted] = own, shared
    order = np.argsort(np.where(predicted, 3, role), kind="stable")
    m = int((~predicted).sum())
    found, log_ratio = _conditioned(law, order, role[order[:m]] == GIVEN)
    weights = np.full(len(draws), 1 / len(draws))
    if (role == GIVEN).any():
        weights, _ = pareto_smoothed(log_ratio)
    return Moments(**found, weights=weights, labels=site_labels(frame, spec).astype(str))


_ERRORS = ("dose_cv", "dose_cv_shared")


def _conditioned(
    law: joint.Law, order: np.ndarray, new: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Laws of the rows to predict, the last, given the others; log density of the new ones."""
    groups, m = order[None], len(new)
    covariance = joint.covariance_of(law, groups, joint.loadings(law, groups))[0]
    error = joint.error_covariance(law.rows, groups)[0][..., None]
    mean = joint.mean_of(law, order)
    chol = joint.cholesky((covariance + error)[None, :m, :m])
    white = joint.forward(chol, (law.rows.y[order[:m], None] - mean[:m])[None])[0]
    log_ratio = -(0.5 * white[new] ** 2 + np.log(chol[0, new, new])).sum(0)

    def loaded(block: np.ndarray) -> np.ndarray:
        """L⁻¹ cov(measured, row) of each row to predict, (n, m, S)."""
        return np.stack([joint.forward(chol, block[None, :, j])[0] for j in range(block.shape[1])])

    # an error that a measurement to come shares with one made tells of both
    of_dose, of_measurement = loaded(covariance[:m, m:]), loaded((covariance + error)[:m, m:])
    n = len(order) - m
    diagonal = np.arange(m, m + n)
    means = [mean[m:] + np.einsum("nms,ms->ns", part, white) for part in (of_dose, of_measurement)]
    variance = covariance[diagonal, diagonal] - (of_dose**2).sum(1)
    measured = (covariance + error)[diagonal, diagonal] - (of_measurement**2).sum(1)
    across = covariance[m:, m:] - np.einsum("kms,jms->kjs", of_measurement, of_dose)
    found = {
        "mean": means[0].T,
        "variance": variance.T,
        "measured_mean": means[1].T,
        "measured_variance": measured.T,
        "across": across.transpose(2, 0, 1),
    }
    return found, log_ratio


def _error_variance(
    sites: pd.DataFrame, fitted: Fitted, name: str, cv: dict[str, float]
) -> np.ndarray:
    """Variance of one part of the error of log dose, log(1 + cv²)."""
    if name in cv:
        return np.full(len(sites), np.log1p(cv[name] ** 2))
    column = getattr(fitted.encoding.spec, name)
    if column is None:
        return np.zeros(len(sites))
    values = sites[column].to_numpy(float) if column in sites.columns else np.full(1, np.nan)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ConfigError(
            f"{name}: not given, and the column {column!r} of the model does not have a number of "
            "at least 0 on every row of sites; give the uncertainty of the measurement to come"
        )
    return np.log1p(values**2)
