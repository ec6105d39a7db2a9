"""Standardised uptake values from activity concentration."""

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import MeasureError
from bayesdose.measure._numbers import (
    Floats,
    check_alike,
    height_in_cm,
    numbers,
    weight_in_kg,
    yes_or_no,
)
from bayesdose.measure.nuclides import decay_factor

REFERENCES = ("injection", "scan_start")


def suv_factor(
    *,
    injected_mbq: ArrayLike,
    weight_kg: ArrayLike,
    decay_corrected_to: str,
    uptake_time_h: ArrayLike | None = None,
    radionuclide: str | None = None,
) -> Floats:
    """Factor from activity concentration in Bq/mL to SUV in g/mL.

    Body weight over the activity at the time that the image is corrected to; with the lean body
    mass in place of the weight it gives SUL.

    Parameters
    ----------
    injected_mbq : array-like, MBq
        Net activity at the injection: that of the syringe less what stayed in it.
    weight_kg : array-like, broadcastable, kg
        Body weight, or lean body mass for SUL; 20 to 400.
    decay_corrected_to : {"injection", "scan_start"}
        Time that the image's decay correction refers to. There is no default: a wrong one is wrong
        by a factor of 1.5 (18F) or 1.8 (68Ga) at one hour.
    uptake_time_h : array-like, broadcastable, h, optional
        From injection to scan start; needed for ``"scan_start"``.
    radionuclide : str, optional
        Such as ``"Ga68"``; needed for ``"scan_start"``.

    Returns
    -------
    ndarray of the broadcast shape, (g/mL) / (Bq/mL)

    Raises
    ------
    MeasureError
        When a value is out of range, or missing for the reference time.
    """
    activity = numbers(injected_mbq, "injected_mbq", "MBq", least=1.0, most=2000.0)
    weight = weight_in_kg(weight_kg)
    check_alike(injected_mbq=activity, weight_kg=weight)
    if decay_corrected_to not in REFERENCES:
        raise MeasureError(
            f"decay_corrected_to: got {decay_corrected_to!r}; allowed are {', '.join(REFERENCES)}"
        )
    if decay_corrected_to == "scan_start":
        if uptake_time_h is None or radionuclide is None:
            raise MeasureError(
                "an image corrected to the scan's start needs uptake_time_h (hours from injection "
                "to scan start) and radionuclide"
            )
        time = numbers(uptake_time_h, "uptake_time_h", "h", least=0.0, most=72.0)
        activity = activity * decay_factor(time, radionuclide)
    return weight * 1e3 / (activity * 1e6)


def lean_body_mass(weight_kg: ArrayLike, height_cm: ArrayLike, female: ArrayLike) -> Floats:
    """Lean body mass by Janmahasatian: 9270 W / (6680 + 216 BMI), for women 8780 and 244.

    Parameters
    ----------
    weight_kg : array-like, kg
        20 to 400.
    height_cm : array-like, broadcastable, cm
        100 to 250.
    female : array-like of bool, broadcastable

    Returns
    -------
    ndarray of the broadcast shape, kg

    Raises
    ------
    MeasureError
        When a value is out of range.

    References
    ----------
    Janmahasatian 2005, Clin. Pharmacokinet. 44:1051 (coefficients from memory).
    """
    weight, height = weight_in_kg(weight_kg), height_in_cm(height_cm)
    woman = yes_or_no(female, "female")
    check_alike(weight_kg=weight, height_cm=height, female=woman)
    index = weight / (height / 100.0) ** 2
    return 9270.0 * weight / np.where(woman, 8780.0 + 244.0 * index, 6680.0 + 216.0 * index)
