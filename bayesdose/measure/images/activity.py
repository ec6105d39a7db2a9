"""Activity of regions over time, from SPECT images."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import LARGEST_CV, numbers
from bayesdose.measure.images.image import Image, Regions
from bayesdose.measure.images.regional import outlines
from bayesdose.measure.recovery import RecoveryCurve, spill_slope

#: Units of an image → MBq in a voxel of 1 mL, or in a voxel whatever its size.
CONCENTRATIONS = {"Bq/mL": 1e-6, "kBq/mL": 1e-3, "MBq/mL": 1.0}
PER_VOXEL = {"Bq": 1e-6, "MBq": 1.0}
COUNT_RATE = "cps"


def site_activity(
    image: Image | Mapping[float, Image],
    regions: Regions | Mapping[float, Regions],
    *,
    units: str,
    calibration_bq_per_cps: float | None = None,
    recovery: RecoveryCurve | None = None,
    volume_cv: float = 0.0,
    calibration_cv: float = 0.0,
    fwhm_mm: float | None = None,
) -> pd.DataFrame:
    """Activity of every region at every time, for `fit_time_activity` and the like.

    Registration and outlining are yours: each image must be in the geometry of its regions.

    Parameters
    ----------
    image : Image, or mapping of float (h) to Image
        SPECT images by time from the start of the injection to mid-scan; or one image.
    regions : Regions, or mapping of float (h) to Regions
        The same for all times, or one for each.
    units : {"Bq/mL", "kBq/mL", "MBq/mL", "Bq", "MBq", "cps"}
        Of the image; ``"Bq"``, ``"MBq"`` and ``"cps"`` are per voxel.
    calibration_bq_per_cps : float, optional, Bq s
        Activity behind one count per second; needed for ``"cps"`` and refused for the others.
    recovery : RecoveryCurve, optional
        Activities are divided by it at the region's volume.
    volume_cv : float
        Relative standard uncertainty of an outline's volume.
    calibration_cv : float
        Relative standard uncertainty of the calibration.
    fwhm_mm : float, optional, mm
        Resolution of the images, up to 60. With it ``activity_cv`` knows that an outline that is
        too large holds more counts; without it, it is too large for small lesions, and 0 where
        nothing is recovered.

    Returns
    -------
    pandas.DataFrame
        A row a region and time: the table of labels, time_h (0 for one image), activity_mbq,
        volume_ml, recovery, activity_cv (what an error of the outline does through recovery and
        counts, abs(c - r) times ``volume_cv`` with the c and r of `absorbed_dose`: independent
        between times only where each was outlined anew), activity_cv_shared (calibration and
        recovery curve, common to all times).

    Raises
    ------
    MeasureError
        When units are unknown, a calibration is missing or out of place, times do not match, or a
        region has no activity.
    """
    factor = _mbq_factor(units, calibration_bq_per_cps)
    outline = float(numbers(volume_cv, "volume_cv", "", least=0.0, most=LARGEST_CV))
    calibration = float(numbers(calibration_cv, "calibration_cv", "", least=0.0, most=LARGEST_CV))
    images = dict(image) if isinstance(image, Mapping) else {0.0: image}
    parts = []
    for time, one in sorted(images.items()):
        numbers(time, "time_h", "h", least=0.0, hint="Times run from the injection.")
        here = _at_time(regions, time)
        rows = []
        for _, values, mask in outlines(one, here):
            inside = values[mask]
            total = inside.sum() * factor * (one.voxel_ml if units in CONCENTRATIONS else 1.0)
            rows.append((total, inside.size * one.voxel_ml))
        activity, volume = np.array(rows).T
        if not (np.isfinite(activity) & (activity > 0)).all():
            bad = int(np.argmin(np.isfinite(activity) & (activity > 0)))
            raise MeasureError(
                f"{one.name}: region {here.labels['site_id'].iloc[bad]} has an activity of "
                f"{activity[bad]:g} MBq; it must be above 0"
            )
        part = 1.0 if recovery is None else recovery(volume)
        slope = 0.0 if recovery is None else recovery.volume_slope(volume)
        curve = 0.0 if recovery is None else recovery.cv(volume)
        counts = spill_slope(volume, fwhm_mm, recovery)
        parts.append(
            here.labels.assign(
                time_h=time,
                activity_mbq=activity / part,
                volume_ml=volume,
                recovery=part,
                activity_cv=np.abs(counts - slope) * outline,
                activity_cv_shared=np.hypot(calibration, curve),
            )
        )
    return pd.concat(parts, ignore_index=True)


def _mbq_factor(units: str, calibration: float | None) -> float:
    known = {**CONCENTRATIONS, **PER_VOXEL}
    if units == COUNT_RATE:
        if calibration is None:
            raise MeasureError("units='cps' needs calibration_bq_per_cps")
        factor = numbers(calibration, "calibration_bq_per_cps", "Bq s", above=0.0)
        return float(factor) * 1e-6
    if units not in known:
        raise MeasureError(f"units: got {units!r}; allowed are {', '.join([*known, COUNT_RATE])}")
    if calibration is not None:
        raise MeasureError(
            f"calibration_bq_per_cps belongs to units='cps'; an image in {units} is calibrated"
        )
    return known[units]


def _at_time(regions: Regions | Mapping[float, Regions], time: float) -> Regions:
    if isinstance(regions, Regions):
        return regions
    if time not in regions:
        raise MeasureError(
            f"no regions are given for {time:g} h; there are some for "
            f"{', '.join(f'{t:g}' for t in regions)} h"
        )
    return regions[time]
