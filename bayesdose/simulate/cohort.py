"""Simulated cohorts: a site table with every column of the contract and a known truth."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose.errors import ConfigError
from bayesdose.simulate.columns import COLUMN_UNITS, TRUTH_UNITS, units_text
from bayesdose.simulate.imaging import BIN_WIDTH_SUV, VOXEL_ML
from bayesdose.simulate.layout import KINDS, draw_lesion_counts, expand_cycles, lay_out_sites
from bayesdose.simulate.measurement import measure_dose, measure_uptake, measure_volume
from bayesdose.simulate.mechanism import compute_truth
from bayesdose.simulate.parameters import MechanismParameters
from bayesdose.simulate.population import draw_patients, draw_sites, truncated_normal
from bayesdose.simulate.regression import RegressionParameters, draw_regression_doses

GENERATORS = ("mechanism", "regression")
# PSA follows tumour volume loosely (assumption).
PSA_MEDIAN_NG_ML, PSA_VOLUME_EXPONENT, PSA_LOG_SD = 60.0, 0.7, 0.9
LIVER_SUV_LOG_SD = 0.03
LABELS = {
    "pet_tracer": "18F-DCFPyL",
    "therapy_ligand": "177Lu-PSMA-617",
    "centre": "simulated",
    "scanner": "simulated",
    "dose_method": "simulated SPECT/CT with sphere S-values",
}


def dose_cohort(
    n_patients: int,
    *,
    generator: Literal["mechanism", "regression"] = "mechanism",
    random_seed: int,
    n_cycles: int = 1,
    lesion_counts: Sequence[int] | None = None,
    mechanism: MechanismParameters | None = None,
    regression: RegressionParameters | None = None,
    truth: bool = False,
) -> pd.DataFrame:
    """Simulate a cohort with lesions, salivary glands and kidneys as a site table.

    Parameters
    ----------
    n_patients : int
        Patients, each with 1 to 15 lesions, 4 salivary glands and 2 kidneys.
    generator : {"mechanism", "regression"}
        ``mechanism``: absorbed doses follow from compartment kinetics, a tumour sink and MIRD, and
        no regression model is exactly right for them. ``regression``: the covariates are those of
        the mechanism, the doses are then drawn from the package's own hierarchical model with
        known parameters (for simulation-based calibration and coverage).
    random_seed : int
        Seed; the same arguments give the same table.
    n_cycles : int
        Cycles of every patient.
    lesion_counts : sequence of int of length n_patients, optional
        Lesions of each patient, 0 allowed; by default drawn from 1 to 15.
    mechanism : MechanismParameters, optional
        Population of the kinetics (both generators draw covariates from it).
    regression : RegressionParameters, optional
        Parameters of the ``regression`` generator.
    truth : bool
        Add ``true_absorbed_dose_gy``, the dose without measurement error.

    Returns
    -------
    DataFrame of n_sites * n_cycles rows
        Site table without missing values; units in ``attrs["units"]``. Organ rows carry
        ``lesion_type`` "organ", and ``tumour_to_liver``, ``tumour_to_parotid`` and
        ``total_lesion_uptake`` of organ rows are those of the organ itself.

    Raises
    ------
    ConfigError
        When an argument is impossible.
    """
    _check_arguments(n_patients, generator, n_cycles, lesion_counts, regression)
    rng = np.random.default_rng(random_seed)
    population = mechanism or MechanismParameters()
    frame = _mechanism_table(n_patients, n_cycles, lesion_counts, population, rng)
    if generator == "regression":
        frame = draw_regression_doses(frame, regression or RegressionParameters(), rng)
    columns = [*COLUMN_UNITS, *(TRUTH_UNITS if truth else ())]
    frame = frame[columns]
    frame.attrs = {
        "source": f"simulated (bayesdose.simulate.dose_cohort, {generator} generator); no patients",
        "generator": generator,
        "random_seed": str(random_seed),
        "units": units_text(columns),
        "glcm_settings": f"grey levels of {BIN_WIDTH_SUV} SUV, voxels of {VOXEL_ML} mL; from a "
        "bivariate normal law of neighbouring voxels, not computed from an image",
    }
    return frame


def _mechanism_table(
    n_patients: int,
    n_cycles: int,
    lesion_counts: Sequence[int] | None,
    parameters: MechanismParameters,
    rng: np.random.Generator,
) -> pd.DataFrame:
    burden = truncated_normal(rng, n_patients)
    drawn_counts = draw_lesion_counts(burden, rng)
    counts = drawn_counts if lesion_counts is None else np.array(lesion_counts, dtype=np.int64)
    layout = lay_out_sites(counts)
    patients = draw_patients(burden, n_cycles, parameters, rng)
    sites = draw_sites(layout, patients, parameters, rng)

    site, cycle = expand_cycles(layout.patient, n_cycles)
    patient, kind = layout.patient[site], layout.kind[site]
    scan = patient * n_cycles + cycle
    is_lesion = layout.is_lesion[site]
    truth = compute_truth(layout, patients, sites, site, cycle, parameters)

    volume = measure_volume(truth, rng)
    mass = volume * sites.density_g_ml[site]
    uptake = measure_uptake(truth, volume, kind, scan, parameters, rng)
    dose = measure_dose(truth, volume, mass, scan, parameters, rng)
    liver = truth.liver_suv * np.exp(
        LIVER_SUV_LOG_SD * truncated_normal(rng, truth.liver_suv.shape)
    )
    parotid = _mean_by_scan(uptake["suv_mean"], scan, kind == KINDS.index("parotid"))
    tumour_volume = patients.rest_volume_ml.ravel() + np.bincount(
        scan, weights=np.where(is_lesion, volume, 0.0), minlength=n_patients * n_cycles
    )
    psa = (
        PSA_MEDIAN_NG_ML
        * (tumour_volume / 300.0) ** PSA_VOLUME_EXPONENT
        * np.exp(PSA_LOG_SD * np.repeat(truncated_normal(rng, n_patients), n_cycles))
    )
    width = len(str(n_patients))
    tissues = np.array([parameters.kinds[name].tissue for name in KINDS], dtype=object)
    return pd.DataFrame(
        {
            "patient_id": [f"P{number + 1:0{width}d}" for number in patient],
            "site_id": layout.site_id[site],
            "cycle": cycle + 1,
            "tissue": tissues[kind],
            "lesion_type": sites.lesion_type[site],
            **dose,
            "administered_activity_gbq": patients.activity_gbq[patient, cycle],
            **uptake,
            "volume_ml": volume,
            "mass_g": mass,
            "tumour_to_liver": uptake["suv_mean"] / liver[patient, cycle],
            "tumour_to_parotid": uptake["suv_mean"] / parotid[scan],
            "egfr_ml_min_1p73m2": patients.egfr[patient, cycle],
            "psa_ng_ml": psa[scan],
            "psma_tv_ml": tumour_volume[scan],
            "pet_uptake_min": 60.0 * patients.pet_time_h[patient, cycle],
            **LABELS,
            "true_absorbed_dose_gy": truth.absorbed_dose_gy,
        }
    )


def _mean_by_scan(
    value: NDArray[np.float64], scan: NDArray[np.int64], chosen: NDArray[np.bool_]
) -> NDArray[np.float64]:
    return np.bincount(scan[chosen], weights=value[chosen]) / np.bincount(scan[chosen])


def _check_arguments(
    n_patients: int,
    generator: str,
    n_cycles: int,
    lesion_counts: Sequence[int] | None,
    regression: RegressionParameters | None,
) -> None:
    if generator not in GENERATORS:
        raise ConfigError(f"generator is {generator!r}; allowed are {', '.join(GENERATORS)}.")
    for name, value in (("n_patients", n_patients), ("n_cycles", n_cycles)):
        if value < 1:
            raise ConfigError(f"{name} is {value}; it must be 1 or more.")
    if regression is not None and generator != "regression":
        raise ConfigError(
            "regression parameters were given but generator is 'mechanism', which does not use "
            "them; pass generator='regression' or leave them out."
        )
    if lesion_counts is None:
        return
    if len(lesion_counts) != n_patients:
        raise ConfigError(
            f"lesion_counts has {len(lesion_counts)} entries for {n_patients} patients; give one "
            "number of lesions a patient."
        )
    wrong = [count for count in lesion_counts if count != int(count) or count < 0]
    if wrong:
        raise ConfigError(f"lesion_counts holds {wrong[0]!r}; whole numbers from 0 are allowed.")
