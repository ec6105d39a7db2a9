"""Decision curves: what acting on a predicted risk gains over treating all, or none."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import (
    Floats,
    check_labels,
    check_patients,
    check_probability,
    check_risks,
    check_same_order,
)
from bayesdose.evaluate._follow_up import check_follow_up

# A standard error below this is rounding: the rows do not vary.
_NO_SPREAD = 1e-14


def decision_curve(
    y_true: ArrayLike,
    probability: ArrayLike,
    thresholds: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
    prevalence: float | None = None,
) -> pd.DataFrame:
    """Net benefit of treating the rows whose probability reaches a threshold.

    Parameters
    ----------
    y_true : array_like of int or bool, shape (n,)
        1 or True for cases, 0 or False for controls.
    probability : array_like of float, shape (n,), from 0 to 1
        Predicted probability of being a case.
    thresholds : array_like of float, shape (n_thresholds,), between 0 and 1
        Probabilities t from which one would treat: t / (1 - t) is the harm of treating a control
        in units of the gain of treating a case.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the intervals.
    prevalence : float, optional
        Share of cases where the model is to be used, known from elsewhere, for a case-control
        study; by default the share among the rows.

    Returns
    -------
    pandas.DataFrame
        One row a threshold: `threshold`; `net_benefit`, in cases treated per row net of harm;
        `lower` and `upper`; `treat_all` and `treat_none`, net benefits of either; the
        `standardised_net_benefit`, over the prevalence, at most 1; `n_above`, rows treated.

    Raises
    ------
    BayesdoseError
        When labels are not 0 and 1, one kind is missing, arrays differ in length, a probability
        lies outside 0 to 1, or all rows are of one patient.
    ConfigError
        When a threshold, `prevalence` or `prob` is not between 0 and 1.

    Notes
    -----
    ``net_benefit = TP / n - FP / n * t / (1 - t)``, and with a known prevalence pi ``pi TPR -
    (1 - pi) FPR t / (1 - t)`` with the rates among cases and among controls. The interval is
    Student's with patients - 1 degrees of freedom on the sum of squares of each patient's
    linearised contribution, which for rows of their own is the standard deviation of
    ``(y - (1 - y) t / (1 - t)) I(probability >= t)`` over sqrt(n). It takes the model as given,
    made on other patients, and leaves the uncertainty of a known prevalence out. It is too narrow
    where `n_above` is small (in simulated survival of 30 and 60 rows 0.91 for 95 % with 8 and 16
    rows above a threshold of 0.6, 0.93 to 0.96 at lower ones), and absent where no row is treated:
    0 is then no estimate.
    Intervals hold at each threshold, not for the curve at once; that of the difference from
    `treat_all` is another, because the same patients make both.

    References
    ----------
    Vickers and Elkin 2006, Med. Decis. Making 26:565, doi 10.1177/0272989X06295361; Kerr 2016,
    J. Clin. Oncol. 34:2534, for standardising (both from memory).
    """
    check_same_order(y_true=y_true, probability=probability, groups=groups)
    case = check_labels(y_true, "y_true", both=True)
    risk = check_risks(probability, "probability", case.size)
    cuts = _checked_thresholds(thresholds)
    codes = check_patients(groups, case.size)
    known = prevalence is not None
    share = (
        float(case.mean()) if prevalence is None else check_probability(prevalence, "prevalence")
    )
    # What a case and a control count for, so that both kinds together have the prevalence.
    weight = np.where(case, share / case.sum(), (1.0 - share) / (~case).sum())
    rows = []
    for cut in cuts:
        above = risk >= cut
        value = np.where(case, 1.0, -cut / (1.0 - cut))
        benefit = float((weight * value)[above].sum())
        if known:
            rate = np.where(case, above[case].mean(), above[~case].mean())
            influence = weight * value * (above - rate)
        else:
            influence = (value * above - benefit) / case.size
        rows.append((benefit, _standard_error(influence, codes), int(above.sum())))
    return _table(cuts, share, rows, int(codes.max()) + 1, prob)


def decision_curve_survival(
    time: ArrayLike,
    event: ArrayLike,
    risk_at_horizon: ArrayLike,
    horizon: float,
    thresholds: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> pd.DataFrame:
    """Net benefit of treating by the risk of an event before a horizon, with censoring.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk_at_horizon : array_like of float, shape (n,), from 0 to 1
        Predicted probability of an event up to the horizon.
    horizon : float, unit of `time`
        Above 0, and at most the longest follow-up. An event at the horizon counts.
    thresholds : array_like of float, shape (n_thresholds,), between 0 and 1
        Risks t from which one would treat.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the intervals.

    Returns
    -------
    pandas.DataFrame
        As for `decision_curve`. Net benefit and interval are NaN where the follow-up of all rows
        above a threshold ends before the horizon with some still free of the event.

    Raises
    ------
    BayesdoseError
        When times are not above 0, labels are not 0 and 1, arrays differ in length, a risk lies
        outside 0 to 1, all rows are of one patient, or no row, or every row, has an event by the
        horizon.
    ConfigError
        When a threshold or `prob` is not between 0 and 1, or the horizon is beyond follow-up.

    Notes
    -----
    With p the share of rows at or above t and S Kaplan and Meier's share free of the event at the
    horizon among them, TP / n = p (1 - S) and FP / n = p S. The standard error is the
    infinitesimal jackknife of both over patients: for rows of their own it is Greenwood's together
    with the variance of p, and without censoring all is as in `decision_curve`.

    Censoring must be independent of the event within the rows above each threshold. Death without
    the event is not censoring: entered as such, the risk is that of a world without death, which
    is too high.

    References
    ----------
    Vickers 2008, BMC Med. Inform. Decis. Mak. 8:53, doi 10.1186/1472-6947-8-53; Kaplan and Meier
    1958, J. Am. Stat. Assoc. 53:457 (both from memory; checked against lifelines).
    """
    check_same_order(time=time, event=event, risk_at_horizon=risk_at_horizon, groups=groups)
    times, events, risk = _checked_survival(time, event, risk_at_horizon, horizon)
    cuts = _checked_thresholds(thresholds)
    codes = check_patients(groups, times.size)
    share = 1.0 - _kaplan_meier(times, events, horizon)[0]
    if not 0.0 < share < 1.0:
        raise BayesdoseError(
            f"the share of rows with an event by the horizon of {horizon:g} is {share:g} and must "
            "lie between 0 and 1. Choose another horizon."
        )
    rows = []
    for cut in cuts:
        above = risk >= cut
        if not above.any():
            rows.append((0.0, 0.0, 0))
            continue
        free, slope = _kaplan_meier(times[above], events[above], horizon)
        # TP - FP t / (1 - t) per treated row, of 1 - S and S
        gain = 1.0 - free / (1.0 - cut)
        benefit = float(above.mean() * gain)
        influence = (above * gain - benefit) / times.size
        influence[above] -= above.mean() * slope / (1.0 - cut)
        rows.append((benefit, _standard_error(influence, codes), int(above.sum())))
    return _table(cuts, share, rows, int(codes.max()) + 1, prob)


def _kaplan_meier(time: Floats, event: NDArray[np.bool_], horizon: float) -> tuple[float, Floats]:
    """Share free of the event at the horizon, and its derivative by the weight of each row.

    With d events among y rows at risk, log S = sum of log(1 - d / y) over the times of events up
    to the horizon, and row i moves it by the sum of -(d_i - y_i d / y) / (y - d), d_i and y_i
    saying whether it has the event and is at risk there. The squares of S times this sum to
    Greenwood's variance.
    """
    times, at = np.unique(time, return_inverse=True)
    events = np.bincount(at, weights=event) * (times <= horizon)
    at_risk = np.cumsum(np.bincount(at)[::-1])[::-1].astype(float)
    survivors = at_risk - events
    free = float(np.prod(survivors / at_risk))
    if free == 0.0:
        # The last rows at risk all had the event: no small weight brings survivors.
        return 0.0, np.zeros(time.size)
    if times[-1] < horizon:
        return float("nan"), np.full(time.size, np.nan)
    passed = np.cumsum(events / (at_risk * survivors))
    own = (event & (time <= horizon)) / survivors[at]
    return free, free * (passed[at] - own)


def _standard_error(influence: Floats, codes: NDArray[np.intp]) -> float:
    sums = np.bincount(codes, weights=influence)
    return float(np.sqrt(sums.size / (sums.size - 1.0) * (sums**2).sum()))


def _table(
    cuts: Floats,
    prevalence: float,
    rows: list[tuple[float, float, int]],
    n_patients: int,
    prob: float,
) -> pd.DataFrame:
    benefit, se = (np.array([row[j] for row in rows], dtype=float) for j in (0, 1))
    quantile = float(stdtrit(n_patients - 1.0, 0.5 + 0.5 * check_probability(prob)))
    # a treatment of no one, or of everyone at a known prevalence, says nothing of its own error
    half = quantile * np.where(se > _NO_SPREAD, se, np.nan)
    return pd.DataFrame(
        {
            "threshold": cuts,
            "net_benefit": benefit,
            "lower": benefit - half,
            "upper": benefit + half,
            "treat_all": prevalence - (1.0 - prevalence) * cuts / (1.0 - cuts),
            "treat_none": 0.0,
            "standardised_net_benefit": benefit / prevalence,
            "n_above": [row[2] for row in rows],
        }
    )


def _checked_thresholds(thresholds: ArrayLike) -> Floats:
    try:
        cuts = np.atleast_1d(np.asarray(thresholds, dtype=np.float64))
    except (TypeError, ValueError) as err:
        raise ConfigError(f"`thresholds` must hold numbers only ({err}).") from err
    if cuts.ndim != 1 or cuts.size == 0:
        raise ConfigError(
            f"`thresholds` must be one or more numbers, shape (n_thresholds,); got {cuts.shape}."
        )
    outside = ~((cuts > 0.0) & (cuts < 1.0))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ConfigError(
            f"`thresholds` must lie strictly between 0 and 1; entry {first} is {cuts[first]} "
            f"({int(outside.sum())} such entries). At 0 treating has no harm, and everyone is "
            "treated; start at 0.01, say."
        )
    return cuts


def _checked_survival(
    time: ArrayLike, event: ArrayLike, risk: ArrayLike, horizon: float
) -> tuple[Floats, NDArray[np.bool_], Floats]:
    times, events = check_follow_up(time, event)
    if not 0.0 < horizon <= times.max():
        raise ConfigError(
            f"`horizon` must be above 0 and at most the longest follow-up, {times.max():g}, in the "
            f"unit of `time`; got {horizon}. Beyond it no share free of the event is known."
        )
    return times, events, check_risks(risk, "risk_at_horizon", times.size)
