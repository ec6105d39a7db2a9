"""Kaplan and Meier's curves with patients as the unit, numbers at risk and medians."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate._arrays import (
    Floats,
    as_sites,
    check_probability,
    check_same_order,
    group_codes,
)
from bayesdose.evaluate._follow_up import check_follow_up

#: Name of the one group where `by` is not given.
ALL = "all"
# As R's survival, which takes shares this close to one half for one half.
_HALF = 1.5e-8


def kaplan_meier(
    time: ArrayLike,
    event: ArrayLike,
    *,
    by: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> pd.DataFrame:
    """Share free of the event over time, with pointwise log-log intervals.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    by : array_like, shape (n,), optional
        Risk group of each row: a curve each, in the order of an ordered or plain categorical, and
        sorted otherwise.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the intervals, each at its own time.

    Returns
    -------
    pandas.DataFrame
        A row a group and distinct time: `group` (``all`` without `by`), `time`, `n_at_risk` (rows
        just before it), `n_events`, `n_censored`, `survival` (just after it), `se`, `lower` and
        `upper`. The interval is NaN at shares of 0 and 1, where the rows do not say how far the
        truth may be, and so is `se` at 0, and in a group of one patient.

    Raises
    ------
    BayesdoseError
        When times are not above 0, events are not 0 and 1, arrays differ in length, or a label is
        missing.
    ConfigError
        When `prob` is not between 0 and 1.

    Notes
    -----
    The variance is the infinitesimal jackknife over patients: the sum of the squares of each
    patient's linearised contribution to log S, which for rows of their own is Greenwood's formula.
    The interval is ``S ** exp(-+ z se / (S log S))``, the log-log one, which stays between 0 and 1.
    All are those of R's ``survfit(conf.type="log-log")``, with ``cluster=`` for `groups`.

    Censoring must be independent of the event within each group. Death without the event is not
    censoring: entered as such, the curve is that of a world without death.

    References
    ----------
    Kaplan and Meier 1958, J. Am. Stat. Assoc. 53:457, doi 10.2307/2281868 (from memory; checked
    against R's survival).
    """
    check_same_order(time=time, event=event, by=by, groups=groups)
    times, events = check_follow_up(time, event)
    codes, labels = ordered_groups(by, times.size)
    patients = None if groups is None else group_codes(groups, times.size)[0]
    z = float(ndtri(0.5 + 0.5 * check_probability(prob)))
    parts = []
    for code, label in enumerate(labels):
        mine = codes == code
        own = None if patients is None else patients[mine]
        curve = _curve(times[mine], events[mine], own, z)
        curve.insert(0, "group", [label] * len(curve))
        parts.append(curve)
    return pd.concat(parts, ignore_index=True)


def median_survival(
    time: ArrayLike,
    event: ArrayLike,
    *,
    by: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> pd.DataFrame:
    """Median time to the event, with the interval of Brookmeyer and Crowley.

    Parameters
    ----------
    time, event, by, groups, prob
        As in `kaplan_meier`.

    Returns
    -------
    pandas.DataFrame
        A row a group: `group`, `n` (rows), `n_events`, `median`, `lower`, `upper`, in the unit of
        `time`. Where the curve does not fall to one half in follow-up the median is infinite, where
        the upper end of its band does not, `upper` is; where the lower end does not, or there is no
        band, `lower` is NaN: not known.

    Raises
    ------
    BayesdoseError
        As `kaplan_meier`.

    Notes
    -----
    The first time at which the curve is one half or less; where it is one half over a stretch, the
    middle of that stretch. The interval holds the times at which the log-log band covers one half.
    All as in R's ``survfit``.

    References
    ----------
    Brookmeyer and Crowley 1982, Biometrics 38:29, doi 10.2307/2530286 (from memory; checked against
    R's survival).
    """
    return medians_of(kaplan_meier(time, event, by=by, groups=groups, prob=prob))


def numbers_at_risk(
    time: ArrayLike, event: ArrayLike, times: ArrayLike, *, by: ArrayLike | None = None
) -> pd.DataFrame:
    """How many rows are at risk at given times.

    Parameters
    ----------
    time, event
        As in `kaplan_meier`.
    times : array_like of float, shape (n_times,), unit of `time`
        From 0.
    by : array_like, shape (n,), optional
        Risk group of each row.

    Returns
    -------
    pandas.DataFrame
        A row a group and time: `group`, `time`, `n_at_risk` (rows whose own time is not before
        it), `n_events` and `n_censored` (rows that ended before it). The three sum to the rows of
        the group.

    Raises
    ------
    BayesdoseError
        As `kaplan_meier`, and when one of `times` is negative.
    """
    return at_risk_of(kaplan_meier(time, event, by=by), times)


def medians_of(curves: pd.DataFrame) -> pd.DataFrame:
    """Medians of curves that are already there.

    Parameters
    ----------
    curves : pandas.DataFrame
        As `kaplan_meier` makes it.

    Returns
    -------
    pandas.DataFrame
        As `median_survival`.
    """
    rows = []
    for label, curve in curves.groupby("group", sort=False, observed=True):
        when = curve["time"].to_numpy()
        columns = (curve[name].to_numpy() for name in ("survival", "lower", "upper"))
        median, lower, upper = (_falls_to_half(when, column) for column in columns)
        rows.append(
            {
                "group": label,
                "n": int(curve["n_at_risk"].iloc[0]),
                "n_events": int(curve["n_events"].sum()),
                "median": median,
                "lower": np.nan if np.isinf(lower) else lower,
                "upper": upper,
            }
        )
    return pd.DataFrame(rows)


def at_risk_of(curves: pd.DataFrame, times: ArrayLike) -> pd.DataFrame:
    """Numbers at risk of curves that are already there.

    Parameters
    ----------
    curves : pandas.DataFrame
        As `kaplan_meier` makes it.
    times : array_like of float, shape (n_times,), unit of the curves
        From 0.

    Returns
    -------
    pandas.DataFrame
        As `numbers_at_risk`.

    Raises
    ------
    BayesdoseError
        When one of `times` is not finite or is negative.
    """
    wanted = as_sites(np.atleast_1d(np.asarray(times)), "times")
    if (wanted < 0).any():
        first = int(np.flatnonzero(wanted < 0)[0])
        raise BayesdoseError(f"`times` must be 0 or later; entry {first} is {wanted[first]}.")
    parts = []
    for label, curve in curves.groupby("group", sort=False, observed=True):
        before = np.searchsorted(curve["time"].to_numpy(), wanted, side="left")
        ended = {
            name: np.append(0, np.cumsum(curve[name]))[before]
            for name in ("n_events", "n_censored")
        }
        at_risk = int(curve["n_at_risk"].iloc[0]) - ended["n_events"] - ended["n_censored"]
        part = pd.DataFrame({"time": wanted, "n_at_risk": at_risk, **ended})
        part.insert(0, "group", [label] * len(part))
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def ordered_groups(by: ArrayLike | None, n: int) -> tuple[NDArray[np.intp], NDArray[np.object_]]:
    """Number the groups in their order.

    Parameters
    ----------
    by : array_like, shape (n,), optional
        Group of each row.
    n : int
        Rows.

    Returns
    -------
    codes : ndarray of int, shape (n,)
        Number of each row's group.
    labels : ndarray of object, shape (n_groups,)
        Groups in the order of a categorical's categories, sorted otherwise.

    Raises
    ------
    BayesdoseError
        When the length differs, a label is missing, or a category has no rows.
    """
    if by is None:
        return np.zeros(n, dtype=np.intp), np.array([ALL], dtype=object)
    codes, found = group_codes(by, n, "by")
    dtype = getattr(by, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype):
        order = list(dtype.categories)
        absent = [label for label in order if label not in set(found)]
        if absent:
            raise BayesdoseError(
                f"`by` has no rows of {', '.join(repr(label) for label in absent)}; the groups "
                f"present are {', '.join(repr(label) for label in found)}. Choose cut-offs that "
                "leave rows in every group, or drop the group with "
                "`remove_unused_categories()`."
            )
    else:
        order = list(pd.factorize(found, sort=True)[1])
    position = {label: i for i, label in enumerate(order)}
    labels = np.empty(len(order), dtype=object)
    labels[:] = order
    return np.array([position[label] for label in found], dtype=np.intp)[codes], labels


def _curve(
    time: Floats, event: NDArray[np.bool_], patients: NDArray[np.intp] | None, z: float
) -> pd.DataFrame:
    when, at = np.unique(time, return_inverse=True)
    leaving = np.bincount(at)
    events = np.bincount(at, weights=event)
    at_risk = np.cumsum(leaving[::-1])[::-1]
    survivors = at_risk - events
    free = np.cumprod(survivors / at_risk)
    # Only at the last time can all at risk have the event; there is no variance then.
    steps = np.divide(events, at_risk * survivors, where=survivors > 0, out=np.zeros(when.size))
    passed = np.cumsum(steps)
    if patients is None:
        variance = passed
    else:
        own = np.divide(event, survivors[at], where=survivors[at] > 0, out=np.zeros(time.size))
        variance = _patient_variance(at, passed, passed[at] - own, patients)
    # one patient says nothing of how patients differ
    alone = patients is not None and np.unique(patients).size < 2
    known = (free > 0) & ~(alone & (free < 1))
    log_se = np.where(known, np.sqrt(variance), np.nan)
    inner = np.where((free > 0) & (free < 1), free, np.nan)
    reach = np.exp(-z * log_se / np.log(inner))
    return pd.DataFrame(
        {
            "time": when,
            "n_at_risk": at_risk,
            "n_events": events.astype(int),
            "n_censored": leaving - events.astype(int),
            "survival": free,
            "se": free * log_se,
            "lower": inner**reach,
            "upper": inner ** (1.0 / reach),
        }
    )


def _patient_variance(
    at: NDArray[np.intp], passed: Floats, left: Floats, patients: NDArray[np.intp]
) -> Floats:
    """Sum over patients of the squares of their contributions to -log S, at each time.

    A row at risk contributes ``passed`` (the sum of d / (y (y - d))), and ``left``, its own
    constant, from its end on. A patient with m rows still at risk and constants that sum to b
    contributes ``m passed + b``, whose squares sum to ``passed**2 M + 2 passed C + B`` with M, C
    and B the sums of m**2, m b and b**2. Those change only where a row ends: O(n log n) in all.
    """
    order = np.lexsort((at, patients))
    owner, end, b = patients[order], at[order], left[order]
    first = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    size = np.diff(np.r_[first, owner.size])
    index = np.arange(owner.size) - np.repeat(first, size)
    m = (np.repeat(size, size) - index).astype(np.float64)
    total = np.cumsum(b)
    after = total - np.repeat(total[first] - b[first], size)
    before = after - b

    def along(change: Floats, start: float) -> Floats:
        return start + np.cumsum(np.bincount(end, weights=change, minlength=passed.size))

    squares = along((m - 1) ** 2 - m**2, float((size**2).sum()))
    crossed = along((m - 1) * after - m * before, 0.0)
    constants = along(after**2 - before**2, 0.0)
    out: Floats = passed**2 * squares + 2.0 * passed * crossed + constants
    return np.maximum(out, 0.0)


def _falls_to_half(when: Floats, share: Floats) -> float:
    low = np.flatnonzero(share < 0.5 + _HALF)
    if low.size == 0:
        return float("inf")
    first = int(low[0])
    below = low[share[low] < share[first]]
    if abs(share[first] - 0.5) < _HALF and below.size:
        return float(0.5 * (when[first] + when[below[0]]))
    return float(when[first])
