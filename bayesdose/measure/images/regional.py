"""Uptake, texture and absorbed dose of the regions of an image."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage

from bayesdose.errors import MeasureError
from bayesdose.measure.ibsi import ibsi_or_missing
from bayesdose.measure.images.image import Image, Regions, check_same_geometry
from bayesdose.measure.texture import MARGIN_MM, glcm_guard, glcm_or_missing
from bayesdose.measure.uptake import uptake_features

#: Units of a dose map → Gy.
DOSES = {"Gy": 1.0, "cGy": 1e-2, "mGy": 1e-3}


def outlines(image: Image, regions: Regions) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Cut an image to the surroundings of each region.

    Parameters
    ----------
    image : Image
        In the geometry of the regions.
    regions : Regions
        Regions.

    Yields
    ------
    site_id : str
        Of the region, in the order of the table of labels.
    values : ndarray of shape (n1, n2, n3)
        Region's box and 12 mm about it.
    mask : ndarray of bool of shape (n1, n2, n3)
        Region in it.

    Raises
    ------
    MeasureError
        When image and regions are not of one geometry.
    """
    check_same_geometry(image, regions.image)
    labels = np.asarray(regions.image.values).astype(np.int32, copy=False)
    reach = np.ceil(MARGIN_MM / image.spacing_mm).astype(int)
    boxes = ndimage.find_objects(labels)
    for label, site in zip(regions.labels["label"], regions.labels["site_id"], strict=True):
        cut = tuple(
            slice(max(part.start - int(r), 0), part.stop + int(r))
            for part, r in zip(boxes[int(label) - 1], reach, strict=True)
        )
        yield str(site), np.asarray(image.values[cut], dtype=float), labels[cut] == label


def region_uptake(image: Image, regions: Regions) -> pd.DataFrame:
    """Uptake of every region of an image in SUV.

    Parameters
    ----------
    image : Image, g/mL
        In SUV, as `suv_image` makes it.
    regions : Regions
        In the same geometry.

    Returns
    -------
    pandas.DataFrame
        The table of labels with the columns of `uptake_features`.

    Raises
    ------
    MeasureError
        When image and label map are not of one geometry, or the image is not finite in a region.
    """
    found = []
    for site, values, mask in outlines(image, regions):
        try:
            found.append(uptake_features(values, mask, image.spacing_mm))
        except MeasureError as err:
            raise MeasureError(f"{image.name}: region {site}: {err}") from err
    return pd.concat([regions.labels, pd.DataFrame(found)], axis=1)


def region_texture(
    image: Image,
    regions: Regions,
    *,
    bin_width: float | None,
    aggregation: str = "3d_merged",
    resample_mm: ArrayLike | None = None,
    codes: Sequence[str] = (),
    units: str = "SUV",
) -> pd.DataFrame:
    """Texture of every region of an image, with its settings in the table.

    Parameters
    ----------
    image : Image
        Intensities.
    regions : Regions
        In the same geometry.
    bin_width, aggregation, resample_mm
        As for `glcm_features`.
    codes : sequence of str
        Other features by IBSI code, as for `ibsi_features`.
    units : str
        Of the image, kept with the settings.

    Returns
    -------
    pandas.DataFrame
        The table of labels with 25 columns ``glcm_*``, glcm_n_voxels, glcm_below_guard (of the
        voxels as they are in the image), glcm_settings, and with codes ``ibsi_*`` and
        ibsi_settings. A region that texture cannot be made of has missing values there.

    Raises
    ------
    MeasureError
        When image and label map are not of one geometry, or a region holds values that no grey
        level fits.
    """
    rows = []
    settings = {
        "bin_width": bin_width,
        "aggregation": aggregation,
        "resample_mm": resample_mm,
        "units": units,
    }
    for site, values, mask in outlines(image, regions):
        try:
            made = glcm_or_missing(values, mask, image.spacing_mm, **settings)  # type: ignore[arg-type]
            row = pd.concat([made, glcm_guard(mask, image.spacing_mm)])
            row["glcm_settings"] = made.attrs["glcm_settings"]
            if codes:
                others = ibsi_or_missing(
                    values,
                    mask,
                    image.spacing_mm,
                    codes=codes,
                    **settings,  # type: ignore[arg-type]
                )
                row = pd.concat([row, others])
                row["ibsi_settings"] = others.attrs["ibsi_settings"]
        except MeasureError as err:
            raise MeasureError(f"{image.name}: region {site}: {err}") from err
        rows.append(row.to_dict())
    return pd.concat([regions.labels, pd.DataFrame(rows)], axis=1)


def region_dose(image: Image, regions: Regions, *, units: str) -> pd.DataFrame:
    """Absorbed dose of every region of a dose map.

    Parameters
    ----------
    image : Image
        Dose map.
    regions : Regions
        In the same geometry.
    units : {"Gy", "cGy", "mGy"}
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
    rows = []
    for site, values, mask in outlines(image, regions):
        inside = values[mask] * DOSES[units]
        if not np.isfinite(inside).all() or not inside.mean() > 0:
            raise MeasureError(
                f"{image.name}: region {site} has a mean dose of {inside.mean():g} Gy; it must be "
                "finite and above 0"
            )
        rows.append(
            {
                "absorbed_dose_gy": inside.mean(),
                "d90_gy": np.quantile(inside, 0.1),
                "volume_ml": inside.size * image.voxel_ml,
            }
        )
    return pd.concat([regions.labels, pd.DataFrame(rows)], axis=1)
