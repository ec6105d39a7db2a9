"""Cox's partial likelihood in O(n log n): one sort, then sums over risk sets as running totals.

For each time t of a stratum with events E, d of them, and with the risk set R of rows that are
under observation just before t, w = exp(eta):

    Breslow  sum_E eta - d log(sum_R w)
    Efron    sum_E eta - sum_{l=0}^{d-1} log(sum_R w - l / d sum_E w)

Rows are sorted by stratum and falling time, so that a risk set is a leading part of its stratum;
rows that have not begun yet (counting process) are taken off again by a second running total.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats
from bayesdose.evaluate._outcome import Outcome

TIES = ("efron", "breslow")
Ints = NDArray[np.intp]


@dataclass(frozen=True)
class RiskSets:
    """Where the sums over risk sets begin and end, found once.

    Parameters
    ----------
    order : ndarray of int of shape (n,)
        Rows by stratum and falling stop.
    first, last : ndarray of int of shape (n_times,)
        Part of the running total over that order that is the risk set of each event time.
    start_order : ndarray of int of shape (n,) or None
        Rows by stratum and falling start.
    start_first, start_last : ndarray of int of shape (n_times,) or None
        Part of the total over that order that has not begun at the event time.
    event_row : ndarray of int of shape (n_events,)
        Rows with an event.
    event_time : ndarray of int of shape (n_events,)
        Event time of each of them.
    removed : ndarray of shape (n_events,)
        Efron's l / d; 0 for Breslow.
    stratum : ndarray of int of shape (n,)
        Of each row.
    """

    order: Ints
    first: Ints
    last: Ints
    start_order: Ints | None
    start_first: Ints | None
    start_last: Ints | None
    event_row: Ints
    event_time: Ints
    removed: Floats
    stratum: Ints


def risk_sets(outcome: Outcome, ties: str, strata: Ints | None = None) -> RiskSets:
    """Find the risk sets.

    Parameters
    ----------
    outcome : Outcome
        Follow-up and events.
    ties : {"efron", "breslow"}
        How events at one time are treated.
    strata : ndarray of int of shape (n,), optional
        Stratum of each row, numbered from 0.

    Returns
    -------
    RiskSets

    Raises
    ------
    RiskError
        When ties is another word.
    """
    if ties not in TIES:
        raise RiskError(f"ties: got {ties!r}; allowed are {', '.join(TIES)}")
    n = outcome.event.size
    stratum = np.zeros(n, np.intp) if strata is None else strata
    event_row = np.flatnonzero(outcome.event)
    # event times: pairs of stratum and time, numbered
    pairs = np.stack([stratum[event_row].astype(float), outcome.stop[event_row]])
    times, event_time, counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    event_time = event_time.reshape(-1)
    order = np.lexsort((-outcome.stop, stratum))
    first, last = _leading(stratum, outcome.stop, order, times)
    start: tuple[Ints | None, Ints | None, Ints | None] = (None, None, None)
    if outcome.start is not None:
        start_order = np.lexsort((-outcome.start, stratum))
        start = (start_order, *_leading(stratum, outcome.start, start_order, times))
    removed = np.zeros(event_row.size)
    if ties == "efron":
        by_time = np.argsort(event_time, kind="stable")
        begins = np.cumsum(counts) - counts
        rank = np.arange(event_row.size) - begins[event_time[by_time]]
        removed[by_time] = rank / counts[event_time[by_time]]
    return RiskSets(order, first, last, *start, event_row, event_time, removed, stratum)


def _leading(stratum: Ints, time: Floats, order: Ints, times: Floats) -> tuple[Ints, Ints]:
    """Rows of each stratum whose time is at least t, as a part of the order."""
    sizes = np.bincount(stratum)
    begins = np.cumsum(sizes) - sizes
    first = np.empty(times.shape[1], np.intp)
    last = np.empty_like(first)
    for code in np.unique(times[0].astype(np.intp)):
        mine = times[0] == code
        falling = time[order[begins[code] : begins[code] + sizes[code]]]
        first[mine] = begins[code]
        last[mine] = begins[code] + np.searchsorted(-falling, -times[1, mine], side="right")
    return first, last


def log_likelihood(sets: RiskSets, linear_predictor: Any, counted: Any = 1.0) -> Any:
    """Log partial likelihood, in JAX.

    Parameters
    ----------
    sets : RiskSets
        Risk sets.
    linear_predictor : jax.Array of shape (n,)
        Of each row.
    counted : jax.Array of shape (n_events,), optional
        0 for events that only pad the arrays; by default all count.

    Returns
    -------
    jax.Array of shape ()
    """
    import jax.numpy as jnp

    # what a whole stratum shares cancels: without it, no sum is drowned by another stratum's
    top = jnp.full(linear_predictor.size, -jnp.inf).at[sets.stratum].max(linear_predictor)
    eta = linear_predictor - top[sets.stratum]
    weight = jnp.exp(eta)
    at_risk = _parts(weight[sets.order], sets.first, sets.last)
    if sets.start_order is not None:
        at_risk -= _parts(weight[sets.start_order], sets.start_first, sets.start_last)
    of_events = jnp.zeros(sets.first.size).at[sets.event_time].add(weight[sets.event_row])
    total = at_risk[sets.event_time] - sets.removed * of_events[sets.event_time]
    # a padding event has an empty risk set: keep its logarithm, and the gradient of it, finite
    total = jnp.where(counted > 0, total, 1.0)
    return (counted * (eta[sets.event_row] - jnp.log(total))).sum()


def derivatives(sets: RiskSets, columns: Floats, eta: Floats) -> tuple[float, Floats, Floats]:
    """Log partial likelihood with its gradient and Hessian, without a compiler.

    With T_e the sum in the logarithm of event e, a_i the sum of 1 / T_e over the events whose risk
    set holds row i (less Efron's l / d for the events of its time), and m_e the mean of the columns
    that T_e weighs: gradient = sum_e x_e - X' (a w), Hessian = -(X' diag(a w) X - sum_e m_e m_e').
    With R and E the weighted sums of the columns over risk set and events of a time, and f_e
    Efron's l / d, m_e = (R - f_e E) / T_e, so that the sum of m_e m_e' needs times, not events.

    Parameters
    ----------
    sets : RiskSets
        Risk sets.
    columns : ndarray of shape (n, p)
        Covariates.
    eta : ndarray of shape (n,)
        Linear predictor.

    Returns
    -------
    value : float
    gradient : ndarray of shape (p,)
    hessian : ndarray of shape (p, p)
    """
    eta = eta - stratum_max(sets, eta)
    weight = np.exp(eta)
    at_risk, of_events = _sums(sets, np.column_stack([weight, weight[:, None] * columns]))
    total = at_risk[sets.event_time, 0] - sets.removed * of_events[sets.event_time, 0]
    value = float((eta[sets.event_row] - np.log(total)).sum())
    share = weight * _counted(sets, total, eta.size)
    gradient = columns[sets.event_row].sum(0) - share @ columns
    hessian = _products(sets, total, at_risk, of_events)
    hessian -= (share[:, None] * columns).T @ columns
    return value, gradient, hessian


def _products(sets: RiskSets, total: Floats, at_risk: Floats, of_events: Floats) -> Floats:
    """Sum of m_e m_e' over the events."""
    # relative to the whole risk set, whose weights may be as small as numbers go
    whole = at_risk[:, :1]
    relative = whole[sets.event_time, 0] / total
    powers = [
        np.bincount(sets.event_time, sets.removed**k * relative**2, len(whole))[:, None]
        for k in range(3)
    ]
    risk, events = at_risk[:, 1:] / whole, of_events[:, 1:] / whole
    cross = risk.T @ (powers[1] * events)
    out: Floats = risk.T @ (powers[0] * risk) - cross - cross.T
    out += events.T @ (powers[2] * events)
    return out


def stratum_max(sets: RiskSets, values: Floats) -> Floats:
    """Largest value of each row's stratum.

    Parameters
    ----------
    sets : RiskSets
        Risk sets.
    values : ndarray of shape (n,)
        Of the rows.

    Returns
    -------
    ndarray of shape (n,)
    """
    top = np.full(int(sets.stratum.max()) + 1, -np.inf)
    np.maximum.at(top, sets.stratum, values)
    out: Floats = top[sets.stratum]
    return out


def within_strata(sets: RiskSets, columns: Floats) -> Floats:
    """Columns less their means in each stratum, which changes no partial likelihood.

    Parameters
    ----------
    sets : RiskSets
        Risk sets.
    columns : ndarray of shape (n, p)
        Of the rows.

    Returns
    -------
    ndarray of shape (n, p)
    """
    counts = np.bincount(sets.stratum)
    sums = np.stack([np.bincount(sets.stratum, column) for column in columns.T], axis=1)
    out: Floats = columns - (sums / np.maximum(counts, 1)[:, None])[sets.stratum]
    return out


def event_sums(sets: RiskSets, values: Floats) -> Floats:
    """Sums over the risk set of each event, less Efron's part of the events at its time.

    Parameters
    ----------
    sets : RiskSets
        Risk sets.
    values : ndarray of shape (n, k)
        What is summed.

    Returns
    -------
    ndarray of shape (n_events, k)
    """
    at_risk, of_events = _sums(sets, values)
    sums: Floats = at_risk[sets.event_time] - sets.removed[:, None] * of_events[sets.event_time]
    return sums


def _sums(sets: RiskSets, values: Floats) -> tuple[Floats, Floats]:
    """Sums over the risk set, and over the events, of each event time."""
    at_risk = _totals(values, sets.order, sets.first, sets.last)
    if sets.start_order is not None:
        at_risk -= _totals(values, sets.start_order, sets.start_first, sets.start_last)
    of_events = np.empty_like(at_risk)
    for j, column in enumerate(values.T):
        of_events[:, j] = np.bincount(sets.event_time, column[sets.event_row], len(at_risk))
    return at_risk, of_events


def _totals(values: Floats, order: Ints, first: Any, last: Any) -> Floats:
    running = np.zeros((values.shape[0] + 1, values.shape[1]))
    np.cumsum(values[order], axis=0, out=running[1:])
    out: Floats = running[last] - running[first]
    return out


def _counted(sets: RiskSets, total: Floats, n: int) -> Floats:
    """Sum of 1 / T_e over the events that each row is at risk for."""
    by_time = np.bincount(sets.event_time, 1.0 / total, sets.first.size)
    out = np.zeros(n)
    out[sets.order] = _spread(by_time, sets.first, sets.last, n)
    if sets.start_order is not None:
        out[sets.start_order] -= _spread(by_time, sets.start_first, sets.start_last, n)
    ties = np.bincount(sets.event_time, sets.removed / total, sets.first.size)
    out[sets.event_row] -= ties[sets.event_time]
    return out


def _spread(values: Floats, first: Any, last: Any, n: int) -> Floats:
    """Sum at each place of the values whose part, first to last, holds it.

    The parts of a stratum begin at one place, so that sums from its end only ever add: values that
    differ by many orders of magnitude do not cancel.
    """
    ends = np.bincount(np.maximum(last - 1, 0), np.where(last > first, values, 0.0), n)
    begins = np.append(np.unique(first), n)
    out = np.zeros(n)
    for begin, end in pairwise(begins):
        out[begin:end] = np.cumsum(ends[begin:end][::-1])[::-1]
    return out


def _parts(values: Any, first: Any, last: Any) -> Any:
    import jax.numpy as jnp

    running = jnp.concatenate([jnp.zeros(1), jnp.cumsum(values)])
    return running[last] - running[first]
