"""Times and events at the door: one form inside, whatever form they came in."""

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayesdose.errors import RiskError
from bayesdose.evaluate._arrays import Floats, as_numbers

_NAMES = ("event", "time", "start", "stop")


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
    y : structured array, DataFrame, or array-like of shape (n, 2)
        Columns or fields named event and time, or start, stop and event; scikit-survival's
        structured array of an event (bool) and a time of any names; or, without names, event and
        time in this order. Three columns without names are refused: their order is not known.

    Returns
    -------
    Outcome

    Raises
    ------
    RiskError
        When columns are not such, events are not 0 and 1, there are none, times are not finite
        numbers above 0, or a row ends before it begins.
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
        twice = [name for name in y.columns[y.columns.duplicated()] if name in _NAMES]
        if twice:
            raise RiskError(
                f"y has the column {twice[0]!r} twice: rename or drop one of them, so that it is "
                "known which is meant"
            )
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
        return _fields(array)
    if array.ndim == 2 and array.shape[1] == 2:
        return array[:, 0], array[:, 1], None
    raise RiskError(
        "y must be scikit-survival's structured array, or a DataFrame with the columns event and "
        "time, or start, stop and event (an array without names only of event and time, in this "
        f"order); got shape {array.shape} of {array.dtype}"
    )


def _fields(array: NDArray[Any]) -> tuple[Any, Any, Any]:
    kinds = {name: array.dtype[name].kind for name in array.dtype.names or ()}
    if set(kinds) == {"start", "stop", "event"}:
        return array["event"], array["stop"], array["start"]
    flags = [name for name, kind in kinds.items() if kind == "b"] or ["event"]
    times = [name for name in kinds if name not in flags]
    if len(flags) != 1 or len(times) != 1 or len(kinds) != 2:
        raise RiskError(
            "a structured y holds one event (bool, or 0 and 1 in a field named event) and one "
            f"time, or start, stop and event; it has {array.dtype}. A DataFrame with columns of "
            "these names does as well"
        )
    return array[flags[0]], array[times[0]], None


def _events(values: Any) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.dtype.kind == "O":
        none = np.flatnonzero(pd.isna(array))
        if none.size:
            raise RiskError(
                f"event must be 0 or 1; row {none[0]} has none ({none.size} such rows). Leave rows "
                "out whose outcome is not known"
            )
        if all(isinstance(value, bool | np.bool_ | Real) for value in array):
            array = array.astype(np.float64)
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
    array = as_numbers(values, name, RiskError)
    bad = ~np.isfinite(array) | ((array <= 0) if least is None else (array < least))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise RiskError(
            f"{name} must be finite and {'above 0' if least is None else 'from 0'}; row {row} has "
            f"{array[row]:g} ({int(bad.sum())} such rows)"
        )
    return array
