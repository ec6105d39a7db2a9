"""Columns that the PET gives."""

import re
import warnings
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure.images.image import Image
from bayesdose.measure.images.reading import read_image
from bayesdose.measure.images.regional import region_texture, region_uptake
from bayesdose.measure.images.standardise import suv_image, uptake_time_h
from bayesdose.measure.table.cells import check_modality, moment, naming, number, text
from bayesdose.measure.table.inputs import ORGANS, TUMOUR, Job
from bayesdose.measure.table.outlines import Outlines
from bayesdose.measure.table.settings import Texture
from bayesdose.measure.uptake import tumour_to_organ, whole_body

#: Largest SUV of a patient's regions outside which the image is not in SUV.
_SUV_MAX = 0.1, 1000.0
#: Names of `suv_image` → columns of the tables.
_COLUMNS = {
    "injected_mbq": "pet_activity_mbq",
    "radionuclide": "the radionuclide (of pet_tracer, such as 68Ga-PSMA-11)",
    "the date and time of the injection": "pet_injection_datetime",
    "the date and time of the scan start": "datetime (of the scan's start)",
}
#: Spellings of units.
_UNITS = {"suv": "SUV", "g/ml": "SUV", "gml": "SUV", "bqml": "Bq/mL", "bq/ml": "Bq/mL"} | {
    "kbq/ml": "kBq/mL",
    "mbq/ml": "MBq/mL",
}
_NUCLIDE = re.compile(r"(?:^|[^0-9a-z])\[?(68-?ga|ga-?68|18-?f|f-?18|64-?cu|cu-?64)", re.IGNORECASE)


def uptake_columns(
    job: Job, outlines: Outlines, texture: Texture | None
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Uptake, ratios and texture of a patient's regions.

    Parameters
    ----------
    job : Job
        With one file of role pet.
    outlines : Outlines
        Its regions.
    texture : Texture or None
        How texture is made; None makes none.

    Returns
    -------
    sites : pandas.DataFrame
        A row a region: site_id, tissue, other columns of the regions, uptake, ``tumour_to_*``.
    patient : dict
        psma_tv_ml, psma_tl_g and pet_uptake_min, where the times are known.

    Raises
    ------
    MeasureError
        When there is more than one PET, or it cannot be made SUV.
    """
    rows = job.of_role("pet")
    if len(rows) > 1:
        raise MeasureError(f"{len(rows)} files have the role pet; one a cycle")
    with naming(rows[0]):
        image = read_image(rows[0]["path"])
        check_modality(image, "PT", "pet")
        suv = _in_suv(image, rows[0], job.patient or {})
        regions = outlines.on(suv, "pet")
        minutes = _uptake_minutes(image, rows[0], job.patient or {})
    sites = region_uptake(suv, regions).drop(columns=["label", "n_voxels"])
    _check_suv(sites, suv)
    if texture is not None:
        made = region_texture(
            suv,
            regions,
            bin_width=texture.bin_width,
            aggregation=texture.aggregation,
            resample_mm=texture.resample_mm,
            codes=texture.codes,
        )
        sites = sites.join(made.filter(regex="^(glcm|ibsi)_"))
    sites = sites.assign(**_ratios(sites, job))
    whole = whole_body(sites.assign(patient_id=job.patient_id)).iloc[0]
    patient = {"psma_tv_ml": whole["psma_tv_ml"], "psma_tl_g": whole["psma_tl_g"]}
    return sites, patient | minutes


def _check_suv(sites: pd.DataFrame, image: Image) -> None:
    least, most = _SUV_MAX
    largest = sites["suv_max"].max()
    if not least <= largest <= most:
        raise MeasureError(
            f"{image.name}: the largest SUV of all regions is {largest:.3g}; {least:g} to {most:g} "
            "is what is seen. Are units, activity and times right?"
        )
    if not (sites["tissue"] == TUMOUR).any():
        warnings.warn(
            f"no region of the PET has the tissue {TUMOUR!r}: whole-body sums are 0", stacklevel=2
        )


def _in_suv(image: Image, row: dict[str, Any], patient: dict[str, Any]) -> Image:
    units = text(row, "units")
    stated = None if units is None else _UNITS.get(units.casefold(), units)
    try:
        return _standardised(image, stated, row, patient)
    except MeasureError as err:
        message = str(err)
        for name, column in _COLUMNS.items():
            message = message.replace(f"{name} is neither", f"{column} is neither")
        raise MeasureError(message) from err


def _standardised(
    image: Image, units: str | None, row: dict[str, Any], patient: dict[str, Any]
) -> Image:
    return suv_image(
        image,
        units=units,
        weight_kg=number(patient, "weight_kg", "kg"),
        injected_mbq=number(patient, "pet_activity_mbq", "MBq"),
        injected_at=moment(patient, "pet_injection_datetime"),
        started=moment(row, "datetime"),
        decay_corrected_to=text(row, "decay_corrected_to"),
        radionuclide=radionuclide_of(text(patient, "pet_tracer")),
    )


def radionuclide_of(tracer: str | None) -> str | None:
    """Radionuclide in the name of a tracer.

    Parameters
    ----------
    tracer : str or None
        Such as ``"68Ga-PSMA-11"``, ``"[18F]PSMA-1007"`` or ``"18F-DCFPyL"``.

    Returns
    -------
    str or None
        Such as ``"68Ga"``; None where the name holds none.
    """
    found = None if tracer is None else _NUCLIDE.search(tracer)
    if found is None:
        return None
    name = found.group(1).casefold()
    return next(one for one in ("68Ga", "18F", "64Cu") if set(one.casefold()) <= set(name))


def _ratios(sites: pd.DataFrame, job: Job) -> dict[str, Any]:
    low = sites[~(sites["suv_mean"] > 0)]
    if len(low):
        site, mean = low[["site_id", "suv_mean"]].iloc[0]
        raise MeasureError(f"region {site} has a mean SUV of {mean:g}; it must be above 0")
    organs = [_organ(row) for row in _region_rows(sites, job)]
    tracer = text(job.patient or {}, "pet_tracer") or ""
    found = {}
    for organ in ORGANS:
        mine = np.array([name == organ for name in organs])
        if not mine.any():
            continue
        volume = sites.loc[mine, "volume_ml"]
        mean = float((sites.loc[mine, "suv_mean"] * volume).sum() / volume.sum())
        found[f"tumour_to_{organ}"] = tumour_to_organ(sites["suv_mean"], mean, organ, tracer)
    return found


def _region_rows(sites: pd.DataFrame, job: Job) -> list[dict[str, Any]]:
    by_site = job.regions.set_index("site_id", drop=False)
    return [by_site.loc[site].to_dict() for site in sites["site_id"]]


def _organ(row: dict[str, Any]) -> str:
    """Organ by the column of that name, the tissue, or a salivary gland's name."""
    stated = text(row, "organ")
    if stated is not None:
        return stated
    tissue = str(row["tissue"])
    if tissue == "salivary_gland":
        name = str(row["site_id"]).casefold()
        return next((gland for gland in ("parotid", "submandibular") if gland in name), tissue)
    return tissue


def _uptake_minutes(image: Image, row: dict[str, Any], patient: dict[str, Any]) -> dict[str, float]:
    injected_at, started = moment(patient, "pet_injection_datetime"), moment(row, "datetime")
    scan = image.scan
    known = (injected_at or (scan and scan.injected_at)) and (started or (scan and scan.started))
    if not known:
        return {}
    return {"pet_uptake_min": 60.0 * uptake_time_h(image, injected_at=injected_at, started=started)}
