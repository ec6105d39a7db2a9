"""Columns that dose maps or SPECT images give."""

import re
import warnings
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import LARGEST_CV
from bayesdose.measure._times import hours_after
from bayesdose.measure.absorbed_dose import absorbed_dose
from bayesdose.measure.images.activity import site_activity
from bayesdose.measure.images.image import Image, Scan
from bayesdose.measure.images.reading import read_image
from bayesdose.measure.images.regional import region_dose
from bayesdose.measure.images.standardise import agreed, same_time
from bayesdose.measure.kinetics import PopulationKinetics
from bayesdose.measure.kinetics.curves import N_PARAMETERS, fit_points
from bayesdose.measure.kinetics.points import Points, check_points
from bayesdose.measure.nuclides import decay_factor
from bayesdose.measure.suv import REFERENCES
from bayesdose.measure.table.cells import check_modality, moment, naming, number, text
from bayesdose.measure.table.inputs import Job
from bayesdose.measure.table.outlines import Outlines
from bayesdose.measure.table.settings import Dosimetry

_ELEMENTS = "Lu|Ac|Tb|Y|I|Bi|Pb|At|Cu|Re|Ra|Th|Sm|Ho"
#: Nuclides of therapy, in the spellings 177Lu, 177-Lu, Lu177 and Lu-177.
_NUCLIDE = re.compile(
    rf"(?<![A-Za-z0-9])(?:(\d{{2,3}})-?({_ELEMENTS})|({_ELEMENTS})-?(\d{{2,3}}))(?![A-Za-z0-9])"
)
#: Scatter below which the points are those of a formula, and not of scans.
_LEAST_CV = 1e-6
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
        check_modality(image, "RTDOSE", "dose")
        units = agreed(image, "units", text(rows[0], "units"), _header(image).units)
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
    _check_ligand(job)
    parts = []
    for row in job.of_role("spect"):
        with naming(row):
            parts.append(_one_scan(job, row, outlines, dosimetry))
    table = pd.concat(parts, ignore_index=True)
    table = table.assign(patient_id=job.patient_id, cycle=job.cycle)
    twice = table.duplicated(["site_id", "time_h"])
    if twice.any():
        raise MeasureError(f"two SPECT images are at {table.loc[twice, 'time_h'].iloc[0]:g} h")
    if dosimetry.activity_cv is None:
        return table.drop(columns="activity_cv")
    return table.assign(activity_cv=dosimetry.activity_cv)


def _check_ligand(job: Job) -> None:
    """Refuse therapies of other nuclides, for which neither decay nor S-values are these."""
    ligand = text(job.patient or {}, "therapy_ligand")
    found = {
        (before or after) + (first or second)
        for before, first, second, after in _NUCLIDE.findall(ligand or "")
    }
    if found and found != {"177Lu"}:
        raise MeasureError(
            f"therapy_ligand is {ligand!r}; curves and S-values of SPECT are those of 177Lu"
        )


def _one_scan(
    job: Job, row: dict[str, Any], outlines: Outlines, dosimetry: Dosimetry
) -> pd.DataFrame:
    image = read_image(row["path"])
    check_modality(image, "NM", "spect")
    header = _header(image)
    time_h = _time_h(image, row, job.patient or {})
    stated = text(row, "decay_corrected_to")
    reference = agreed(image, "decay_corrected_to", stated, header.decay_corrected_to)
    if reference not in REFERENCES:
        raise MeasureError(
            f"decay_corrected_to is {reference!r}; allowed are {', '.join(REFERENCES)}"
        )
    part = site_activity(
        {time_h: image},
        outlines.on(image, "spect", time_h),
        units=agreed(image, "units", text(row, "units"), header.units),
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
    kinetics = dosimetry.kinetics
    curves = _fitted(table, dosimetry) if kinetics is None else _by_population(table, kinetics)
    table = table[table["site_id"].isin(curves.index)]
    sites = table.drop_duplicates("site_id").set_index("site_id")
    volume = table.groupby("site_id", sort=False)["volume_ml"].mean()
    dose = pd.concat(
        [
            _self_dose(str(site), curves.loc[site], volume[site], sites.loc[site], dosimetry)
            for site in sites.index
        ]
    ).set_index(sites.index)
    unknown = curves["tia_cv"].isna()
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


def _self_dose(
    site: str, curve: pd.Series, volume_ml: float, region: pd.Series, dosimetry: Dosimetry
) -> pd.DataFrame:
    cv = curve["tia_cv"]
    try:
        return absorbed_dose(
            [curve["tia_mbq_h"]],
            [volume_ml],
            density_g_ml=float(region["density_g_ml"]),
            tia_cv=0.0 if np.isnan(cv) else cv,
            volume_cv=dosimetry.volume_cv(np.array([volume_ml])),
            recovery=dosimetry.recovery,
            calibration_cv=dosimetry.calibration_cv,
            fwhm_mm=dosimetry.fwhm_mm,
        )
    except MeasureError as err:
        raise MeasureError(f"region {site}: {err}") from err


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
    """Curves of the regions; those without one are told and left out."""
    points, failed = {}, {}
    for site, mine in table.groupby("site_id", sort=False):
        try:
            points[str(site)] = check_points(
                mine["time_h"],
                mine["activity_mbq"],
                decay_corrected=False,
                radionuclide="Lu177",
                activity_cv=dosimetry.activity_cv,
            )
        except MeasureError as err:
            failed[str(site)] = str(err)
    if dosimetry.activity_cv is None and dosimetry.weights == "relative":
        points = _with_common_cv(points, dosimetry)
    rows: dict[str, Any] = {}
    for site, its in points.items():
        try:
            fit = fit_points(its, dosimetry.curve, dosimetry.weights)
        except MeasureError as err:
            failed[site] = str(err)
            continue
        if not fit.tia_cv <= LARGEST_CV and not np.isnan(fit.tia_cv):
            failed[site] = (
                f"its points do not determine the integral of a {fit.curve} curve (relative "
                f"uncertainty {fit.tia_cv:.3g}): check units and times"
            )
            continue
        rows[site] = {
            "tia_mbq_h": fit.tia_mbq_h,
            "tia_cv": fit.tia_cv,
            "effective_half_life_h": fit.effective_half_life_h,
            "curve": fit.curve + (" at physical decay" if fit.at_physical_limit else ""),
        }
    if not rows:
        site, why = next(iter(failed.items()))
        raise MeasureError(f"region {site}: {why}")
    for site, why in failed.items():
        warnings.warn(f"region {site} gets no dose: {why}", stacklevel=2)
    return pd.DataFrame.from_dict(rows, orient="index")


def _with_common_cv(points: dict[str, Points], dosimetry: Dosimetry) -> dict[str, Points]:
    """Scatter about the curves, pooled over the regions: one of them has too few scans to tell."""
    square, freedom = 0.0, 0
    for its in points.values():
        try:
            fit = fit_points(its, dosimetry.curve, dosimetry.weights)
        except MeasureError:
            continue  # told where the curves are fitted
        residual = np.log(its.activity_mbq / fit.activity(its.time_h))
        square += float((residual**2).sum())
        freedom += max(len(its.time_h) - N_PARAMETERS[fit.curve], 0)
    if freedom == 0:
        return points
    cv = max(np.sqrt(square / freedom), _LEAST_CV)
    return {
        site: replace(its, cv=np.full_like(its.time_h, min(cv, LARGEST_CV)))
        for site, its in points.items()
    }


def _by_population(table: pd.DataFrame, kinetics: PopulationKinetics) -> pd.DataFrame:
    if kinetics.decay_corrected:
        back = 1.0 / decay_factor(table["time_h"], "Lu177")
        table = table.assign(activity_mbq=table["activity_mbq"] * back)
    return kinetics.tia(table).set_index("site_id").assign(curve="population curves")


def _time_h(image: Image, row: dict[str, Any], patient: dict[str, Any]) -> float:
    stated = number(row, "time_h", "h", above=0.0)
    header = _header(image)
    started = _known_time(image, "scan start", moment(row, "datetime"), header.started)
    stated_injection = moment(patient, "therapy_datetime")
    injected = _known_time(image, "injection", stated_injection, header.injected_at)
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


def _known_time(
    image: Image, name: str, stated: datetime | None, header: datetime | None
) -> datetime | None:
    if stated is None and header is None:
        return None
    return same_time(image, name, stated, header)


def _header(image: Image) -> Scan:
    return image.scan or Scan("unknown")
