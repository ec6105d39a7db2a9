"""Half-lives and decay. No function here has a default nuclide."""

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers

#: Physical half-lives, h: ICRP Publication 107 as distributed with radioactivedecay 0.6.1.
HALF_LIVES_H = {
    "Lu177": 159.528,
    "Lu177m": 160.4 * 24,
    "Tb161": 6.906 * 24,
    "Ac225": 10.0 * 24,
    "Y90": 64.10,
    "I131": 8.0207 * 24,
    "F18": 109.77 / 60,
    "Ga68": 67.71 / 60,
    "Cu64": 12.700,
}


def half_life_h(radionuclide: str) -> float:
    """Physical half-life.

    Parameters
    ----------
    radionuclide : str
        Such as ``"Lu177"``, ``"F18"``; ``"177Lu"`` and ``"Lu-177"`` are the same.

    Returns
    -------
    float, h

    Raises
    ------
    MeasureError
        When the nuclide is not in the table.

    References
    ----------
    ICRP Publication 107 (2008), as distributed with radioactivedecay 0.6.1.
    """
    text = str(radionuclide)
    letters = "".join(c for c in text if c.isalpha() and c != "m").capitalize()
    digits = "".join(c for c in text if c.isdigit())
    meta = "m" if text.rstrip().endswith("m") or f"{digits}m" in text else ""
    name = f"{letters}{digits}{meta}"
    if name not in HALF_LIVES_H:
        raise MeasureError(
            f"radionuclide {radionuclide!r} is not known; known are {', '.join(HALF_LIVES_H)}."
        )
    return HALF_LIVES_H[name]


def decay_factor(elapsed_h: ArrayLike, radionuclide: str) -> Floats:
    """Share of an activity that is left after a time, 2^(-t / T).

    Parameters
    ----------
    elapsed_h : array-like of any shape, h
        Time since the reference; below 0 it gives the larger activity of an earlier time.
    radionuclide : str
        Such as ``"Lu177"``.

    Returns
    -------
    ndarray of the same shape
        Multiply an activity at the reference time with it; divide to correct back to it.

    Raises
    ------
    MeasureError
        When the nuclide is not known, or a time is not finite.
    """
    elapsed = numbers(elapsed_h, "elapsed_h", "h")
    return np.exp2(-elapsed / half_life_h(radionuclide))
