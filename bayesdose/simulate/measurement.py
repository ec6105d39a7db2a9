"""What is measured of the truth: PET features, doses with errors, blood; columns of the table."""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesdose.measure.spheres import sphere_fit
from bayesdose.simulate import imaging
from bayesdose.simulate.layout import KINDS
from bayesdose.simulate.mechanism import Truth
from bayesdose.simulate.parameters import MechanismParameters
from bayesdose.simulate.population import truncated_normal

FloatArray = NDArray[np.float64]

# Assumptions on the cameras. Recovery b1, b2: PET of 5-6 mm and 177Lu SPECT of 12 mm FWHM.
PET_RECOVERY = (0.5, 0.8)
SPECT_RECOVERY = (2.5, 1.0)
RECOVERY_LOG_SD = 0.35  # of the part that was not recovered: shape and surroundings
BOUNDARY_SD_MM = 0.4
COUNT_CV = 0.015
PET_SCAN_LOG_SD = 0.05  # weight, activity, calibration: common to a patient's sites
PET_SITE_LOG_SD = 0.08  # of 1 mL, falling with the root of the volume
HETEROGENEITY_LOG_SD = 0.25
PEAK_LOGIT_SD = 0.4


def measure_volume(truth: Truth, rng: np.random.Generator) -> FloatArray:
    """Segment every site on the PET.

    Parameters
    ----------
    truth : Truth
        True sizes, n_rows of them.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_rows,), mL
    """
    log_sd = imaging.volume_log_sd(truth.volume_ml, BOUNDARY_SD_MM)
    return truth.volume_ml * np.exp(log_sd * truncated_normal(rng, log_sd.shape))


def measure_uptake(
    truth: Truth,
    volume_ml: FloatArray,
    kind: NDArray[np.int64],
    scan: NDArray[np.int64],
    parameters: MechanismParameters,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    """Read the PET: uptake and texture of every region.

    Parameters
    ----------
    truth : Truth
        True uptake, n_rows of it.
    volume_ml : ndarray of shape (n_rows,), mL
        Volume of the PET region.
    kind, scan : ndarray of int, shape (n_rows,)
        Kind of site (position in ``KINDS``) and number of the scan.
    parameters : MechanismParameters
        Population values.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of ndarray of shape (n_rows,)
        ``suv_*``, ``total_lesion_uptake`` and ``glcm_*`` columns.
    """
    n = volume_ml.size
    kinds = [parameters.kinds[name] for name in KINDS]
    recovered = imaging.recovery(truth.volume_ml, *PET_RECOVERY)
    log_error = (
        PET_SCAN_LOG_SD * truncated_normal(rng, int(scan.max()) + 1)[scan]
        + PET_SITE_LOG_SD / np.sqrt(truth.volume_ml) * truncated_normal(rng, n)
        + RECOVERY_LOG_SD * (1.0 - recovered) * truncated_normal(rng, n)
    )
    # A region drawn too large holds the same activity: its mean falls.
    suv_mean = truth.suv * recovered * truth.volume_ml / volume_ml * np.exp(log_error)

    n_voxels = imaging.voxel_count(volume_ml)
    heterogeneity = np.array([one.heterogeneity for one in kinds])[kind] * np.exp(
        HETEROGENEITY_LOG_SD * truncated_normal(rng, n)
    )
    suv_max = suv_mean * imaging.maximum_over_mean(n_voxels, heterogeneity)
    peak_logit = np.array([one.peak_logit for one in kinds])[kind]
    suv_peak = suv_max * imaging.peak_over_maximum(
        volume_ml, peak_logit + PEAK_LOGIT_SD * truncated_normal(rng, n)
    )
    neighbour_corr = expit(0.8 + 0.1 * np.log(volume_ml) + 0.3 * truncated_normal(rng, n))
    return {
        "suv_mean": suv_mean,
        "suv_max": suv_max,
        "suv_peak": suv_peak,
        "total_lesion_uptake": suv_mean * volume_ml,
        **imaging.texture(suv_mean, heterogeneity, neighbour_corr, n_voxels),
    }


def measure_dose(
    truth: Truth,
    volume_ml: FloatArray,
    mass_g: FloatArray,
    scan: NDArray[np.int64],
    parameters: MechanismParameters,
    rng: np.random.Generator,
) -> dict[str, NDArray]:
    """Measure the absorbed dose by SPECT, with the errors of volume, recovery and calibration.

    Parameters
    ----------
    truth : Truth
        True dose and size, n_rows of them.
    volume_ml, mass_g : ndarray of shape (n_rows,), mL and g
        Segmented size.
    scan : ndarray of int, shape (n_rows,)
        Number of the patient and cycle.
    parameters : MechanismParameters
        Population values.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    dict of ndarray of shape (n_rows,)
        ``absorbed_dose_gy``, ``absorbed_dose_cv`` and ``absorbed_dose_cv_shared``.

    Notes
    -----
    Volume enters the mass and the recovery with the same sign, so its relative error counts
    1 + dlog R/dlog v times (the shared-volume covariance of Gear 2018, EJNMMI 45:2456).
    """
    n = volume_ml.size
    half_volume, steepness = SPECT_RECOVERY
    actual = imaging.recovery(truth.volume_ml, half_volume, steepness)
    assumed = imaging.recovery(volume_ml, half_volume, steepness)
    recovery_sd = RECOVERY_LOG_SD * (1.0 - assumed)
    size_sd = (1.0 + steepness * (1.0 - assumed)) * imaging.volume_log_sd(volume_ml, BOUNDARY_SD_MM)
    variance_log = COUNT_CV**2 + recovery_sd**2 + size_sd**2

    calibration_sd = np.sqrt(np.log1p(parameters.calibration_cv**2))
    log_error = (
        calibration_sd * rng.standard_normal(int(scan.max()) + 1)[scan]
        + COUNT_CV * rng.standard_normal(n)
        + recovery_sd * rng.standard_normal(n)
        + np.log(actual / assumed)
        + np.log(sphere_fit(mass_g) / sphere_fit(truth.mass_g))
    )
    return {
        "absorbed_dose_gy": truth.absorbed_dose_gy * np.exp(log_error),
        "absorbed_dose_cv": np.sqrt(np.expm1(variance_log)),
        "absorbed_dose_cv_shared": np.full(n, parameters.calibration_cv),
    }
