"""Uptake of regions: means, peaks, volumes, whole-body sums, ratios and thresholds."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers

#: Radius of a sphere of 1 mL, mm.
PEAK_RADIUS_MM = (3000.0 / (4.0 * np.pi)) ** (1.0 / 3.0)
PEAKS = ("global", "local")
THRESHOLDS = ("fixed", "relative", "liver")
#: In the letters and digits of tracers that the liver excretes, whose liver uptake says nothing of
#: PSMA.
LIVER_EXCRETED = ("psma1007",)


def uptake_features(suv: ArrayLike, mask: ArrayLike, spacing_mm: ArrayLike) -> pd.Series:
    """SUVmean, SUVmax, SUVpeak, volume and total uptake of one region.

    Parameters
    ----------
    suv : array-like of shape (n1, n2, n3), g/mL
        Image; its surroundings of the region matter for the peak.
    mask : array-like of bool of shape (n1, n2, n3)
        Region.
    spacing_mm : array-like of shape (3,), mm
        Size of a voxel along each axis.

    Returns
    -------
    pandas.Series
        suv_mean, suv_max, suv_peak (IBSI global peak, 0F91), volume_ml, total_lesion_uptake
        (SUVmean times volume, g), n_voxels.

    Raises
    ------
    MeasureError
        When shapes differ, the region is empty or the image is not finite in it.
    """
    image, region, spacing = check_region(suv, mask, spacing_mm)
    inside = image[region]
    volume = inside.size * float(np.prod(spacing)) / 1000.0
    return pd.Series(
        {
            "suv_mean": inside.mean(),
            "suv_max": inside.max(),
            "suv_peak": suv_peak(image, region, spacing),
            "volume_ml": volume,
            "total_lesion_uptake": inside.mean() * volume,
            "n_voxels": float(inside.size),
        }
    )


def suv_peak(
    suv: ArrayLike, mask: ArrayLike, spacing_mm: ArrayLike, *, peak: str = "global"
) -> float:
    """Largest mean of a 1 mL sphere centred in the region, by convolution.

    Parameters
    ----------
    suv : array-like of shape (n1, n2, n3), g/mL
        Image; voxels outside the region count too, beyond the image there are none.
    mask : array-like of bool of shape (n1, n2, n3)
        Region, in which the sphere's centre lies.
    spacing_mm : array-like of shape (3,), mm
        Size of a voxel along each axis.
    peak : {"global", "local"}
        IBSI 0F91: the largest over all centres; IBSI VJGA: about the voxel with the largest value,
        of several such the largest peak.

    Returns
    -------
    float, g/mL

    Raises
    ------
    MeasureError
        When shapes differ, the region is empty or the image is not finite near it.

    References
    ----------
    Zwanenburg 2020, Radiology 295:328, doi 10.1148/radiol.2020191145 (the DOI from memory).
    """
    image, region, spacing = check_region(suv, mask, spacing_mm)
    if peak not in PEAKS:
        raise MeasureError(f"peak: got {peak!r}; allowed are {', '.join(PEAKS)}")
    reach = np.floor(PEAK_RADIUS_MM / spacing).astype(int)
    image, region = around(image, region, reach)
    if not np.isfinite(image).all():
        raise MeasureError("the image is not finite within 6.2 mm of the region")
    offsets = np.ogrid[tuple(slice(-r, r + 1) for r in reach)]
    square = sum((o * size) ** 2 for o, size in zip(offsets, spacing, strict=True))
    sphere = (square <= PEAK_RADIUS_MM**2).astype(float)
    total = ndimage.convolve(image, sphere, mode="constant")
    count = ndimage.convolve(np.ones_like(image), sphere, mode="constant")
    centres = region
    if peak == "local":
        centres = region & (image == image[region].max())
    return float((total / count)[centres].max())


def whole_body(regions: pd.DataFrame) -> pd.DataFrame:
    """Tumour volume and uptake of the whole body, from the regions' features.

    Parameters
    ----------
    regions : pandas.DataFrame
        A row a region: patient_id, tissue, volume_ml, total_lesion_uptake; optionally cycle.

    Returns
    -------
    pandas.DataFrame
        By patient (and cycle): psma_tv_ml, psma_tl_g (sums over regions whose tissue is
        ``tumour``), n_tumours; patients without a tumour have 0.

    Raises
    ------
    MeasureError
        When a column is missing.
    """
    wanted = ["patient_id", "tissue", "volume_ml", "total_lesion_uptake"]
    missing = [name for name in wanted if name not in regions.columns]
    if missing:
        raise MeasureError(f"the regions lack {', '.join(missing)}; they have {list(regions)}.")
    keys = ["patient_id", *(["cycle"] if "cycle" in regions.columns else [])]
    tumour = (regions["tissue"] == "tumour").to_numpy()
    parts = regions[keys].assign(
        psma_tv_ml=np.where(tumour, numbers(regions["volume_ml"], "volume_ml", "mL", above=0), 0.0),
        psma_tl_g=np.where(
            tumour, numbers(regions["total_lesion_uptake"], "total_lesion_uptake", "g"), 0.0
        ),
        n_tumours=tumour.astype(int),
    )
    return parts.groupby(keys, sort=False, as_index=False).sum()


def tumour_to_organ(
    suv: ArrayLike, reference_suv: ArrayLike, organ: str, pet_tracer: str
) -> Floats:
    """Ratio of a lesion's uptake to a reference organ's.

    Parameters
    ----------
    suv : array-like, g/mL
        Of lesions.
    reference_suv : array-like, broadcastable, g/mL
        SUVmean of the organ in the same scan.
    organ : str
        Such as ``"parotid"``.
    pet_tracer : str
        Such as ``"68Ga-PSMA-11"``; 18F-PSMA-1007 counts as excreted by the liver, however it is
        spelt.

    Returns
    -------
    ndarray of the broadcast shape

    Raises
    ------
    MeasureError
        When a value is not above 0.

    Warns
    -----
    UserWarning
        When the organ is the liver and the tracer is excreted by it.
    """
    if organ == "liver" and _liver_excretes(pet_tracer):
        warnings.warn(
            f"{pet_tracer} is excreted by the liver, whose uptake says nothing of PSMA: take the "
            "spleen or the parotid as reference",
            stacklevel=2,
        )
    lesion = numbers(suv, "suv", "g/mL", above=0.0)
    return lesion / numbers(reference_suv, "reference_suv", "g/mL", above=0.0)


def threshold_region(
    suv: ArrayLike,
    region: ArrayLike,
    method: str,
    value: float | None = None,
    *,
    liver: Mapping[str, float] | None = None,
) -> np.ndarray:
    """Voxels of an outlined region above a threshold.

    No threshold for PSMA is agreed on, and volumes depend strongly on the choice: report it.

    Parameters
    ----------
    suv : array-like of shape (n1, n2, n3), g/mL
        Image.
    region : array-like of bool of shape (n1, n2, n3)
        Outline that the lesion lies in, without bladder or other organs.
    method : {"fixed", "relative", "liver"}
        SUV of at least ``value``; at least ``value`` of the region's SUVmax; at least the liver's
        4.30 / mean x (mean + sd), the formula of qPSMA (from memory).
    value : float, optional
        SUV (3 for bone in qPSMA), or a fraction (0.41 to 0.5 are in use).
    liver : mapping, optional
        ``{"mean": SUVmean, "sd": standard deviation}`` of a liver region, for ``"liver"``.

    Returns
    -------
    ndarray of bool of shape (n1, n2, n3)

    Raises
    ------
    MeasureError
        When the method is unknown, its number missing or out of range, or nothing is left.
    """
    image, outline, _ = check_region(suv, region, np.ones(3))
    if method == "fixed":
        limit = float(numbers(_given(value, "value", method), "value", "g/mL", above=0.0))
    elif method == "relative":
        part = numbers(_given(value, "value", method), "value", "", above=0.0, most=1.0)
        limit = float(part * image[outline].max())
    elif method == "liver":
        of = _given(liver, "liver", method)
        mean = numbers(of.get("mean", np.nan), "liver['mean']", "g/mL", above=0.0)
        sd = numbers(of.get("sd", np.nan), "liver['sd']", "g/mL", least=0.0)
        limit = float(4.30 / mean * (mean + sd))
    else:
        raise MeasureError(f"method: got {method!r}; allowed are {', '.join(THRESHOLDS)}")
    above: np.ndarray = outline & (image >= limit)
    if not above.any():
        raise MeasureError(
            f"no voxel of the region reaches SUV {limit:g}; its largest is "
            f"{image[outline].max():g}. Lower the threshold, or leave the region out"
        )
    return above


def psma_expression_score(
    suv: ArrayLike,
    *,
    blood_pool: ArrayLike,
    parotid: ArrayLike,
    pet_tracer: str,
    liver: ArrayLike | None = None,
    spleen: ArrayLike | None = None,
) -> np.ndarray:
    """PROMISE V2 expression score: 0 below blood pool, 1 below liver, 2 below parotid, else 3.

    Parameters
    ----------
    suv : array-like, g/mL
        Mean uptake of lesions.
    blood_pool, parotid : array-like, broadcastable, g/mL
        Mean uptake of the references (blood pool: aorta).
    pet_tracer : str
        A tracer that the liver excretes (18F-PSMA-1007, however it is spelt) has the spleen in the
        liver's place.
    liver, spleen : array-like, broadcastable, g/mL, optional
        The one that the tracer needs.

    Returns
    -------
    ndarray of int of the broadcast shape
        0 to 3.

    Raises
    ------
    MeasureError
        When the reference is missing, or the references are not in ascending order.

    References
    ----------
    Seifert 2023, Eur. Urol. 83:405 (from memory).
    """
    organ = "spleen" if _liver_excretes(pet_tracer) else "liver"
    reference = spleen if organ == "spleen" else liver
    if reference is None:
        raise MeasureError(f"{pet_tracer!r} needs {organ}=")
    middle = numbers(reference, organ, "g/mL", above=0.0)
    low = numbers(blood_pool, "blood_pool", "g/mL", above=0.0)
    high = numbers(parotid, "parotid", "g/mL", above=0.0)
    if (low >= middle).any() or (middle >= high).any():
        raise MeasureError(
            f"blood pool, {organ} and parotid must ascend; got {low}, {middle} and {high}. Are the "
            "references of one scan, and their regions where they should be?"
        )
    lesion = numbers(suv, "suv", "g/mL", least=0.0)
    found: np.ndarray = (lesion >= low).astype(int) + (lesion >= middle) + (lesion >= high)
    return found


def _liver_excretes(pet_tracer: str) -> bool:
    letters = "".join(one for one in str(pet_tracer).lower() if one.isalnum())
    return any(name in letters for name in LIVER_EXCRETED)


def _given[T](value: T | None, name: str, what: str) -> T:
    if value is None:
        raise MeasureError(f"{what!r} needs {name}=")
    return value


def check_region(
    image: ArrayLike, mask: ArrayLike, spacing_mm: ArrayLike
) -> tuple[Floats, np.ndarray, Floats]:
    """Check an image and one region in it.

    Parameters
    ----------
    image : array-like of shape (n1, n2, n3)
    mask : array-like of bool, or of 0 and 1, of shape (n1, n2, n3)
    spacing_mm : array-like of shape (3,), mm

    Returns
    -------
    image : ndarray of shape (n1, n2, n3)
    region : ndarray of bool of shape (n1, n2, n3)
    spacing : ndarray of shape (3,), mm

    Raises
    ------
    MeasureError
        When shapes differ, the region is empty or the image is not finite in it.
    """
    values = np.asarray(image, dtype=float)
    region = np.asarray(mask)
    if region.dtype != bool:
        words = np.unique(region)
        if not np.isin(words, (0, 1)).all():
            raise MeasureError(
                f"the mask holds {words[:5].tolist()}: give one region, True or 1 inside it "
                "(labels == 3)"
            )
        region = region.astype(bool)
    if values.ndim != 3 or values.shape != region.shape:
        raise MeasureError(
            f"image and mask must be 3D and of one shape; got {values.shape} and {region.shape}. "
            "Resample the mask to the image first"
        )
    spacing = numbers(spacing_mm, "spacing_mm", "mm", above=0.0, most=20.0)
    if spacing.shape != (3,):
        raise MeasureError(f"spacing_mm: got shape {spacing.shape}; give three sizes of a voxel")
    if not region.any():
        raise MeasureError("the mask is empty: no voxel belongs to the region")
    if not np.isfinite(values[region]).all():
        raise MeasureError(
            f"the image is not finite in {int((~np.isfinite(values[region])).sum())} voxels of the "
            "region"
        )
    return values, region, spacing


def around(image: Floats, region: np.ndarray, reach: np.ndarray) -> tuple[Floats, np.ndarray]:
    """Cut an image to a region's box and a margin.

    Parameters
    ----------
    image : ndarray of shape (n1, n2, n3)
    region : ndarray of bool of shape (n1, n2, n3)
    reach : ndarray of int of shape (3,)
        Voxels of the margin along each axis.

    Returns
    -------
    image, region : ndarray
        Of one smaller shape.
    """
    box = ndimage.find_objects(region.astype(int))[0]
    cut = tuple(
        slice(max(part.start - int(r), 0), part.stop + int(r))
        for part, r in zip(box, reach, strict=True)
    )
    return image[cut], region[cut]
