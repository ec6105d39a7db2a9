"""Follow-up at the door, and Kaplan-Meier curves whose every row knows what it moves."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtri

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import (
    Floats,
    as_numbers,
    as_sites,
    check_labels,
    check_probability,
    check_same_order,
)

Bools = NDArray[np.bool_]
Train = tuple[ArrayLike, ArrayLike]


@dataclass(frozen=True)
class ProductLimit:
    """A curve of Kaplan and Meier, and what its derivative by the weight of a row needs."""

    times: Floats
    value: Floats  # just after each of `times`
    at_risk: Floats
    leaving: Floats  # rows of the kind that is counted
    place: NDArray[np.intp]  # of each row in `times`
    counted: Bools
    own_risk: Bools  # whether a row is at risk at its own time

    def after(self, times: Floats) -> Floats:
        """Value at each time, steps there included."""
        return np.append(1.0, self.value)[np.searchsorted(self.times, times, side="right")]

    def before(self, times: Floats) -> Floats:
        """Value just before each time."""
        return np.append(1.0, self.value)[np.searchsorted(self.times, times, side="left")]

    def influence(self, times: Floats, coefficients: Floats, *, before: bool) -> Floats:
        """Derivative by each row's weight of the sum of coefficients times the log of the curve.

        With c rows leaving among y at risk, log G = sum of log(1 - c / y), and row i moves it by
        the sum of -(c_i - y_i c / y) / (y - c), c_i and y_i saying whether it leaves and is at
        risk. A curve that has reached 0 is not moved.
        """
        ends = np.searchsorted(self.times, times, side="left" if before else "right")
        sums = np.bincount(ends, weights=coefficients, minlength=self.times.size + 1)
        later = np.cumsum(sums[::-1])[::-1][1:]  # over the times after each step
        staying = self.at_risk - self.leaving
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(staying > 0, later / staying, 0.0)
            passed = np.append(0.0, np.cumsum(share * self.leaving / self.at_risk))
        passed = np.nan_to_num(passed)
        out: Floats = passed[self.place + self.own_risk] - self.counted * share[self.place]
        return out


def survival_curve(time: Floats, event: Bools) -> ProductLimit:
    """Share free of the event."""
    return _curve(time, event, np.ones(time.size, dtype=bool))


def censoring_curve(time: Floats, event: Bools) -> ProductLimit:
    """Share still followed: censoring as the event; rows with an event then leave just before."""
    return _curve(time, ~event, ~event)


def _curve(time: Floats, counted: Bools, own_risk: Bools) -> ProductLimit:
    times, place = np.unique(time, return_inverse=True)
    rows = np.bincount(place)
    at_risk = (np.cumsum(rows[::-1])[::-1] - np.bincount(place, weights=~own_risk)).astype(float)
    leaving = np.bincount(place, weights=counted)
    steps = np.divide(leaving, at_risk, out=np.zeros(times.size), where=leaving > 0)
    return ProductLimit(times, np.cumprod(1.0 - steps), at_risk, leaving, place, counted, own_risk)


def check_follow_up(time: ArrayLike, event: ArrayLike, where: str = "") -> tuple[Floats, Bools]:
    """Return times and events, or say what is wrong; `where` is put before their names."""
    check_same_order(**{f"{where}time": time, f"{where}event": event})
    times = as_sites(time, f"{where}time")
    if (times <= 0).any():
        first = int(np.flatnonzero(times <= 0)[0])
        raise BayesdoseError(
            f"`{where}time` must be above 0; entry {first} is {times[first]} "
            f"({int((times <= 0).sum())} such entries). Count times from one start for all rows; "
            "for events on the first day, half of the smallest step is usual."
        )
    events = check_labels(event, f"{where}event")
    if events.size != times.size:
        raise BayesdoseError(
            f"`{where}event` has {events.size} entries and must have one for each of the "
            f"{times.size} times, in the same order."
        )
    return times, events


def check_events(event: Bools) -> None:
    """Refuse rows without an event."""
    if not event.any():
        raise BayesdoseError(
            f"none of the {event.size} rows has an event: nothing can be scored. Follow the rows "
            "for longer, or see whether events are coded the other way round."
        )


def check_train(train: Train | None, time: Floats, event: Bools) -> tuple[Floats, Bools]:
    """Return times and events of the training rows, by default those given."""
    if train is None:
        return time, event
    if not isinstance(train, tuple | list) or len(train) != 2:
        raise ConfigError("`train` must be the pair (time, event) of the training rows.")
    return check_follow_up(train[0], train[1], "train ")


def check_grid(times: ArrayLike, time: Floats, train_time: Floats) -> Floats:
    """Return increasing times inside the follow-up of both sets of rows, or say which is not."""
    grid = np.atleast_1d(as_numbers(times, "`times`", ConfigError))
    if grid.ndim != 1 or grid.size == 0 or not (np.diff(grid) > 0).all():
        raise ConfigError(
            "`times` must be one or more increasing numbers, shape (n_times,), each once; got "
            f"shape {grid.shape}."
        )
    end = min(float(time.max()), float(train_time.max()))
    outside = ~((grid > 0) & (grid < end))
    if outside.any():
        first = int(np.flatnonzero(outside)[0])
        raise ConfigError(
            f"`times` must lie above 0 and before {end:g}, where follow-up of the "
            f"{'rows' if time.max() <= train_time.max() else 'training rows'} ends; entry {first} "
            f"is {grid[first]:g} ({int(outside.sum())} such entries). `time_grid` chooses times "
            "inside the follow-up of both."
        )
    return grid


def weights_of_cases(curve: ProductLimit, time: Floats, cases: Bools) -> Floats:
    """1 / G(T-) for cases, 0 for other rows; G is the share still followed.

    An event at T is seen by everyone still followed just before, so that a censoring at the same
    time does not count. scikit-survival 0.28 takes G after T: the same, unless a censoring shares
    the time of an event.
    """
    share = curve.before(time[cases])
    if (share == 0).any() or time[cases].max(initial=0.0) > curve.times[-1]:
        known = curve.times[curve.value > 0]
        raise BayesdoseError(
            "no training row is followed as far as the last events counted, so that their weight "
            f"is unknown: follow-up of the training rows ends at {curve.times[-1]:g} and some is "
            f"known after {known[-1] if known.size else 0.0:g}; the last event counted is at "
            f"{time[cases].max():g}. Count events before an earlier time only (`tau`, `times`; "
            "`time_grid` chooses one)."
        )
    weights = np.zeros(time.size)
    weights[cases] = 1.0 / share
    return weights


def patient_error(influence: Floats, codes: NDArray[np.intp]) -> float:
    """Standard error from derivatives by the rows' weights, summed over each patient's rows."""
    sums = np.bincount(codes, weights=influence)
    return float(np.sqrt(sums.size / (sums.size - 1.0) * (sums**2).sum()))


def logit_interval(value: float, se: float, prob: float) -> tuple[float, float]:
    """Normal interval of the logit, brought back; NaN at 0 and 1."""
    z = float(ndtri((1.0 + check_probability(prob)) / 2.0))
    # weights add up to 1 but for rounding
    if not 1e-12 < value < 1.0 - 1e-12:
        return float("nan"), float("nan")
    half = z * se / (value * (1.0 - value))
    return float(expit(logit(value) - half)), float(expit(logit(value) + half))


def warn_of_no_interval(what: str) -> None:
    """Say that a share of pairs is 0 or 1; called by a public function's helper."""
    warnings.warn(
        f"{what} is 0 or 1: all pairs are in order, or none, and the rows say nothing of its "
        "variance; no interval is given",
        stacklevel=4,
    )
