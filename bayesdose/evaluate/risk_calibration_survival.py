"""Whether predicted risks of an event by a horizon are right, with censoring."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import Floats, check_patients, check_probability, check_same_order
from bayesdose.evaluate._follow_up import check_follow_up, survival_curve
from bayesdose.evaluate._recalibration import fit_cox, knots_of, spline
from bayesdose.evaluate._risk_calibration import (
    Curve,
    RiskCalibration,
    assembled,
    bent_or_none,
    checked_predictions,
    no_curve,
    warn_of_few,
)


def risk_calibration_survival(
    time: ArrayLike,
    event: ArrayLike,
    risk_at_horizon: ArrayLike,
    horizon: float,
    *,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> RiskCalibration:
    """Calibration of predicted risks of an event by a horizon, with censoring.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk_at_horizon : array_like of float, shape (n,), between 0 and 1
        Predicted probability of an event up to the horizon, by a model made on other patients.
    horizon : float, unit of `time`
        Above 0, and at most the longest follow-up. An event at the horizon counts.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the intervals.

    Returns
    -------
    RiskCalibration

    Raises
    ------
    BayesdoseError
        When times are negative, labels are not 0 and 1, arrays differ in length, a risk is 0, 1 or
        outside, all are the same, all rows are of one patient, or no row, or every row, has an
        event by the horizon.
    RiskError
        When predictions put the events in perfect order, so that the slope is infinite.
    ConfigError
        When the horizon is beyond follow-up, or `prob` is not between 0 and 1.

    Warns
    -----
    UserWarning
        With fewer than 10 events by the horizon, and where slope and level can be had but no
        curve, which is NaN then.

    Notes
    -----
    With x = log(-log(1 - risk)) and follow-up cut at the horizon: the slope is Cox's coefficient of
    x (Efron's ties); the curve is 1 - exp(-H) with the cumulative hazard H at the horizon of a Cox
    model of a restricted cubic spline of x, knots as for `risk_calibration`. `observed` is 1 - S of
    Kaplan and Meier, `intercept` the a that makes the mean of 1 - exp(-exp(a + x)) equal to it. The
    slope compares hazards all through the time up to the horizon: it is 1 for true risks where
    hazards are proportional, and the curve leans on the same.

    Standard errors are the infinitesimal jackknife over patients, that of the baseline hazard
    included, with factor and quantile as for `risk_calibration`; intervals of the curve are made on
    the complementary log-log scale.

    Censoring must be independent of event and prediction. Death without the event is not
    censoring: entered as such, the risk is that of a world without death.

    References
    ----------
    Austin, Harrell and van Klaveren 2020, Stat. Med. 39:2714, doi 10.1002/sim.8570; Crowson 2016,
    Stat. Methods Med. Res. 25:1692 (both from memory; slope and curve checked against R's coxph
    and survfit).
    """
    check_same_order(time=time, event=event, risk_at_horizon=risk_at_horizon, groups=groups)
    times, events = check_follow_up(time, event)
    if not 0.0 < horizon <= times.max():
        raise ConfigError(
            f"`horizon` must be above 0 and at most the longest follow-up, {times.max():g}, in the "
            f"unit of `time`; got {horizon}. Beyond it no share free of the event is known."
        )
    risk = checked_predictions(risk_at_horizon, "risk_at_horizon", times.size)
    codes = check_patients(groups, times.size)
    events = events & (times <= horizon)
    until = np.minimum(times, horizon)
    free = survival_curve(times, events)
    at = np.array([horizon])
    observed = 1.0 - float(free.after(at)[0])
    if not 0.0 < observed < 1.0:
        raise BayesdoseError(
            f"the share of rows with an event by the horizon of {horizon:g} is {observed:g} and "
            "must lie between 0 and 1. Choose another horizon."
        )
    warn_of_few(int(events.sum()))
    check_probability(prob)
    of_observed = -(1.0 - observed) * free.influence(at, np.ones(1), before=False)
    x = np.log(-np.log1p(-risk))
    line = fit_cox(x[:, None], until, events)
    knots = knots_of(x)
    smooth = bent_or_none(lambda: fit_cox(spline(x, knots), until, events))

    def curve(values: Floats) -> Curve:
        if smooth is None:
            return no_curve(values.size, times.size)
        columns = spline(np.log(-np.log1p(-values)), knots) - smooth.centre
        height = np.log(smooth.hazard) + columns @ smooth.coefficients
        return height, columns @ smooth.influence.T + smooth.hazard_influence / smooth.hazard

    return assembled(
        risk,
        codes,
        prob,
        slope=(float(line.coefficients[0]), line.influence[:, 0]),
        intercept=_level(x, observed, of_observed),
        observed=observed,
        of_log_ratio=of_observed / observed - (risk / risk.mean() - 1.0) / risk.size,
        curve=curve,
        back=_share_by,
        n_events=int(events.sum()),
    )


def _share_by(log_hazard: Floats) -> Floats:
    return -np.expm1(-np.exp(log_hazard))


def _level(x: Floats, observed: float, of_observed: Floats) -> tuple[float, Floats]:
    """The a at which the mean of 1 - exp(-exp(a + x)) is `observed`, and its derivatives."""

    def above(level: float) -> float:
        return float(_share_by(level + x).mean()) - observed

    # every row, and so their mean, is on either side at the ends
    target = np.log(-np.log1p(-observed))
    level = float(brentq(above, target - x.max() - 1.0, target - x.min() + 1.0, xtol=1e-13))
    share = _share_by(level + x)
    steepness = float(np.mean((1.0 - share) * np.exp(level + x)))
    return level, (of_observed - (share - share.mean()) / x.size) / steepness
