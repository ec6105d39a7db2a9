"""Area under the ROC curve at each time: who has had the event by then, against who has not."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate._arrays import Floats, as_sites, check_patients, check_same_order
from bayesdose.evaluate._follow_up import (
    Bools,
    Train,
    censoring_curve,
    check_events,
    check_follow_up,
    check_grid,
    check_train,
    logit_interval,
    patient_error,
    survival_curve,
    warn_of_no_interval,
    weights_of_cases,
)


@dataclass(frozen=True)
class DynamicAuc:
    """Cumulative/dynamic area under the ROC curve.

    Attributes
    ----------
    table : pandas.DataFrame
        One row a time: `time`; `auc` with `se`, `lower` and `upper`; `n_cases`, rows with the event
        by then; `n_controls`, rows known to be free of it.
    mean : float
        Mean over the times, weighted by the share that has the event since the time before.
    se, lower, upper : float
        Its standard error and confidence interval.
    """

    table: pd.DataFrame
    mean: float
    se: float
    lower: float
    upper: float


def dynamic_auc(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    times: ArrayLike,
    *,
    train: Train | None = None,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> DynamicAuc:
    """Area under the ROC curve of events up to each time, and its mean.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk : array_like of float, shape (n,) or (n, n_times)
        Higher for earlier events; one number a row, or one for each time.
    times : array_like of float, shape (n_times,), unit of `time`
        Increasing, inside the follow-up of both sets; `time_grid` chooses them.
    train : (time, event), optional
        Rows that the censoring is learnt from; by default the rows scored.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the intervals.

    Returns
    -------
    DynamicAuc

    Raises
    ------
    BayesdoseError
        When times are negative, labels are not 0 and 1, a risk is not finite, arrays differ in
        length, no row has the event by one of `times`, or all rows are of one patient.
    ConfigError
        When `times` do not increase or leave the follow-up, `train` is not a pair, or `prob` is
        not between 0 and 1.

    Warns
    -----
    UserWarning
        When all pairs are in order at a time, or none is; the interval there is NaN.

    Notes
    -----
    At time t the cases are rows with an event at T <= t, weighted by 1 / G(T-), the controls rows
    with T > t; rows censored by t are neither. Ties count half. G, its left limit, and what
    scikit-survival does instead are as for `uno_c`. The mean weights a time by the fall of Kaplan
    and Meier's curve of the rows scored since the time before, as scikit-survival's.

    Standard errors are the infinitesimal jackknife over patients; without `train` they hold the
    estimation of G, with it the weights are taken as known. Intervals are made on the logit scale
    and hold at each time, not for the curve at once.

    References
    ----------
    Uno 2007, J. Am. Stat. Assoc. 102:527; Hung and Chiang 2010, Can. J. Stat. 38:8; Blanche 2013,
    Stat. Med. 32:5381, for the variance (all from memory; areas checked against scikit-survival,
    standard errors against R's riskRegression and timeROC).
    """
    check_same_order(time=time, event=event, risk=risk, groups=groups)
    own_time, events = check_follow_up(time, event)
    check_events(events)
    train_time, train_event = check_train(train, own_time, events)
    grid = check_grid(times, own_time, train_time)
    risks = _checked_risk(risk, own_time.size, grid.size)
    codes = check_patients(groups, own_time.size)
    curve = censoring_curve(train_time, train_event)
    weights = weights_of_cases(curve, own_time, events & (own_time <= grid[-1]))
    rows, influences = [], []
    for j, t in enumerate(grid):
        cases, controls = events & (own_time <= t), own_time > t
        _check_cases(cases, t)
        area, influence, of_weights = _area(risks[:, j], cases * weights, controls)
        if train is None:
            influence = influence + curve.influence(own_time, -of_weights, before=True)
        se = patient_error(influence, codes)
        ends = logit_interval(area, se, prob)
        rows.append((t, area, se, *ends, int(cases.sum()), int(controls.sum())))
        influences.append(influence)
    names = ["time", "auc", "se", "lower", "upper", "n_cases", "n_controls"]
    table = pd.DataFrame(rows, columns=names)
    areas = table["auc"].to_numpy()
    mean, influence = _mean(areas, np.stack(influences), grid, own_time, events)
    _warn_of_perfect(table)
    se = patient_error(influence, codes)
    return DynamicAuc(table, mean, se, *logit_interval(mean, se, prob))


def _warn_of_perfect(table: pd.DataFrame) -> None:
    without = table.loc[table["lower"].isna(), "time"]
    if without.size:
        which = ", ".join(f"{t:g}" for t in without[:3]) + (", ..." if without.size > 3 else "")
        warn_of_no_interval(f"the area at {without.size} of {len(table)} times ({which})")


def _checked_risk(risk: ArrayLike, n: int, n_times: int) -> Floats:
    array = np.asarray(risk)
    if array.ndim != 2:
        return np.broadcast_to(as_sites(risk, "risk", n_sites=n)[:, None], (n, n_times))
    if array.shape != (n, n_times):
        raise BayesdoseError(
            f"`risk` must have shape (n,) or (n, n_times), here ({n},) or ({n}, {n_times}); got "
            f"{array.shape}."
        )
    return np.stack(
        [as_sites(array[:, j], f"risk[:, {j}]", n_sites=n) for j in range(n_times)], axis=1
    )


def _check_cases(cases: Bools, t: float) -> None:
    if not cases.any():
        raise BayesdoseError(
            f"no row has the event by time {t:g}: there is no area yet. Begin later; `time_grid` "
            "begins after the first events."
        )


def _area(risk: Floats, weights: Floats, controls: Bools) -> tuple[float, Floats, Floats]:
    """Area, its derivative by the weight of each row, and by the log of each case's weight."""
    below = np.sort(risk[controls])
    # of each case: controls of less risk, ties half
    won = 0.5 * (np.searchsorted(below, risk) + np.searchsorted(below, risk, side="right"))
    case = weights > 0
    order = np.argsort(risk[case])
    above, running = risk[case][order], np.append(0.0, np.cumsum(weights[case][order]))
    # of each control: weight of cases of more risk, ties half
    lost = running[-1] - 0.5 * (
        running[np.searchsorted(above, risk)] + running[np.searchsorted(above, risk, side="right")]
    )
    total = running[-1] * below.size
    value = float((weights * won).sum() / total)
    of_weights = weights * (won - value * below.size) / total
    return value, of_weights + controls * (lost - value * running[-1]) / total, of_weights


def _mean(
    areas: Floats, influences: Floats, grid: Floats, time: Floats, event: Bools
) -> tuple[float, Floats]:
    """Mean area over the fall of the survival curve, and its derivative by each row's weight."""
    curve = survival_curve(time, event)
    free = curve.after(grid)
    fall = -np.diff(free, prepend=1.0)
    happened = 1.0 - free[-1]
    mean = float((areas * fall).sum() / happened)
    # sum of area times fall, written as a sum over the curve at the grid
    of_curve = np.append(np.diff(areas), mean - areas[-1])
    moved = curve.influence(grid, of_curve * free, before=False)
    return mean, (fall @ influences + moved) / happened
