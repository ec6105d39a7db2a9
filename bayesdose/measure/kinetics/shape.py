"""The curve of a region by its half-lives, and its points with the level integrated out."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.measure._numbers import Floats

#: Sharpness of the bend at physical decay: at half the physical half-life it moves T_eff by 0.05 %.
_BEND = 8.0


@dataclass(frozen=True)
class Scans:
    """The points of many regions, one entry a scan.

    Parameters
    ----------
    keys : pandas.MultiIndex
        patient_id, site_id, cycle of each region.
    patient, tissue : ndarray of int of shape (n_regions,)
        Codes.
    region : ndarray of int of shape (n_scans,)
        Place in ``keys``.
    time_h, log_activity : ndarray of shape (n_scans,), h and log MBq
        Physical decay included.
    noise_var : ndarray of shape (n_scans,)
        Known variance of the log activity.
    """

    keys: pd.MultiIndex
    patient: np.ndarray
    tissue: np.ndarray
    region: np.ndarray
    time_h: Floats
    log_activity: Floats
    noise_var: Floats


def rates(log_half_life: Any, log_uptake: Any, decay: float, xp: Any = np) -> tuple[Any, Any]:
    """Effective rates of clearance and uptake.

    Parameters
    ----------
    log_half_life, log_uptake : array, log h
        Half-life before the bend at physical decay, and that of the uptake.
    decay : float, 1/h
        Physical decay.
    xp : module
        NumPy or jax.numpy.

    Returns
    -------
    slow, fast : array, 1/h
    """
    free = np.log(2.0) * xp.exp(-log_half_life)
    # (l^8 + l_phys^8)^(1/8): l where it is well above physical decay, never below it
    slow = decay * xp.exp(xp.log1p(xp.exp(_BEND * xp.log(free / decay))) / _BEND)
    return slow, slow + np.log(2.0) * xp.exp(-log_uptake)


def log_shape(slow: Any, fast: Any, time_h: Any, xp: Any = np) -> Any:
    """Log (exp(-slow t) - exp(-fast t)).

    Parameters
    ----------
    slow, fast : array, 1/h
        Effective rates.
    time_h : array, h
        Times, above 0.
    xp : module
        NumPy or jax.numpy.

    Returns
    -------
    array
    """
    return -slow * time_h + xp.log(-xp.expm1(-(fast - slow) * time_h))


def log_density_of_contrasts(residual: Floats, variance: Floats) -> Floats:
    """Log density of one region's residuals with a flat level integrated out.

    Parameters
    ----------
    residual : ndarray of shape (G, n_scans)
        Log activity minus log shape, for G curves.
    variance : ndarray of shape (S, n_scans)
        Of the log activities, for S populations.

    Returns
    -------
    ndarray of shape (S, G)
        Up to a constant.
    """
    weight = 1.0 / variance
    total = weight.sum(1, keepdims=True)
    level = weight @ residual.T / total
    square = weight @ (residual**2).T - total * level**2
    constant = np.log(variance).sum(1, keepdims=True) + np.log(total)
    return -0.5 * (constant + square)
