"""Times and events at the door: one form inside, whatever form they came in."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats


@dataclass(frozen=True)
class Outcome:
    """Follow-up of each row: at risk from ``start`` (excluded) to ``stop`` (included).

    Parameters
    ----------
    event : ndarray of bool of shape (n,)
        Whether the row ends with an event.
    stop : ndarray of shape (n,)
        End of the row's follow-up, in the unit of the data.
    start : ndarray of shape (n,) or None
        Its beginning; None where all begin at 0.
    """

    event: NDArray[np.bool_]
    stop: Floats
    start: Floats | None = None


def as_outcome(y: Any) -> Outcome:
    """Check times and events and bring them into one form.

    Parameters
    ----------
    y : structured array, DataFrame, or array-like of shape (n, 2) or (n, 3)
        scikit-survival's structured array of an event (bool) and a time; columns named event and
        time, or start, stop and event; or, without names, event and time in this order.

    Returns
    -------
    Outcome

    Raises
    ------
    RiskError
        When events are not 0 and 1, there are none, times are not finite or not above 0, or a row
        ends before it begins.
    """
    event, stop, start = _columns(y)
    outcome = Outcome(_events(event), _times(stop, "time"), start)
    if start is not None:
        begin = _times(start, "start", least=0.0)
        backwards = ~(begin < outcome.stop)
        if backwards.any():
            row = int(np.flatnonzero(backwards)[0])
            raise RiskError(
                f"row {row} is at risk from {begin[row]:g} to {outcome.stop[row]:g}: start must "
                f"lie before stop ({int(backwards.sum())} such rows)"
            )
        outcome = Outcome(outcome.event, outcome.stop, begin)
    if not outcome.event.any():
        raise RiskError(
            f"none of the {outcome.event.size} rows has an event: there is nothing to learn from"
        )
    return outcome


def _columns(y: Any) -> tuple[Any, Any, Any]:
    if isinstance(y, pd.DataFrame):
        names = set(y.columns)
        if {"start", "stop", "event"} <= names:
            return y["event"], y["stop"], y["start"]
        if {"event", "time"} <= names:
            return y["event"], y["time"], None
        raise RiskError(
            f"y has the columns {list(y.columns)}; wanted are event and time, or start, stop and "
            "event"
        )
    array = np.asarray(y)
    if array.dtype.names is not None:
        kinds = {name: array.dtype[name].kind for name in array.dtype.names}
        flags = [name for name, kind in kinds.items() if kind == "b"]
        times = [name for name, kind in kinds.items() if kind in "iuf"]
        if len(flags) != 1 or len(times) != 1:
            raise RiskError(
                f"a structured y holds one event (bool) and one time; it has {array.dtype}"
            )
        return array[flags[0]], array[times[0]], None
    if array.ndim == 2 and array.shape[1] == 2:
        return array[:, 0], array[:, 1], None
    raise RiskError(
        "y must be scikit-survival's structured array, columns event and time, or start, stop and "
        f"event; got shape {array.shape} of {array.dtype}"
    )


def _events(values: Any) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise RiskError(
            f"event must be 0 or 1, or False and True; got {array.dtype}. Which word is the event?"
        )
    odd = ~np.isin(array, (0, 1))
    if odd.any():
        row = int(np.flatnonzero(odd)[0])
        raise RiskError(
            f"event must be 0 or 1; row {row} has {array[row]}. Codes such as 1 and 2 must be "
            "turned into whether the event happened"
        )
    return array.astype(bool)


def _times(values: Any, name: str, least: float | None = None) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise RiskError(f"{name} must be numbers ({err})") from err
    bad = ~np.isfinite(array) | ((array <= 0) if least is None else (array < least))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise RiskError(
            f"{name} must be finite and {'above 0' if least is None else 'from 0'}; row {row} has "
            f"{array[row]:g} ({int(bad.sum())} such rows)"
        )
    return array
