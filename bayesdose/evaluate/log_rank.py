"""The log-rank test: whether groups differ in when the event comes, and whether in order."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtrc

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import Floats, check_same_order, group_codes
from bayesdose.evaluate._follow_up import check_follow_up
from bayesdose.evaluate.kaplan_meier import ordered_groups


@dataclass(frozen=True)
class LogRank:
    """A log-rank test.

    Attributes
    ----------
    statistic : float
        Chi-square statistic.
    df : int
        Its degrees of freedom: groups minus 1, or 1 for the test for trend.
    p_value : float
        Probability of as large a statistic where the groups do not differ.
    table : pandas.DataFrame
        A row a group: `group`, `n` (rows), `observed` and `expected` events; for trend also
        `score`.
    """

    statistic: float
    df: int
    p_value: float
    table: pd.DataFrame

    @property
    def observed(self) -> Floats:
        """Events of each group, in the order of the table."""
        return self.table["observed"].to_numpy()

    @property
    def expected(self) -> Floats:
        """Events expected of each group where the groups do not differ."""
        return self.table["expected"].to_numpy()


def log_rank(
    time: ArrayLike,
    event: ArrayLike,
    by: ArrayLike,
    *,
    trend: bool = False,
    strata: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> LogRank:
    """Test whether groups differ in their time to the event.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    by : array_like, shape (n,)
        Group of each row, known before follow-up begins and not learnt from these outcomes.
    trend : bool
        Test for a trend over the groups instead, with the scores 0, 1, 2, … for an ordered
        categorical, and the labels themselves where they are numbers.
    strata : array_like, shape (n,), optional
        Stratum of each row, such as its centre: rows are compared within strata only.
    groups : array_like, shape (n,), optional
        Patient of each row, to check that no patient has two.

    Returns
    -------
    LogRank

    Raises
    ------
    BayesdoseError
        When times are not above 0, events are not 0 and 1, arrays differ in length, a label is
        missing, there are no events or fewer than two groups, groups cannot be compared, or a
        patient has several rows.
    ConfigError
        When a trend is asked for over labels without an order.

    Notes
    -----
    At each time with d events among y rows at risk, ``d y_j / y`` are expected in group j, with
    the covariance of the multivariate hypergeometric law; both are summed over times and strata.
    The statistic is ``(O - E)' V^- (O - E)``, for trend with scores s ``(s'(O - E))^2 / s'V s``.
    As R's ``survdiff``.

    Rows are taken as independent. The law of the statistic is that of many events: with fewer
    than about five expected in a group the p-value is rough.

    References
    ----------
    Mantel 1966, Cancer Chemother. Rep. 50:163; Tarone 1975, Biometrika 62:679, doi
    10.1093/biomet/62.3.679, for trend (both from memory; checked against R's survival).
    """
    check_same_order(time=time, event=event, by=by, strata=strata, groups=groups)
    times, events = check_follow_up(time, event)
    codes, labels = ordered_groups(by, times.size)
    check_one_row_a_patient(groups, times.size)
    if labels.size < 2:
        raise BayesdoseError(
            f"`by` must name two groups or more; all {times.size} rows are {labels[0]!r}."
        )
    if not events.any():
        raise BayesdoseError(
            f"none of the {times.size} rows has an event: there is nothing to compare."
        )
    stratum = np.zeros(times.size, np.intp)
    if strata is not None:
        stratum = group_codes(strata, times.size, "strata")[0]
    expected, variance = np.zeros(labels.size), np.zeros((labels.size, labels.size))
    for one in range(int(stratum.max()) + 1):
        mine = stratum == one
        of, about = _moments(times[mine], events[mine], codes[mine], labels.size)
        expected, variance = expected + of, variance + about
    observed = np.bincount(codes, weights=events, minlength=labels.size)
    _check_compared(expected, variance, labels)
    table = pd.DataFrame({"group": labels, "n": np.bincount(codes)})
    table["observed"], table["expected"] = observed.astype(int), expected
    away = observed - expected
    if trend:
        scores = _scores(by, labels)
        table["score"] = scores
        statistic = float((scores @ away) ** 2 / (scores @ variance @ scores))
        df = 1
    else:
        # one group is known from the others
        statistic = float(away[1:] @ np.linalg.solve(variance[1:, 1:], away[1:]))
        df = labels.size - 1
    return LogRank(statistic, df, float(chdtrc(df, statistic)), table)


def check_one_row_a_patient(groups: ArrayLike | None, n: int) -> None:
    """Raise where a patient has several rows.

    Parameters
    ----------
    groups : array_like, shape (n,), optional
        Patient of each row.
    n : int
        Rows.

    Raises
    ------
    BayesdoseError
        When the length differs, a label is missing, or a patient has several rows.
    """
    if groups is None:
        return
    codes, labels = group_codes(groups, n)
    rows = np.bincount(codes)
    if rows.max() > 1:
        several = int(np.argmax(rows > 1))
        raise BayesdoseError(
            f"the log-rank test takes one row a patient; patient {labels[several]!r} has "
            f"{rows[several]}, and {int((rows > 1).sum())} of {rows.size} patients have several. "
            "Make one row a patient (the worst lesion, the mean), or use what allows for several: "
            "`kaplan_meier` and `restricted_mean` with `groups=`, or a Cox model with robust "
            "standard errors."
        )


def _moments(
    time: Floats, event: NDArray[np.bool_], codes: NDArray[np.intp], n_groups: int
) -> tuple[Floats, Floats]:
    """Expected events of each group, (n_groups,), and the covariance of the observed."""
    when, at = np.unique(time, return_inverse=True)
    cells = np.bincount(at * n_groups + codes, minlength=when.size * n_groups)
    at_risk = np.cumsum(cells.reshape(-1, n_groups)[::-1], axis=0)[::-1]
    d = np.bincount(at, weights=event)
    at_risk, d = at_risk[d > 0], d[d > 0]
    y = at_risk.sum(axis=1)
    share = at_risk / y[:, None]
    # a sole row at risk is no comparison
    spread = d * (y - d) / np.maximum(y - 1, 1)
    cross: Floats = np.diag(spread @ share) - (spread[:, None] * share).T @ share
    return d @ share, cross


def _check_compared(expected: Floats, variance: Floats, labels: NDArray[np.object_]) -> None:
    if (expected == 0).any():
        label = labels[int(np.argmin(expected))]
        raise BayesdoseError(
            f"no row of group {label!r} is at risk when an event happens: the group cannot be "
            "compared. Leave it out, or choose groups with longer follow-up."
        )
    scale = np.sqrt(np.maximum(np.diag(variance), np.finfo(float).tiny))
    if np.linalg.matrix_rank(variance / np.outer(scale, scale), tol=1e-9) < labels.size - 1:
        raise BayesdoseError(
            "some groups are never at risk together (within a stratum) when an event happens: "
            f"groups {', '.join(repr(label) for label in labels)} cannot all be compared. Use "
            "fewer strata, or join groups."
        )


def _scores(by: ArrayLike, labels: NDArray[np.object_]) -> Floats:
    dtype = getattr(by, "dtype", None)
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        return np.arange(labels.size, dtype=float)
    if all(isinstance(label, int | float | np.number | np.bool_) for label in labels):
        return labels.astype(float)
    raise ConfigError(
        "a trend needs groups in an order; `by` has the labels "
        f"{', '.join(repr(label) for label in labels)}. Give numbers, or "
        "`pandas.Categorical(by, categories=[…], ordered=True)`."
    )
