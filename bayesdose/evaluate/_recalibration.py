"""Logistic and Cox regressions on one prediction, whose every row knows what it moves."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.evaluate._follow_up import Bools

_MOST_STEPS, _HALVINGS = 60, 30
# Newton's step of standardised columns at which the estimate is found.
_FOUND = 1e-9
# A coefficient of a standardised column beyond this is running away.
_RUNAWAY = 30.0


@dataclass(frozen=True)
class Fit:
    """Coefficients (p,), and their derivatives by the rows' weights, (n, p)."""

    coefficients: Floats
    influence: Floats


@dataclass(frozen=True)
class CoxFit:
    """A Cox model: ``cumulative hazard = hazard * exp((x - centre) @ coefficients)`` at the end."""

    coefficients: Floats
    influence: Floats
    centre: Floats
    hazard: float
    hazard_influence: Floats


def fit_logistic(columns: Floats, case: Bools, offset: Floats) -> Fit:
    """Maximum likelihood of ``logit P(case) = columns @ coefficients + offset``."""

    def derivatives(beta: Floats) -> tuple[float, Floats, Floats]:
        linear = columns @ beta + offset
        chance = expit(linear)
        value = float(linear[case].sum() - np.logaddexp(0.0, linear).sum())
        information = (columns * (chance * (1.0 - chance))[:, None]).T @ columns
        return value, columns.T @ (case - chance), information

    scale = np.sqrt((columns**2).mean(axis=0))
    beta, information = _newton(derivatives, np.zeros(columns.shape[1]), scale)
    away = case - expit(columns @ beta + offset)
    return Fit(beta, np.linalg.solve(information, (columns * away[:, None]).T).T)


def fit_cox(columns: Floats, time: Floats, event: Bools) -> CoxFit:
    """Cox's partial likelihood with Efron's ties, and Efron's cumulative hazard at the end.

    Efron's d events of one time go one by one, the r-th (from 0) leaving the share r / d of all d
    out of the sum over those at risk: one entry an event in the arrays below.
    """
    centre = columns.mean(axis=0)
    x = columns - centre
    times, place = np.unique(time, return_inverse=True)
    died = np.sort(place[event])
    sizes = np.bincount(died, minlength=times.size)
    left_out = (np.arange(died.size) - np.searchsorted(died, died)) / sizes[died]

    def at_risk(values: Floats) -> Floats:
        """Sum of values over those at risk, for each entry."""
        all_rows, of_dead = np.zeros((2, times.size, values.shape[1]))
        np.add.at(all_rows, place, values)
        np.add.at(of_dead, place[event], values[event])
        out: Floats = np.cumsum(all_rows[::-1], axis=0)[::-1][died]
        return out - left_out[:, None] * of_dead[died]

    pairs = (x[:, :, None] * x[:, None, :]).reshape(x.shape[0], -1)

    def derivatives(beta: Floats) -> tuple[float, Floats, Floats]:
        linear = x @ beta
        top = linear.max()
        weight = np.exp(linear - top)[:, None]
        total = at_risk(weight)
        mean = at_risk(weight * x) / total
        square = (at_risk(weight * pairs) / total).sum(axis=0).reshape(beta.size, -1)
        value = float((linear[event] - top).sum() - np.log(total).sum())
        return value, x[event].sum(axis=0) - mean.sum(axis=0), square - mean.T @ mean

    beta, information = _newton(derivatives, np.zeros(x.shape[1]), x.std(axis=0))
    weight = np.exp(x @ beta)[:, None]
    total = at_risk(weight)
    mean = at_risk(weight * x) / total

    def felt(values: Floats) -> Floats:
        """Sum of values (one an entry) over the entries at which each row is at risk."""
        whole, share = np.zeros((2, times.size, values.shape[1]))
        np.add.at(whole, died, values)
        np.add.at(share, died, (1.0 - left_out[:, None]) * values)
        passed = np.cumsum(whole, axis=0)
        out: Floats = np.where(event[:, None], (passed - whole + share)[place], passed[place])
        return out

    def own(values: Floats) -> Floats:
        """Mean of values over the entries of each event's time, 0 for other rows."""
        sums = np.zeros((times.size, values.shape[1]))
        np.add.at(sums, died, values)
        out: Floats = np.where(event[:, None], (sums / np.maximum(sizes, 1)[:, None])[place], 0.0)
        return out

    scores = event[:, None] * x - own(mean) - weight * (x * felt(1.0 / total) - felt(mean / total))
    influence = np.linalg.solve(information, scores.T).T
    of_hazard = (own(1.0 / total) - weight * felt(1.0 / total**2))[:, 0]
    of_hazard = of_hazard - influence @ (mean / total).sum(axis=0)
    return CoxFit(beta, influence, centre, float((1.0 / total).sum()), of_hazard)


def spline(x: Floats, knots: Floats) -> Floats:
    """Restricted cubic spline with three knots, (n, 2); a straight line, (n, 1), without knots.

    Harrell's basis: cubic between the knots, straight outside them.
    """
    if knots.size == 0:
        return x[:, None]
    first, middle, last = knots
    cubes = [np.maximum(x - knot, 0.0) ** 3 for knot in knots]
    bend = cubes[0] - cubes[1] * (last - first) / (last - middle)
    bend = bend + cubes[2] * (middle - first) / (last - middle)
    return np.stack([x, bend / (last - first) ** 2], axis=1)


def knots_of(x: Floats) -> Floats:
    """Quantiles 0.1, 0.5 and 0.9; of the distinct values where they tie; none of two values."""
    distinct = np.unique(x)
    for values in (x, distinct):
        knots: Floats = np.quantile(values, [0.1, 0.5, 0.9])
        if (np.diff(knots) > 0).all():
            return knots if distinct.size > 2 else np.empty(0)
    return np.empty(0)


def _newton(
    derivatives: Callable[[Floats], tuple[float, Floats, Floats]], beta: Floats, scale: Floats
) -> tuple[Floats, Floats]:
    """Maximum of a concave function, and the information there."""
    value, gradient, information = derivatives(beta)
    for _ in range(_MOST_STEPS):
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            break
        for _ in range(_HALVINGS):
            new = derivatives(beta + step)
            if new[0] >= value - 1e-9 * (1.0 + abs(value)):
                break
            step = 0.5 * step
        beta = beta + step
        value, gradient, information = new
        if np.abs(beta * scale).max() > _RUNAWAY:
            break
        if np.abs(step * scale).max() < _FOUND:
            return beta, information
    raise RiskError(
        "calibration has no finite slope: the predictions separate rows with the event from rows "
        "without. Pool more rows; discrimination (`auc`, `harrell_c`) can be given."
    )
