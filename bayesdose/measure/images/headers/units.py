"""Units of voxels, and what brings them there."""

from dataclasses import dataclass

import pydicom

from bayesdose.measure.images.headers.values import Headers, stated_number

_CONCENTRATIONS = ("Bq/ml", "Bq/mL", "Bq/cm3")
_COUNTS = "{counts}"


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
        factor = headers.private("Philips PET Private Group", 0x7053, 0x09)
        if factor is None or not float(factor) > 0:
            raise headers.refused(
                "Units are counts, without Philips's activity concentration factor (7053,1009): "
                "export the image in Bq/mL"
            )
        return "Bq/mL", float(factor)
    raise headers.refused(
        f"Units are {units}; allowed are BQML, GML and Philips's CNTS: export the image in Bq/mL"
    )


def _spect_units(headers: Headers) -> tuple[str | None, float]:
    mapped = real_world_map(headers)
    units = headers.one("Units")
    if units not in (None, "BQML", "CNTS"):
        raise headers.refused(
            f"Units are {units}; allowed are BQML, CNTS or none: export the image in Bq/mL"
        )
    if mapped is not None and units is not None and (mapped.units == "Bq/mL") != (units == "BQML"):
        raise headers.refused(
            f"Units are {units}, and RealWorldValueMappingSequence gives {mapped.units or 'counts'}"
        )
    if units == "BQML" or (mapped is not None and mapped.units == "Bq/mL"):
        return "Bq/mL", 1.0
    duration = spect_duration_s(headers)
    # Without a word of the header, voxels may be counts or anything that a workstation made.
    counts = units == "CNTS" or mapped is not None
    return ("cps", 1.0 / duration) if counts and duration is not None else (None, 1.0)


@dataclass(frozen=True)
class RealWorldMap:
    """Line from stored voxels to quantities.

    Parameters
    ----------
    units : str or None
        ``"Bq/mL"``; None for counts.
    slope, intercept : float
        Of the line.
    """

    units: str | None
    slope: float
    intercept: float


def real_world_map(headers: Headers) -> RealWorldMap | None:
    """Line that RealWorldValueMappingSequence gives for a SPECT, as quantitative ones have it.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    RealWorldMap or None
        That to Bq/mL before that to counts; None where the file has none. Files of a series may
        have other slopes: give one at a time.

    Raises
    ------
    MeasureError
        When no map is in Bq/ml or counts, several are, or one is a table.
    """
    found: dict[str, list[pydicom.Dataset]] = {}
    for item in headers.datasets[0].get("RealWorldValueMappingSequence") or []:
        codes = item.get("MeasurementUnitsCodeSequence") or [pydicom.Dataset()]
        found.setdefault(str(codes[0].get("CodeValue", "")), []).append(item)
    if not found:
        return None
    fitting = [one for units in _CONCENTRATIONS for one in found.get(units, [])]
    units = "Bq/mL" if fitting else None
    fitting = fitting or found.get(_COUNTS, [])
    if len(fitting) != 1 or "RealWorldValueSlope" not in fitting[0]:
        raise headers.refused(
            f"RealWorldValueMappingSequence gives {', '.join(found)}; allowed is one line to Bq/ml "
            f"or {_COUNTS}: export the image in Bq/ml"
        )
    item = fitting[0]
    intercept = float(item.get("RealWorldValueIntercept", 0.0))
    return RealWorldMap(units, float(item.RealWorldValueSlope), intercept)


def spect_duration_s(headers: Headers) -> float | None:
    """Time of all stops of a SPECT, where the header leaves one way to count them.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    float or None, s

    Raises
    ------
    MeasureError
        When a number of the rotation is none.
    """
    rotations = headers.datasets[0].get("RotationInformationSequence") or []
    # Several rotations may be one after the other or one a bed.
    if len(rotations) != 1:
        return None
    frame, views, arc, step = (
        stated_number(rotations[0], keyword, headers) or 0.0
        for keyword in (
            "ActualFrameDuration",
            "NumberOfFramesInRotation",
            "ScanArc",
            "AngularStep",
        )
    )
    # Beyond 180 degrees two heads may have shared the arc, which halves the time.
    if min(frame, views, arc, step) <= 0 or arc > 180.0 or abs(views * step - arc) > step * 1.01:
        return None
    return frame * views / 1000.0
