"""Doses drawn from the package's own hierarchical regression, with parameters that are known."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose.errors import ConfigError

FloatArray = NDArray[np.float64]


def _default_coefficients() -> Mapping[str, Mapping[str, float]]:
    # Least squares on 4000 patients of the mechanism, rounded, as are the default spreads.
    return MappingProxyType(
        {
            "tumour": {"Intercept": -1.03, "log(suv_mean)": 0.93, "log(volume_ml)": -0.12},
            "salivary_gland": {"Intercept": -2.86, "log(suv_mean)": 0.89},
            "kidney": {
                "Intercept": -3.10,
                "log(suv_mean)": 0.85,
                "egfr_ml_min_1p73m2": -0.004,
            },
        }
    )


@dataclass(frozen=True)
class RegressionParameters:
    """Parameters of log(D/A) = x'beta + u + w + v + e, by tissue.

    Parameters
    ----------
    coefficients : mapping of str to mapping of str to float
        Tissue to term to coefficient. A term is ``Intercept``, a column or ``log(column)``, on the
        scale of the column (not standardised); the response is log Gy/GBq.
    patient_sd : mapping of str to float
        Standard deviation of the patient effect u; its keys give the order of ``patient_corr``.
    patient_corr : tuple of tuple of float, shape (n_tissues, n_tissues)
        Correlation of the patient effects.
    residual_sd : mapping of str to float
        Standard deviation of e.
    cycle_sd, site_sd : mapping of str to float
        Standard deviations of the patient-by-cycle effect w and the site effect v; absent is 0.
    cv_scale : float
        Factor on the table's ``absorbed_dose_cv`` and ``absorbed_dose_cv_shared``; 0 draws doses
        without measurement error.
    """

    coefficients: Mapping[str, Mapping[str, float]] = field(default_factory=_default_coefficients)
    patient_sd: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"tumour": 0.48, "salivary_gland": 0.34, "kidney": 0.26}
        )
    )
    patient_corr: tuple[tuple[float, ...], ...] = (
        (1.0, 0.15, 0.15),
        (0.15, 1.0, 0.6),
        (0.15, 0.6, 1.0),
    )
    residual_sd: Mapping[str, float] = field(
        default_factory=lambda: MappingProxyType(
            {"tumour": 0.45, "salivary_gland": 0.12, "kidney": 0.03}
        )
    )
    cycle_sd: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    site_sd: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    cv_scale: float = 1.0


def draw_regression_doses(
    sites: pd.DataFrame, parameters: RegressionParameters, rng: np.random.Generator
) -> pd.DataFrame:
    """Replace the doses of a site table by draws from the regression model.

    Parameters
    ----------
    sites : DataFrame of n_rows rows
        Site table with the covariates of the coefficients, ``administered_activity_gbq``,
        ``absorbed_dose_cv`` and ``absorbed_dose_cv_shared``; its doses are not looked at.
    parameters : RegressionParameters
        What to draw from.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    DataFrame of n_rows rows
        Copy with new ``absorbed_dose_gy``, ``true_absorbed_dose_gy`` (Gy) and scaled cv columns.

    Raises
    ------
    ConfigError
        When the parameters do not cover a tissue, do not fit one another, or name a column that
        is absent.

    Notes
    -----
    log D = x'beta_k + log A + u_ik + w_ick + v_ij + e_ijc, and the measured dose has
    m_ijc ~ N(0, log(1 + cv^2)) and, common to a patient and cycle, s_ic ~ N(0, log(1 + cv_s^2)).
    """
    tissues = list(parameters.patient_sd)
    _check_parameters(sites, tissues, parameters)
    tissue = np.array([tissues.index(word) for word in sites["tissue"]])
    patient = pd.factorize(sites["patient_id"])[0]
    scan = sites.groupby(["patient_id", "cycle"], sort=False).ngroup().to_numpy()
    site = sites.groupby(["patient_id", "site_id"], sort=False).ngroup().to_numpy()

    log_dose = (
        _linear_predictor(sites, parameters.coefficients)
        + np.log(sites["administered_activity_gbq"].to_numpy())
        + _patient_effects(patient.max() + 1, tissues, parameters, rng)[patient, tissue]
        + _sd(tissues, parameters.cycle_sd)[tissue]
        * rng.standard_normal((scan.max() + 1, len(tissues)))[scan, tissue]
        + _sd(tissues, parameters.site_sd)[tissue] * rng.standard_normal(site.max() + 1)[site]
        + _sd(tissues, parameters.residual_sd)[tissue] * rng.standard_normal(len(sites))
    )
    cv = parameters.cv_scale * sites["absorbed_dose_cv"].to_numpy()
    cv_shared = parameters.cv_scale * sites["absorbed_dose_cv_shared"].to_numpy()
    log_error = (
        np.sqrt(np.log1p(cv**2)) * rng.standard_normal(len(sites))
        + np.sqrt(np.log1p(cv_shared**2)) * rng.standard_normal(scan.max() + 1)[scan]
    )
    return sites.assign(
        absorbed_dose_gy=np.exp(log_dose + log_error),
        absorbed_dose_cv=cv,
        absorbed_dose_cv_shared=cv_shared,
        true_absorbed_dose_gy=np.exp(log_dose),
    )


def _linear_predictor(
    sites: pd.DataFrame, coefficients: Mapping[str, Mapping[str, float]]
) -> FloatArray:
    log_dose_per_gbq = np.zeros(len(sites))
    for tissue, terms in coefficients.items():
        rows = sites["tissue"].to_numpy() == tissue
        for term, value in terms.items():
            log_dose_per_gbq[rows] += value * _term_values(sites, term)[rows]
    return log_dose_per_gbq


def _term_values(sites: pd.DataFrame, term: str) -> FloatArray:
    if term == "Intercept":
        return np.ones(len(sites))
    is_log = term.startswith("log(") and term.endswith(")")
    column = term[4:-1] if is_log else term
    if column not in sites.columns:
        raise ConfigError(
            f"the term {term!r} needs the column {column!r}, which the table does not have; terms "
            "are 'Intercept', a column or 'log(column)'."
        )
    values = sites[column].to_numpy(dtype=float)
    return np.log(values) if is_log else values


def _patient_effects(
    n_patients: int,
    tissues: list[str],
    parameters: RegressionParameters,
    rng: np.random.Generator,
) -> FloatArray:
    scale = np.linalg.cholesky(np.array(parameters.patient_corr, dtype=float))
    standard = rng.standard_normal((n_patients, len(tissues)))
    return (standard @ scale.T) * _sd(tissues, parameters.patient_sd)


def _sd(tissues: list[str], by_tissue: Mapping[str, float]) -> FloatArray:
    return np.array([by_tissue.get(name, 0.0) for name in tissues], dtype=float)


def _check_parameters(
    sites: pd.DataFrame, tissues: list[str], parameters: RegressionParameters
) -> None:
    _check_tissues(sites, parameters)
    _check_numbers(parameters)
    _check_correlation(tissues, parameters.patient_corr)


def _check_tissues(sites: pd.DataFrame, parameters: RegressionParameters) -> None:
    for word in sites["tissue"].unique():
        for name in ("coefficients", "patient_sd", "residual_sd"):
            if word not in getattr(parameters, name):
                raise ConfigError(
                    f"{name} has no entry for the tissue {word!r} of the table; add one."
                )


def _check_numbers(parameters: RegressionParameters) -> None:
    for name in ("patient_sd", "residual_sd", "cycle_sd", "site_sd"):
        for word, value in getattr(parameters, name).items():
            if not 0.0 <= value < np.inf:
                raise ConfigError(f"{name} of {word!r} is {value}; it must be 0 or more.")
    if not 0.0 <= parameters.cv_scale < np.inf:
        raise ConfigError(f"cv_scale is {parameters.cv_scale}; it must be 0 or more.")


def _check_correlation(tissues: list[str], patient_corr: tuple[tuple[float, ...], ...]) -> None:
    corr = np.array(patient_corr, dtype=float)
    if corr.shape != (len(tissues), len(tissues)):
        raise ConfigError(
            f"patient_corr has shape {corr.shape}; patient_sd names {len(tissues)} tissues, so it "
            f"must be {(len(tissues), len(tissues))}, in the order {', '.join(tissues)}."
        )
    if not np.allclose(corr, corr.T) or np.linalg.eigvalsh(corr).min() <= 0.0:
        raise ConfigError("patient_corr is no correlation matrix: make it symmetric and positive.")
