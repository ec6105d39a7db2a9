"""Concordance of risks with times of events: Harrell's C and Uno's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import Floats, as_sites, check_patients, check_same_order
from bayesdose.evaluate._follow_up import (
    Bools,
    Train,
    censoring_curve,
    check_events,
    check_follow_up,
    check_train,
    logit_interval,
    warn_of_no_interval,
    weights_of_cases,
)


@dataclass(frozen=True)
class Concordance:
    """Share of comparable pairs that the risks put in order.

    Attributes
    ----------
    c : float
        From 0 to 1; 0.5 says nothing of the order.
    se : float
        Standard error over patients.
    lower, upper : float
        Confidence interval on the logit scale; NaN at a concordance of 0 or 1, where the risks say
        nothing of their own variance.
    n_events : int
        Events that pairs were made with.
    n_comparable : int
        Pairs of an event and a row that is known to have stayed free of it for longer.
    n_tied : int
        Those of the same risk, which count half.
    tau : float or None
        Time before which events count, unit of `time`; None where all do.
    """

    c: float
    se: float
    lower: float
    upper: float
    n_events: int
    n_comparable: int
    n_tied: int
    tau: float | None


@dataclass(frozen=True)
class _Pairs:
    """Sums over the pairs of each row, as the earlier (event) and as the later of the two."""

    won_earlier: Floats
    all_earlier: Floats
    won_later: Floats
    all_later: Floats
    n_tied: int
    n_all: int


def harrell_c(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> Concordance:
    """Harrell's concordance: of two rows, how often has the one with the earlier event more risk.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk : array_like of float, shape (n,)
        Higher for earlier events; any scale.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the interval.

    Returns
    -------
    Concordance

    Raises
    ------
    BayesdoseError
        When times are negative, labels are not 0 and 1, a risk is not finite, arrays differ in
        length, there are no events or no comparable pairs, or all rows are of one patient.
    ConfigError
        When `prob` is not between 0 and 1.

    Warns
    -----
    UserWarning
        When all pairs are in order, or none is.

    Notes
    -----
    A pair is comparable where the earlier time is an event. Of two rows of the same time one with
    the event comes before one without; two events of the same time are not compared. Pairs of the
    same risk (equal numbers, without tolerance) count half. These are the conventions of both
    scikit-survival and R's ``survival::concordance``, which differ only in what they call ties.

    The standard error is the infinitesimal jackknife over patients, as in R. C depends on how long
    rows were followed: events late in follow-up make fewer pairs where more rows are censored.
    `uno_c` does not. The cost is O(n log n).

    References
    ----------
    Harrell 1982, JAMA 247:2543; Therneau and Watson 2015, Mayo Clinic technical report 85 (both
    from memory; checked against R's survival 3.5-3).
    """
    check_same_order(time=time, event=event, risk=risk, groups=groups)
    times, events, risks = _checked(time, event, risk)
    codes = check_patients(groups, times.size)
    pairs = _pairs(times, events, risks, events.astype(float))
    value, influence = _ratio(pairs)
    return _concordance(value, _error(influence, codes), pairs, events, prob, None)


def uno_c(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    *,
    tau: float | None = None,
    train: Train | None = None,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> Concordance:
    """Uno's concordance, which does not depend on how long rows were followed.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk : array_like of float, shape (n,)
        Higher for earlier events; any scale.
    tau : float, unit of `time`, optional
        Events before it count, such as the `truncation` of `time_grid`; by default all do, and the
        last can weigh as much as many others.
    train : (time, event), optional
        Rows that the censoring is learnt from; by default the rows scored.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    prob : float
        Probability of the interval.

    Returns
    -------
    Concordance

    Raises
    ------
    BayesdoseError
        As for `harrell_c`, and when events later than the follow-up of the training rows count.
    ConfigError
        When `tau` is not above 0, `train` is not a pair, or `prob` is not between 0 and 1.

    Warns
    -----
    UserWarning
        When all pairs are in order, or none is.

    Notes
    -----
    Pairs are those of `harrell_c` with an event at T before tau, weighted by 1 / G(T-)^2, G being
    Kaplan and Meier's share still followed. Censoring must be independent of event and risk. This
    is R's ``concordance(timewt = "n/G2")``. scikit-survival takes G(T): the same number where no
    censoring shares the time of an event, and otherwise where each censoring is put a moment later.
    The left limit is the one that holds in grouped time, since who is censored at T is still seen
    to have an event at T.

    The standard error is the infinitesimal jackknife over patients. Without `train` it holds the
    estimation of G; with it the weights are taken as known, as in R.

    References
    ----------
    Uno 2011, Stat. Med. 30:1105, doi 10.1002/sim.4154 (from memory; checked against R's survival
    3.5-3 and scikit-survival, the standard error by leaving rows out).
    """
    check_same_order(time=time, event=event, risk=risk, groups=groups)
    times, events, risks = _checked(time, event, risk)
    codes = check_patients(groups, times.size)
    counted = events & (times < _checked_tau(tau))
    if not counted.any():
        raise BayesdoseError(f"no event lies before `tau` = {tau:g}. Choose a later one.")
    curve = censoring_curve(*check_train(train, times, events))
    weights = weights_of_cases(curve, times, counted) ** 2
    pairs = _pairs(times, events, risks, weights)
    value, influence = _ratio(pairs)
    if train is None:
        # log weight = -2 log G(T-), and the weight of row k moves C by its own pairs
        own = (pairs.won_earlier - value * pairs.all_earlier) / pairs.all_earlier.sum()
        influence = influence + curve.influence(times, -2.0 * own, before=True)
    return _concordance(value, _error(influence, codes), pairs, counted, prob, tau)


def _checked(time: ArrayLike, event: ArrayLike, risk: ArrayLike) -> tuple[Floats, Bools, Floats]:
    times, events = check_follow_up(time, event)
    check_events(events)
    return times, events, as_sites(risk, "risk", n_sites=times.size)


def _checked_tau(tau: float | None) -> float:
    if tau is None:
        return float("inf")
    if not tau > 0:
        raise ConfigError(f"`tau` must be above 0, in the unit of `time`; got {tau}.")
    return float(tau)


def _pairs(time: Floats, event: Bools, risk: Floats, weights: Floats) -> _Pairs:
    """Sums over pairs, each weighted by its event's weight, in O(n log n).

    Rows are numbered by time, events before censorings, rows that are not compared alike. Two
    numbers differ in some highest bit: going through the bits, rows that agree above it form a
    block, in which those without the bit come before those with it. Sorted by risk, running sums
    then say what each has on the other side with less risk.
    """
    _, rank = np.unique(risk, return_inverse=True)
    _, place = np.unique(np.stack([time, ~event]), axis=1, return_inverse=True)
    n = time.size
    won_earlier, all_earlier, won_later, all_later = np.zeros((4, n))
    tied, total = 0.0, 0.0
    order = np.argsort(rank, kind="stable")
    for bit in range(int(place.max()).bit_length()):
        rows = order[np.argsort(place[order] >> (bit + 1), kind="stable")]
        block = place[rows] >> (bit + 1)
        late = (place[rows] >> bit & 1).astype(float)
        own = np.where(late == 1.0, 0.0, weights[rows])
        lower, same, everyone = _within(block, rank[rows], np.stack([own, late]))
        # a later row has lost to the events of more risk; an event wins over later rows of less
        won_later[rows] += late * (everyone[0] - lower[0] - 0.5 * same[0])
        all_later[rows] += late * everyone[0]
        won_earlier[rows] += own * (lower[1] + 0.5 * same[1])
        all_earlier[rows] += own * everyone[1]
        tied += float(same[1][own > 0].sum())
        total += float(everyone[1][own > 0].sum())
    if total == 0:
        raise BayesdoseError(
            "no two rows are comparable: no row is followed for longer than one with an event. "
            "Follow the rows for longer."
        )
    return _Pairs(won_earlier, all_earlier, won_later, all_later, round(tied), round(total))


def _within(
    block: NDArray[np.intp], rank: NDArray[np.intp], values: Floats
) -> tuple[Floats, Floats, Floats]:
    """Sums of values (2, n) in each row's block: of lower rank, of the same, of any."""
    n = block.size
    running = np.concatenate([np.zeros((2, 1)), np.cumsum(values, axis=1)], axis=1)
    starts_block = np.append(True, np.diff(block) != 0)
    starts_run = starts_block | np.append(True, np.diff(rank) != 0)

    def ends(starts: Bools) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        first = np.flatnonzero(starts)
        sizes = np.diff(np.append(first, n))
        return np.repeat(first, sizes), np.repeat(first + sizes, sizes)

    (block_first, block_last), (run_first, run_last) = ends(starts_block), ends(starts_run)
    return (
        running[:, run_first] - running[:, block_first],
        running[:, run_last] - running[:, run_first],
        running[:, block_last] - running[:, block_first],
    )


def _ratio(pairs: _Pairs) -> tuple[float, Floats]:
    """C, and its derivative by the weight of each row with the weights of pairs fixed."""
    total = pairs.all_earlier.sum()
    value = pairs.won_earlier.sum() / total
    won, every = pairs.won_earlier + pairs.won_later, pairs.all_earlier + pairs.all_later
    return float(value), (won - value * every) / total


def _error(influence: Floats, codes: NDArray[np.intp]) -> float:
    """As R: without the factor patients / (patients - 1)."""
    return float(np.sqrt((np.bincount(codes, weights=influence) ** 2).sum()))


def _concordance(
    value: float, se: float, pairs: _Pairs, counted: Bools, prob: float, tau: float | None
) -> Concordance:
    lower, upper = logit_interval(value, se, prob)
    if np.isnan(lower):
        warn_of_no_interval("the concordance")
    return Concordance(value, se, lower, upper, int(counted.sum()), pairs.n_all, pairs.n_tied, tau)
