"""Which radionuclide was injected."""

import re

from bayesdose.measure.images.headers.values import Headers
from bayesdose.measure.nuclides import HALF_LIVES_H

#: Names of elements in radionuclide codes, and their symbols.
_ELEMENTS = {
    "actinium": "Ac",
    "carbon": "C",
    "copper": "Cu",
    "fluorine": "F",
    "gallium": "Ga",
    "germanium": "Ge",
    "holmium": "Ho",
    "indium": "In",
    "iodine": "I",
    "lutetium": "Lu",
    "nitrogen": "N",
    "oxygen": "O",
    "rubidium": "Rb",
    "samarium": "Sm",
    "scandium": "Sc",
    "technetium": "Tc",
    "terbium": "Tb",
    "yttrium": "Y",
    "zirconium": "Zr",
}
#: Largest relative difference between a half-life in a header and that of its nuclide.
_HALF_LIFE_APART = 0.01


def radionuclide_of(headers: Headers) -> tuple[str | None, float | None]:
    """Radionuclide and its half-life.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    name : str or None
        Such as ``"Ga68"``: by the code, without one by the half-life.
    half_life_s : float or None, s
        Of the table, and of the header for a nuclide that is not in it.

    Raises
    ------
    MeasureError
        When code and half-life contradict each other.
    """
    stated_s = headers.number("RadionuclideHalfLife", headers.drug)
    coded = _nuclide_name(headers.drug("RadionuclideCodeSequence") or "")
    near = [
        name
        for name, hours in HALF_LIVES_H.items()
        if stated_s is not None and abs(stated_s / (hours * 3600.0) - 1.0) <= _HALF_LIFE_APART
    ]
    if coded is None:
        coded = near[0] if near else None
    table_s = HALF_LIVES_H[coded] * 3600.0 if coded in HALF_LIVES_H else None
    if stated_s is not None and coded not in near and (near or table_s is not None):
        expected = f"that of {coded} is {table_s:g} s" if table_s else f"that is {near[0]}'s"
        raise headers.refused(
            f"contradicts itself: RadionuclideCodeSequence says {coded}, and RadionuclideHalfLife "
            f"is {stated_s:g} s; {expected}: correct the one that is wrong; with the half-life the "
            "decay correction is wrong too"
        )
    return coded, table_s or stated_s


def _nuclide_name(meaning: str) -> str | None:
    """Name such as F18 from ^18^Fluorine, F-18, 18F or Fluorine-18; None from other words."""
    mass = re.search(r"\d+", meaning)
    words = re.findall(r"[A-Za-z]+", meaning)
    names = [word for word in words if word != "m"]
    if mass is None or not names:
        return None
    symbol = _ELEMENTS.get(names[0].lower(), names[0].capitalize())
    if symbol not in _ELEMENTS.values():
        return None
    return f"{symbol}{mass.group()}{'m' if 'm' in words else ''}"
