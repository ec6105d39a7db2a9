"""Men on 177Lu-PSMA therapy: doses of their lesions from kinetics, and time to PSA progression."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit

from bayesdose.simulate.cohort import dose_cohort
from bayesdose.simulate.columns import COLUMN_UNITS
from bayesdose.simulate.parameters import MechanismParameters
from bayesdose.simulate.population import truncated_normal
from bayesdose.simulate.survival_times import (
    SurvivalParameters,
    refuse_count,
    refuse_numbers,
    survival_outcome,
)

FloatArray = NDArray[np.float64]

# The man at whom the linear predictor is 0: this tumour dose and volume, no chemotherapy before.
REFERENCE_DOSE_GY, REFERENCE_VOLUME_ML = 20.0, 300.0

# All chosen. How unevenly the measured lesions are spread over the men: shape of the Gamma law of
# a man's share of the lesions beyond everyone's first.
LESION_SHARE_SHAPE = 2.0
# Chemotherapy, haemoglobin and LDH at the reference volume, per unit of log volume, and spread.
CHEMOTHERAPY_LOG_ODDS, CHEMOTHERAPY_SLOPE = 0.0, 0.4
HAEMOGLOBIN_G_DL, HAEMOGLOBIN_SLOPE, HAEMOGLOBIN_SD = 12.3, -0.6, 1.2
LDH_U_L, LDH_EXPONENT, LDH_LOG_SD = 220.0, 0.15, 0.3
AGE_Y, AGE_SD_Y = 71.0, 7.5

PATIENT_UNITS: dict[str, str] = {
    "patient_id": "label",
    "time_months": "months",
    "event": "yes or no",
    "tumour_absorbed_dose_gy": "Gy",
    "tumour_absorbed_dose_cv": "1",
    "n_lesions": "1",
    "psma_tv_ml": "mL",
    "prior_chemotherapy": "yes or no",
    "age_y": "years",
    "psa_ng_ml": "ng/mL",
    "ldh_u_l": "U/L",
    "haemoglobin_g_dl": "g/dL",
    "egfr_ml_min_1p73m2": "mL/min/1.73 m2",
    "administered_activity_gbq": "GBq",
}
PATIENT_TRUTH_UNITS: dict[str, str] = {
    "patient_id": "label",
    "true_tumour_absorbed_dose_gy": "Gy",
    "log_frailty": "1",
    "linear_predictor": "1",
}
LESION_TRUTH_UNITS: dict[str, str] = {
    "patient_id": "label",
    "site_id": "label",
    "true_absorbed_dose_gy": "Gy",
}


@dataclass(frozen=True)
class ProgressionParameters:
    """Population values of the PSA-progression cohort; all *chosen*.

    Parameters
    ----------
    log_dose_effect : float
        Log hazard ratio per unit of the logarithm of the true tumour dose; -1 halves the hazard
        where the dose doubles.
    log_volume_effect : float
        Log hazard ratio per unit of the logarithm of ``psma_tv_ml``.
    chemotherapy_effect : float
        Log hazard ratio of chemotherapy before.
    frailty_sd : float
        Standard deviation of the log hazard between men that nothing in the tables explains.
        Above 0, a Cox model without it estimates effects that are nearer to 0 than these.
    mechanism : MechanismParameters
        Population of the kinetics. Its ``calibration_cv`` is the error common to a man's doses:
        raise it for measured doses of low reliability.
    survival : SurvivalParameters
        Hazard of the reference man, and follow-up.
    """

    log_dose_effect: float = -1.0
    log_volume_effect: float = 0.25
    chemotherapy_effect: float = 0.4
    frailty_sd: float = 0.3
    mechanism: MechanismParameters = field(default_factory=MechanismParameters)
    survival: SurvivalParameters = field(default_factory=SurvivalParameters)

    def __post_init__(self) -> None:
        refuse_numbers(
            self,
            from_zero=("frailty_sd",),
            finite=("log_dose_effect", "log_volume_effect", "chemotherapy_effect"),
        )


@dataclass(frozen=True)
class ProgressionCohort:
    """Simulated men and their lesions, and apart from them what is true of each.

    Parameters
    ----------
    patients : DataFrame of n_patients rows
        Covariates, measured tumour dose, ``time_months`` from cycle 1 and ``event`` (bool: PSA
        progression).
    lesions : DataFrame of n_lesions rows
        Site table of cycle 1, one row a lesion.
    patient_truth, lesion_truth : DataFrame of the same rows
        True doses, frailty and linear predictor, row by row.
    parameters : ProgressionParameters
        What they were drawn from.
    """

    patients: pd.DataFrame
    lesions: pd.DataFrame
    patient_truth: pd.DataFrame
    lesion_truth: pd.DataFrame
    parameters: ProgressionParameters


def psa_pfs_cohort(
    n_patients: int = 99,
    n_lesions: int = 396,
    *,
    parameters: ProgressionParameters | None = None,
    random_seed: int,
) -> ProgressionCohort:
    """Simulate men on 177Lu-PSMA therapy up to PSA progression, with a known effect of the dose.

    The numbers of men and lesions are those of the PSA-PFS study (ResNet-18 Cox); **nothing else
    comes from it**, and no man exists. Doses come from `dose_cohort`'s mechanism.

    Parameters
    ----------
    n_patients, n_lesions : int
        Men, and measured lesions of all of them together; each man has at least one.
    parameters : ProgressionParameters, optional
        Population values.
    random_seed : int
        Seed; the same arguments give the same cohort.

    Returns
    -------
    ProgressionCohort
        Without missing values; units are in ``attrs["units"]`` of each table.

    Raises
    ------
    ConfigError
        When an argument is impossible.

    Notes
    -----
    A man's tumour dose is the mean over his measured lesions. With independent relative errors cv
    and a common one, its own is cv_D^2 = sum (d_j cv_j)^2 / (sum d_j)^2 + cv_shared^2.
    """
    refuse_count("n_patients", n_patients, 1)
    refuse_count("n_lesions", n_lesions, n_patients)
    population = parameters or ProgressionParameters()
    rng = np.random.default_rng(random_seed)
    shares = rng.gamma(LESION_SHARE_SHAPE, size=n_patients)
    counts = 1 + rng.multinomial(n_lesions - n_patients, shares / shares.sum())
    sites = dose_cohort(
        n_patients,
        random_seed=int(rng.integers(2**32)),
        lesion_counts=counts.tolist(),
        mechanism=population.mechanism,
        truth=True,
    )
    lesions = sites[sites["tissue"] == "tumour"].reset_index(drop=True)
    patients = _summarise(lesions).pipe(_add_covariates, population, rng)
    patients = _add_outcome(patients, population, rng)

    return ProgressionCohort(
        _labelled(patients, PATIENT_UNITS, random_seed),
        _labelled(lesions, COLUMN_UNITS, random_seed, glcm_settings=sites.attrs["glcm_settings"]),
        _labelled(patients, PATIENT_TRUTH_UNITS, random_seed),
        _labelled(lesions, LESION_TRUTH_UNITS, random_seed),
        population,
    )


def _summarise(lesions: pd.DataFrame) -> pd.DataFrame:
    """One row a man: his tumour dose, measured and true, and what the site table knows of him."""
    absolute_variance = (lesions["absorbed_dose_gy"] * lesions["absorbed_dose_cv"]) ** 2
    by_patient = lesions.assign(absolute_variance=absolute_variance).groupby(
        "patient_id", sort=False
    )
    dose_sum = by_patient["absorbed_dose_gy"].sum()
    first = by_patient[
        [
            "psma_tv_ml",
            "psa_ng_ml",
            "egfr_ml_min_1p73m2",
            "administered_activity_gbq",
            "absorbed_dose_cv_shared",
        ]
    ].first()
    independent = by_patient["absolute_variance"].sum() / dose_sum**2
    return first.assign(
        n_lesions=by_patient.size(),
        tumour_absorbed_dose_gy=by_patient["absorbed_dose_gy"].mean(),
        tumour_absorbed_dose_cv=np.sqrt(independent + first["absorbed_dose_cv_shared"] ** 2),
        true_tumour_absorbed_dose_gy=by_patient["true_absorbed_dose_gy"].mean(),
    ).reset_index()


def _add_covariates(
    patients: pd.DataFrame, parameters: ProgressionParameters, rng: np.random.Generator
) -> pd.DataFrame:
    n, log_volume = len(patients), _log_volume(patients)
    ldh_log_error = LDH_LOG_SD * truncated_normal(rng, n)
    return patients.assign(
        prior_chemotherapy=rng.random(n)
        < expit(CHEMOTHERAPY_LOG_ODDS + CHEMOTHERAPY_SLOPE * log_volume),
        haemoglobin_g_dl=HAEMOGLOBIN_G_DL
        + HAEMOGLOBIN_SLOPE * log_volume
        + HAEMOGLOBIN_SD * truncated_normal(rng, n),
        ldh_u_l=LDH_U_L * np.exp(LDH_EXPONENT * log_volume + ldh_log_error),
        age_y=AGE_Y + AGE_SD_Y * truncated_normal(rng, n),
        log_frailty=parameters.frailty_sd * rng.standard_normal(n),
    )


def _add_outcome(
    patients: pd.DataFrame, parameters: ProgressionParameters, rng: np.random.Generator
) -> pd.DataFrame:
    log_dose = np.log(patients["true_tumour_absorbed_dose_gy"] / REFERENCE_DOSE_GY)
    linear_predictor = (
        parameters.log_dose_effect * log_dose
        + parameters.log_volume_effect * _log_volume(patients)
        + parameters.chemotherapy_effect * patients["prior_chemotherapy"]
        + patients["log_frailty"]
    )
    outcome = survival_outcome(linear_predictor, parameters=parameters.survival, random_seed=rng)
    return patients.assign(linear_predictor=linear_predictor, **outcome)


def _log_volume(patients: pd.DataFrame) -> FloatArray:
    return np.log(patients["psma_tv_ml"].to_numpy() / REFERENCE_VOLUME_ML)


def _labelled(
    frame: pd.DataFrame, units: dict[str, str], random_seed: int, **more: str
) -> pd.DataFrame:
    table = frame[list(units)].copy()
    table.attrs = {
        "source": "simulated (bayesdose.simulate.psa_pfs_cohort); no patients",
        "random_seed": str(random_seed),
        "units": "; ".join(f"{name} [{unit}]" for name, unit in units.items()),
        **more,
    }
    return table
