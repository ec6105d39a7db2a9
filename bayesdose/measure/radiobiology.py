"""Biologically effective dose of an exponentially decaying dose rate, and EQD2.

Linear-quadratic model with mono-exponential repair. The limits that such doses are compared with
come from external beams and are not validated for 177Lu-PSMA.
"""

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers


def bed(
    dose_gy: ArrayLike,
    effective_half_life_h: ArrayLike,
    alpha_beta_gy: float,
    repair_half_time_h: float,
) -> Floats:
    """Biologically effective dose of a mono-exponential dose rate.

    BED = D [1 + D / (alpha/beta) T_rep / (T_rep + T_eff)]. Cycles that lie weeks apart add up.

    Parameters
    ----------
    dose_gy : array-like, Gy
        Absorbed dose of one cycle.
    effective_half_life_h : array-like, broadcastable, h
        Effective half-life of the dose rate.
    alpha_beta_gy : float, Gy
        Of the tissue.
    repair_half_time_h : float, h
        Half-time of the repair of sublethal damage.

    Returns
    -------
    ndarray of the broadcast shape, Gy

    Raises
    ------
    MeasureError
        When an argument is not finite or out of range.

    References
    ----------
    Dale 1996 and Bodei 2008 (from memory); the form is that of the PyTheranostics project.
    """
    dose = numbers(dose_gy, "dose_gy", "Gy", least=0.0)
    half_life = numbers(effective_half_life_h, "effective_half_life_h", "h", above=0.0)
    ratio, repair = _tissue(alpha_beta_gy, repair_half_time_h)
    return dose * (1.0 + dose / ratio * repair / (repair + half_life))


def bed_of_exponentials(
    dose_rates_gy_per_h: ArrayLike,
    rates_per_h: ArrayLike,
    alpha_beta_gy: float,
    repair_half_time_h: float,
) -> float:
    """Biologically effective dose of a sum of exponentials, r(t) = sum_i c_i exp(-l_i t).

    With mu = ln 2 / T_rep, D = sum_i c_i / l_i and
    G = 2 / D^2 sum_ij c_i c_j / [(l_i + l_j) (l_i + mu)], BED = D (1 + G D / (alpha/beta)).

    Parameters
    ----------
    dose_rates_gy_per_h : array-like of shape (n_terms,), Gy/h
        c_i, dose rates at time 0; negative ones, of an uptake, are allowed.
    rates_per_h : array-like of shape (n_terms,), 1/h
        l_i, effective rates.
    alpha_beta_gy : float, Gy
        Of the tissue.
    repair_half_time_h : float, h
        Half-time of the repair of sublethal damage.

    Returns
    -------
    float, Gy

    Raises
    ------
    MeasureError
        When an argument is not finite or out of range, or the doses do not add up to more than 0.
    """
    c = numbers(dose_rates_gy_per_h, "dose_rates_gy_per_h", "Gy/h")
    rate = numbers(rates_per_h, "rates_per_h", "1/h", above=0.0)
    if c.ndim != 1 or c.shape != rate.shape or not c.size:
        raise MeasureError(
            "`dose_rates_gy_per_h` and `rates_per_h` must have one entry for each exponential; got "
            f"shapes {c.shape} and {rate.shape}."
        )
    ratio, repair = _tissue(alpha_beta_gy, repair_half_time_h)
    dose = float((c / rate).sum())
    if dose <= 0:
        raise MeasureError(f"the exponentials add up to {dose:g} Gy; it must be above 0.")
    mu = np.log(2.0) / repair
    # G D^2 / 2; the factor D^2 cancels in G D
    overlap = (np.outer(c, c) / ((rate[:, None] + rate) * (rate[:, None] + mu))).sum()
    return dose + 2.0 * float(overlap) / ratio


def eqd2(bed_gy: ArrayLike, alpha_beta_gy: float) -> Floats:
    """Dose in fractions of 2 Gy with the same effect, BED / (1 + 2 Gy / (alpha/beta)).

    Parameters
    ----------
    bed_gy : array-like of any shape, Gy
        Biologically effective dose.
    alpha_beta_gy : float, Gy
        Of the tissue.

    Returns
    -------
    ndarray of the same shape, Gy

    Raises
    ------
    MeasureError
        When an argument is not finite or out of range.
    """
    ratio = float(numbers(alpha_beta_gy, "alpha_beta_gy", "Gy", above=0.0))
    return numbers(bed_gy, "bed_gy", "Gy", least=0.0) / (1.0 + 2.0 / ratio)


def _tissue(alpha_beta_gy: float, repair_half_time_h: float) -> tuple[float, float]:
    ratio = numbers(alpha_beta_gy, "alpha_beta_gy", "Gy", above=0.0)
    return float(ratio), float(numbers(repair_half_time_h, "repair_half_time_h", "h", above=0.0))
