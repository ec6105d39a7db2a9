"""Whether predicted risks are right: slope, level and curve, for a label."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from bayesdose.evaluate._arrays import (
    Floats,
    check_labels,
    check_patients,
    check_probability,
    check_same_order,
)
from bayesdose.evaluate._recalibration import fit_logistic, knots_of, spline
from bayesdose.evaluate._risk_calibration import (
    Curve,
    RiskCalibration,
    assembled,
    bent_or_none,
    checked_predictions,
    no_curve,
    warn_of_few,
)


def risk_calibration(
    y_true: ArrayLike,
    probability: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> RiskCalibration:
    """Calibration of predicted probabilities of being a case.

    Parameters
    ----------
    y_true : array_like of int or bool, shape (n,)
        1 or True for cases, 0 or False for controls.
    probability : array_like of float, shape (n,), between 0 and 1
        Predicted probability of being a case, by a model made on other patients.
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
        When labels are not 0 and 1, one kind is missing, arrays differ in length, a probability is
        0, 1 or outside, all are the same, or all rows are of one patient.
    RiskError
        When predictions separate cases from controls, so that the slope is infinite.
    ConfigError
        When `prob` is not between 0 and 1.

    Warns
    -----
    UserWarning
        With fewer than 10 cases or controls, and where slope and level can be had but no curve,
        which is NaN then.

    Notes
    -----
    Slope: logistic regression on the logit of the prediction. Intercept: the same with slope 1.
    Curve: logistic regression on a restricted cubic spline of the logit with knots at its quantiles
    0.1, 0.5 and 0.9 (of the distinct predictions where knots would tie; a straight line for two),
    where Austin and Steyerberg used loess. Its distances are `ici`, `e50` and `e90`.

    Standard errors are the sandwich over patients times sqrt(G / (G - 1)), intervals Student's with
    G - 1 degrees of freedom, G being the number of patients; those of `observed_expected` are made
    on the log scale, those of the curve on the logit scale and at each point.

    References
    ----------
    Cox 1958, Biometrika 45:562; Austin and Steyerberg 2019, Stat. Med. 38:4051, doi
    10.1002/sim.8281; Van Calster 2019, BMC Med. 17:230 (all from memory; slope and intercept
    checked against R's glm).
    """
    check_same_order(y_true=y_true, probability=probability, groups=groups)
    case = check_labels(y_true, "y_true", both=True)
    risk = checked_predictions(probability, "probability", case.size)
    codes = check_patients(groups, case.size)
    warn_of_few(min(int(case.sum()), int((~case).sum())))
    check_probability(prob)
    x = logit(risk)
    one, none = np.ones((case.size, 1)), np.zeros(case.size)
    line = fit_logistic(np.column_stack([one, x]), case, none)
    level = fit_logistic(one, case, x)
    knots = knots_of(x)
    smooth = bent_or_none(
        lambda: fit_logistic(np.column_stack([one, spline(x, knots)]), case, none)
    )

    def curve(values: Floats) -> Curve:
        if smooth is None:
            return no_curve(values.size, case.size)
        columns = np.column_stack([np.ones(values.size), spline(logit(values), knots)])
        return columns @ smooth.coefficients, columns @ smooth.influence.T

    ratio = float(case.sum() / risk.sum())
    return assembled(
        risk,
        codes,
        prob,
        slope=(float(line.coefficients[1]), line.influence[:, 1]),
        intercept=(float(level.coefficients[0]), level.influence[:, 0]),
        observed=float(case.mean()),
        of_log_ratio=(case - ratio * risk) / case.sum(),
        curve=curve,
        back=expit,
        n_events=int(case.sum()),
    )
