"""Texture of a region: the 25 IBSI features of the co-occurrence matrix, through mirp."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import ndimage

from bayesdose.errors import MeasureError
from bayesdose.measure._extras import need
from bayesdose.measure._numbers import Floats, numbers
from bayesdose.measure.uptake import around, check_region

#: Below so many voxels, or so many mL, texture mirrors the volume.
GUARD_VOXELS, GUARD_ML = 64, 5.0
#: Surroundings of a region that its features are made with.
MARGIN_MM = 12.0
_MOST_LEVELS = 1024


@dataclass(frozen=True)
class Feature:
    """One feature under its names.

    Parameters
    ----------
    name : str
        Column of the site table.
    ibsi : str
        Code of the IBSI reference manual.
    mirp : str
        Stem of mirp's column.
    pyradiomics : str
        Name in pyradiomics, empty where it has none.
    """

    name: str
    ibsi: str
    mirp: str
    pyradiomics: str = ""


FEATURES = (
    Feature("glcm_joint_maximum", "GYBY", "cm_joint_max", "MaximumProbability"),
    Feature("glcm_joint_average", "60VM", "cm_joint_avg", "JointAverage"),
    Feature("glcm_joint_variance", "UR99", "cm_joint_var", "SumSquares"),
    Feature("glcm_joint_entropy", "TU9B", "cm_joint_entr", "JointEntropy"),
    Feature("glcm_difference_average", "TF7R", "cm_diff_avg", "DifferenceAverage"),
    Feature("glcm_difference_variance", "D3YU", "cm_diff_var", "DifferenceVariance"),
    Feature("glcm_difference_entropy", "NTRS", "cm_diff_entr", "DifferenceEntropy"),
    Feature("glcm_sum_average", "ZGXS", "cm_sum_avg", "SumAverage"),
    Feature("glcm_sum_variance", "OEEB", "cm_sum_var"),
    Feature("glcm_sum_entropy", "P6QZ", "cm_sum_entr", "SumEntropy"),
    Feature("glcm_angular_second_moment", "8ZQL", "cm_energy", "JointEnergy"),
    Feature("glcm_contrast", "ACUI", "cm_contrast", "Contrast"),
    Feature("glcm_dissimilarity", "8S9J", "cm_dissimilarity"),
    Feature("glcm_inverse_difference", "IB1Z", "cm_inv_diff", "Id"),
    Feature("glcm_inverse_difference_normalised", "NDRX", "cm_inv_diff_norm", "Idn"),
    Feature("glcm_inverse_difference_moment", "WF0Z", "cm_inv_diff_mom", "Idm"),
    Feature("glcm_inverse_difference_moment_normalised", "1QCO", "cm_inv_diff_mom_norm", "Idmn"),
    Feature("glcm_inverse_variance", "E8JP", "cm_inv_var", "InverseVariance"),
    Feature("glcm_correlation", "NI2N", "cm_corr", "Correlation"),
    Feature("glcm_autocorrelation", "QWB0", "cm_auto_corr", "Autocorrelation"),
    Feature("glcm_cluster_tendency", "DG8W", "cm_clust_tend", "ClusterTendency"),
    Feature("glcm_cluster_shade", "7NFM", "cm_clust_shade", "ClusterShade"),
    Feature("glcm_cluster_prominence", "AE86", "cm_clust_prom", "ClusterProminence"),
    Feature("glcm_information_correlation_1", "R8DG", "cm_info_corr1", "Imc1"),
    Feature("glcm_information_correlation_2", "JN9H", "cm_info_corr2", "Imc2"),
)
#: Aggregation → mirp's method, its suffix, IBSI code.
AGGREGATIONS = {
    "3d_merged": ("3d_volume_merge", "3d_v_mrg", "IAZD"),
    "3d_averaged": ("3d_average", "3d_avg", "ITBB"),
}


def glcm_features(
    image: ArrayLike,
    mask: ArrayLike,
    spacing_mm: ArrayLike,
    *,
    bin_width: float | None,
    aggregation: str = "3d_merged",
    resample_mm: ArrayLike | None = None,
    units: str = "SUV",
) -> pd.Series:
    """All 25 IBSI features of the grey-level co-occurrence matrix at distance 1.

    Texture depends on every setting: values made with different ones, or with voxels of different
    sizes, are different columns. Where scanners differ in their voxels, resample to one size.

    Parameters
    ----------
    image : array-like of shape (n1, n2, n3)
        Intensities, not below 0 in the region where a bin width is given.
    mask : array-like of bool of shape (n1, n2, n3)
        Region.
    spacing_mm : array-like of shape (3,), mm
        Size of a voxel along each axis.
    bin_width : float or None
        Fixed bin size from 0: level = floor(x / bin_width) + 1. None takes whole numbers of at
        least 1 as levels, as they are. There is no default.
    aggregation : {"3d_merged", "3d_averaged"}
        One matrix for all 13 directions (IBSI IAZD), or the mean of each direction's features
        (ITBB).
    resample_mm : array-like of shape (3,) or float, mm, optional
        Voxels to interpolate to linearly, image and region (half of a voxel or more belongs to
        it); by default the image stays as it is. The grid is centred on the region's surroundings,
        where IBSI's is on the whole image: they differ by part of a voxel.
    units : str
        Of the image, kept with the settings.

    Returns
    -------
    pandas.Series
        25 columns ``glcm_*`` after IBSI's names, entropies in bits; ``attrs["glcm_settings"]`` is
        the settings as one line of text, for the table.

    Raises
    ------
    MeasureError
        When the region is empty, has no neighbouring voxels, holds values that no level fits, or
        mirp is not installed.

    References
    ----------
    Zwanenburg 2020, Radiology 295:328, doi 10.1148/radiol.2020191145 (the DOI from memory).
    """
    out = glcm_or_missing(
        image,
        mask,
        spacing_mm,
        bin_width=bin_width,
        aggregation=aggregation,
        resample_mm=resample_mm,
        units=units,
    )
    if out.isna().any():
        raise MeasureError(
            f"the region of {np.count_nonzero(mask)} voxels has no pair of neighbours of which "
            "features could be made"
        )
    return out


def glcm_or_missing(
    image: ArrayLike,
    mask: ArrayLike,
    spacing_mm: ArrayLike,
    *,
    bin_width: float | None,
    aggregation: str,
    resample_mm: ArrayLike | None,
    units: str,
) -> pd.Series:
    """Features as of `glcm_features`, missing where a region is too small for them.

    Parameters
    ----------
    image, mask, spacing_mm, bin_width, aggregation, resample_mm, units
        As there.

    Returns
    -------
    pandas.Series
        As there, or NaN.
    """
    values, region, spacing = check_region(image, mask, spacing_mm)
    if aggregation not in AGGREGATIONS:
        raise MeasureError(
            f"aggregation: got {aggregation!r}; allowed are {', '.join(AGGREGATIONS)}"
        )
    need("mirp", "texture")
    values, region, size = surroundings(values, region, spacing, resample_mm)
    out = pd.Series(np.nan, index=[f.name for f in FEATURES])
    if region.any():
        levels = grey_levels(values, region, bin_width)
        method, suffix, _ = AGGREGATIONS[aggregation]
        found = _by_mirp(levels, region, method)
        out = pd.Series({f.name: float(found[f"{f.mirp}_d1_{suffix}"]) for f in FEATURES})
    out.attrs["glcm_settings"] = settings_text(
        bin_width, units, aggregation, size, resample_mm is not None
    )
    return out


def glcm_guard(mask: ArrayLike, spacing_mm: ArrayLike) -> pd.Series:
    """Whether a region is so small that its texture mirrors its volume.

    Parameters
    ----------
    mask : array-like of bool of shape (n1, n2, n3)
        Region.
    spacing_mm : array-like of shape (3,), mm
        Size of a voxel along each axis.

    Returns
    -------
    pandas.Series
        glcm_n_voxels, and glcm_below_guard: fewer than 64 voxels or less than 5 mL, as most PSMA
        lesions are. Their values are kept: fit with log volume, and with and without texture.

    References
    ----------
    Limits after Hatt 2015 and Orlhac 2014 (from memory).
    """
    _, region, spacing = check_region(np.zeros(np.shape(mask)), mask, spacing_mm)
    count = int(region.sum())
    small = count < GUARD_VOXELS or count * float(np.prod(spacing)) / 1000.0 < GUARD_ML
    return pd.Series({"glcm_n_voxels": count, "glcm_below_guard": small}, dtype=object)


def import_features(
    table: pd.DataFrame, *, source: str, settings: str, aggregation: str = "3d_merged"
) -> pd.DataFrame:
    """Rename another program's co-occurrence features by their IBSI definition.

    Parameters
    ----------
    table : pandas.DataFrame
        As mirp or pyradiomics write it, a row a region; other columns are kept.
    source : {"mirp", "pyradiomics"}
        pyradiomics averages over directions, and its bins lie at multiples of their width, which
        is not IBSI's fixed bin size.
    settings : str
        How they were made: units, bin width, distance, resampling. It becomes the column
        ``glcm_settings``; tables with different ones are not mixed.
    aggregation : {"3d_merged", "3d_averaged"}
        Which of mirp's columns.

    Returns
    -------
    pandas.DataFrame
        With ``glcm_*`` columns; ``attrs["features"]`` maps them to IBSI codes.

    Raises
    ------
    MeasureError
        When the source is unknown, no feature is found, or settings are not stated.
    """
    if not isinstance(settings, str) or not settings.strip():
        raise MeasureError(
            "settings: say how the features were made (units, bin width, distance, resampling); "
            f"got {settings!r}"
        )
    if source == "mirp":
        suffix = AGGREGATIONS[aggregation][1]
        names = {f"{f.mirp}_d1_{suffix}": f for f in FEATURES}
        found = {column: names[column] for column in table.columns if column in names}
    elif source == "pyradiomics":
        names = {f.pyradiomics: f for f in FEATURES if f.pyradiomics}
        found = {
            column: names[str(column).removeprefix("original_glcm_")]
            for column in table.columns
            if str(column).startswith("original_glcm_")
            and str(column).removeprefix("original_glcm_") in names
        }
    else:
        raise MeasureError(f"source: got {source!r}; allowed are mirp, pyradiomics")
    if not found:
        raise MeasureError(
            f"no co-occurrence feature of {source} among the columns {list(table.columns)[:5]} ..."
        )
    out = table.rename(columns={column: feature.name for column, feature in found.items()})
    out["glcm_settings"] = f"{source}: {settings.strip()}"
    out.attrs["features"] = {feature.name: feature.ibsi for feature in found.values()}
    return out


def surroundings(
    values: Floats, region: np.ndarray, spacing: Floats, resample_mm: ArrayLike | None
) -> tuple[Floats, np.ndarray, Floats]:
    """Cut an image to a region and 12 mm about it, in voxels of the size wanted.

    Parameters
    ----------
    values : ndarray of shape (n1, n2, n3)
        Image.
    region : ndarray of bool of shape (n1, n2, n3)
        Region.
    spacing : ndarray of shape (3,), mm
        Size of a voxel.
    resample_mm : array-like of shape (3,) or float, mm, or None
        Size wanted. The new grid has its centre where that of the surroundings is.

    Returns
    -------
    values, region : ndarray
        Of one smaller shape.
        The region may have no voxel left.
    spacing : ndarray of shape (3,), mm
    """
    values, region = around(values, region, np.ceil(MARGIN_MM / spacing).astype(int))
    if resample_mm is None:
        return values, region, spacing
    size = np.broadcast_to(numbers(resample_mm, "resample_mm", "mm", above=0.0, most=20.0), (3,))
    shape = np.ceil(np.array(values.shape) * spacing / size).astype(int)
    # the centres of both grids coincide, as IBSI's do; but of the surroundings, so that voxels lie
    # part of one away from those of a grid for the whole image
    places = [
        ((np.arange(m) - (m - 1) / 2) * new + (n - 1) / 2 * old) / old
        for m, new, n, old in zip(shape, size, values.shape, spacing, strict=True)
    ]
    grid = np.meshgrid(*places, indexing="ij")
    values = ndimage.map_coordinates(values, grid, order=1, mode="nearest")
    share = ndimage.map_coordinates(region.astype(float), grid, order=1, mode="nearest")
    return values, share >= 0.5, size


def settings_text(
    bin_width: float | None,
    units: str,
    aggregation: str,
    spacing_mm: Floats,
    resampled: bool,
) -> str:
    """Say in one line how features were made, for the table.

    Parameters
    ----------
    bin_width : float or None
        Of grey levels.
    units : str
        Of the image.
    aggregation : str
        One of `AGGREGATIONS`.
    spacing_mm : ndarray of shape (3,), mm
        Size of a voxel.
    resampled : bool
        Whether it is not that of the image.

    Returns
    -------
    str
    """
    width = "levels as they are" if bin_width is None else f"bins of {bin_width:g} {units} from 0"
    sizes = " x ".join(f"{size:.4g}" for size in spacing_mm)
    code = AGGREGATIONS[aggregation][2]
    how = "resampled linearly" if resampled else "not resampled"
    return f"{width}; distance 1; {aggregation} ({code}); voxels {sizes} mm, {how}"


def grey_levels(values: Floats, region: np.ndarray, bin_width: float | None) -> Floats:
    """Cut intensities into grey levels from 1.

    Parameters
    ----------
    values : ndarray of shape (n1, n2, n3)
        Intensities.
    region : ndarray of bool of shape (n1, n2, n3)
        Where they matter.
    bin_width : float or None
        As for `glcm_features`.

    Returns
    -------
    ndarray of shape (n1, n2, n3)
        Levels, 1 outside the region.

    Raises
    ------
    MeasureError
        When intensities are below 0, no whole numbers where they should be, or of too many levels.
    """
    inside = values[region]
    if bin_width is None:
        if (inside != np.round(inside)).any() or inside.min() < 1:
            raise MeasureError(
                "bin_width=None takes grey levels as they are, whole numbers of at least 1; the "
                f"region holds {inside.min():g} to {inside.max():g}. Give a bin width"
            )
        levels = values
    else:
        width = float(numbers(bin_width, "bin_width", "", above=0.0))
        if inside.min() < 0:
            raise MeasureError(
                f"the region holds {inside.min():g}, below 0, where bins begin: leave these voxels "
                "out of it"
            )
        levels = np.floor(values / width) + 1
    if levels[region].max() > _MOST_LEVELS:
        raise MeasureError(
            f"{levels[region].max():.0f} grey levels, more than {_MOST_LEVELS}: take wider bins"
        )
    return np.where(region, levels, 1.0)


def _by_mirp(levels: np.ndarray, region: np.ndarray, method: str) -> pd.Series:
    import mirp

    with without_info():
        (found,) = mirp.extract_features(
            image=levels.transpose(2, 1, 0),
            mask=region.astype(np.uint8).transpose(2, 1, 0),
            image_modality="pet",
            by_slice=False,
            base_feature_families="cm",
            base_discretisation_method="none",
            glcm_spatial_method=method,
            glcm_distance=1.0,
        )
    return found.iloc[0]


@contextmanager
def without_info() -> Iterator[None]:
    """Keep mirp's lines on every region off the screen, and its hands off the root logger.

    Yields
    ------
    None
    """
    root = logging.getLogger()
    handlers, level, disabled = list(root.handlers), root.level, logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(disabled)
        # it gives the root logger a handler on standard output
        root.handlers[:] = handlers
        root.setLevel(level)
