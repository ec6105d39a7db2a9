"""Time-integrated activity from one scan."""

from dataclasses import dataclass

import numpy as np

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats, numbers
from bayesdose.measure.kinetics.points import Points, check_points

#: Gauss-Hermite quadrature of a standard normal.
_NODE, _WEIGHT = np.polynomial.hermite_e.hermegauss(41)
_WEIGHT = _WEIGHT / _WEIGHT.sum()


@dataclass(frozen=True)
class SinglePoint:
    """Time-integrated activity from one scan.

    Parameters
    ----------
    tia_mbq_h : float, MBq h
        From the injection to infinity.
    tia_cv : float
        Relative standard uncertainty, of the measurement and of the half-life that was assumed;
        NaN where it was not given what it takes.
    """

    tia_mbq_h: float
    tia_cv: float


def hanscheid(
    time_h: float,
    activity_mbq: float,
    *,
    decay_corrected: bool,
    radionuclide: str = "Lu177",
    activity_cv: float | None = None,
    half_life_log_sd: float | None = None,
) -> SinglePoint:
    """Hänscheid's formula: TIA = A(t) 2 t / ln 2.

    Exact where the scan is one or two effective half-lives after the injection; within -10 and
    +6 % between 0.76 and 2.44 half-lives, and far too low outside.

    Parameters
    ----------
    time_h : float, h
        From the start of the injection to the middle of the scan.
    activity_mbq : float, MBq
        In the region.
    decay_corrected : bool
        True if it was corrected for decay back to the injection.
    radionuclide : str
        Of the therapy; matters for ``decay_corrected`` only.
    activity_cv : float, optional
        Relative standard uncertainty of the activity.
    half_life_log_sd : float, optional
        Standard deviation of the log effective half-life in the population.

    Returns
    -------
    SinglePoint
        ``tia_cv`` needs ``activity_cv`` and ``half_life_log_sd``.

    Raises
    ------
    MeasureError
        When a value is out of range.

    Notes
    -----
    The estimate does not depend on the half-life T, its error does: estimate / truth is 2 x 2^-x
    with x = t / T. ``tia_cv`` takes that ratio over a log-normal T with median t / 1.443, where
    the formula has its stationary point, by Gauss-Hermite quadrature.

    References
    ----------
    Hänscheid 2018, J. Nucl. Med. 59:75, doi 10.2967/jnumed.117.193706 (from memory; the behaviour
    of the ratio was computed).
    """
    points = _one(time_h, activity_mbq, decay_corrected, radionuclide, activity_cv)
    (time,), (activity,) = points.time_h, points.activity_mbq
    spread = _log_sd(half_life_log_sd)
    x = np.exp(np.log(1.0 / np.log(2.0)) + spread * _NODE)
    log_ratio = np.log(2.0 * x) - x * np.log(2.0)
    return SinglePoint(float(activity * 2.0 * time / np.log(2.0)), _cv(points, log_ratio))


def madsen(
    time_h: float,
    activity_mbq: float,
    effective_half_life_h: float,
    *,
    decay_corrected: bool,
    radionuclide: str = "Lu177",
    activity_cv: float | None = None,
    half_life_log_sd: float | None = None,
) -> SinglePoint:
    """Madsen's formula, the population's effective half-life: TIA = A(t) exp(l t) / l.

    The first-order effect of a wrong half-life vanishes for a scan at 1.44 half-lives.

    Parameters
    ----------
    time_h : float, h
        From the start of the injection to the middle of the scan.
    activity_mbq : float, MBq
        In the region.
    effective_half_life_h : float, h
        Of the population; below the physical one.
    decay_corrected : bool
        True if the activity was corrected for decay back to the injection.
    radionuclide : str
        Of the therapy.
    activity_cv : float, optional
        Relative standard uncertainty of the activity.
    half_life_log_sd : float, optional
        Standard deviation of the log effective half-life in the population.

    Returns
    -------
    SinglePoint
        ``tia_cv`` needs ``activity_cv`` and ``half_life_log_sd``.

    Raises
    ------
    MeasureError
        When a value is out of range.

    Notes
    -----
    ``tia_cv`` takes the log of the true integral over a log-normal half-life by Gauss-Hermite
    quadrature; half-lives beyond the physical one count as the physical one.

    References
    ----------
    Madsen 2018, Med. Phys. 45:2318, doi 10.1002/mp.12886 (from memory; the behaviour was computed).
    """
    points = _one(time_h, activity_mbq, decay_corrected, radionuclide, activity_cv)
    (time,), (activity,) = points.time_h, points.activity_mbq
    longest = np.log(2.0) / points.decay_rate
    half_life = float(
        numbers(effective_half_life_h, "effective_half_life_h", "h", above=0.0, most=longest)
    )
    rate = np.log(2.0) / half_life
    spread = _log_sd(half_life_log_sd)
    true_rate = np.maximum(rate * np.exp(-spread * _NODE), points.decay_rate)
    log_tia = true_rate * time - np.log(true_rate)
    return SinglePoint(float(activity * np.exp(rate * time) / rate), _cv(points, log_tia))


def _one(
    time_h: float,
    activity_mbq: float,
    decay_corrected: bool,
    radionuclide: str,
    activity_cv: float | None,
) -> Points:
    if np.size(time_h) != 1 or np.size(activity_mbq) != 1:
        raise MeasureError(
            f"a single-time-point formula takes one scan, got {np.size(time_h)}; fit_time_activity "
            "takes more"
        )
    return check_points(
        np.atleast_1d(time_h),
        np.atleast_1d(activity_mbq),
        decay_corrected=decay_corrected,
        radionuclide=radionuclide,
        activity_cv=activity_cv,
    )


def _log_sd(half_life_log_sd: float | None) -> float:
    if half_life_log_sd is None:
        return float("nan")
    return float(numbers(half_life_log_sd, "half_life_log_sd", "", least=0.0))


def _cv(points: Points, log_values: Floats) -> float:
    """Of the activity, and of a logarithm at the quadrature's nodes."""
    mean = _WEIGHT @ log_values
    variance = _WEIGHT @ (log_values - mean) ** 2
    if points.cv is None or np.isnan(variance):
        return float("nan")
    return float(np.sqrt(np.expm1(np.log1p(points.cv[0] ** 2) + variance)))
