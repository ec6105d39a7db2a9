"""From a PET image in Bq/mL to SUV, by what its header and its user say."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np

from bayesdose.errors import MeasureError
from bayesdose.measure._times import hours_after, hours_between
from bayesdose.measure.images.image import Image, Scan
from bayesdose.measure.nuclides import half_life_h
from bayesdose.measure.suv import suv_factor

#: Units of a PET image → Bq/mL.
PET_UNITS = {"Bq/mL": 1.0, "kBq/mL": 1e3, "MBq/mL": 1e6}
#: Half-lives after which nobody scans any more.
_SPENT = 6.0
#: How far header and user may be apart before one of them must be wrong.
_APART_WEIGHT, _APART_ACTIVITY, _APART_MIN = 0.1, 0.25, 30.0


def suv_image(
    image: Image,
    *,
    units: str | None = None,
    weight_kg: float | None = None,
    injected_mbq: float | None = None,
    injected_at: datetime | None = None,
    started: datetime | None = None,
    decay_corrected_to: str | None = None,
    radionuclide: str | None = None,
) -> Image:
    """Body-weight SUV of a PET image.

    What is not stated is taken from the DICOM header. What is stated goes before it, for the
    header's activity is often that of the syringe and not the net one; but values so far apart
    that one must be wrong are refused.

    Parameters
    ----------
    image : Image
        PET.
    units : {"SUV", "Bq/mL", "kBq/mL", "MBq/mL"}, optional
        Of the image; an image in SUV is returned as it is.
    weight_kg : float, optional, kg
        Body weight; the lean body mass for SUL.
    injected_mbq : float, optional, MBq
        Net activity at the injection.
    injected_at, started : datetime, optional
        Injection, and start of the scan; only their difference counts.
    decay_corrected_to : {"injection", "scan_start"}, optional
        Time that the image's decay correction refers to.
    radionuclide : str, optional
        Such as ``"Ga68"``.

    Returns
    -------
    Image, g/mL

    Raises
    ------
    MeasureError
        When something is neither stated nor in the header, header and statement contradict each
        other, or the injection lies after the scan.
    """
    scan = image.scan or Scan("PT")
    unit = agreed(image, "units", units, scan.units)
    if unit == "SUV":
        return image
    if unit not in PET_UNITS:
        allowed = ", ".join(["SUV", *PET_UNITS])
        raise MeasureError(f"{image.name}: units {unit!r} of a PET image; allowed are {allowed}")
    reference = agreed(image, "decay_corrected_to", decay_corrected_to, scan.decay_corrected_to)
    uptake = nuclide = None
    if reference == "scan_start":
        nuclide = agreed(image, "radionuclide", radionuclide, scan.radionuclide, same=_same_nuclide)
        known = replace(image, scan=replace(scan, radionuclide=nuclide))
        uptake = uptake_time_h(known, injected_at=injected_at, started=started)
    factor = suv_factor(
        injected_mbq=_near(
            image, "injected_mbq", injected_mbq, scan.injected_mbq, "MBq", _APART_ACTIVITY
        ),
        weight_kg=_near(image, "weight_kg", weight_kg, scan.weight_kg, "kg", _APART_WEIGHT),
        decay_corrected_to=reference,
        uptake_time_h=uptake,
        radionuclide=nuclide,
    )
    values = np.asarray(image.values, dtype=float) * (PET_UNITS[unit] * float(factor))
    said = replace(scan, units="SUV")
    return Image(values, image.affine, image.name, said)


def uptake_time_h(
    image: Image, *, injected_at: datetime | None = None, started: datetime | None = None
) -> float:
    """Time from the injection to the start of the scan.

    Parameters
    ----------
    image : Image
        Its header fills in what is not stated.
    injected_at, started : datetime, optional
        Injection, and start of the scan.

    Returns
    -------
    float, h

    Raises
    ------
    MeasureError
        When a time is missing, header and statement are more than half an hour apart, or the
        injection lies after the scan.
    """
    scan = image.scan or Scan("PT")
    begun = same_time(image, "injection", injected_at, scan.injected_at)
    scanned = same_time(image, "scan start", started, scan.started)
    hours = hours_after(begun, scanned, image.name)
    if scan.radionuclide is not None and hours > _SPENT * half_life_h(scan.radionuclide):
        raise MeasureError(
            f"{image.name}: {hours:.3g} h from the injection to the scan are more than {_SPENT:g} "
            f"half-lives of {scan.radionuclide}: check the dates"
        )
    return hours


def agreed(
    image: Image, name: str, stated: str | None, header: str | None, same: Any = None
) -> str:
    """Word that is stated or in a header, where the two do not contradict each other.

    Parameters
    ----------
    image : Image
        For messages.
    name : str
        Of the word.
    stated, header : str or None
        Words.
    same : callable, optional
        Whether two spellings mean one thing; by default they must be equal.

    Returns
    -------
    str

    Raises
    ------
    MeasureError
        When neither is known, or they differ.
    """
    found = stated if stated is not None else header
    if found is None:
        raise _unstated(image, name)
    if stated is not None and header is not None:
        alike = same(stated, header) if same else stated == header
        if not alike:
            raise MeasureError(
                f"{image.name}: {name} is stated as {stated!r} and {header!r} in the header"
            )
    return found


def _same_nuclide(stated: str, header: str) -> bool:
    return half_life_h(stated) == half_life_h(header)


def _near(
    image: Image,
    name: str,
    stated: float | None,
    header: float | None,
    unit: str,
    apart: float,
) -> float:
    found = stated if stated is not None else header
    if found is None:
        raise MeasureError(
            f"{image.name}: {name} is neither stated nor in a DICOM header: state it"
        )
    if stated is not None and header is not None and abs(stated / header - 1) > apart:
        raise MeasureError(
            f"{image.name}: {name} is stated as {stated:g} {unit} and {header:g} {unit} in the "
            f"header, more than {100 * apart:.0f} % apart: one of the two must be wrong"
        )
    return found


def same_time(
    image: Image, name: str, stated: datetime | None, header: datetime | None
) -> datetime:
    """Time that is stated or in a header, where the two do not contradict each other.

    Parameters
    ----------
    image : Image
        For messages.
    name : str
        Of the time.
    stated, header : datetime or None
        Times.

    Returns
    -------
    datetime

    Raises
    ------
    MeasureError
        When neither is known, or they are more than half an hour apart.
    """
    found = stated if stated is not None else header
    if found is None:
        raise _unstated(image, f"the date and time of the {name}")
    if stated is not None and header is not None:
        minutes = 60.0 * abs(hours_between(stated, header, f"{image.name}: {name}"))
        if minutes > _APART_MIN:
            raise MeasureError(
                f"{image.name}: the {name} is stated as {stated} and {header} in the header, more "
                f"than {_APART_MIN:g} min apart: one of the two must be wrong"
            )
    return found


def _unstated(image: Image, name: str) -> MeasureError:
    return MeasureError(f"{image.name}: {name} is neither stated nor in a DICOM header: state it")
