"""Features of the other IBSI families, by their code, through mirp."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._extras import need
from bayesdose.measure._numbers import Floats
from bayesdose.measure.texture import (
    AGGREGATIONS,
    grey_levels,
    settings_text,
    surroundings,
    without_info,
)
from bayesdose.measure.uptake import check_region

#: mirp's prefix of a family → "code=stem" of its features.
_FAMILIES = {
    "dzm": (
        "0GBI=sde MB4I=lde S1RA=lgze K26C=hgze RUVG=sdlge DKNJ=sdhge A7WM=ldlge KLTH=ldhge "
        "VFT7=glnu 7HP3=glnu_norm V294=zdnu IATH=zdnu_norm VIWW=z_perc QK93=gl_var 7WT1=zd_var "
        "GBDU=zd_entr "
    ),
    "ih": (
        "X6K6=mean CH89=var 88K1=skew C3I7=kurt WIFQ=median 1PR8=min 3NCY=max AMMC=mode "
        "WR0O=iqr 5Z3W=range D2ZX=mad WRZB=rmad 4RNL=medad CWYJ=cov SLWD=qcod TLU2=entropy "
        "BJ5W=uniformity 12CE=max_grad 8E6O=max_grad_g VQB3=min_grad RHQZ=min_grad_g GPMT=p10 "
        "OZ0C=p90 "
    ),
    "loc": ("VJGA=peak_loc 0F91=peak_glob "),
    "morph": (
        "RNU0=volume YEKZ=vol_approx C0JK=area_mesh 2PR5=av SKGS=comp_1 BQWJ=comp_2 "
        "KRCK=sph_dispr QCFX=sphericity 25C7=asphericity KLMA=com 99N0=integ_int L0JK=diam "
        "R3ER=vol_dens_conv_hull 7T7F=area_dens_conv_hull PBX1=vol_dens_aabb "
        "R59B=area_dens_aabb TDIC=pca_maj_axis P9VJ=pca_min_axis 7J51=pca_least_axis "
        "Q3CK=pca_elongation N17B=pca_flatness 6BDE=vol_dens_aee RDD2=area_dens_aee "
        "N365=moran_i NPT7=geary_c "
    ),
    "ngl": (
        "SODN=lde IMOQ=hde TL9H=lgce OAE7=hgce EQ3F=ldlge JA6D=ldhge NBZI=hdlge 9QMG=hdhge "
        "FP8K=glnu 5SPA=glnu_norm Z87G=dcnu OKJI=dcnu_norm 6XV8=dc_perc 1PFV=gl_var DNX2=dc_var "
        "FCBV=dc_entr CAS9=dc_energy "
    ),
    "ngt": ("QCDE=coarseness 65HE=contrast NQ30=busyness HDEZ=complexity 1X9X=strength "),
    "rlm": (
        "22OV=sre W4KF=lre V3SW=lgre G3QZ=hgre HTZT=srlge GD3A=srhge IVPO=lrlge 3KUM=lrhge "
        "R5YN=glnu OVBL=glnu_norm W92Y=rlnu IC23=rlnu_norm 9ZK5=r_perc 8CE5=gl_var SXLW=rl_var "
        "HJ9O=rl_entr "
    ),
    "stat": (
        "Q4LE=mean ECT3=var KE2A=skew IPH6=kurt Y12H=median 1GSF=min 84IY=max SALO=iqr "
        "2OJQ=range 4FUA=mad 1128=rmad N72L=medad 7TET=cov 9S40=qcod N8CA=energy 5ZWQ=rms "
        "QG58=p10 8DWT=p90 "
    ),
    "szm": (
        "5QRC=sze 48P8=lze XMSY=lgze 5GN9=hgze 5RAI=szlge HW1V=szhge YH51=lzlge J17V=lzhge "
        "JNSA=glnu Y1RO=glnu_norm 4JP3=zsnu VB3A=zsnu_norm P30P=z_perc BYLV=gl_var 3NSA=zs_var "
        "GU8N=zs_entr "
    ),
}
#: Families of the intensities themselves; the others take grey levels.
_CONTINUOUS = ("loc", "morph", "stat")
#: mirp's prefix → its name of the family.
_MIRP = {"loc": "local_intensity", "ngl": "ngldm", "ngt": "ngtdm"}
#: IBSI code → family and stem.
FEATURES = {
    code: (family, stem)
    for family, text in _FAMILIES.items()
    for code, stem in (pair.split("=") for pair in text.split())
}


def ibsi_features(
    image: ArrayLike,
    mask: ArrayLike,
    spacing_mm: ArrayLike,
    *,
    codes: Sequence[str],
    bin_width: float | None,
    aggregation: str = "3d_merged",
    resample_mm: ArrayLike | None = None,
    units: str = "SUV",
) -> pd.Series:
    """Features of morphology, intensity, histogram, runs, zones and dependences by IBSI code.

    Those of the co-occurrence matrix have names: `glcm_features`.

    Parameters
    ----------
    image : array-like of shape (n1, n2, n3)
        Intensities, not below 0 in the region where a bin width is given.
    mask : array-like of bool of shape (n1, n2, n3)
        Region.
    spacing_mm : array-like of shape (3,), mm
        Size of a voxel along each axis.
    codes : sequence of str
        Four-letter codes of the IBSI reference manual, such as ``"QCFX"`` (sphericity).
    bin_width : float or None
        As for `glcm_features`; families of intensities and of morphology do not use it.
    aggregation : {"3d_merged", "3d_averaged"}
        Of run-length matrices; zones and dependences have one matrix.
    resample_mm : array-like of shape (3,) or float, mm, optional
        As for `glcm_features`.
    units : str
        Of the image, kept with the settings.

    Returns
    -------
    pandas.Series
        Columns ``ibsi_<code>`` in lower case and in the order asked for; lengths in mm.
        ``attrs["ibsi_settings"]`` is the settings as one line of text.

    Raises
    ------
    MeasureError
        When a code is unknown or twice, the region is empty or too small for a feature, or mirp is
        not installed.

    References
    ----------
    Zwanenburg 2020, Radiology 295:328, doi 10.1148/radiol.2020191145 (the DOI from memory); codes
    as in mirp, values checked against the consensus of IBSI's digital phantom.
    """
    out = ibsi_or_missing(
        image,
        mask,
        spacing_mm,
        codes=codes,
        bin_width=bin_width,
        aggregation=aggregation,
        resample_mm=resample_mm,
        units=units,
    )
    if out.isna().any():
        raise MeasureError(
            f"the region of {np.count_nonzero(mask)} voxels is too small for "
            f"{out.index[out.isna()][0]}"
        )
    return out


def ibsi_or_missing(
    image: ArrayLike,
    mask: ArrayLike,
    spacing_mm: ArrayLike,
    *,
    codes: Sequence[str],
    bin_width: float | None,
    aggregation: str,
    resample_mm: ArrayLike | None,
    units: str,
) -> pd.Series:
    """Features as of `ibsi_features`, missing where a region is too small for them.

    Parameters
    ----------
    image, mask, spacing_mm, codes, bin_width, aggregation, resample_mm, units
        As there.

    Returns
    -------
    pandas.Series
        As there, or NaN.
    """
    values, region, spacing = check_region(image, mask, spacing_mm)
    wanted = [str(code).upper() for code in codes]
    _check_codes(wanted)
    if aggregation not in AGGREGATIONS:
        raise MeasureError(
            f"aggregation: got {aggregation!r}; allowed are {', '.join(AGGREGATIONS)}"
        )
    need("mirp", "IBSI features")
    values, region, size = surroundings(values, region, spacing, resample_mm)
    out = pd.Series(np.nan, index=[f"ibsi_{code.lower()}" for code in wanted])
    if region.any():
        found = _all_by_mirp(values, region, size, wanted, bin_width, aggregation)
        for code in wanted:
            out[f"ibsi_{code.lower()}"] = _pick(found, code, aggregation)
    out.attrs["ibsi_settings"] = settings_text(
        bin_width, units, aggregation, size, resample_mm is not None
    )
    return out


def _check_codes(codes: list[str]) -> None:
    unknown = [code for code in codes if code not in FEATURES]
    if unknown:
        raise MeasureError(
            f"IBSI code {unknown[0]!r} is not one of {', '.join(sorted(FEATURES))}; those of the "
            "co-occurrence matrix are columns of glcm_features"
        )
    if len(set(codes)) < len(codes) or not codes:
        raise MeasureError(f"codes: give each code once, and at least one; got {codes}")


def _pick(found: dict[str, float], code: str, aggregation: str) -> float:
    family, stem = FEATURES[code]
    names = [
        name
        for name in found
        if name == f"{family}_{stem}"
        or name in (f"{family}_{stem}_3d", f"{family}_{stem}_{AGGREGATIONS[aggregation][1]}")
        or name == f"{family}_{stem}_d1_a0.0_3d"
    ]
    (name,) = names
    return found[name]


def _all_by_mirp(
    values: Floats,
    region: np.ndarray,
    spacing: Floats,
    codes: list[str],
    bin_width: float | None,
    aggregation: str,
) -> dict[str, float]:
    families = {FEATURES[code][0] for code in codes}
    found: dict[str, float] = {}
    if families & set(_CONTINUOUS):
        found |= _by_mirp(values, region, spacing, families & set(_CONTINUOUS), aggregation)
    if families - set(_CONTINUOUS):
        levels = grey_levels(values, region, bin_width)
        found |= _by_mirp(levels, region, spacing, families - set(_CONTINUOUS), aggregation)
    return found


def _by_mirp(
    values: Floats, region: np.ndarray, spacing: Floats, families: set[str], aggregation: str
) -> dict[str, float]:
    import mirp
    import nibabel as nib

    affine = np.diag([*spacing, 1.0])
    # mirp takes the size of voxels from files only
    with tempfile.TemporaryDirectory() as folder, without_info():
        image, mask = Path(folder, "image.nii"), Path(folder, "mask.nii")
        nib.Nifti1Image(values.astype(np.float64), affine).to_filename(image)
        nib.Nifti1Image(region.astype(np.uint8), affine).to_filename(mask)
        (table,) = mirp.extract_features(
            image=str(image),
            mask=str(mask),
            image_modality="pet",
            by_slice=False,
            base_feature_families=[_MIRP.get(family, family) for family in sorted(families)],
            base_discretisation_method="none",
            glrlm_spatial_method=AGGREGATIONS[aggregation][0],
        )
    row = table.iloc[0]
    prefixes = tuple(f"{family}_" for family in families)
    return {str(name): float(row[name]) for name in table.columns if name.startswith(prefixes)}
