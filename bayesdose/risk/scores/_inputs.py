"""Values at the door of the scores: in range, missing and kept as NaN, or an error."""

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import RiskError
from bayesdose.risk.scores.tables import PERCENT_POSITIVE_CORES, Floats, Range


def in_range(values: ArrayLike, allowed: Range, name: str = "", hint: str = "") -> Floats:
    """Return floats within a range; None, NaN and NA become NaN."""
    name = name or allowed.argument
    given = _objects(values, name)
    found = np.full(given.shape, np.nan)
    wrong = np.zeros(given.shape, dtype=bool)
    for place in np.ndindex(given.shape):
        value = given[place]
        if _is_missing(value):
            continue
        wrong[place] = not _fits(value, allowed)
        found[place] = np.nan if wrong[place] else float(value)
    _refuse(given, wrong, name, allowed.text, hint)
    return found


def positive_cores(values: ArrayLike, name: str = "") -> Floats:
    """Return percentages of positive cores; a share of 1 given for 100 % is refused."""
    allowed = PERCENT_POSITIVE_CORES
    name = name or allowed.argument
    found = in_range(values, allowed, name, "Is it in percent?")
    # one positive core of a hundred is 1 %: nobody has fewer, while a share of 0.4 is 40 %
    share = (found > 0.0) & (found < 1.0)
    _refuse(found, share, name, "0 and 1 to 100 %", "Is it a share? 34 % is 34, not 0.34.")
    return found


def looked_up(
    values: ArrayLike, name: str, table: Mapping[str, int], hint: str = "", *, cut: str = ""
) -> Floats:
    """Return what a table holds for each word; None, NaN, NA and empty text become NaN.

    Case, spaces about the word and a leading ``cut`` are no part of the word.
    """
    numbers = {word.casefold(): number for word, number in table.items()}
    given = _objects(values, name)
    found = np.full(given.shape, np.nan)
    wrong = np.zeros(given.shape, dtype=bool)
    for place in np.ndindex(given.shape):
        if _is_missing(given[place]) or given[place] == "":
            continue
        word = str(given[place]).strip().casefold().removeprefix(cut)
        found[place] = numbers.get(word, np.nan)
        wrong[place] = word not in numbers
    _refuse(given, wrong, name, ", ".join(table), hint)
    return found


def check_shapes(**arrays: NDArray) -> None:
    """Refuse arrays whose shapes do not broadcast."""
    try:
        np.broadcast_shapes(*(array.shape for array in arrays.values()))
    except ValueError as err:
        words = ", ".join(f"`{name}` {array.shape}" for name, array in arrays.items())
        raise RiskError(
            f"shapes do not go together: {words}. Give one entry a patient, or one for all."
        ) from err


def _objects(values: ArrayLike, name: str) -> NDArray[np.object_]:
    try:
        # as objects, for a list of words and NaN would otherwise hold the word "nan"
        return np.asarray(values, dtype=object)
    except ValueError as err:
        raise RiskError(f"`{name}` is not an array ({err}).") from err


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def _fits(value: object, allowed: Range) -> bool:
    # text and truth values would pass float(), and hide a column taken for another
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        return False
    number = float(value)
    inside = np.isfinite(number) and allowed.least <= number <= allowed.most
    return bool(inside) and (number.is_integer() or not allowed.whole)


def _refuse(given: NDArray, wrong: NDArray, name: str, allowed: str, hint: str) -> None:
    if not wrong.any():
        return
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    where = f", entry {place[0] if len(place) == 1 else place}," if place else ""
    value = given[place]
    got = repr(value) if isinstance(value, str) else f"{value}"
    count = int(wrong.sum())
    raise RiskError(
        f"`{name}`{where} is {got}; allowed are {allowed}"
        f"{f' ({count} such entries)' if count > 1 else ''}. {hint + ' ' if hint else ''}"
        f"Give NaN where it is not known."
    )
