"""Truth by mechanism: what happens in the body, before any camera sees it.

A plasma compartment empties through the kidneys, the organs and the whole tumour volume (the
sink: the more tumour, the less ligand is left for every site). Each site takes up the PET ligand
and the therapy ligand at related but different rates and loses 177Lu with its own half-life; the
absorbed dose follows from the time-integrated activity by MIRD. No regression enters.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bayesdose.measure.spheres import sphere_fit
from bayesdose.simulate.kinetics import (
    activity_concentration,
    biological_rate,
    time_integrated_concentration,
)
from bayesdose.simulate.layout import KINDS, SiteLayout
from bayesdose.simulate.parameters import MechanismParameters
from bayesdose.simulate.population import Patients, Sites, tissue_words

FloatArray = NDArray[np.float64]

SINK_DENSITY_G_ML = 1.1
# Dosimetry measures the bright lesions; the rest takes up less a gram (assumption).
REST_UPTAKE = 0.6
TUMOUR_LOG_UPTAKE_CHANGE = -0.10  # from one cycle to the next (assumption)
LIVER_PLATEAU_SUV, LIVER_EFFECTIVE_HALF_LIFE_H = 8.7, 40.0


@dataclass(frozen=True)
class Truth:
    """True uptake and absorbed dose of each row (site and cycle).

    Parameters
    ----------
    volume_ml, mass_g : ndarray of shape (n_rows,), mL and g
        True size.
    suv : ndarray of shape (n_rows,), SUV
        True mean uptake at the time of the PET.
    liver_suv : ndarray of shape (n_patients, n_cycles), SUV
        True uptake of the liver.
    absorbed_dose_gy : ndarray of shape (n_rows,), Gy
        True mean absorbed dose.
    """

    volume_ml: FloatArray
    mass_g: FloatArray
    suv: FloatArray
    liver_suv: FloatArray
    absorbed_dose_gy: FloatArray


def compute_truth(
    layout: SiteLayout,
    patients: Patients,
    sites: Sites,
    site: NDArray[np.int64],
    cycle: NDArray[np.int64],
    parameters: MechanismParameters,
) -> Truth:
    """Solve the kinetics of every row.

    Parameters
    ----------
    layout : SiteLayout
        Who has which sites.
    patients, sites : Patients, Sites
        The population.
    site, cycle : ndarray of int, shape (n_rows,)
        Site and cycle (from 0) of each row.
    parameters : MechanismParameters
        Population values.

    Returns
    -------
    Truth

    Notes
    -----
    MIRD self-dose: D = A * TIA per gram * mass * S(mass); Bolch 2009, JNM 50:477 (from memory).
    """
    patient = layout.patient[site]
    is_lesion, is_kidney = layout.is_lesion[site], layout.kind[site] == KINDS.index("kidney")

    volume = sites.volume_ml[site] * np.where(
        is_lesion, patients.volume_factor[patient, cycle], 1.0
    )
    mass = volume * sites.density_g_ml[site]
    cycle_log_uptake = np.where(is_lesion, TUMOUR_LOG_UPTAKE_CHANGE * cycle, 0.0)

    # Influx per gram: plateau uptake times the reference clearance, per gram of body weight.
    pet_reference = np.log(2.0) / parameters.pet_plasma_half_life_h
    therapy_reference = np.log(2.0) / parameters.therapy_plasma_half_life_h
    uptake = sites.plateau_suv[site] * np.exp(cycle_log_uptake) / patients.weight_g[patient]
    pet_influx = uptake * pet_reference
    therapy_influx = (
        uptake
        * therapy_reference
        * sites.ligand_ratio[site]
        * np.exp(patients.cycle_effect[patient, cycle])
    )

    pet_sink, therapy_sink = _sink_rates(layout, patients, sites, parameters)
    pet_plasma = patients.pet_plasma_rate[:, None] + pet_sink
    therapy_plasma = patients.therapy_plasma_rate[:, None] + therapy_sink

    egfr_ratio = patients.egfr[patient, cycle] / parameters.egfr_ml_min_1p73m2
    tissue_rate = biological_rate(sites.effective_half_life_h[site]) * np.where(
        is_kidney, egfr_ratio**parameters.egfr_kidney_exponent, 1.0
    )

    pet_per_g = activity_concentration(
        patients.pet_time_h[patient, cycle], pet_influx, pet_plasma[patient, cycle], tissue_rate
    )
    therapy_h_per_g = time_integrated_concentration(
        therapy_influx, therapy_plasma[patient, cycle], tissue_rate
    )
    activity_mbq = 1000.0 * patients.activity_gbq[patient, cycle]
    liver_influx = LIVER_PLATEAU_SUV * np.exp(patients.liver_effect) * pet_reference
    return Truth(
        volume_ml=volume,
        mass_g=mass,
        suv=pet_per_g * patients.weight_g[patient],
        liver_suv=activity_concentration(
            patients.pet_time_h,
            liver_influx[:, None],
            pet_plasma,
            biological_rate(LIVER_EFFECTIVE_HALF_LIFE_H),
        ),
        absorbed_dose_gy=activity_mbq * therapy_h_per_g * mass * sphere_fit(mass),
    )


def _sink_rates(
    layout: SiteLayout, patients: Patients, sites: Sites, parameters: MechanismParameters
) -> tuple[FloatArray, FloatArray]:
    # Plasma clearance by all tumour: mass times the mean influx per gram of that patient's tumours.
    tumour = parameters.kinds["tumour"]
    effect = tissue_words(parameters).index(tumour.tissue)
    lesions = layout.is_lesion
    measured_ml = np.bincount(
        layout.patient[lesions],
        weights=sites.volume_ml[lesions],
        minlength=patients.weight_g.size,
    )
    avid_ml = measured_ml[:, None] * patients.volume_factor + REST_UPTAKE * patients.rest_volume_ml
    cycles = np.arange(patients.volume_factor.shape[1])
    pet_influx = (
        tumour.plateau_suv
        * np.exp(
            tumour.uptake_patient_sd * patients.uptake[:, effect] + tumour.uptake_site_sd**2 / 2.0
        )
        / patients.weight_g
    )[:, None] * np.exp(TUMOUR_LOG_UPTAKE_CHANGE * cycles)
    ratio = (
        tumour.ligand_ratio
        * np.exp(
            tumour.ligand_patient_sd * patients.ligand[:, effect] + tumour.ligand_site_sd**2 / 2.0
        )
    )[:, None] * np.exp(patients.cycle_effect)
    sink = SINK_DENSITY_G_ML * avid_ml * pet_influx * np.log(2.0)
    return (
        sink / parameters.pet_plasma_half_life_h,
        sink * ratio / parameters.therapy_plasma_half_life_h,
    )
