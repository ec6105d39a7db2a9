"""Units of voxels, and what brings them there."""

import math
from dataclasses import dataclass

import pydicom

from bayesdose.measure.images.headers.values import Headers, stated_number

_CONCENTRATIONS = ("Bq/ml", "Bq/mL", "Bq/cm3")
_COUNTS = "{counts}"
_MAP = "RealWorldValueMappingSequence"
_PHILIPS = "Philips's activity concentration factor (7053,1009)"


def units_of(headers: Headers) -> tuple[str | None, float]:
    """Units of the voxels, and what a file's own scaled values are multiplied with to get there.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    units : str or None
        As in `Scan`; None where the headers do not say.
    factor : float
        1 but for counts: Philips's factor to Bq/mL in PET, one over the duration in SPECT.

    Raises
    ------
    MeasureError
        When the units are no activity concentration, no SUV by body weight and no counts.
    """
    if headers.modality == "PT":
        return _pet_units(headers)
    if headers.modality == "NM":
        return _spect_units(headers)
    if headers.modality == "CT":
        return ("HU" if headers.one("RescaleType") in (None, "HU") else None), 1.0
    if headers.one("DoseUnits") != "GY":
        raise headers.refused(
            f"DoseUnits are {headers.one('DoseUnits')}; allowed is GY: export the dose in Gy"
        )
    if headers.one("DoseType") != "PHYSICAL":
        raise headers.refused(
            f"DoseType is {headers.one('DoseType')}; allowed is PHYSICAL: an effective dose or an "
            "error is no absorbed dose"
        )
    return "Gy", 1.0


def _pet_units(headers: Headers) -> tuple[str, float]:
    units = headers.one("Units")
    if units == "BQML":
        return "Bq/mL", 1.0
    if units == "GML":
        if headers.one("SUVType") not in (None, "BW"):
            raise headers.refused(
                f"Units are SUV of type {headers.one('SUVType')}; allowed is BW, body weight: "
                "export the image in Bq/mL"
            )
        return "SUV", 1.0
    if units == "CNTS":
        factor = headers.number(
            _PHILIPS, lambda _: headers.private("Philips PET Private Group", 0x7053, 0x09)
        )
        if factor is None:
            raise headers.refused(
                f"Units are counts, without {_PHILIPS}: export the image in Bq/mL"
            )
        return "Bq/mL", factor
    raise headers.refused(
        f"Units are {units}; allowed are BQML, GML and Philips's CNTS: export the image in Bq/mL"
    )


def _spect_units(headers: Headers) -> tuple[str | None, float]:
    # Slopes may differ between files, what they lead to may not.
    mapped = headers.agreed(_MAP, lambda one: _quantity(one, headers))
    if mapped is None:
        headers.agreed("RescaleSlope", lambda one: _has_slope(one, headers))
    units = headers.one("Units")
    if units not in (None, "BQML", "CNTS"):
        raise headers.refused(
            f"Units are {units}; allowed are BQML, CNTS or none: export the image in Bq/mL"
        )
    if mapped is not None and units is not None and (mapped == "Bq/mL") != (units == "BQML"):
        raise headers.refused(f"Units are {units}, and {_MAP} gives {mapped}")
    if units == "BQML" or mapped == "Bq/mL":
        return "Bq/mL", 1.0
    duration = spect_duration_s(headers)
    # Without a word of the header, voxels may be counts or anything that a workstation made.
    counts = units == "CNTS" or mapped is not None
    return ("cps", 1.0 / duration) if counts and duration is not None else (None, 1.0)


def _quantity(dataset: pydicom.Dataset, headers: Headers) -> str | None:
    """What the map of one file leads to; None where it has no map."""
    mapped = real_world_map(dataset, headers)
    return None if mapped is None else mapped.units or "counts"


def _has_slope(dataset: pydicom.Dataset, headers: Headers) -> str:
    return "absent" if stated_number(dataset, "RescaleSlope", headers) is None else "stated"


@dataclass(frozen=True)
class RealWorldMap:
    """Line from stored voxels to quantities.

    Parameters
    ----------
    units : str or None
        ``"Bq/mL"``; None for counts.
    slope, intercept : float
        Of the line.
    first, last : float
        Least and largest stored number that it is meant for; infinite where the header does not
        say.
    """

    units: str | None
    slope: float
    intercept: float
    first: float = -math.inf
    last: float = math.inf


def real_world_map(dataset: pydicom.Dataset, headers: Headers) -> RealWorldMap | None:
    """Line that RealWorldValueMappingSequence gives for a SPECT, as quantitative ones have it.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Header of one file: those of a series may have other slopes.
    headers : Headers
        Of the series, for messages.

    Returns
    -------
    RealWorldMap or None
        That to Bq/mL before that to counts; None where the file has none.

    Raises
    ------
    MeasureError
        When no map is in Bq/ml or counts, several are, one is a table, or its numbers are none.
    """
    found: dict[str, list[pydicom.Dataset]] = {}
    for item in dataset.get(_MAP) or []:
        codes = item.get("MeasurementUnitsCodeSequence") or [pydicom.Dataset()]
        found.setdefault(str(codes[0].get("CodeValue", "")), []).append(item)
    if not found:
        return None
    fitting = [one for units in _CONCENTRATIONS for one in found.get(units, [])]
    units = "Bq/mL" if fitting else None
    fitting = fitting or found.get(_COUNTS, [])
    if len(fitting) != 1:
        raise headers.refused(
            f"{_MAP} gives {', '.join(found)}; allowed is one line to Bq/ml or {_COUNTS}: export "
            "the image in Bq/ml"
        )
    slope, intercept = (
        stated_number(fitting[0], keyword, headers)
        for keyword in ("RealWorldValueSlope", "RealWorldValueIntercept")
    )
    if slope is None or intercept is None:
        raise headers.refused(
            f"{_MAP} lacks RealWorldValueSlope or RealWorldValueIntercept; allowed is a line, no "
            "table: export the image in Bq/ml"
        )
    first, last = (_limit(fitting[0], which, headers) for which in ("First", "Last"))
    return RealWorldMap(
        units,
        slope,
        intercept,
        -math.inf if first is None else first,
        math.inf if last is None else last,
    )


def _limit(item: pydicom.Dataset, which: str, headers: Headers) -> float | None:
    """First or last stored number that a map is meant for."""
    keyword = f"RealWorldValue{which}ValueMapped"
    limit = stated_number(item, keyword, headers)
    return stated_number(item, f"DoubleFloat{keyword}", headers) if limit is None else limit


def spect_duration_s(headers: Headers) -> float | None:
    """Time of all stops of a SPECT, where the header leaves one way to count them.

    The detector's movements between stops are not in it: headers do not tell them.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    float or None, s
        None also where files differ in it, or there are several detectors.

    Raises
    ------
    MeasureError
        When a number of the rotation is none.
    """
    found = {_rotation(one, headers) for one in headers.datasets}
    rotation = found.pop()
    if found or rotation is None:
        return None
    frame, views, arc, step = rotation
    # Beyond 180 degrees two heads may have shared the arc, which halves the time.
    if min(frame, views, arc, step) <= 0 or arc > 180.0 or abs(views * step - arc) > step * 1.01:
        return None
    return frame * views / 1000.0


def _rotation(dataset: pydicom.Dataset, headers: Headers) -> tuple[float, ...] | None:
    """Time of a stop in ms, number of stops, arc and step in degrees; None where open to doubt."""
    rotations = dataset.get("RotationInformationSequence") or []
    heads = float(len(dataset.get("DetectorInformationSequence") or []))
    for place in (dataset, *rotations):
        heads = max(heads, stated_number(place, "NumberOfDetectors", headers) or 0.0)
    # Several rotations may be one after the other or one a bed, and several heads may each have
    # turned by the whole arc or, side by side (L-mode), have shared it.
    if len(rotations) != 1 or heads > 1:
        return None
    return tuple(
        stated_number(rotations[0], keyword, headers) or 0.0
        for keyword in (
            "ActualFrameDuration",
            "NumberOfFramesInRotation",
            "ScanArc",
            "AngularStep",
        )
    )
