"""All rows of one patient and cycle."""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from bayesdose.cohort import validate_sites
from bayesdose.errors import MeasureError
from bayesdose.measure.images.reading import read_image
from bayesdose.measure.images.regional import outlines as cut_outlines
from bayesdose.measure.renal import creatinine_mg_dl, egfr_ckd_epi_2021
from bayesdose.measure.table.cells import check_modality, naming, number, text, yes_no
from bayesdose.measure.table.dose import activities, dose_of_activities, mapped_dose
from bayesdose.measure.table.inputs import Job
from bayesdose.measure.table.outlines import Outlines
from bayesdose.measure.table.settings import Dosimetry, Texture
from bayesdose.measure.table.uptake import uptake_columns

_HU = -1100, 4000
#: Columns of patients that are measured with, and stay out of the site table.
_USED = (
    "patient_id",
    "cycle",
    "pet_activity_mbq",
    "pet_injection_datetime",
    "therapy_datetime",
    "creatinine",
    "creatinine_unit",
)


@dataclass(frozen=True)
class SiteRows:
    """Rows of the site table: everything that there is of a patient and cycle.

    Parameters
    ----------
    texture : Texture or None
        How texture is made; None makes none.
    dosimetry : Dosimetry
        How dose is made of SPECT.
    """

    texture: Texture | None
    dosimetry: Dosimetry

    def __call__(self, job: Job) -> pd.DataFrame:
        """Measure a patient and cycle.

        Parameters
        ----------
        job : Job
            Patient and cycle.

        Returns
        -------
        pandas.DataFrame
            Rows of the site table.

        Raises
        ------
        MeasureError, SiteTableError
            When something is missing, cannot be read, or is out of range.
        """
        patient = _checked(job)
        outlines = Outlines(job)
        sites, of_patient = pd.DataFrame(), dict[str, Any]()
        if job.of_role("pet"):
            sites, of_patient = uptake_columns(job, outlines, self.texture)
        sites = _joined(sites, _dose(job, outlines, self.dosimetry))
        if job.of_role("ct"):
            sites = _joined(sites, _ct_numbers(job, outlines))
        if sites.empty:
            raise MeasureError("no file has the role pet, spect or dose")
        sites = sites.assign(
            patient_id=job.patient_id, cycle=job.cycle, **_biomarkers(patient), **of_patient
        )
        sites = _in_order(sites, job.regions)
        _validate(sites)
        return sites


@dataclass(frozen=True)
class ActivityRows:
    """Activities of a patient's regions over time.

    Parameters
    ----------
    dosimetry : Dosimetry
        Recovery and calibration.
    """

    dosimetry: Dosimetry

    def __call__(self, job: Job) -> pd.DataFrame:
        """Measure a patient and cycle.

        Parameters
        ----------
        job : Job
            Patient and cycle.

        Returns
        -------
        pandas.DataFrame
            A row a region and scan.

        Raises
        ------
        MeasureError
            When something is missing or cannot be read.
        """
        _checked(job)
        if not job.of_role("spect"):
            raise MeasureError("no file has the role spect")
        return activities(job, Outlines(job), self.dosimetry).drop(columns="label")


def _checked(job: Job) -> dict[str, Any]:
    if not job.files:
        raise MeasureError(
            f"there are no files of {job.patient_id!r}, cycle {job.cycle}, in the table of files"
        )
    if job.patient is None:
        raise MeasureError(
            f"there is no row in the table of patients for {job.patient_id!r}, cycle {job.cycle}"
        )
    if job.regions.empty:
        raise MeasureError(
            f"there is no row in the table of regions for {job.patient_id!r}, cycle {job.cycle}"
        )
    return job.patient


def _validate(sites: pd.DataFrame) -> None:
    validate_sites(
        sites if "absorbed_dose_gy" in sites else sites.assign(absorbed_dose_gy=float("nan")),
        activity="administered_activity_gbq" if "administered_activity_gbq" in sites else None,
        response_required=False,
        # a lesion of little uptake is no error; the whole table is looked at in the end
        checks={"literature_median": False, "literature_value": False},
    )


def _dose(job: Job, outlines: Outlines, dosimetry: Dosimetry) -> pd.DataFrame:
    maps, spect = job.of_role("dose"), job.of_role("spect")
    if maps and spect:
        raise MeasureError(
            "there are a dose map and SPECT images: leave out the one that the dose is not to be "
            "made of"
        )
    if maps:
        return mapped_dose(job, outlines)
    if spect:
        return dose_of_activities(activities(job, outlines, dosimetry), dosimetry)
    return pd.DataFrame()


def _ct_numbers(job: Job, outlines: Outlines) -> pd.DataFrame:
    rows = job.of_role("ct")
    if len(rows) > 1:
        raise MeasureError(f"{len(rows)} files have the role ct; one a cycle")
    image = read_image(rows[0]["path"])
    with naming(rows[0]):
        check_modality(image, "CT", "ct")
        regions = outlines.on(image, "ct")
    means = [values[mask].mean() for _, values, mask in cut_outlines(image, regions)]
    if not all(_HU[0] <= mean <= _HU[1] for mean in means):
        raise MeasureError(
            f"{image.name}: a region has a mean of {max(means, key=abs):.4g} HU; CT numbers lie "
            f"between {_HU[0]} and {_HU[1]}"
        )
    return regions.labels.drop(columns="label").assign(ct_hu_mean=means)


def _joined(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Sites of both, those of the first in front; columns of regions are the same in both."""
    if first.empty or second.empty:
        return second if first.empty else first
    common = [name for name in first.columns if name in second.columns]
    return first.merge(second, on=common, how="outer", sort=False)


def _biomarkers(patient: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in patient.items() if name not in _USED}
    creatinine = number(patient, "creatinine", "its unit")
    if creatinine is None:
        return kept
    unit, age, female = (
        text(patient, "creatinine_unit"),
        number(patient, "age_y", "years"),
        yes_no(patient, "female"),
    )
    if unit is None or age is None or female is None:
        raise MeasureError(
            "creatinine needs creatinine_unit, age_y and female for an eGFR; got "
            f"{unit!r}, {age!r} and {female!r}"
        )
    if "egfr_ml_min_1p73m2" in kept:
        raise MeasureError("there are creatinine and egfr_ml_min_1p73m2: leave one of them out")
    egfr = egfr_ckd_epi_2021(creatinine_mg_dl(creatinine, unit), age, female)
    return kept | {"egfr_ml_min_1p73m2": float(egfr)}


def _in_order(sites: pd.DataFrame, regions: pd.DataFrame) -> pd.DataFrame:
    """Rows in the order of the table of regions, with their lesion types."""
    place = {site: i for i, site in enumerate(regions["site_id"])}
    sites = sites.sort_values("site_id", key=lambda column: column.map(place), kind="stable")
    sites = sites.reset_index(drop=True)
    if "lesion_type" not in regions.columns:
        return sites
    return sites.assign(
        lesion_type=sites["site_id"].map(regions.set_index("site_id")["lesion_type"])
    )
