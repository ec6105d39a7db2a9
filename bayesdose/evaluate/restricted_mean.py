"""Restricted mean time free of the event: the area below Kaplan and Meier's curve."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from bayesdose.errors import ConfigError
from bayesdose.evaluate._arrays import Floats, check_probability, check_same_order, group_codes
from bayesdose.evaluate._follow_up import check_follow_up
from bayesdose.evaluate.kaplan_meier import ordered_groups

# A standard error below this share of the window is rounding.
_NO_SPREAD = 1e-12


@dataclass(frozen=True)
class RestrictedMean:
    """Mean time free of the event within a window.

    Attributes
    ----------
    tau : float, unit of the times
        End of the window.
    table : pandas.DataFrame
        A row a group: `group`, `n` (rows), `rmst`, `se`, `lower`, `upper`, in the unit of the
        times. Without events in the window, or of one patient, there is no standard error: NaN.
    differences : pandas.DataFrame
        A row each group but the first: `group`, `reference` (the first), `difference` (group minus
        reference), `se`, `lower`, `upper`, `p_value` (two-sided, of no difference); NaN where a
        group has no standard error.
    """

    tau: float
    table: pd.DataFrame
    differences: pd.DataFrame


def restricted_mean(
    time: ArrayLike,
    event: ArrayLike,
    tau: float | None = None,
    *,
    by: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> RestrictedMean:
    """Mean time free of the event up to tau, by group, and how groups differ.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    tau : float, unit of `time`, optional
        End of the window, best chosen before looking; by default the longest time of the group
        where that is shortest, which the result reports.
    by : array_like, shape (n,), optional
        Group of each row, in the order of a categorical, and sorted otherwise.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient. Rows
        of a patient may lie in different groups.
    prob : float
        Probability of the intervals.

    Returns
    -------
    RestrictedMean

    Raises
    ------
    BayesdoseError
        When times are not above 0, events are not 0 and 1, arrays differ in length, or a label is
        missing.
    ConfigError
        When `tau` is not above 0 or beyond the follow-up of a group, or `prob` is not between 0
        and 1.

    Notes
    -----
    ``RMST = integral of S(t) from 0 to tau``; its variance is the infinitesimal jackknife over
    patients, which for rows of their own is the sum over event times of ``A(t)^2 d / (y (y - d))``
    with A the area from t to tau, as in R's ``print(survfit, rmean=tau)``. Intervals and p-values
    are normal. A group whose curve has fallen to 0 allows any tau.

    References
    ----------
    Royston and Parmar 2013, BMC Med. Res. Methodol. 13:152, doi 10.1186/1471-2288-13-152 (from
    memory; checked against R's survival).
    """
    check_same_order(time=time, event=event, by=by, groups=groups)
    times, events = check_follow_up(time, event)
    codes, labels = ordered_groups(by, times.size)
    patients = np.arange(times.size) if groups is None else group_codes(groups, times.size)[0]
    z = float(ndtri(0.5 + 0.5 * check_probability(prob)))
    end = _window(times, events, codes, labels, tau)
    means = np.zeros(labels.size)
    # what each patient, (n_patients, n_groups), moves the mean of each group by
    moved = np.zeros((int(patients.max()) + 1, labels.size))
    for code in range(labels.size):
        mine = codes == code
        means[code], influence = _area(times[mine], events[mine], end)
        np.add.at(moved[:, code], patients[mine], influence)
    se = np.sqrt((moved**2).sum(axis=0))
    few = np.array([np.unique(patients[codes == code]).size < 2 for code in range(labels.size)])
    # rows that do not vary, and a sole patient, say nothing of their own error
    se[few | (se < _NO_SPREAD * end)] = np.nan
    table = pd.DataFrame({"group": labels, "n": np.bincount(codes), "rmst": means})
    away = means[1:] - means[0]
    away_se = np.sqrt(((moved[:, 1:] - moved[:, :1]) ** 2).sum(axis=0))
    away_se[np.isnan(se[1:]) | np.isnan(se[0])] = np.nan
    differences = pd.DataFrame(
        {"group": labels[1:], "reference": [labels[0]] * away.size, "difference": away}
    )
    _add_interval(table, means, se, z)
    _add_interval(differences, away, away_se, z)
    differences["p_value"] = 2.0 * ndtr(-np.abs(away) / differences["se"].to_numpy())
    return RestrictedMean(end, table, differences)


def _window(
    times: Floats,
    events: NDArray[np.bool_],
    codes: NDArray[np.intp],
    labels: NDArray[np.object_],
    tau: float | None,
) -> float:
    last = np.array([times[codes == code].max() for code in range(labels.size)])
    if tau is None:
        return float(last.min())
    if not (np.isfinite(tau) and tau > 0):
        raise ConfigError(f"`tau` must be above 0, in the unit of `time`; got {tau}.")
    # where the last rows all had the event the curve stays at 0, and any tau is known
    open_ended = [
        bool((~events[(codes == code) & (times == last[code])]).any())
        for code in range(labels.size)
    ]
    allowed = np.where(open_ended, last, np.inf)
    if tau > allowed.min():
        label = labels[int(np.argmin(allowed))]
        raise ConfigError(
            f"`tau` is {tau:g} and the follow-up of group {label!r} ends at {allowed.min():g} with "
            f"rows still free of the event; allowed is up to {allowed.min():g}, beyond which no "
            "mean is known without a model."
        )
    return float(tau)


def _area(time: Floats, event: NDArray[np.bool_], tau: float) -> tuple[float, Floats]:
    """Area below the curve up to tau, and its derivative by the weight of each row."""
    when, at = np.unique(np.minimum(time, tau), return_inverse=True)
    inside = event & (time <= tau)
    events = np.bincount(at, weights=inside)
    at_risk = np.cumsum(np.bincount(at)[::-1])[::-1]
    survivors = at_risk - events
    free = np.cumprod(survivors / at_risk)
    pieces = np.diff(np.append(when, max(tau, when[-1]))) * free
    ahead = np.cumsum(pieces[::-1])[::-1]
    # Row i moves log S at t by -(d_i - y_i d / y) / (y - d), and by it the area ahead of t.
    rate = np.divide(ahead, survivors, where=survivors > 0, out=np.zeros(when.size))
    passed = np.cumsum(rate * events / at_risk)
    return float(when[0] + pieces.sum()), passed[at] - inside * rate[at]


def _add_interval(table: pd.DataFrame, value: Floats, se: Floats, z: float) -> None:
    table["se"] = se
    table["lower"], table["upper"] = value - z * se, value + z * se
