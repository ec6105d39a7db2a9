"""What follows from the parameters of a curve: probabilities, D50, its steepness.

With the reference dose D_ref, intercept a and slope s, for a patient with effect b:

    link P = a + s log(D / D_ref) + b,        D50 = D_ref exp(-a / s)  where s > 0

and gamma50 = D dP/dD at D50 = s f(0), f the density of the link: s / 4 (logit), s / sqrt(2 pi)
(probit). With the logit P = 1 / (1 + (D50 / D)^(4 gamma50)). Bentzen & Tucker 1997, Int. J. Radiat.
Biol. 71:531; Niemierko 1997, Med. Phys. 24:103 (both from memory).
"""

import numpy as np
from scipy import special

from bayesdose.evaluate._arrays import Floats

# The integrals over patients are analytic but for the logit's poles, pi / sd away from the axis,
# so that the trapezoidal rule is exact to rounding for any sd up to 5; gamma50 to 1e-4 up to 10.
_STEP = 0.15
_NODES = np.arange(-56, 57) * _STEP
_WEIGHTS = _STEP * np.exp(-0.5 * _NODES**2) / np.sqrt(2 * np.pi)


def probability(eta: Floats, patient_sd: Floats, link: str) -> Floats:
    """Probability of the outcome, averaged over patients.

    Parameters
    ----------
    eta : ndarray of shape (n_draws, n)
        On the scale of the link, of the typical patient.
    patient_sd : ndarray of shape (n_draws,)
        Between patients, on that scale; 0 for the typical patient.
    link : str
        ``logit`` or ``probit``.

    Returns
    -------
    ndarray of shape (n_draws, n)
    """
    if link == "probit":
        value: Floats = special.ndtr(eta / np.sqrt(1 + patient_sd**2)[:, None])
        return value
    if not patient_sd.any():
        value = special.expit(eta)
        return value
    total = np.zeros_like(eta)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        total += weight * special.expit(eta + (patient_sd * node)[:, None])
    return np.clip(total, 0.0, 1.0)


def d50_gy(intercept: Floats, slope: Floats, reference_gy: float) -> Floats:
    """Dose at which half have the outcome; the same for the typical patient and the population.

    Parameters
    ----------
    intercept, slope : ndarray of any one shape
    reference_gy : float, Gy

    Returns
    -------
    ndarray of that shape, Gy
        NaN where the slope is not above 0: the curve does not rise to one half there.
    """
    rises = slope > 0
    with np.errstate(over="ignore", under="ignore"):
        value = reference_gy * np.exp(-intercept / np.where(rises, slope, 1.0))
    return np.where(rises, value, np.nan)


def gamma50(slope: Floats, patient_sd: Floats, link: str) -> Floats:
    """Steepness at one half: change of the probability for a change of the dose by its own size.

    Parameters
    ----------
    slope, patient_sd : ndarray of any one shape
        ``patient_sd`` 0 for the typical patient; else of the population, whose curve is shallower.
    link : str
        ``logit`` or ``probit``.

    Returns
    -------
    ndarray of that shape
    """
    if link == "probit":
        return slope / np.sqrt(2 * np.pi * (1 + patient_sd**2))
    odds = special.expit(patient_sd[..., None] * _NODES)
    height: Floats = (_WEIGHTS * odds * (1 - odds)).sum(-1)
    return slope * height


def interval_where_defined(draws: Floats, prob: float) -> tuple[float, float, float]:
    """Median and equal-tailed interval of draws of which some are undefined.

    Undefined draws count as below the lower and as above the upper end, so that the interval holds
    at least its probability; where they are more than a tail may hold, it has no ends. As with
    Fieller's interval of a ratio, it has ends only where the slope is told from 0.

    Parameters
    ----------
    draws : ndarray of shape (n_draws,)
        NaN where undefined.
    prob : float
        Of the interval.

    Returns
    -------
    median, lower, upper : float
        The median is of the draws that are defined; NaN where the interval has no ends.
    """
    undefined = np.isnan(draws)
    low = np.sort(np.where(undefined, -np.inf, draws))
    high = np.sort(np.where(undefined, np.inf, draws))
    tail, last = 0.5 - prob / 2, draws.size - 1
    # outwards to a draw: between an infinite value and another there is none
    lower, upper = low[int(np.floor(tail * last))], high[int(np.ceil((1 - tail) * last))]
    if not np.isfinite([lower, upper]).all():
        return np.nan, np.nan, np.nan
    return float(np.median(draws[~undefined])), float(lower), float(upper)
