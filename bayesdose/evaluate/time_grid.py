"""Times at which survival is scored, chosen once inside the follow-up of all rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import Floats
from bayesdose.evaluate._follow_up import (
    Train,
    check_events,
    check_follow_up,
    check_train,
)


@dataclass(frozen=True)
class TimeGrid:
    """Times inside the common follow-up of the rows scored and of the training rows.

    Attributes
    ----------
    times : ndarray of shape (n_times,), unit of `time`
        Equally spaced, both ends included.
    lowest : float
        First of them: events enough have happened.
    truncation : float
        Last of them, and the `tau` of `uno_c`: rows enough are followed for longer.
    n_beyond : int
        Rows scored whose follow-up goes on after it.
    n_events_beyond : int
        Of these, with an event, which is therefore not scored.
    reason : str
        What set both ends, for a report.
    """

    times: Floats
    lowest: float
    truncation: float
    n_beyond: int
    n_events_beyond: int
    reason: str


def time_grid(
    time: ArrayLike,
    event: ArrayLike,
    *,
    train: Train | None = None,
    n_times: int = 50,
    least: int = 5,
) -> TimeGrid:
    """Choose the times of `dynamic_auc`, `brier_survival` and the truncation of `uno_c`.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up of the rows to score.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    train : (time, event), optional
        Rows that model and censoring are learnt from; by default the rows scored.
    n_times : int
        Number of times, at least 2.
    least : int
        Rows with an event by the first time, and rows of either set followed beyond the last.

    Returns
    -------
    TimeGrid

    Raises
    ------
    BayesdoseError
        When times are negative, labels are not 0 and 1, arrays differ in length, there are no
        events, or the follow-up in common is too short for `least` rows at both ends.
    ConfigError
        When `n_times` is below 2, `least` below 1, or `train` is not a pair.

    Notes
    -----
    The last time is the longest follow-up of any row that at least `least` rows scored and
    training rows outlast, so that the share still followed is above 0 and known there. Choose the
    grid before looking at scores, once for all models: with cross-validation from the follow-up of
    all rows, else folds are scored at different times.
    """
    times, events = check_follow_up(time, event)
    check_events(events)
    train_times, _ = check_train(train, times, events)
    if n_times < 2 or least < 1:
        raise ConfigError(
            f"`n_times` must be at least 2 and `least` at least 1; got {n_times} and {least}."
        )
    happened = np.sort(times[events])
    ends = [np.sort(each)[-least] if each.size >= least else 0.0 for each in (times, train_times)]
    seen = np.concatenate([times, train_times])
    before = seen[seen < min(ends)]
    if happened.size < least or before.size == 0 or before.max() <= happened[least - 1]:
        raise BayesdoseError(
            f"the follow-up is too short: with `least` = {least} the times would begin at the "
            f"{least}th of {happened.size} events and end before {min(ends):g}, which {least} rows "
            "of either set reach. Lower `least`, or follow the rows for longer."
        )
    first, last = float(happened[least - 1]), float(before.max())
    which = "rows scored" if ends[0] <= ends[1] else "training rows"
    beyond = times > last
    return TimeGrid(
        np.linspace(first, last, n_times),
        first,
        last,
        int(beyond.sum()),
        int((beyond & events).sum()),
        f"from {first:g}, by when {int((times[events] <= first).sum())} rows had the event, to "
        f"{last:g}, the longest follow-up that at least {least} of the {which} outlast; "
        f"{int(beyond.sum())} rows are followed beyond, {int((beyond & events).sum())} with an "
        "event then",
    )
