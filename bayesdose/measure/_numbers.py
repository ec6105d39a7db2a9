"""Numbers at the door of the room: finite and in range, or an error that says which is not."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bayesdose.errors import MeasureError

Floats = NDArray[np.float64]

#: Largest relative standard uncertainty, as in the site table: 0.1 is 10 %.
LARGEST_CV = 2.0


def numbers(
    values: ArrayLike,
    name: str,
    unit: str,
    *,
    above: float = -np.inf,
    least: float = -np.inf,
    most: float = np.inf,
    hint: str = "",
) -> Floats:
    """Return finite floats with ``above < value``, ``least <= value <= most``."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise MeasureError(f"`{name}` must hold numbers in {unit} ({err}).") from err
    bad = ~np.isfinite(array) | (array <= above) | (array < least) | (array > most)
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f", entry {place[0] if len(place) == 1 else place}," if place else ""
        allowed = _allowed(above, least, most)
        raise MeasureError(
            f"`{name}`{where} is {array[place]:g} {unit}; allowed are finite numbers{allowed}"
            f"{' (' + str(int(bad.sum())) + ' such entries)' if bad.sum() > 1 else ''}."
            f"{' ' + hint if hint else ''}"
        )
    return array


def _allowed(above: float, least: float, most: float) -> str:
    lower = f" above {above:g}" if np.isfinite(above) else ""
    lower = f" from {least:g}" if np.isfinite(least) else lower
    return lower + (f" up to {most:g}" if np.isfinite(most) else "")


def yes_or_no(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    """Return booleans; numbers and words are not guessed at."""
    array = np.asarray(values)
    if array.dtype != bool:
        raise MeasureError(f"`{name}` must be True or False, got {array.reshape(-1)[:1].tolist()}.")
    return array


def weight_in_kg(values: ArrayLike) -> Floats:
    """Return body weights, or masses in their place."""
    return numbers(values, "weight_kg", "kg", least=20.0, most=400.0, hint="Is it in kg?")


def height_in_cm(values: ArrayLike) -> Floats:
    """Return body heights."""
    return numbers(values, "height_cm", "cm", least=100.0, most=250.0, hint="Is it in cm?")


def check_alike(**arrays: ArrayLike) -> None:
    """Refuse arrays whose shapes do not broadcast."""
    try:
        np.broadcast_shapes(*(np.shape(array) for array in arrays.values()))
    except ValueError as err:
        words = ", ".join(f"`{name}` {np.shape(array)}" for name, array in arrays.items())
        raise MeasureError(f"shapes do not go together: {words}.") from err
