"""Self-dose of 177Lu in soft-tissue spheres."""

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.measure._numbers import Floats, numbers

#: Masses of the spheres that the formula was fitted to, g.
MASS_RANGE_G = (0.0043, 932.0)


def s_value_sphere(mass_g: ArrayLike) -> Floats:
    """Self-dose S-value of 177Lu in a soft-tissue sphere.

    S(m) = (0.08568 - 0.00249 m^(-1/3) + 0.00034 m^(1/3)) / m, within 0.45 % of the tabulated
    spheres from 0.0043 g to 932 g. It is the dose of a region to itself: what other regions give
    it is left out. A bone lesion has its own mass (density), but about the same S m.

    Parameters
    ----------
    mass_g : array-like of any shape, g
        Mass of the lesion or organ, 0.0043 to 932.

    Returns
    -------
    ndarray of the same shape, Gy/(MBq h)

    Raises
    ------
    MeasureError
        When a mass is outside the range of the fit.

    Notes
    -----
    The table that was fitted is that of the PyTheranostics project (``spheres.json``), believed
    (from memory) to go back to Olguin 2020 (MIRDcalc).
    """
    least, most = MASS_RANGE_G
    hint = "The spheres end there: give an S-value of your own for such a region."
    return sphere_fit(numbers(mass_g, "mass_g", "g", least=least, most=most, hint=hint))


def sphere_fit(mass_g: Floats) -> Floats:
    """Formula of `s_value_sphere`, wherever it is evaluated.

    Parameters
    ----------
    mass_g : ndarray of any shape, g
        Mass of the sphere.

    Returns
    -------
    ndarray of the same shape, Gy/(MBq h)
    """
    return _per_gram(mass_g) / mass_g


def sphere_slope(mass_g: Floats) -> Floats:
    """Relative change of the S-value with a relative change of the mass, d ln S / d ln m.

    Parameters
    ----------
    mass_g : ndarray of any shape, g
        Mass of the sphere.

    Returns
    -------
    ndarray of the same shape
        About -0.99.
    """
    root = np.cbrt(mass_g)
    return -1.0 + (0.00249 / root + 0.00034 * root) / (3.0 * _per_gram(mass_g))


def _per_gram(mass_g: Floats) -> Floats:
    """S m in Gy g/(MBq h)."""
    root = np.cbrt(mass_g)
    return 0.08568 - 0.00249 / root + 0.00034 * root
