"""Least-squares curves through the time-activity points of one region.

With effective rates l = l_phys + l_bio and l_bio >= 0:

    mono                 A exp(-l t)
    uptake_clearance     A (exp(-l1 t) - exp(-l2 t)),  l2 > l1
    biexponential        a1 exp(-l1 t) + a2 exp(-l2 t),  l2 > l1, a1 > 0, a1 + a2 >= 0

and the time-integrated activity is the sum of amplitude / rate.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.optimize import OptimizeResult, least_squares

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import Floats
from bayesdose.measure.kinetics.points import Points, check_points

WEIGHTS = ("relative", "absolute")
#: A biological rate below this share of the physical one counts as none.
_AT_LIMIT = 1e-4
#: Scans from this time on see uptake only where it is slow; noise looks like it too.
_LATE_H = 12.0
#: Below this product of rate and first time a clearing term is seen: exp(-3) of it is left.
_SEEN = 3.0
#: Level of the tests for a bi-exponential.
_LEVEL = 0.05
#: Smallest relative misfit that is not rounding.
_ROUNDING = 1e-6
#: Largest standard deviation of the log of an uptake's rate, which many scans do not see.
_UPTAKE_LOG_SD = 2.0


@dataclass(frozen=True)
class TimeActivityFit:
    """A curve through the points of one region.

    Parameters
    ----------
    curve : str
        ``"mono"``, ``"uptake_clearance"`` or ``"biexponential"``.
    amplitudes_mbq : ndarray of shape (n_terms,), MBq
        Of each exponential at time 0, the slowest first.
    rates_per_h : ndarray of shape (n_terms,), 1/h
        Effective rates.
    tia_mbq_h : float, MBq h
        Time-integrated activity from the injection to infinity.
    tia_cv : float
        Its relative uncertainty, such that the integral times exp(± 1.96 of it) is a 95 % interval:
        by the delta method, times Student's t / 1.96 where residuals estimate the noise. Infinite
        where the points do not determine the integral; NaN where there are as many parameters as
        points and no ``activity_cv``.
    effective_half_life_h : float, h
        Of the slowest exponential.
    at_physical_limit : bool
        Whether the slowest exponential clears by physical decay only: the fit would have liked it
        slower still, so that the tail is a guess on the safe side.
    alternatives : dict of str to float, MBq h
        Time-integrated activity of the other curves that have fewer parameters than there are
        points; and of the mono-exponential. That of a bi-exponential whose fast term no scan sees
        may be anything.
    """

    curve: str
    amplitudes_mbq: Floats
    rates_per_h: Floats
    tia_mbq_h: float
    tia_cv: float
    effective_half_life_h: float
    at_physical_limit: bool
    alternatives: dict[str, float] = field(default_factory=dict)

    def activity(self, time_h: ArrayLike) -> Floats:
        """Activity on the curve.

        Parameters
        ----------
        time_h : array-like of any shape, h
            From the start of the injection.

        Returns
        -------
        ndarray of the same shape, MBq
        """
        time = np.asarray(time_h, dtype=float)[..., None]
        return (self.amplitudes_mbq * np.exp(-self.rates_per_h * time)).sum(-1)


@dataclass(frozen=True)
class _Curve:
    """One shape: its parameters, and what they mean.

    Parameters
    ----------
    bounds : tuple of (float, float)
        Of each parameter; there must be as many points.
    terms : callable
        Parameters and decay rate → amplitudes and rates. The first parameter is a logarithm of an
        amplitude, the second the slowest biological rate, which may be 0.
    start : callable
        Points, and amplitude and biological rate of their tail → starts.
    """

    bounds: tuple[tuple[float, float], ...]
    terms: Callable[[Floats, float], tuple[Floats, Floats]]
    start: Callable[[Points, float, float], list[list[float]]]

    @property
    def n_parameters(self) -> int:
        return len(self.bounds)


def fit_time_activity(
    time_h: ArrayLike,
    activity_mbq: ArrayLike,
    *,
    decay_corrected: bool,
    radionuclide: str = "Lu177",
    activity_cv: ArrayLike | None = None,
    curve: str = "auto",
    weights: str = "relative",
) -> TimeActivityFit:
    """Fit a curve to the activity in one region, and integrate it over all time.

    ``curve="auto"``: mono-exponential with two or three points; with four, uptake and clearance
    where the first point lies below the mono-exponential of the others, else mono. Where the first
    scan is later than 12 h and ``activity_cv`` is given, it must lie below by more than two
    standard deviations of log first minus log extrapolated: half of all late points lie below by
    noise. From five points a bi-exponential where it fits better than either of them (5 %;
    chi-square with ``activity_cv``, F test without) and the scans see its fast term: an uptake, or
    a clearance of which exp(-3) is left at the first scan; else as with four. Look at
    ``alternatives``: what the choice changes is an uncertainty that ``tia_cv`` does not hold.

    Parameters
    ----------
    time_h : array-like of shape (n,), h
        From the start of the injection to the middle of the scan.
    activity_mbq : array-like of shape (n,), MBq
        In the region.
    decay_corrected : bool
        True if the activities were corrected for decay back to the injection, False if they are
        those at the time of the scan. There is no default.
    radionuclide : str
        Of the therapy.
    activity_cv : array-like of shape (n,) or float, optional
        Relative standard uncertainty of each activity, independent between scans. What is common
        to all scans (calibration, recovery) belongs to the dose, not here. None estimates it from
        the residuals, where there are more points than parameters.
    curve : str
        ``"auto"``, ``"mono"``, ``"uptake_clearance"`` or ``"biexponential"``.
    weights : str
        ``"relative"``: least squares of log activity, so that late scans count; ``"absolute"``:
        least squares of MBq, as many programs do. ``activity_cv`` weighs the points in both.

    Returns
    -------
    TimeActivityFit

    Raises
    ------
    MeasureError
        With one point, or fewer than the curve has parameters; activity that rises at the end;
        times or activities out of range.

    Notes
    -----
    No rate falls below physical decay. The uncertainty is (J'J)^-1 of the residuals at the best
    fit, a rate at its bound being as uncertain as any other. Where ``activity_cv`` is None it is
    times their mean square and (t_0.975 / 1.96)^2 on n - p degrees of freedom: 6.5^2 with one. The
    log of l2 - l1 of ``"uptake_clearance"`` is given a standard deviation of at most 2: an uptake
    that is over before the first scan hardly changes the integral, however fast it was.
    """
    points = check_points(
        time_h,
        activity_mbq,
        decay_corrected=decay_corrected,
        radionuclide=radionuclide,
        activity_cv=activity_cv,
    )
    found = fit_points(points, curve, weights)
    n = len(points.time_h)
    others = [
        name
        for name, shape in _CURVES.items()
        # a curve through as many points as it has parameters says nothing
        if name != found.curve and (shape.n_parameters < n or name == "mono")
    ]
    alternatives = {name: _fit(points, name, weights).tia_mbq_h for name in others}
    return TimeActivityFit(**(vars(found) | {"alternatives": alternatives}))


def fit_points(points: Points, curve: str, weights: str) -> TimeActivityFit:
    """Fit a curve as `fit_time_activity` does, without its alternatives, which cost most.

    Parameters
    ----------
    points : Points
        Checked points of one region.
    curve, weights : str
        As there.

    Returns
    -------
    TimeActivityFit

    Raises
    ------
    MeasureError
        As there.
    """
    if weights not in WEIGHTS:
        raise MeasureError(f"weights: got {weights!r}; allowed are {', '.join(WEIGHTS)}")
    n = len(points.time_h)
    if n == 1:
        raise MeasureError(
            "one time point makes no curve. Give a second scan, or use PopulationKinetics (curves "
            "learnt from other patients), hanscheid (Hänscheid's formula) or madsen (an effective "
            "half-life of the population)"
        )
    if points.activity_mbq[-1] > points.activity_mbq[-2]:
        raise MeasureError(
            f"activity rises at the end, from {points.activity_mbq[-2]:g} MBq at "
            f"{points.time_h[-2]:g} h to {points.activity_mbq[-1]:g} MBq at {points.time_h[-1]:g} "
            "h: nothing says how it will fall. Give a later scan, or use PopulationKinetics"
        )
    chosen = _auto(points, weights) if curve == "auto" else curve
    if chosen not in _CURVES:
        raise MeasureError(f"curve: got {curve!r}; allowed are auto, {', '.join(_CURVES)}")
    if n < _CURVES[chosen].n_parameters:
        raise MeasureError(
            f"curve {chosen!r} has {_CURVES[chosen].n_parameters} parameters and there are {n} "
            "points; give more scans, or curve='mono'"
        )
    return _fit(points, chosen, weights)


def _auto(points: Points, weights: str) -> str:
    n = len(points.time_h)
    if n <= 3:
        return "mono"
    if n > _CURVES["biexponential"].n_parameters and _shows_two_terms(points, weights):
        return "biexponential"
    cv = None if points.cv is None else points.cv[1:]
    later = Points(points.time_h[1:], points.activity_mbq[1:], cv, points.decay_rate)
    run = _least_squares(later, "mono", weights)
    log_amplitude, biological = run.x
    time = points.time_h[0]
    extrapolated = log_amplitude - (points.decay_rate + biological) * time
    shortfall = extrapolated - np.log(points.activity_mbq[0])
    noise = 0.0
    if points.cv is not None and time > _LATE_H:
        jacobian, _ = _derivatives(run.x, _CURVES["mono"], later, weights)
        slope = np.array([1.0, -time])
        extrapolation = slope @ np.linalg.inv(jacobian.T @ jacobian) @ slope
        noise = float(np.sqrt(points.cv[0] ** 2 + extrapolation))
    return "uptake_clearance" if shortfall > 2.0 * noise else "mono"


def _shows_two_terms(points: Points, weights: str) -> bool:
    """Whether a bi-exponential fits better than its special cases, and scans see both terms."""
    n, full = len(points.time_h), _CURVES["biexponential"]
    best = _least_squares(points, "biexponential", weights)
    (_, second), (_, fast) = full.terms(best.x, points.decay_rate)
    if second > 0 and fast * points.time_h[0] >= _SEEN:
        # what was gone before the first scan may hold any activity
        return False
    for name in ("mono", "uptake_clearance"):
        fewer = full.n_parameters - _CURVES[name].n_parameters
        gain = 2.0 * (_least_squares(points, name, weights).cost - best.cost)
        if points.cv is not None:
            needed = stats.chi2.isf(_LEVEL, fewer)
        else:
            left = n - full.n_parameters
            mean_square = max(2.0 * best.cost / left, _ROUNDING**2)
            needed = fewer * mean_square * stats.f.isf(_LEVEL, fewer, left)
        if gain <= needed:
            return False
    return True


def _fit(points: Points, name: str, weights: str) -> TimeActivityFit:
    shape = _CURVES[name]
    best = _least_squares(points, name, weights)
    amplitude, rate = shape.terms(best.x, points.decay_rate)
    tia = float((amplitude / rate).sum())
    return TimeActivityFit(
        name,
        amplitude,
        rate,
        tia,
        _tia_cv(best, name, points, weights) / tia,
        float(np.log(2.0) / rate[0]),
        bool(rate[0] - points.decay_rate < _AT_LIMIT * points.decay_rate),
    )


def _scale(points: Points, weights: str) -> Floats:
    """Standard deviation of each residual, up to a factor where no cv is given."""
    cv = np.ones_like(points.time_h) if points.cv is None else points.cv
    if weights == "relative":
        return cv
    if points.cv is None:
        return np.full_like(cv, points.activity_mbq.max())
    return cv * points.activity_mbq


def _least_squares(points: Points, name: str, weights: str) -> OptimizeResult:
    shape, scale = _CURVES[name], _scale(points, weights)

    def residuals(parameters: Floats) -> Floats:
        amplitude, rate = shape.terms(parameters, points.decay_rate)
        curve = (amplitude * np.exp(-rate * points.time_h[:, None])).sum(1)
        if weights == "relative":
            # uptake curves are 0 at time 0 only, so that the logarithm exists at every point
            return np.log(np.maximum(curve, 1e-300) / points.activity_mbq) / scale
        return (curve - points.activity_mbq) / scale

    runs = [
        least_squares(
            residuals,
            start,
            bounds=np.transpose(shape.bounds),
            x_scale="jac",
            xtol=1e-10,
            ftol=1e-10,
            gtol=1e-10,
            max_nfev=2000,
        )
        for start in shape.start(points, *_tail(points))
    ]
    return min(runs, key=lambda run: float(run.cost))


def _derivatives(x: Floats, shape: _Curve, points: Points, weights: str) -> tuple[Floats, Floats]:
    """Of the residuals, of shape (n, p), and of the integral, of shape (p,), by each parameter."""
    # complex steps: exact also for a term that the scans hardly see, and at a bound
    amplitude, rate = zip(
        *(shape.terms(x + step, points.decay_rate) for step in 1e-30j * np.eye(len(x))),
        strict=True,
    )
    terms = np.array(amplitude)[:, None] * np.exp(-np.array(rate)[:, None] * points.time_h[:, None])
    curve = terms.sum(2).T
    jacobian = curve.imag / 1e-30 / _scale(points, weights)[:, None]
    if weights == "relative":
        jacobian = jacobian / np.maximum(curve.real, 1e-300)
    return jacobian, np.divide(amplitude, rate).sum(1).imag / 1e-30


def _tia_cv(best: OptimizeResult, name: str, points: Points, weights: str) -> float:
    """Uncertainty of the integral in MBq h."""
    jacobian, slope = _derivatives(best.x, _CURVES[name], points, weights)
    n, p = jacobian.shape
    noise = 1.0
    if points.cv is None:
        if n <= p:
            return float("nan")
        noise = np.sqrt(2.0 * best.cost / (n - p)) * stats.t.isf(0.025, n - p) / 1.96
    if name == "uptake_clearance":
        # delta method's straight line would go on where the integral has long reached its limit
        row = np.array([[0.0, 0.0, noise / _UPTAKE_LOG_SD]])
        jacobian = np.concatenate([jacobian, row])
    # in units in which each parameter moves the curve alike
    size = np.linalg.norm(jacobian, axis=0)
    moves = size > 1e-30 * size.max()
    total = np.abs(slope).max()
    if (np.abs(slope[~moves]) > 1e-12 * total).any():
        return float("inf")
    _, strength, direction = np.linalg.svd(jacobian[:, moves] / size[moves], full_matrices=False)
    along = direction @ (slope[moves] / size[moves])
    seen = strength > 1e-7 * strength[0]
    if (np.abs(along[~seen]) > 1e-7 * np.linalg.norm(along)).any():
        # a direction that the points do not determine leaves the integral undetermined too
        return float("inf")
    return float(noise * np.linalg.norm(along[seen] / strength[seen]))


def _tail(points: Points) -> tuple[float, float]:
    """Amplitude and biological rate of the exponential through the last two points."""
    (t1, t2), (a1, a2) = points.time_h[-2:], points.activity_mbq[-2:]
    biological = max(float(np.log(a1 / a2) / (t2 - t1)) - points.decay_rate, 1e-3)
    return float(a2 * np.exp((biological + points.decay_rate) * t2)), biological


def _mono_terms(x: Floats, decay: float) -> tuple[Floats, Floats]:
    return np.exp(x[:1]), np.array([decay + x[1]])


def _mono_start(points: Points, amplitude: float, biological: float) -> list[list[float]]:
    return [[np.log(amplitude), biological]]


def _uptake_terms(x: Floats, decay: float) -> tuple[Floats, Floats]:
    # x: log A, slowest biological rate, log (l2 - l1)
    slow = decay + x[1]
    return np.exp(x[0]) * np.array([1.0, -1.0]), np.array([slow, slow + np.exp(x[2])])


def _uptake_start(points: Points, amplitude: float, biological: float) -> list[list[float]]:
    return [[np.log(amplitude), biological, np.log(rate)] for rate in (0.05, 0.3, 1.5)]


def _bi_terms(x: Floats, decay: float) -> tuple[Floats, Floats]:
    # x: log a1, slowest biological rate, log (l2 - l1), log (1 + a2 / a1)
    slow, a1 = decay + x[1], np.exp(x[0])
    return a1 * np.array([1.0, np.expm1(x[3])]), np.array([slow, slow + np.exp(x[2])])


def _bi_start(points: Points, amplitude: float, biological: float) -> list[list[float]]:
    return [
        [np.log(amplitude), biological, np.log(rate), first]
        for rate in (0.05, 0.5)
        for first in (-1.0, 0.5)
    ]


_AMPLITUDE, _BIOLOGICAL = (-np.inf, np.inf), (0.0, np.inf)
#: Log of l2 - l1 in 1/h: from what no scans can tell apart to what is over within a minute.
_FASTER = (np.log(1e-4), np.log(50.0))
_CURVES = {
    "mono": _Curve((_AMPLITUDE, _BIOLOGICAL), _mono_terms, _mono_start),
    "uptake_clearance": _Curve((_AMPLITUDE, _BIOLOGICAL, _FASTER), _uptake_terms, _uptake_start),
    "biexponential": _Curve(
        (_AMPLITUDE, _BIOLOGICAL, _FASTER, (-30.0, 15.0)), _bi_terms, _bi_start
    ),
}
#: Parameters of each curve.
N_PARAMETERS = {name: shape.n_parameters for name, shape in _CURVES.items()}
