"""Whom the mechanism acts on: patients and their sites, drawn from the population values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from bayesdose.errors import ConfigError
from bayesdose.simulate.kinetics import LU177_HALF_LIFE_H, biological_rate
from bayesdose.simulate.layout import KINDS, SiteLayout
from bayesdose.simulate.parameters import MechanismParameters

FloatArray = NDArray[np.float64]

# Tails beyond this many standard deviations are not drawn: no 200 mL gland, no 5 kg patient.
TAIL = 2.5

LESION_TYPES = ("bone", "node", "visceral")
LESION_TYPE_SHARES = (0.60, 0.30, 0.10)
PRIMARY_SHARE = 0.25  # of patients: their first lesion
# Uptake relative to bone and density of mixed metastases: assumptions.
LESION_LOG_UPTAKE = {"bone": 0.0, "node": -0.15, "visceral": -0.3, "primary": 0.0}
LESION_DENSITY_G_ML = {"bone": 1.30, "node": 1.04, "visceral": 1.05, "primary": 1.04}

# From one cycle to the next (assumptions): tumours shrink, kinetics and eGFR wander.
VOLUME_LOG_CHANGE, VOLUME_LOG_CHANGE_SD = -0.25, 0.20
CYCLE_LOG_SD = 0.08
EGFR_CYCLE_LOG_SD = 0.05

LIVER_LOG_SD = 0.10
MEDIAN_ACTIVITY_GBQ, ACTIVITY_LOG_SD = 7.4, 0.03
PET_WINDOW_MIN = (60.0, 120.0)


@dataclass(frozen=True)
class Patients:
    """What is true of each patient (and cycle), before measurement.

    Parameters
    ----------
    weight_g : ndarray of shape (n_patients,), g
        Body weight.
    uptake, half_life, ligand : ndarray of shape (n_patients, n_tissues), 1
        Standard normal patient effects by tissue (``tissue_words``).
    volume_factor : ndarray of shape (n_patients, n_cycles), 1
        Tumour volume relative to cycle 1.
    rest_volume_ml : ndarray of shape (n_patients, n_cycles), mL
        Tumour volume outside the measured lesions.
    egfr : ndarray of shape (n_patients, n_cycles), mL/min/1.73 m2
        eGFR.
    pet_plasma_rate, therapy_plasma_rate : ndarray of shape (n_patients,), 1/h
        Plasma clearance without the sink.
    pet_time_h, activity_gbq, cycle_effect : ndarray of shape (n_patients, n_cycles), h, GBq, 1
        Time of the PET, activity, log change of the therapy uptake in that cycle.
    liver_effect : ndarray of shape (n_patients,), 1
        Log deviation of the liver's uptake.
    """

    weight_g: FloatArray
    uptake: FloatArray
    half_life: FloatArray
    ligand: FloatArray
    volume_factor: FloatArray
    rest_volume_ml: FloatArray
    egfr: FloatArray
    pet_plasma_rate: FloatArray
    therapy_plasma_rate: FloatArray
    pet_time_h: FloatArray
    activity_gbq: FloatArray
    cycle_effect: FloatArray
    liver_effect: FloatArray


@dataclass(frozen=True)
class Sites:
    """What is true of each site in all cycles, before measurement.

    Parameters
    ----------
    lesion_type : ndarray of str, shape (n_sites,)
        ``organ`` where the site is no lesion.
    volume_ml : ndarray of shape (n_sites,), mL
        True volume in cycle 1.
    density_g_ml : ndarray of shape (n_sites,), g/mL
        Density.
    plateau_suv : ndarray of shape (n_sites,), SUV
        Plateau uptake of the PET ligand without a sink.
    ligand_ratio : ndarray of shape (n_sites,), 1
        Therapy over PET ligand.
    effective_half_life_h : ndarray of shape (n_sites,), h
        At the median eGFR.
    """

    lesion_type: NDArray[np.object_]
    volume_ml: FloatArray
    density_g_ml: FloatArray
    plateau_suv: FloatArray
    ligand_ratio: FloatArray
    effective_half_life_h: FloatArray


def tissue_words(parameters: MechanismParameters) -> tuple[str, ...]:
    """List the tissues of a population, in the order of its patient effects.

    Parameters
    ----------
    parameters : MechanismParameters
        Population values.

    Returns
    -------
    tuple of str
    """
    return tuple(dict.fromkeys(parameters.kinds[name].tissue for name in KINDS))


def truncated_normal(rng: np.random.Generator, size: int | tuple[int, ...]) -> FloatArray:
    """Draw standard normal numbers within ``TAIL`` standard deviations.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    size : int or tuple of int
        Shape of the draw.

    Returns
    -------
    ndarray of that shape
    """
    return ndtri(rng.uniform(ndtr(-TAIL), ndtr(TAIL), size))


def draw_patients(
    burden: FloatArray, n_cycles: int, parameters: MechanismParameters, rng: np.random.Generator
) -> Patients:
    """Draw the patients.

    Parameters
    ----------
    burden : ndarray of shape (n_patients,), 1
        Standardised log tumour volume.
    n_cycles : int
        Cycles.
    parameters : MechanismParameters
        Population values.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Patients
    """
    n, shape = burden.size, (burden.size, n_cycles)
    by_tissue = (n, len(tissue_words(parameters)))
    change = VOLUME_LOG_CHANGE + VOLUME_LOG_CHANGE_SD * truncated_normal(rng, shape)
    change[:, 0] = 0.0
    volume_factor = np.exp(np.cumsum(change, axis=1))
    rest = parameters.rest_volume_ml * np.exp(parameters.rest_volume_sd * burden)
    egfr_log = parameters.egfr_sd * truncated_normal(rng, (n, 1))
    egfr_wander = EGFR_CYCLE_LOG_SD * truncated_normal(rng, shape)
    common = parameters.plasma_patient_sd * truncated_normal(rng, n)
    own = parameters.plasma_ligand_sd * truncated_normal(rng, (n, 2))
    return Patients(
        weight_g=1000.0
        * parameters.body_weight_kg
        * np.exp(parameters.body_weight_sd * truncated_normal(rng, n)),
        uptake=truncated_normal(rng, by_tissue),
        half_life=truncated_normal(rng, by_tissue),
        ligand=truncated_normal(rng, by_tissue),
        volume_factor=volume_factor,
        rest_volume_ml=rest[:, None] * volume_factor,
        egfr=parameters.egfr_ml_min_1p73m2 * np.exp(egfr_log + egfr_wander),
        pet_plasma_rate=np.log(2.0)
        / parameters.pet_plasma_half_life_h
        * np.exp(common + own[:, 0]),
        therapy_plasma_rate=np.log(2.0)
        / parameters.therapy_plasma_half_life_h
        * np.exp(common + own[:, 1]),
        pet_time_h=rng.uniform(*PET_WINDOW_MIN, shape) / 60.0,
        activity_gbq=MEDIAN_ACTIVITY_GBQ * np.exp(ACTIVITY_LOG_SD * truncated_normal(rng, shape)),
        # In a single cycle it would only widen the ligand's patient effect.
        cycle_effect=(CYCLE_LOG_SD if n_cycles > 1 else 0.0) * truncated_normal(rng, shape),
        liver_effect=LIVER_LOG_SD * truncated_normal(rng, n),
    )


def draw_sites(
    layout: SiteLayout,
    patients: Patients,
    parameters: MechanismParameters,
    rng: np.random.Generator,
) -> Sites:
    """Draw the sites of the patients.

    Parameters
    ----------
    layout : SiteLayout
        Who has which sites.
    patients : Patients
        Their patients.
    parameters : MechanismParameters
        Population values.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Sites

    Raises
    ------
    ConfigError
        When the spreads allow an effective half-life that reaches the physical one.
    """
    n = layout.patient.size
    lesion_type = _draw_lesion_types(layout, rng)
    kinds = [parameters.kinds[name] for name in KINDS]

    def by_site(attribute: str) -> FloatArray:
        return np.array([getattr(kind, attribute) for kind in kinds], dtype=float)[layout.kind]

    words = tissue_words(parameters)
    tissue = np.array([words.index(kind.tissue) for kind in kinds])[layout.kind]

    def log_normal(median: str, spread: str, patient_effect: FloatArray) -> FloatArray:
        log_deviation = by_site(f"{spread}_patient_sd") * patient_effect + by_site(
            f"{spread}_site_sd"
        ) * truncated_normal(rng, n)
        return by_site(median) * np.exp(log_deviation)

    def of_patient(effects: FloatArray) -> FloatArray:
        return effects[layout.patient, tissue]

    size_effect = truncated_normal(rng, patients.uptake.shape)
    half_life = log_normal("effective_half_life_h", "half_life", of_patient(patients.half_life))
    if np.any(biological_rate(half_life) <= 0.0):
        raise ConfigError(
            f"effective half-lives up to {half_life.max():.0f} h were drawn; 177Lu allows less "
            f"than {LU177_HALF_LIFE_H} h. Lower effective_half_life_h or its spreads in "
            "parameters.kinds."
        )
    type_log_uptake = np.array([LESION_LOG_UPTAKE.get(word, 0.0) for word in lesion_type])
    return Sites(
        lesion_type=lesion_type,
        volume_ml=log_normal("volume_ml", "volume", of_patient(size_effect)),
        density_g_ml=np.where(
            layout.is_lesion,
            [LESION_DENSITY_G_ML.get(word, np.nan) for word in lesion_type],
            by_site("density_g_ml"),
        ),
        plateau_suv=np.exp(type_log_uptake)
        * log_normal("plateau_suv", "uptake", of_patient(patients.uptake)),
        ligand_ratio=log_normal("ligand_ratio", "ligand", of_patient(patients.ligand)),
        effective_half_life_h=half_life,
    )


def _draw_lesion_types(layout: SiteLayout, rng: np.random.Generator) -> NDArray[np.object_]:
    words = rng.choice(
        np.array(LESION_TYPES, dtype=object), layout.patient.size, p=LESION_TYPE_SHARES
    )
    has_primary = rng.random(layout.patient.max() + 1) < PRIMARY_SHARE
    first = np.flatnonzero(layout.site_id == "T01")
    words[first[has_primary[layout.patient[first]]]] = "primary"
    words[~layout.is_lesion] = "organ"
    return words
