"""Images and label maps from NIfTI files, and activities of their regions."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.errors import MeasureError
from bayesdose.measure._extras import need
from bayesdose.measure._numbers import LARGEST_CV, Floats, numbers
from bayesdose.measure.recovery import RecoveryCurve
from bayesdose.measure.uptake import uptake_features

#: Largest distance, mm, by which the corners of two images of one geometry may differ.
_SAME_PLACE_MM = 0.1
#: Largest cosine between two axes of an image.
_SHEAR = 1e-3
#: Units of an image → MBq in a voxel of 1 mL, or in a voxel whatever its size.
CONCENTRATIONS = {"Bq/mL": 1e-6, "kBq/mL": 1e-3, "MBq/mL": 1.0}
PER_VOXEL = {"Bq": 1e-6, "MBq": 1.0}
COUNT_RATE = "cps"
#: Units of a dose map → Gy.
DOSES = {"Gy": 1.0, "mGy": 1e-3}


@dataclass(frozen=True)
class Image:
    """A three-dimensional image in space.

    Parameters
    ----------
    values : ndarray of shape (n1, n2, n3)
        Voxels.
    affine : ndarray of shape (4, 4), mm
        From voxel numbers to places.
    name : str
        For messages.
    """

    values: np.ndarray
    affine: Floats
    name: str = "the image"

    @property
    def spacing_mm(self) -> Floats:
        """Size of a voxel along each axis.

        Returns
        -------
        ndarray of shape (3,), mm
        """
        return np.sqrt((self.affine[:3, :3] ** 2).sum(0))


@dataclass(frozen=True)
class Regions:
    """A label map with what its labels mean.

    Parameters
    ----------
    image : Image
        Whole numbers; 0 is no region.
    labels : pandas.DataFrame
        A row a region: label, site_id, tissue; other columns are kept.
    """

    image: Image
    labels: pd.DataFrame


def read_image(path: str | Path) -> Image:
    """Read a three-dimensional NIfTI file.

    Parameters
    ----------
    path : str or Path
        ``.nii`` or ``.nii.gz``.

    Returns
    -------
    Image
        Scaled as the file says; its unit is not in the file and is asked for where it matters.

    Raises
    ------
    MeasureError
        When the file is not there, truncated or no NIfTI, not three-dimensional, or its axes are
        sheared.
    """
    need("nibabel", "reading NIfTI")
    import nibabel as nib

    path = Path(path)
    if not path.is_file():
        raise MeasureError(f"{path}: no such file")
    try:
        loaded: Any = nib.load(path)
        values = np.asarray(loaded.dataobj, dtype=float)
    except (nib.filebasedimages.ImageFileError, OSError, EOFError, ValueError) as err:
        raise MeasureError(f"{path}: cannot be read as NIfTI, or is truncated ({err})") from err
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise MeasureError(
            f"{path}: has shape {values.shape}; give one three-dimensional image a file"
        )
    affine = np.asarray(loaded.affine, dtype=np.float64)
    _check_affine(affine, path.name)
    return Image(values, affine, path.name)


def read_regions(path: str | Path, labels: pd.DataFrame) -> Regions:
    """Read a label map and give its labels their names.

    Parameters
    ----------
    path : str or Path
        NIfTI file of whole numbers, 0 outside every region.
    labels : pandas.DataFrame
        Columns label (whole numbers), site_id, tissue; optionally others.

    Returns
    -------
    Regions

    Raises
    ------
    MeasureError
        When the map holds other numbers, or labels and table do not belong together.
    """
    image = read_image(path)
    wanted = ["label", "site_id", "tissue"]
    missing = [name for name in wanted if name not in labels.columns]
    if missing:
        raise MeasureError(f"the table of labels lacks {', '.join(missing)}; it has {list(labels)}")
    found = np.unique(image.values)
    if (found != np.round(found)).any() or found.min() < 0:
        raise MeasureError(
            f"{image.name}: a label map holds whole numbers from 0; this one holds {found[:5]}"
        )
    given = numbers(labels["label"], "label", "", least=1.0)
    twice = pd.Series(given)[pd.Series(given).duplicated()]
    if len(twice):
        raise MeasureError(f"label {twice.iloc[0]:g} is named twice in the table of labels")
    nameless = sorted(set(found) - set(given) - {0.0})
    if nameless:
        raise MeasureError(
            f"{image.name}: label {nameless[0]:g} has no row in the table of labels (it has "
            f"{', '.join(f'{one:g}' for one in sorted(given))}): name it, or set it to 0"
        )
    empty = sorted(set(given) - set(found))
    if empty:
        site = labels["site_id"][given == empty[0]].iloc[0]
        raise MeasureError(
            f"{image.name}: label {empty[0]:g} ({site}) has no voxel: leave it out of the table, "
            "or outline it"
        )
    return Regions(image, labels.reset_index(drop=True))


def region_uptake(image: Image, regions: Regions) -> pd.DataFrame:
    """Uptake of every region of an image in SUV.

    Parameters
    ----------
    image : Image, g/mL
        Multiplied by `suv_factor` already.
    regions : Regions
        In the same geometry.

    Returns
    -------
    pandas.DataFrame
        The table of labels with the columns of `uptake_features`.

    Raises
    ------
    MeasureError
        When image and label map are not of one geometry.
    """
    check_same_geometry(image, regions.image)
    found = [
        uptake_features(image.values, regions.image.values == label, image.spacing_mm)
        for label in regions.labels["label"]
    ]
    return pd.concat([regions.labels, pd.DataFrame(found)], axis=1)


def region_dose(image: Image, regions: Regions, *, units: str) -> pd.DataFrame:
    """Absorbed dose of every region of a dose map.

    Parameters
    ----------
    image : Image
        Dose map.
    regions : Regions
        In the same geometry.
    units : {"Gy", "mGy"}
        Of the map.

    Returns
    -------
    pandas.DataFrame
        The table of labels with absorbed_dose_gy (mean), d90_gy (the dose that 90 % of the volume
        receive at least) and volume_ml.

    Raises
    ------
    MeasureError
        When units are unknown, geometries differ, or a region has no dose.
    """
    if units not in DOSES:
        raise MeasureError(f"units: got {units!r}; allowed are {', '.join(DOSES)}")
    check_same_geometry(image, regions.image)
    voxel_ml = float(np.prod(image.spacing_mm)) / 1000.0
    rows = []
    for label, site in zip(regions.labels["label"], regions.labels["site_id"], strict=True):
        inside = image.values[regions.image.values == label] * DOSES[units]
        if not np.isfinite(inside).all() or not inside.mean() > 0:
            raise MeasureError(
                f"{image.name}: region {site} has a mean dose of {inside.mean():g} Gy; it must be "
                "finite and above 0"
            )
        rows.append(
            {
                "absorbed_dose_gy": inside.mean(),
                "d90_gy": np.quantile(inside, 0.1),
                "volume_ml": inside.size * voxel_ml,
            }
        )
    return pd.concat([regions.labels, pd.DataFrame(rows)], axis=1)


def site_activity(
    image: Image | Mapping[float, Image],
    regions: Regions | Mapping[float, Regions],
    *,
    units: str,
    calibration_bq_per_cps: float | None = None,
    recovery: RecoveryCurve | None = None,
    volume_cv: float = 0.0,
    calibration_cv: float = 0.0,
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

    Returns
    -------
    pandas.DataFrame
        A row a region and time: the table of labels, time_h (0 for one image), activity_mbq,
        volume_ml, recovery, activity_cv (what an error of the outline does through the recovery:
        independent between times only where each was outlined anew), activity_cv_shared
        (calibration and recovery curve, common to all times).

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
        check_same_geometry(one, here.image)
        voxel_ml = float(np.prod(one.spacing_mm)) / 1000.0
        rows = []
        for label in here.labels["label"]:
            inside = one.values[here.image.values == label]
            total = inside.sum() * factor * (voxel_ml if units in CONCENTRATIONS else 1.0)
            rows.append((total, inside.size * voxel_ml))
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
        parts.append(
            here.labels.assign(
                time_h=time,
                activity_mbq=activity / part,
                volume_ml=volume,
                recovery=part,
                activity_cv=slope * outline,
                activity_cv_shared=np.hypot(calibration, curve),
            )
        )
    return pd.concat(parts, ignore_index=True)


def check_same_geometry(image: Image, other: Image) -> None:
    """Refuse images whose voxels do not lie in the same places.

    Parameters
    ----------
    image, other : Image

    Raises
    ------
    MeasureError
        When shapes differ, or a corner lies elsewhere by more than 0.1 mm.
    """
    if image.values.shape != other.values.shape:
        raise MeasureError(
            f"{image.name} has {image.values.shape} voxels and {other.name} "
            f"{other.values.shape}: resample one to the other first"
        )
    corners = np.array(np.meshgrid(*([0, n - 1] for n in image.values.shape))).reshape(3, -1)
    corners = np.vstack([corners, np.ones(corners.shape[1])])
    apart = np.abs((image.affine - other.affine) @ corners).max()
    if apart > _SAME_PLACE_MM:
        raise MeasureError(
            f"{image.name} and {other.name} have as many voxels in other places, up to "
            f"{apart:.3g} mm apart: resample one to the other first"
        )


def _check_affine(affine: Floats, name: str) -> None:
    axes = affine[:3, :3]
    size = np.sqrt((axes**2).sum(0))
    if not np.isfinite(affine).all() or (size <= 0).any():
        raise MeasureError(f"{name}: its affine gives voxels without a size")
    cosine = np.abs((axes / size).T @ (axes / size) - np.eye(3)).max()
    if cosine > _SHEAR:
        raise MeasureError(
            f"{name}: its axes are not perpendicular (cosine {cosine:.3g}), so that volumes and "
            "distances would be wrong: resample it to a grid that is not sheared"
        )


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
