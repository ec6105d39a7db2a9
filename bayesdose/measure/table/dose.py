"""Columns that dose maps or SPECT images give."""

from typing import Any

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._times import hours_after
from bayesdose.measure.absorbed_dose import absorbed_dose
from bayesdose.measure.images.activity import site_activity
from bayesdose.measure.images.image import Image, Scan
from bayesdose.measure.images.reading import read_image
from bayesdose.measure.images.regional import region_dose
from bayesdose.measure.kinetics import PopulationKinetics
from bayesdose.measure.kinetics.curves import fit_points
from bayesdose.measure.kinetics.points import check_points
from bayesdose.measure.nuclides import decay_factor
from bayesdose.measure.suv import REFERENCES
from bayesdose.measure.table.cells import moment, naming, number, text
from bayesdose.measure.table.inputs import Job
from bayesdose.measure.table.outlines import Outlines
from bayesdose.measure.table.settings import Dosimetry

#: How far two statements of one time may be apart.
_APART_H = 0.5


def mapped_dose(job: Job, outlines: Outlines) -> pd.DataFrame:
    """Dose of a patient's regions from a dose map.

    Parameters
    ----------
    job : Job
        With one file of role dose.
    outlines : Outlines
        Its regions.

    Returns
    -------
    pandas.DataFrame
        A row a region: site_id, tissue, absorbed_dose_gy, d90_gy, dose_volume_ml, dose_method.

    Raises
    ------
    MeasureError
        When there is more than one dose map, or its unit is not stated.
    """
    rows = job.of_role("dose")
    if len(rows) > 1:
        raise MeasureError(f"{len(rows)} files have the role dose; one a cycle")
    with naming(rows[0]):
        image = read_image(rows[0]["path"])
        units = _stated(image, "units", text(rows[0], "units"), _header(image).units)
        found = region_dose(image, outlines.on(image, "dose"), units=units)
    names = {"volume_ml": "dose_volume_ml"}
    return found.drop(columns="label").rename(columns=names).assign(dose_method="dose map")


def activities(job: Job, outlines: Outlines, dosimetry: Dosimetry) -> pd.DataFrame:
    """Activity of a patient's regions in each SPECT image.

    Parameters
    ----------
    job : Job
        With files of role spect.
    outlines : Outlines
        Its regions.
    dosimetry : Dosimetry
        Settings.

    Returns
    -------
    pandas.DataFrame
        As of `site_activity`, with patient_id and cycle: a row a region and scan; activity_mbq is
        that at the scan.

    Raises
    ------
    MeasureError
        When times, units or the reference of decay correction are missing.
    """
    parts = []
    for row in job.of_role("spect"):
        with naming(row):
            parts.append(_one_scan(job, row, outlines, dosimetry))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(patient_id=job.patient_id, cycle=job.cycle)
    twice = table.duplicated(["site_id", "time_h"])
    if twice.any():
        raise MeasureError(f"two SPECT images are at {table.loc[twice, 'time_h'].iloc[0]:g} h")
    return table.assign(activity_cv=dosimetry.activity_cv)


def _one_scan(
    job: Job, row: dict[str, Any], outlines: Outlines, dosimetry: Dosimetry
) -> pd.DataFrame:
    image = read_image(row["path"])
    header = _header(image)
    time_h = _time_h(image, row, job.patient or {})
    stated = text(row, "decay_corrected_to")
    reference = _stated(image, "decay_corrected_to", stated, header.decay_corrected_to)
    if reference not in REFERENCES:
        raise MeasureError(
            f"decay_corrected_to is {reference!r}; allowed are {', '.join(REFERENCES)}"
        )
    part = site_activity(
        {time_h: image},
        outlines.on(image, "spect", time_h),
        units=_stated(image, "units", text(row, "units"), header.units),
        calibration_bq_per_cps=number(row, "calibration_bq_per_cps", "Bq s", above=0.0),
        recovery=dosimetry.recovery,
        calibration_cv=dosimetry.calibration_cv,
    )
    if reference == "injection":
        part["activity_mbq"] *= decay_factor(time_h, "Lu177")
    return part


def dose_of_activities(table: pd.DataFrame, dosimetry: Dosimetry) -> pd.DataFrame:
    """Dose of a patient's regions from their activities.

    Parameters
    ----------
    table : pandas.DataFrame
        As of `activities`.
    dosimetry : Dosimetry
        Settings.

    Returns
    -------
    pandas.DataFrame
        A row a region with a density: site_id, tissue, absorbed_dose_gy, absorbed_dose_cv,
        absorbed_dose_cv_shared, mass_g, dose_volume_ml, tia_mbq_h, effective_half_life_h,
        dose_method, dose_curve. The uncertainty of a recovery curve counts as independent here,
        for the shared part must be one for a patient and cycle.

    Raises
    ------
    MeasureError
        When no density is stated, or a curve cannot be fitted.
    """
    if "density_g_ml" not in table.columns:
        raise MeasureError(
            "the table of regions has no density_g_ml, which a dose from SPECT needs (1.04 soft "
            "tissue, 1.92 cortical bone); leave cells empty where no dose is wanted"
        )
    table = table[table["density_g_ml"].notna()]
    if table.empty:
        raise MeasureError("no region has a density_g_ml: no dose can be made of the SPECT")
    curves = (
        _by_population(table, dosimetry.kinetics)
        if dosimetry.kinetics
        else _fitted(table, dosimetry)
    )
    sites = table.drop_duplicates("site_id").set_index("site_id")
    volume = table.groupby("site_id", sort=False)["volume_ml"].mean()
    unknown = curves["tia_cv"].isna()
    dose = absorbed_dose(
        curves["tia_mbq_h"],
        volume,
        density_g_ml=sites["density_g_ml"].astype(float),
        tia_cv=curves["tia_cv"].fillna(0.0),
        volume_cv=dosimetry.volume_cv(volume.to_numpy()),
        recovery=dosimetry.recovery,
        calibration_cv=dosimetry.calibration_cv,
    ).set_index(sites.index)
    of_curve = dose["absorbed_dose_cv_shared"] ** 2 - dosimetry.calibration_cv**2
    own = np.sqrt(dose["absorbed_dose_cv"] ** 2 + of_curve.clip(lower=0.0))
    kept = [name for name in sites.columns if name not in _ACTIVITY_COLUMNS]
    return (
        sites[kept]
        .assign(
            absorbed_dose_gy=dose["absorbed_dose_gy"],
            absorbed_dose_cv=own.mask(unknown.to_numpy()),
            absorbed_dose_cv_shared=dosimetry.calibration_cv,
            mass_g=dose["mass_g"],
            dose_volume_ml=volume,
            tia_mbq_h=curves["tia_mbq_h"],
            effective_half_life_h=curves["effective_half_life_h"],
            dose_method="SPECT, sphere S-values",
            dose_curve=curves["curve"],
        )
        .reset_index()
    )


_ACTIVITY_COLUMNS = (
    "patient_id",
    "cycle",
    "label",
    "time_h",
    "activity_mbq",
    "volume_ml",
    "recovery",
    "activity_cv",
    "activity_cv_shared",
)


def _fitted(table: pd.DataFrame, dosimetry: Dosimetry) -> pd.DataFrame:
    rows: dict[str, Any] = {}
    for site, mine in table.groupby("site_id", sort=False):
        try:
            points = check_points(
                mine["time_h"],
                mine["activity_mbq"],
                decay_corrected=False,
                radionuclide="Lu177",
                activity_cv=dosimetry.activity_cv,
            )
            fit = fit_points(points, dosimetry.curve, dosimetry.weights)
        except MeasureError as err:
            raise MeasureError(f"region {site}: {err}") from err
        rows[str(site)] = {
            "tia_mbq_h": fit.tia_mbq_h,
            "tia_cv": fit.tia_cv,
            "effective_half_life_h": fit.effective_half_life_h,
            "curve": fit.curve + (" at physical decay" if fit.at_physical_limit else ""),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def _by_population(table: pd.DataFrame, kinetics: PopulationKinetics) -> pd.DataFrame:
    if table["activity_cv"].isna().all():
        table = table.drop(columns="activity_cv")
    return kinetics.tia(table).set_index("site_id").assign(curve="population curves")


def _time_h(image: Image, row: dict[str, Any], patient: dict[str, Any]) -> float:
    stated = number(row, "time_h", "h", above=0.0)
    header = _header(image)
    started = moment(row, "datetime") or header.started
    injected = moment(patient, "therapy_datetime")
    if stated is not None and (started is None or injected is None):
        return stated
    if started is None or injected is None:
        raise MeasureError(
            f"{image.name}: neither time_h nor datetime (of the scan's start) and therapy_datetime "
            "say when it was"
        )
    half = 0.5 * (header.duration_s or 0.0) / 3600.0
    found = hours_after(injected, started, image.name) + half
    if stated is not None and abs(stated - found) > _APART_H:
        raise MeasureError(
            f"{image.name}: time_h is {stated:g} h, and {found:.4g} h by the dates: one of the two "
            "must be wrong"
        )
    return found if stated is None else stated


def _stated(image: Image, name: str, stated: str | None, header: str | None) -> str:
    if stated is not None and header is not None and stated != header:
        raise MeasureError(
            f"{image.name}: {name} is stated as {stated!r} and {header!r} in the header"
        )
    found = stated or header
    if found is None:
        raise MeasureError(
            f"{image.name}: {name} is neither in the table of files nor in a DICOM header: state it"
        )
    return found


def _header(image: Image) -> Scan:
    return image.scan or Scan("unknown")
