"""Time-activity points of one region, checked and brought to the activity that decays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import LARGEST_CV, Floats, check_alike, numbers
from bayesdose.measure.nuclides import decay_factor, half_life_h

#: Largest ratio of two activities of a region; 20 half-lives are a factor of 1e6.
_WIDEST = 1e9


@dataclass(frozen=True)
class Points:
    """Measurements of one region, in the order of their times.

    Parameters
    ----------
    time_h : ndarray of shape (n,), h
        From the start of the injection to the middle of the scan.
    activity_mbq : ndarray of shape (n,), MBq
        In the region at that time, physical decay included.
    cv : ndarray of shape (n,) or None
        Relative standard uncertainty of each activity.
    decay_rate : float, 1/h
        Physical decay.
    """

    time_h: Floats
    activity_mbq: Floats
    cv: Floats | None
    decay_rate: float


def check_points(
    time_h: ArrayLike,
    activity_mbq: ArrayLike,
    *,
    decay_corrected: bool,
    radionuclide: str,
    activity_cv: ArrayLike | None,
) -> Points:
    """Check and order the points of one region.

    Parameters
    ----------
    time_h : array-like of shape (n,), h
        From the start of the injection to the middle of the scan.
    activity_mbq : array-like of shape (n,), MBq
        In the region.
    decay_corrected : bool
        Whether the activities were corrected for decay back to the injection.
    radionuclide : str
        Such as ``"Lu177"``.
    activity_cv : array-like of shape (n,) or float, optional
        Relative standard uncertainty of each activity.

    Returns
    -------
    Points

    Raises
    ------
    MeasureError
        When times or activities are missing, not above 0, of different number, or a time is there
        twice.
    """
    if not isinstance(decay_corrected, bool | np.bool_):
        raise MeasureError(
            f"decay_corrected: got {decay_corrected!r}; True if the activities were corrected for "
            "decay back to the injection, False if they are those at the time of the scan"
        )
    time = numbers(time_h, "time_h", "h", above=0.0, hint="Times run from the injection.")
    activity = numbers(activity_mbq, "activity_mbq", "MBq", above=0.0)
    if activity.size and activity.max() > _WIDEST * activity.min():
        raise MeasureError(
            f"`activity_mbq` runs from {activity.min():g} to {activity.max():g} MBq; a region's "
            f"scans differ by less than a factor of {_WIDEST:g}. Is the unit the same in all?"
        )
    if time.ndim != 1 or time.shape != activity.shape or not time.size:
        raise MeasureError(
            "`time_h` and `activity_mbq` must be one number for each scan; got shapes "
            f"{time.shape} and {activity.shape}."
        )
    cv = None
    if activity_cv is not None:
        given = numbers(activity_cv, "activity_cv", "", above=0.0, most=LARGEST_CV)
        check_alike(time_h=time, activity_cv=given)
        cv = np.broadcast_to(given, time.shape)
    order = np.argsort(time)
    time = time[order]
    if (np.diff(time) == 0).any():
        twice = time[:-1][np.diff(time) == 0][0]
        raise MeasureError(f"`time_h` has {twice:g} h twice; average the two scans first.")
    if decay_corrected:
        activity = activity * decay_factor(time_h, radionuclide)
    rate = np.log(2.0) / half_life_h(radionuclide)
    return Points(time, activity[order], None if cv is None else cv[order], rate)
