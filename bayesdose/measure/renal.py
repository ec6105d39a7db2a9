"""Renal function from serum creatinine, and the body surface that it is indexed to.

Every equation takes creatinine in mg/dL, at steady state, and of an adult. Muscle loss, frequent in
metastatic prostate cancer, lowers creatinine and makes every one of them too high.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import (
    Floats,
    check_alike,
    height_in_cm,
    numbers,
    weight_in_kg,
    yes_or_no,
)

#: µmol/L in one mg/dL.
UMOL_PER_MG_DL = 88.4
#: mg/dL that a living patient may have; higher numbers are almost surely µmol/L.
_CREATININE = (0.1, 20.0)
_UNITS: Mapping[str, float] = MappingProxyType(
    {"mg/dl": 1.0, "umol/l": 1 / UMOL_PER_MG_DL, "µmol/l": 1 / UMOL_PER_MG_DL}
)


def creatinine_mg_dl(creatinine: ArrayLike, unit: str) -> Floats:
    """Serum creatinine in mg/dL.

    Parameters
    ----------
    creatinine : array-like of any shape, in ``unit``
        Serum creatinine.
    unit : str
        ``"mg/dL"`` or ``"umol/L"`` (also with µ); there is no default, and none is guessed.

    Returns
    -------
    ndarray of the same shape, mg/dL

    Raises
    ------
    MeasureError
        When the unit is another, or a value is not between 0.1 and 20 mg/dL.
    """
    # both letters that look like µ: the micro sign and the Greek mu
    factor = _UNITS.get(str(unit).strip().lower().replace("\N{GREEK SMALL LETTER MU}", "µ"))
    if factor is None:
        raise MeasureError(f"creatinine in {unit!r}: give it in 'mg/dL' or 'umol/L'.")
    given = numbers(creatinine, "creatinine", unit, above=0.0)
    least, most = _CREATININE
    hint = f"It was given as {unit}; is that its unit?"
    return numbers(given * factor, "creatinine", "mg/dL", least=least, most=most, hint=hint)


def egfr_ckd_epi_2021(creatinine_mg_dl: ArrayLike, age_y: ArrayLike, female: ArrayLike) -> Floats:
    """Estimated glomerular filtration rate by CKD-EPI 2021, without race.

    142 min(Scr/k, 1)^a max(Scr/k, 1)^-1.2 0.9938^age (1.012 if female), with k = 0.7 and
    a = -0.241 for women, 0.9 and -0.302 for men.

    Parameters
    ----------
    creatinine_mg_dl : array-like, mg/dL
        Serum creatinine.
    age_y : array-like, broadcastable, years
        18 to 120.
    female : array-like of bool, broadcastable

    Returns
    -------
    ndarray of the broadcast shape, mL/min/1.73 m2

    Raises
    ------
    MeasureError
        When a value is out of range: creatinine above 20 is almost surely in µmol/L.

    References
    ----------
    Inker 2021, doi 10.1056/NEJMoa2102953 (the DOI from memory, the coefficients verified).
    """
    scr, age, woman = _inputs(creatinine_mg_dl, age_y, female)
    relative = scr / np.where(woman, 0.7, 0.9)
    low = np.minimum(relative, 1.0) ** np.where(woman, -0.241, -0.302)
    return 142 * low * np.maximum(relative, 1) ** -1.2 * 0.9938**age * np.where(woman, 1.012, 1)


def egfr_ckd_epi_2009(
    creatinine_mg_dl: ArrayLike, age_y: ArrayLike, female: ArrayLike, *, black: ArrayLike = False
) -> Floats:
    """Estimated glomerular filtration rate by CKD-EPI 2009, for comparison with older studies.

    141 min(Scr/k, 1)^a max(Scr/k, 1)^-1.209 0.993^age (1.018 if female, 1.159 if black), with
    k = 0.7 and a = -0.329 for women, 0.9 and -0.411 for men.

    Parameters
    ----------
    creatinine_mg_dl : array-like, mg/dL
        Serum creatinine.
    age_y : array-like, broadcastable, years
        18 to 120.
    female : array-like of bool, broadcastable
    black : array-like of bool, broadcastable
        The equation's race coefficient, which the equation of 2021 dropped.

    Returns
    -------
    ndarray of the broadcast shape, mL/min/1.73 m2

    Raises
    ------
    MeasureError
        When a value is out of range.

    References
    ----------
    Levey 2009, Ann. Intern. Med. 150:604 (coefficients from memory).
    """
    scr, age, woman = _inputs(creatinine_mg_dl, age_y, female)
    relative = scr / np.where(woman, 0.7, 0.9)
    low = np.minimum(relative, 1.0) ** np.where(woman, -0.329, -0.411)
    people = np.where(woman, 1.018, 1.0) * np.where(yes_or_no(black, "black"), 1.159, 1.0)
    return 141 * low * np.maximum(relative, 1.0) ** -1.209 * 0.993**age * people


def egfr_mdrd(
    creatinine_mg_dl: ArrayLike, age_y: ArrayLike, female: ArrayLike, *, black: ArrayLike = False
) -> Floats:
    """Estimated glomerular filtration rate by the four-variable MDRD equation (IDMS).

    175 Scr^-1.154 age^-0.203 (0.742 if female, 1.212 if black).

    Parameters
    ----------
    creatinine_mg_dl : array-like, mg/dL
        Serum creatinine, traceable to isotope-dilution mass spectrometry.
    age_y : array-like, broadcastable, years
        18 to 120.
    female : array-like of bool, broadcastable
    black : array-like of bool, broadcastable
        The equation's race coefficient.

    Returns
    -------
    ndarray of the broadcast shape, mL/min/1.73 m2

    Raises
    ------
    MeasureError
        When a value is out of range.

    References
    ----------
    Levey 2006, Ann. Intern. Med. 145:247 (coefficients from memory).
    """
    scr, age, woman = _inputs(creatinine_mg_dl, age_y, female)
    people = np.where(woman, 0.742, 1.0) * np.where(yes_or_no(black, "black"), 1.212, 1.0)
    return 175 * scr**-1.154 * age**-0.203 * people


def cockcroft_gault(
    creatinine_mg_dl: ArrayLike, age_y: ArrayLike, female: ArrayLike, weight_kg: ArrayLike
) -> Floats:
    """Creatinine clearance by Cockcroft and Gault; in mL/min, not indexed to body surface.

    (140 - age) weight / (72 Scr) (0.85 if female).

    Parameters
    ----------
    creatinine_mg_dl : array-like, mg/dL
        Serum creatinine.
    age_y : array-like, broadcastable, years
        18 to 120.
    female : array-like of bool, broadcastable
    weight_kg : array-like, broadcastable, kg
        20 to 400.

    Returns
    -------
    ndarray of the broadcast shape, mL/min

    Raises
    ------
    MeasureError
        When a value is out of range.

    References
    ----------
    Cockcroft and Gault 1976, Nephron 16:31 (from memory).
    """
    scr, age, woman = _inputs(creatinine_mg_dl, age_y, female)
    weight = weight_in_kg(weight_kg)
    check_alike(creatinine_mg_dl=scr, weight_kg=weight)
    return (140.0 - age) * weight / (72.0 * scr) * np.where(woman, 0.85, 1.0)


def body_surface_area(
    weight_kg: ArrayLike, height_cm: ArrayLike, formula: str = "du_bois"
) -> Floats:
    """Body surface area.

    Du Bois: 0.007184 weight^0.425 height^0.725; Mosteller: sqrt(weight height / 3600).

    Parameters
    ----------
    weight_kg : array-like, kg
        20 to 400.
    height_cm : array-like, broadcastable, cm
        100 to 250.
    formula : str
        ``"du_bois"`` or ``"mosteller"``.

    Returns
    -------
    ndarray of the broadcast shape, m2

    Raises
    ------
    MeasureError
        When a value is out of range, or the formula is another.

    References
    ----------
    Du Bois and Du Bois 1916; Mosteller 1987 (from memory).
    """
    weight, height = weight_in_kg(weight_kg), height_in_cm(height_cm)
    check_alike(weight_kg=weight, height_cm=height)
    if formula == "du_bois":
        return 0.007184 * weight**0.425 * height**0.725
    if formula == "mosteller":
        return np.sqrt(weight * height / 3600.0)
    raise MeasureError(f"formula {formula!r}: allowed are 'du_bois' and 'mosteller'.")


def deindexed_egfr(egfr_ml_min_1p73m2: ArrayLike, body_surface_m2: ArrayLike) -> Floats:
    """Filtration rate of the patient's own body, eGFR times body surface / 1.73 m2.

    Parameters
    ----------
    egfr_ml_min_1p73m2 : array-like, mL/min/1.73 m2
        Indexed rate.
    body_surface_m2 : array-like, broadcastable, m2
        Body surface area, 0.5 to 4.

    Returns
    -------
    ndarray of the broadcast shape, mL/min

    Raises
    ------
    MeasureError
        When a value is out of range.
    """
    rate = numbers(egfr_ml_min_1p73m2, "egfr_ml_min_1p73m2", "mL/min/1.73 m2", above=0.0)
    surface = numbers(body_surface_m2, "body_surface_m2", "m2", least=0.5, most=4.0)
    return rate * surface / 1.73


def _inputs(
    creatinine: ArrayLike, age_y: ArrayLike, female: ArrayLike
) -> tuple[Floats, Floats, np.ndarray]:
    least, most = _CREATININE
    hint = "Is it in µmol/L? Then convert it with creatinine_mg_dl."
    scr = numbers(creatinine, "creatinine_mg_dl", "mg/dL", least=least, most=most, hint=hint)
    age = numbers(age_y, "age_y", "years", least=18.0, most=120.0)
    woman = yes_or_no(female, "female")
    check_alike(creatinine_mg_dl=scr, age_y=age, female=woman)
    return scr, age, woman
