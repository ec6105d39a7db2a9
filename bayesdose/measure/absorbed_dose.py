"""From time-integrated activity to absorbed dose by MIRD, with its uncertainty.

The chain of the EANM's guidance: the volume of a region enters its activity (by recovery and by the
counts within the outline) and its S-value (by mass). An outline that is too large gives too much
recovery, hence too little activity, and too small an S-value; it also holds more counts, which
takes part of that back. The errors of one volume add up with their signs.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import LARGEST_CV, Floats, numbers
from bayesdose.measure.recovery import RecoveryCurve, spill_slope
from bayesdose.measure.spheres import s_value_sphere, sphere_slope

S_TABLE_COLUMNS = ("source", "target", "s_gy_per_mbq_h", "ref_mass_g")


def absorbed_dose(
    tia_mbq_h: ArrayLike,
    volume_ml: ArrayLike,
    *,
    density_g_ml: ArrayLike,
    tia_cv: ArrayLike = 0.0,
    volume_cv: ArrayLike = 0.0,
    recovery: RecoveryCurve | None = None,
    calibration_cv: float = 0.0,
    fwhm_mm: float | None = None,
) -> pd.DataFrame:
    """Self-dose of lesions or organs, D = TIA S(m), with 177Lu spheres of the region's mass.

    Parameters
    ----------
    tia_mbq_h : array-like of shape (n_sites,), MBq h
        Time-integrated activity, recovery applied.
    volume_ml : array-like of shape (n_sites,), mL
        Volume of each region.
    density_g_ml : array-like of shape (n_sites,) or float, g/mL
        From 0.2 (lung) to 2: 1.04 soft tissue, 1.92 cortical bone. There is no default.
    tia_cv : array-like of shape (n_sites,) or float
        Relative standard uncertainty of the fit of each curve.
    volume_cv : array-like of shape (n_sites,) or float
        Relative standard uncertainty of each volume.
    recovery : RecoveryCurve, optional
        Curve by which the activities were divided. With it, an error of the volume reaches the
        activity too, and the uncertainty of the curve becomes part of the shared one.
    calibration_cv : float
        Relative standard uncertainty of the camera's calibration, shared by all sites.
    fwhm_mm : float, optional, mm
        Resolution of the SPECT whose counts were summed within the outlines; up to 60. Without it
        an outline that is too large counts no more than one that is not, which overstates the
        uncertainty of small lesions two times or more.

    Returns
    -------
    pandas.DataFrame
        A row a site: mass_g, s_gy_per_mbq_h, absorbed_dose_gy, absorbed_dose_cv (independent
        between sites), absorbed_dose_cv_shared (common to the sites of a patient and cycle).
        ``attrs["dose"]`` says that it is the dose of a region to itself.

    Raises
    ------
    MeasureError
        When a value is out of range, or a mass is outside the spheres' 0.0043 to 932 g.

    Notes
    -----
    With s = d ln S / d ln m = -0.99 or so, r = d ln R / d ln v, c = d ln C / d ln v (the counts
    within the outline) and u the relative uncertainties, u_D^2 = u_TIA^2 + (s - r + c)^2 u_v^2
    independent and u_cal^2 + u_R^2 shared. c = g / R, where g is the share of its concentration
    that a sphere blurred by ``fwhm_mm`` shows at its edge and R the recovery: ``recovery``, or that
    of the blurred sphere. c is 0 without ``fwhm_mm``, and leaves out activity about the region.
    The uncertainty of the recovery curve is common to the sites, though not in equal measure; it is
    given to each site as its own shared part.

    References
    ----------
    Gear 2018, Eur. J. Nucl. Med. Mol. Imaging 45:2456, doi 10.1007/s00259-018-4136-7 (from memory):
    c is its phi / (2 R), derived here for a sphere. Sphere S-values: `s_value_sphere`.
    """
    tia = numbers(tia_mbq_h, "tia_mbq_h", "MBq h", above=0.0)
    volume = numbers(volume_ml, "volume_ml", "mL", above=0.0)
    mass = volume * numbers(density_g_ml, "density_g_ml", "g/mL", least=0.2, most=2.0)
    s_value = s_value_sphere(mass)
    own, shared = dose_cvs(
        s_slope=sphere_slope(mass),
        volume_ml=volume,
        tia_cv=tia_cv,
        volume_cv=volume_cv,
        recovery=recovery,
        calibration_cv=calibration_cv,
        fwhm_mm=fwhm_mm,
    )
    columns = np.broadcast_arrays(mass, s_value, tia * s_value, own, shared)
    names = (
        "mass_g",
        "s_gy_per_mbq_h",
        "absorbed_dose_gy",
        "absorbed_dose_cv",
        "absorbed_dose_cv_shared",
    )
    table = pd.DataFrame(
        {name: np.atleast_1d(column) for name, column in zip(names, columns, strict=True)}
    )
    table.attrs["dose"] = "self-dose of a sphere of the region's mass"
    return table


def absorbed_dose_draws(
    tia_draws_mbq_h: ArrayLike,
    volume_draws_ml: ArrayLike,
    *,
    density_g_ml: ArrayLike,
) -> Floats:
    """Self-dose of each joint draw of time-integrated activity and volume.

    The route for what a relative uncertainty cannot say, such as the skewed integral of one scan.

    Parameters
    ----------
    tia_draws_mbq_h : array-like of shape (n_draws, n_sites), MBq h
        Draws of the time-integrated activity.
    volume_draws_ml : array-like of shape (n_draws, n_sites) or (n_sites,), mL
        Draws of the volume, in the order of the others; or the volume as known.
    density_g_ml : array-like, broadcastable, g/mL
        From 0.2 to 2.

    Returns
    -------
    ndarray of shape (n_draws, n_sites), Gy

    Raises
    ------
    MeasureError
        When a value is out of range.
    """
    tia = numbers(tia_draws_mbq_h, "tia_draws_mbq_h", "MBq h", above=0.0)
    volume = numbers(volume_draws_ml, "volume_draws_ml", "mL", above=0.0)
    density = numbers(density_g_ml, "density_g_ml", "g/mL", least=0.2, most=2.0)
    return tia * s_value_sphere(volume * density)


def absorbed_dose_by_s_table(
    tia_mbq_h: Mapping[str, float], mass_g: Mapping[str, float], s_table: pd.DataFrame
) -> pd.Series:
    """Dose of every target from every source by a table of S-values, scaled to the patient.

    D(target) = sum over sources of TIA(source) S(target <- source). The self-dose is scaled by
    ref_mass / mass, the convention for electrons; the dose from other sources is not scaled.

    Parameters
    ----------
    tia_mbq_h : mapping of str to float, MBq h
        Time-integrated activity by source.
    mass_g : mapping of str to float, g
        The patient's mass of every target that is a source too.
    s_table : pandas.DataFrame
        Columns source, target, s_gy_per_mbq_h, ref_mass_g (of the target).

    Returns
    -------
    pandas.Series, Gy
        By target.

    Raises
    ------
    MeasureError
        When the table lacks a column, has a pair twice, or lacks the self-dose of a source.

    References
    ----------
    Bolch 2009, J. Nucl. Med. 50:477, doi 10.2967/jnumed.108.056036 (from memory).
    """
    missing = [name for name in S_TABLE_COLUMNS if name not in s_table.columns]
    if missing:
        raise MeasureError(f"the S-table lacks {', '.join(missing)}; it has {list(s_table)}.")
    pairs = s_table.set_index(["source", "target"])
    if pairs.index.has_duplicates:
        source, target = pairs.index[pairs.index.duplicated()][0]
        raise MeasureError(f"the S-table has {source!r} to {target!r} more than once.")
    numbers(s_table["s_gy_per_mbq_h"], "s_gy_per_mbq_h", "Gy/(MBq h)", least=0.0)
    numbers(s_table["ref_mass_g"], "ref_mass_g", "g", above=0.0)
    for source in tia_mbq_h:
        if (source, source) not in pairs.index:
            raise MeasureError(
                f"the S-table has no self-dose of {source!r}; its sources are "
                f"{', '.join(map(repr, s_table['source'].unique()))}."
            )
        if source not in mass_g:
            raise MeasureError(f"`mass_g` has no mass of {source!r}.")
    tia = {
        name: float(numbers(v, f"tia of {name}", "MBq h", least=0.0))
        for name, v in tia_mbq_h.items()
    }
    mass = {
        name: float(numbers(v, f"mass of {name}", "g", above=0.0)) for name, v in mass_g.items()
    }
    dose: dict[Any, float] = {}
    for (source, target), row in pairs.iterrows():
        if source not in tia:
            continue
        scale = row["ref_mass_g"] / mass[target] if source == target else 1.0
        dose[target] = dose.get(target, 0.0) + tia[source] * row["s_gy_per_mbq_h"] * scale
    return pd.Series(dose, name="absorbed_dose_gy").rename_axis("target")


def dose_cvs(
    *,
    s_slope: Floats,
    volume_ml: Floats,
    tia_cv: ArrayLike,
    volume_cv: ArrayLike,
    recovery: RecoveryCurve | None,
    calibration_cv: float,
    fwhm_mm: float | None = None,
) -> tuple[Floats, Floats]:
    """Independent and shared relative uncertainty of absorbed doses.

    Parameters
    ----------
    s_slope : ndarray of shape (n_sites,)
        d ln S / d ln m.
    volume_ml : ndarray of shape (n_sites,), mL
        Volumes.
    tia_cv, volume_cv : array-like, broadcastable
        Relative standard uncertainties.
    recovery : RecoveryCurve or None
        Applied to the activities.
    calibration_cv : float
        Relative standard uncertainty of the calibration.
    fwhm_mm : float, optional, mm
        Resolution of the SPECT; None leaves the counts at the outline's edge out.

    Returns
    -------
    own, shared : ndarray of shape (n_sites,)

    Raises
    ------
    MeasureError
        When a value is out of range.
    """
    fit = numbers(tia_cv, "tia_cv", "", least=0.0, most=LARGEST_CV)
    outline = numbers(volume_cv, "volume_cv", "", least=0.0, most=LARGEST_CV)
    calibration = numbers(calibration_cv, "calibration_cv", "", least=0.0, most=LARGEST_CV)
    if recovery is not None and not isinstance(recovery, RecoveryCurve):
        raise MeasureError(
            f"recovery: got {recovery!r}; give a RecoveryCurve, or None where the activities are "
            "corrected already"
        )
    of_recovery = np.zeros_like(volume_ml) if recovery is None else recovery.volume_slope(volume_ml)
    curve = np.zeros_like(volume_ml) if recovery is None else recovery.cv(volume_ml)
    of_volume = s_slope - of_recovery + spill_slope(volume_ml, fwhm_mm, recovery)
    own = np.sqrt(fit**2 + (of_volume * outline) ** 2)
    return own, np.sqrt(calibration**2 + curve**2)
