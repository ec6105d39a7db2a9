"""Men with a primary prostate tumour on PSMA PET, and who of them has or gets metastases.

One latent aggressiveness a man, which nobody measures, makes the tumour larger, its grade higher,
its uptake stronger and its image more uneven, and makes metastases likelier. Every feature is a
noisy reading of one of these; none is a function of the outcome.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from bayesdose.errors import ConfigError
from bayesdose.measure import psma_expression_score
from bayesdose.simulate import imaging
from bayesdose.simulate.measurement import PEAK_LOGIT_SD, PET_RECOVERY, PET_SCAN_LOG_SD
from bayesdose.simulate.parameters import TUMOUR
from bayesdose.simulate.population import truncated_normal
from bayesdose.simulate.survival_times import (
    SurvivalParameters,
    refuse_count,
    refuse_numbers,
    survival_outcome,
)

FloatArray = NDArray[np.float64]

PET_TRACER = "68Ga-PSMA-11"
# Gleason patterns, primary and secondary, from the mildest to the worst, and their grade group.
GLEASON = ((3, 3), (3, 4), (4, 3), (4, 4), (4, 5), (5, 4), (5, 5))
GRADE_GROUPS = (1, 2, 3, 4, 5, 5, 5)
GLEASON_SHARES = (0.05, 0.17, 0.20, 0.18, 0.28, 0.08, 0.04)
# Stages end at T3a, where CAPRA ends.
STAGES = ("T1c", "T2a", "T2b", "T2c", "T3a")
STAGE_SHARES = (0.30, 0.15, 0.12, 0.23, 0.20)
N_CORES = 12
AGE_Y, AGE_SD_Y = 69.0, 7.0
# Patterns of the PRIMARY score with their level, and the SUVmax above which it is 5 (Emmett 2022,
# doi 10.2967/jnumed.121.263448; verified against table 2 of PMC9635676).
PATTERN_LEVELS = {
    "none": 1,
    "diffuse_transition_zone": 2,
    "symmetric_central_zone": 2,
    "focal_transition_zone": 3,
    "focal_peripheral_zone": 4,
}
PRIMARY_SUV_MAX = 12.0
# Seen from twice the background on; the same table asks that of the transition zone, visually.
VISIBLE_CONTRAST = 2.0
TRANSITION_ZONE_SHARE, CENTRAL_ZONE_SHARE = 0.22, 0.03  # the rest: peripheral zone
# Mean uptake of the expression score's references with 68Ga-PSMA-11 (from memory, low confidence).
BLOOD_POOL_SUV, LIVER_SUV, PAROTID_SUV = 1.6, 5.0, 14.0
REFERENCE_LOG_SD = 0.15
MAX_BATCHES = 100

FEATURE_UNITS: dict[str, str] = {
    "patient_id": "label",
    "age_y": "years",
    "psa_ng_ml": "ng/mL",
    "gleason_primary": "1",
    "gleason_secondary": "1",
    "grade_group": "1",
    "clinical_t": "label",
    "percent_positive_cores": "%",
    "pet_tracer": "label",
    "suv_mean": "SUV",
    "suv_max": "SUV",
    "suv_peak": "SUV",
    "blood_pool_suv_mean": "SUV",
    "liver_suv_mean": "SUV",
    "parotid_suv_mean": "SUV",
    "psma_expression_score": "1",
    "primary_pattern": "label",
    "primary_score": "1",
    "cnn_score": "1",
}
SYNCHRONOUS_UNITS: dict[str, str] = {"metastasis": "yes or no"}
METACHRONOUS_UNITS: dict[str, str] = {"time_months": "months", "event": "yes or no"}
LATENT_UNITS: dict[str, str] = {
    "patient_id": "label",
    "aggressiveness": "1",
    "tumour_volume_ml": "mL",
}
SYNCHRONOUS_TRUTH_UNITS: dict[str, str] = {"log_odds": "1", "probability": "1"}
METACHRONOUS_TRUTH_UNITS: dict[str, str] = {"log_hazard_ratio": "1"}


@dataclass(frozen=True)
class PrimaryTumourParameters:
    """Population values of the primary-tumour cohort; all *chosen*.

    A loading is the correlation of a latent quantity with the aggressiveness, which is standard
    normal.

    Parameters
    ----------
    volume_ml, volume_sd, volume_loading : float, mL, log-sd, 1
        Tumour volume: median, spread, loading.
    grade_loading : float
        Latent grade, cut into Gleason patterns.
    stage_volume_corr : float
        Correlation of the latent clinical stage with the log volume.
    psa_ng_ml, psa_volume_exponent, psa_sd : float, ng/mL, 1, log-sd
        PSA: median at the median volume, power of the volume, spread at a given volume.
    core_logit, core_volume_slope, core_sd : float
        Chance that a biopsy core beyond the first is positive: its logit at the median volume, its
        slope on the standardised log volume, its spread at a given volume.
    uptake_suv, uptake_sd, uptake_loading : float, SUV, log-sd, 1
        Uptake of the tumour before partial-volume loss: median, spread, loading.
    heterogeneity_sd, heterogeneity_loading : float, log-sd, 1
        Unevenness of the voxels' uptake: spread and loading.
    background_suv : float, SUV
        Uptake of the prostate around the tumour, which is seen where its SUVmax is at least twice
        that.
    cnn_reliability, cnn_logit_sd : float
        Correlation of the network's reading with the log unevenness; spread of its score's logit.
    metastasis_log_odds, metastasis_slope : float
        Log odds of synchronous metastases at aggressiveness 0, and per standard deviation of it.
    hazard_slope : float
        Log hazard ratio of metachronous metastases per standard deviation of aggressiveness.
    survival : SurvivalParameters
        Hazard of metachronous metastases at aggressiveness 0, and follow-up.
    """

    volume_ml: float = 5.0
    volume_sd: float = 0.8
    volume_loading: float = 0.65
    grade_loading: float = 0.7
    stage_volume_corr: float = 0.6
    psa_ng_ml: float = 14.0
    psa_volume_exponent: float = 0.8
    psa_sd: float = 0.7
    core_logit: float = -0.2
    core_volume_slope: float = 0.9
    core_sd: float = 0.7
    uptake_suv: float = 10.0
    uptake_sd: float = 0.6
    uptake_loading: float = 0.5
    heterogeneity_sd: float = 0.2
    heterogeneity_loading: float = 0.8
    background_suv: float = 2.2
    cnn_reliability: float = 0.8
    cnn_logit_sd: float = 1.2
    metastasis_log_odds: float = -0.15
    metastasis_slope: float = 2.4
    hazard_slope: float = 2.0
    survival: SurvivalParameters = field(
        default_factory=lambda: SurvivalParameters(
            shape=1.0,
            scale_months=35.0,
            shortest_months=24.0,
            longest_months=96.0,
            dropout_per_month=0.003,
        )
    )

    def __post_init__(self) -> None:
        refuse_numbers(
            self,
            above_zero=("volume_ml", "psa_ng_ml", "uptake_suv", "background_suv", "cnn_logit_sd"),
            from_zero=("volume_sd", "psa_sd", "core_sd", "uptake_sd", "heterogeneity_sd"),
            correlations=(
                "volume_loading", "grade_loading", "stage_volume_corr", "uptake_loading",
                "heterogeneity_loading", "cnn_reliability",
            ),
            finite=(
                "psa_volume_exponent", "core_logit", "core_volume_slope", "metastasis_log_odds",
                "metastasis_slope", "hazard_slope",
            ),
        )  # fmt: skip


@dataclass(frozen=True)
class PrimaryTumourCohort:
    """Two groups of simulated men, and apart from them what is true of each.

    Parameters
    ----------
    synchronous : DataFrame of n_synchronous rows
        Men at staging: features and ``metastasis`` (bool).
    metachronous : DataFrame of n_metachronous rows
        Other men, without metastases at staging: the same features, ``time_months`` to the first
        metastasis or the end of follow-up, and ``event`` (bool).
    synchronous_truth, metachronous_truth : DataFrame of the same rows
        Latent quantities, and the true ``log_odds`` and ``probability`` of metastases at staging,
        or the true ``log_hazard_ratio`` of metastases later, row by row.
    parameters : PrimaryTumourParameters
        What both groups were drawn from.
    """

    synchronous: pd.DataFrame
    metachronous: pd.DataFrame
    synchronous_truth: pd.DataFrame
    metachronous_truth: pd.DataFrame
    parameters: PrimaryTumourParameters


def primary_tumour_cohort(
    n_synchronous: int = 94,
    n_metachronous: int = 23,
    *,
    n_metastases: int | None = None,
    n_events: int | None = None,
    parameters: PrimaryTumourParameters | None = None,
    random_seed: int,
) -> PrimaryTumourCohort:
    """Simulate men staged by PSMA PET before treatment, with known risks of metastases.

    The numbers of men are those of the primary-tumour study (PLoS One e0349825). No man exists: the
    parameters were chosen so that shares and areas under the curve come out near the study's, and
    estimate nothing.

    Parameters
    ----------
    n_synchronous, n_metachronous : int
        Men at staging, and other men without metastases then who are followed up.
    n_metastases, n_events : int, optional
        Exactly so many men with metastases (45 in the study) and with an event in follow-up (10).
        The men then are a draw from the population under the condition of that number: the true
        log odds stay those of the population, and calibration in the large is lost. Random by
        default.
    parameters : PrimaryTumourParameters, optional
        Population values.
    random_seed : int
        Seed; the same arguments give the same cohort.

    Returns
    -------
    PrimaryTumourCohort
        ``cnn_score`` is missing where no tumour is seen; nothing else is missing. Units are in
        ``attrs["units"]`` of each table.

    Raises
    ------
    ConfigError
        When an argument is impossible, or such men are too rare under the parameters.
    """
    refuse_count("n_synchronous", n_synchronous, 1)
    refuse_count("n_metachronous", n_metachronous, 1)
    if n_metastases is not None:
        refuse_count("n_metastases", n_metastases, 0, n_synchronous)
    if n_events is not None:
        refuse_count("n_events", n_events, 0, n_metachronous)
    population = parameters or PrimaryTumourParameters()
    at_staging, followed = np.random.default_rng(random_seed).spawn(2)

    def staged(n: int) -> pd.DataFrame:
        return _draw_men(n, population, at_staging)

    def followed_up(n: int) -> pd.DataFrame:
        men = _draw_men(n, population, followed)
        men = men[~men["metastasis"]].reset_index(drop=True)
        if men.empty:
            return men.assign(time_months=0.0, event=False)
        outcome = survival_outcome(
            men["log_hazard_ratio"], parameters=population.survival, random_seed=followed
        )
        return pd.concat([men, outcome], axis=1)

    synchronous = _with_number(staged, n_synchronous, "metastasis", n_metastases, at_staging)
    metachronous = _with_number(followed_up, n_metachronous, "event", n_events, followed)
    return PrimaryTumourCohort(
        _finish(synchronous, "S", FEATURE_UNITS | SYNCHRONOUS_UNITS, random_seed),
        _finish(metachronous, "F", FEATURE_UNITS | METACHRONOUS_UNITS, random_seed),
        _finish(synchronous, "S", LATENT_UNITS | SYNCHRONOUS_TRUTH_UNITS, random_seed),
        _finish(metachronous, "F", LATENT_UNITS | METACHRONOUS_TRUTH_UNITS, random_seed),
        population,
    )


def _draw_men(
    n: int, parameters: PrimaryTumourParameters, rng: np.random.Generator
) -> pd.DataFrame:
    """Features, truth and synchronous metastases of n men in one table."""
    aggressiveness = rng.standard_normal(n)
    volume_z = _correlated(aggressiveness, parameters.volume_loading, rng)
    log_odds = parameters.metastasis_log_odds + parameters.metastasis_slope * aggressiveness
    return pd.DataFrame(
        {
            **_clinic(aggressiveness, volume_z, parameters, rng),
            **_pet(aggressiveness, volume_z, parameters, rng),
            "metastasis": rng.random(n) < expit(log_odds),
            "aggressiveness": aggressiveness,
            "log_odds": log_odds,
            "probability": expit(log_odds),
            "log_hazard_ratio": parameters.hazard_slope * aggressiveness,
        }
    )


def _clinic(
    aggressiveness: FloatArray,
    volume_z: FloatArray,
    parameters: PrimaryTumourParameters,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    n = aggressiveness.size
    grade = _class_of(_correlated(aggressiveness, parameters.grade_loading, rng), GLEASON_SHARES)
    stage = _class_of(_correlated(volume_z, parameters.stage_volume_corr, rng), STAGE_SHARES)
    core_chance = expit(
        parameters.core_logit
        + parameters.core_volume_slope * volume_z
        + parameters.core_sd * rng.standard_normal(n)
    )
    # Cancer was proven: at least one core is positive.
    positive_cores = 1 + rng.binomial(N_CORES - 1, core_chance)
    log_psa = (
        np.log(parameters.psa_ng_ml)
        + parameters.psa_volume_exponent * parameters.volume_sd * volume_z
        + parameters.psa_sd * rng.standard_normal(n)
    )
    patterns = np.array(GLEASON)[grade]
    return {
        "age_y": AGE_Y + AGE_SD_Y * truncated_normal(rng, n),
        "psa_ng_ml": np.exp(log_psa),
        "gleason_primary": patterns[:, 0],
        "gleason_secondary": patterns[:, 1],
        "grade_group": np.array(GRADE_GROUPS)[grade],
        "clinical_t": np.array(STAGES, dtype=object)[stage],
        "percent_positive_cores": 100.0 * positive_cores / N_CORES,
    }


def _pet(
    aggressiveness: FloatArray,
    volume_z: FloatArray,
    parameters: PrimaryTumourParameters,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    n = aggressiveness.size
    volume = parameters.volume_ml * np.exp(parameters.volume_sd * volume_z)
    uptake_z = _correlated(aggressiveness, parameters.uptake_loading, rng)
    unevenness_z = _correlated(aggressiveness, parameters.heterogeneity_loading, rng)
    suv_mean = (
        parameters.uptake_suv
        * np.exp(parameters.uptake_sd * uptake_z + PET_SCAN_LOG_SD * truncated_normal(rng, n))
        * imaging.recovery(volume, *PET_RECOVERY)
    )
    unevenness = TUMOUR.heterogeneity * np.exp(parameters.heterogeneity_sd * unevenness_z)
    suv_max = suv_mean * imaging.maximum_over_mean(imaging.voxel_count(volume), unevenness)
    peak_logit = TUMOUR.peak_logit + PEAK_LOGIT_SD * truncated_normal(rng, n)
    blood_pool, liver, parotid = (
        median * np.exp(REFERENCE_LOG_SD * truncated_normal(rng, n))
        for median in (BLOOD_POOL_SUV, LIVER_SUV, PAROTID_SUV)
    )
    seen = suv_max >= VISIBLE_CONTRAST * parameters.background_suv
    cnn_logit = parameters.cnn_logit_sd * _correlated(unevenness_z, parameters.cnn_reliability, rng)
    pattern = _draw_patterns(seen, rng)
    level = np.array([PATTERN_LEVELS[word] for word in pattern], dtype=np.int64)
    return {
        "pet_tracer": np.full(n, PET_TRACER, dtype=object),
        "suv_mean": suv_mean,
        "suv_max": suv_max,
        "suv_peak": suv_max * imaging.peak_over_maximum(volume, peak_logit),
        "blood_pool_suv_mean": blood_pool,
        "liver_suv_mean": liver,
        "parotid_suv_mean": parotid,
        "psma_expression_score": psma_expression_score(
            suv_mean, blood_pool=blood_pool, liver=liver, parotid=parotid, pet_tracer=PET_TRACER
        ),
        "primary_pattern": pattern,
        "primary_score": np.where(suv_max > PRIMARY_SUV_MAX, 5, level),
        # The network reads the region of the tumour: without one there is nothing to read.
        "cnn_score": np.where(seen, expit(cnn_logit), np.nan),
        "tumour_volume_ml": volume,
    }


def _draw_patterns(seen: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.object_]:
    place = rng.random(seen.size)
    in_transition = place < TRANSITION_ZONE_SHARE
    found = np.full(seen.size, "none", dtype=object)
    found[seen] = "focal_peripheral_zone"
    found[seen & (place >= 1.0 - CENTRAL_ZONE_SHARE)] = "symmetric_central_zone"
    found[in_transition] = "diffuse_transition_zone"
    found[in_transition & seen] = "focal_transition_zone"
    return found


def _with_number(
    draw: Callable[[int], pd.DataFrame],
    n: int,
    outcome: str,
    n_positive: int | None,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """N independent men, or so many with and the rest without the outcome.

    Independent men under the condition that k of n have the outcome are k independent men with it
    and n - k without it in random order, so no cohort as a whole has to be rejected.
    """
    if n_positive is None:
        return _first(draw, n)
    groups = [
        _first(draw, wanted, outcome, value)
        for value, wanted in ((True, n_positive), (False, n - n_positive))
        if wanted
    ]
    return pd.concat(groups, ignore_index=True).iloc[rng.permutation(n)]


def _first(
    draw: Callable[[int], pd.DataFrame], n: int, outcome: str | None = None, value: bool = True
) -> pd.DataFrame:
    found: list[pd.DataFrame] = []
    n_found, batch = 0, max(2 * n, 100)
    for _ in range(MAX_BATCHES):
        men = draw(batch)
        found.append(men if outcome is None else men[men[outcome] == value])
        n_found += len(found[-1])
        if n_found >= n:
            return pd.concat(found, ignore_index=True).head(n)
    wanted = "without metastases at staging" if outcome is None else f"with {outcome} {value}"
    raise ConfigError(
        f"among {MAX_BATCHES * batch} men only {n_found} of the {n} {wanted} were drawn; the "
        "parameters make them too rare."
    )


def _finish(
    men: pd.DataFrame, prefix: str, units: dict[str, str], random_seed: int
) -> pd.DataFrame:
    width = len(str(len(men)))
    labels = [f"{prefix}{number + 1:0{width}d}" for number in range(len(men))]
    frame = men.assign(patient_id=labels)[list(units)].reset_index(drop=True)
    frame.attrs = {
        "source": "simulated (bayesdose.simulate.primary_tumour_cohort); no patients",
        "random_seed": str(random_seed),
        "units": "; ".join(f"{name} [{unit}]" for name, unit in units.items()),
    }
    return frame


def _correlated(latent: FloatArray, correlation: float, rng: np.random.Generator) -> FloatArray:
    own = rng.standard_normal(latent.size)
    return correlation * latent + np.sqrt(1.0 - correlation**2) * own


def _class_of(latent: FloatArray, shares: tuple[float, ...]) -> NDArray[np.int64]:
    cuts = ndtri(np.cumsum(shares)[:-1])
    return np.searchsorted(cuts, latent)
