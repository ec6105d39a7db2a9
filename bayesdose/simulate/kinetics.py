"""Two-compartment kinetics of a PSMA ligand in closed form.

Plasma empties at the rate ``l_p`` (kidneys, organs and the tumour sink together) and feeds a
tissue at the influx ``K`` (fraction of the plasma activity per hour and gram); the tissue empties
at the biological rate ``l_b``. Without decay the fraction of the administered activity per gram is

    c(t) = K (exp(-l_b t) - exp(-l_p t)) / (l_p - l_b),

and with physical decay at the rate ``l``, its integral over all time is K / ((l_p + l)(l_b + l)).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdose.measure.nuclides import half_life_h

LU177_HALF_LIFE_H = half_life_h("Lu177")
LU177_DECAY_PER_H = np.log(2.0) / LU177_HALF_LIFE_H

FloatArray = NDArray[np.float64]


def biological_rate(effective_half_life_h: ArrayLike) -> FloatArray:
    """Biological rate that gives an effective half-life of 177Lu.

    Parameters
    ----------
    effective_half_life_h : array-like of any shape, h
        Effective half-life, below the physical one of 159.528 h.

    Returns
    -------
    ndarray of the same shape, 1/h
        ln 2 / T_eff - ln 2 / T_phys; not positive where T_eff reaches T_phys.
    """
    return np.log(2.0) / np.asarray(effective_half_life_h, dtype=float) - LU177_DECAY_PER_H


def activity_concentration(
    time_h: ArrayLike, influx: ArrayLike, plasma_rate: ArrayLike, tissue_rate: ArrayLike
) -> FloatArray:
    """Decay-corrected fraction of the administered activity per gram of tissue at one time.

    Parameters
    ----------
    time_h : array-like, broadcastable, h
        Time after injection.
    influx : array-like, broadcastable, 1/(h g)
        Fraction of the plasma activity that enters one gram per hour.
    plasma_rate, tissue_rate : array-like, broadcastable, 1/h
        Rates at which plasma and tissue empty; they must differ.

    Returns
    -------
    ndarray of the broadcast shape, 1/g
    """
    time = np.asarray(time_h, dtype=float)
    plasma, tissue = np.asarray(plasma_rate, dtype=float), np.asarray(tissue_rate, dtype=float)
    return influx * (np.exp(-tissue * time) - np.exp(-plasma * time)) / (plasma - tissue)


def time_integrated_concentration(
    influx: ArrayLike, plasma_rate: ArrayLike, tissue_rate: ArrayLike
) -> FloatArray:
    """Time-integrated 177Lu activity per gram and administered activity, to infinity.

    Parameters
    ----------
    influx : array-like, broadcastable, 1/(h g)
        Fraction of the plasma activity that enters one gram per hour.
    plasma_rate, tissue_rate : array-like, broadcastable, 1/h
        Biological rates at which plasma and tissue empty; physical decay is added here.

    Returns
    -------
    ndarray of the broadcast shape, h/g
    """
    plasma = np.asarray(plasma_rate, dtype=float) + LU177_DECAY_PER_H
    tissue = np.asarray(tissue_rate, dtype=float) + LU177_DECAY_PER_H
    return np.asarray(influx, dtype=float) / (plasma * tissue)
