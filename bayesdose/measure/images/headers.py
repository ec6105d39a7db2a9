"""What DICOM headers say of a scan, and where they contradict themselves."""

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
import pydicom
from pydicom.valuerep import DA, DT, TM

from bayesdose.errors import MeasureError
from bayesdose.measure.images.image import Scan
from bayesdose.measure.nuclides import HALF_LIVES_H

#: SOP classes that can be read → modality.
MODALITIES = {
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.481.2": "RTDOSE",
}
_REFERENCES = {"START": "scan_start", "ADMIN": "injection"}
_DRUG = "RadiopharmaceuticalInformationSequence"
_CONCENTRATIONS = ("Bq/ml", "Bq/mL", "Bq/cm3")
_COUNTS = "{counts}"
_STAMP = re.compile(r"\d{12,14}(\.\d{1,6})?([+-]\d{4})?")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>\d{2})")
#: Names of elements in radionuclide codes, and their symbols.
_ELEMENTS = {
    "actinium": "Ac",
    "carbon": "C",
    "copper": "Cu",
    "fluorine": "F",
    "gallium": "Ga",
    "germanium": "Ge",
    "holmium": "Ho",
    "indium": "In",
    "iodine": "I",
    "lutetium": "Lu",
    "nitrogen": "N",
    "oxygen": "O",
    "rubidium": "Rb",
    "samarium": "Sm",
    "scandium": "Sc",
    "technetium": "Tc",
    "terbium": "Tb",
    "yttrium": "Y",
    "zirconium": "Zr",
}
#: Largest relative difference between a half-life in a header and that of its nuclide.
_HALF_LIFE_APART = 0.01
#: Activities from here on are in Bq, those below in MBq: 0.1 MBq and 100 GBq are never injected.
_BQ_FROM = 1e5
_INJECTED_MBQ = (1.0, 20000.0)
_DAY_S = 86400.0
#: Half-lives after which nothing is left to be seen.
_SPENT = 10.0
_CLOCKS_APART_S = 5.0
_ROUNDING_S = 1.0
#: Longest time, s, by which a series may begin before its first image without more evidence.
_EARLY_S = 3600.0
#: Longest acquisition, s.
_LONGEST_S = 6 * 3600.0
#: Error, s, of the reference time that a DecayFactor implies, besides the length of its frame:
#: vendors place the factor at a frame's start, middle or mean.
_FACTOR_S = 300.0


@dataclass(frozen=True)
class Headers:
    """Headers of the files of one series, which speak with one voice.

    Parameters
    ----------
    datasets : sequence of pydicom.Dataset
        One a file.
    name : str
        Of the file or folder, for messages.
    """

    datasets: Sequence[pydicom.Dataset]
    name: str

    @property
    def modality(self) -> str:
        """Modality that the SOP class stands for, whatever the modality attribute says.

        Returns
        -------
        str
        """
        return MODALITIES[self.datasets[0].SOPClassUID]

    def refused(self, text: str) -> MeasureError:
        """Error about this series.

        Parameters
        ----------
        text : str
            What is wrong.

        Returns
        -------
        MeasureError
        """
        return MeasureError(f"{self.name}: {text}")

    def one(self, keyword: str) -> Any:
        """Value of an attribute that is the same in all files.

        Parameters
        ----------
        keyword : str
            Such as ``"Units"``.

        Returns
        -------
        str, float, tuple or None
            None where it is absent or empty.

        Raises
        ------
        MeasureError
            When files differ in it, or it cannot be read.
        """
        return self._agreed(keyword, lambda dataset: dataset.get(keyword))

    def drug(self, keyword: str) -> Any:
        """Value of an attribute of the injected radiopharmaceutical.

        Parameters
        ----------
        keyword : str
            Such as ``"RadionuclideTotalDose"``.

        Returns
        -------
        str, float, tuple or None
            None where it is absent or empty.

        Raises
        ------
        MeasureError
            When files differ in it, or there are several radiopharmaceuticals.
        """

        def of(dataset: pydicom.Dataset) -> Any:
            items = dataset.get(_DRUG) or []
            if len(items) > 1:
                raise self.refused(
                    f"{_DRUG} lists {len(items)} injections; only scans after one are read: split "
                    "the doses yourself and give activity and time to suv_factor"
                )
            return items[0].get(keyword) if len(items) else None

        return self._agreed(keyword, of)

    def private(self, creator: str, group: int, element: int) -> Any:
        """Value of a private attribute, whose creator must be the one that is named.

        Parameters
        ----------
        creator : str
            Such as ``"GEMS_PETD_01"``.
        group, element : int
            Such as 0x0009 and 0x0d.

        Returns
        -------
        str, float or None
            None where it is absent.

        Raises
        ------
        MeasureError
            When files differ in it.
        """

        def of(dataset: pydicom.Dataset) -> Any:
            try:
                value = dataset.private_block(group, creator)[element].value
            except KeyError:
                return None
            return value.decode("ascii", "replace") if isinstance(value, bytes) else value

        return self._agreed(f"({group:04x},xx{element:02x}) of {creator}", of)

    def number(self, keyword: str, find: Callable[[str], Any] | None = None) -> float | None:
        """Number above 0 that is the same in all files.

        Parameters
        ----------
        keyword : str
            Such as ``"PatientWeight"``.
        find : callable, optional
            Where to look for it: `one` unless given.

        Returns
        -------
        float or None
            None where it is absent or 0, which is how scanners write unknown.

        Raises
        ------
        MeasureError
            When it is no number, or below 0.
        """
        value = (find or self.one)(keyword)
        if value is None:
            return None
        try:
            number = float(value)
        except (TypeError, ValueError) as err:
            raise self.refused(f"{keyword} holds no number") from err
        if not np.isfinite(number) or number < 0:
            raise self.refused(f"{keyword} is {number:g}; it must be above 0, or absent")
        return number or None

    def _agreed(self, what: str, find: Callable[[pydicom.Dataset], Any]) -> Any:
        try:
            values = list(dict.fromkeys(_plain(find(dataset)) for dataset in self.datasets))
        except MeasureError:
            raise
        except (TypeError, ValueError) as err:
            raise self.refused(f"{what} cannot be read: its value is malformed") from err
        if len(values) > 1:
            # An identity never enters a message.
            shown = "" if what.startswith("Patient") else f" ({values[0]} and {values[1]})"
            raise self.refused(
                f"{what} differs between files of the series{shown}: give the files of one scan"
            )
        return values[0]


def _plain(value: Any) -> Any:
    """Hashable value, so that 1.0 and 1.00 are the same; None where there is none."""
    if isinstance(value, pydicom.Sequence):
        return " / ".join(str(item.get("CodeMeaning", "")) for item in value) or None
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(_plain(one) for one in value) or None
    return float(value) if isinstance(value, int | float) else value


def scan_of(headers: Headers) -> Scan:
    """Collect what the headers of a series say of its scan.

    Times are those of the scanner's clock: stamps with an offset from UTC are brought to the
    file's TimezoneOffsetFromUTC.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    Scan
        With None for what the headers do not say.

    Raises
    ------
    MeasureError
        When headers contradict each other or themselves, or leave open what the voxels mean.

    Warns
    -----
    UserWarning
        When an activity is not in the standard's unit, an injection has no date, or a correction
        is said or missing without the particulars.
    """
    modality = headers.modality
    units, _ = units_of(headers)
    known: dict[str, Any] = {}
    if modality == "PT":
        known = _pet(headers)
    elif modality == "NM":
        known = _spect(headers)
    elif modality == "CT":
        known = {"started": min(_acquisitions(headers), default=None)}
    return Scan(
        modality=modality,
        units=units,
        weight_kg=_weight_kg(headers),
        height_cm=_height_cm(headers),
        patient=pseudonym(headers.one("PatientID")),
        frame_of_reference=headers.one("FrameOfReferenceUID"),
        **known,
    )


def stated_number(dataset: pydicom.Dataset, keyword: str, headers: Headers) -> float | None:
    """Number that one file states.

    Parameters
    ----------
    dataset : pydicom.Dataset
        Header of the file, or an item of it.
    keyword : str
        Such as ``"RescaleSlope"``.
    headers : Headers
        Of the series, for messages.

    Returns
    -------
    float or None
        None where it is absent or empty.

    Raises
    ------
    MeasureError
        When it is no finite number.
    """
    value = dataset.get(keyword)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError) as err:
        raise headers.refused(f"{keyword} holds no number") from err
    if not np.isfinite(number):
        raise headers.refused(f"{keyword} is {number:g}; it must be finite")
    return number


def pseudonym(patient_id: str | None) -> str | None:
    """Name that files of one patient have in common and that does not tell who it is.

    Parameters
    ----------
    patient_id : str or None
        PatientID.

    Returns
    -------
    str or None
        None where there is no PatientID.
    """
    text = (patient_id or "").strip()
    return f"P-{hashlib.sha256(text.encode()).hexdigest()[:12]}" if text else None


def _weight_kg(headers: Headers) -> float | None:
    weight = headers.number("PatientWeight")
    if weight is not None and weight > 400.0:
        raise headers.refused(f"PatientWeight is {weight:g}; it is in kg by the standard: in g?")
    return weight


def _height_cm(headers: Headers) -> float | None:
    size = headers.number("PatientSize")
    if size is not None and size > 3.0:
        raise headers.refused(f"PatientSize is {size:g}; it is in m by the standard: in cm?")
    return None if size is None else 100.0 * size


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
    duration = _spect_duration_s(headers)
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


def _spect(headers: Headers) -> dict[str, Any]:
    nuclide, half_life_s = _radionuclide(headers)
    started = min(_acquisitions(headers), default=None)
    correction = headers.one("DecayCorrection")
    if correction not in (None, "NONE", *_REFERENCES):
        raise headers.refused(f"DecayCorrection is {correction}; allowed are START, ADMIN, NONE")
    if correction is None and "DECY" in _corrections(headers):
        warnings.warn(
            f"{headers.name}: CorrectedImage says that decay is corrected, and no DecayCorrection "
            "to which time: ask the software that reconstructed it",
            stacklevel=2,
        )
    return {
        "started": started,
        "duration_s": _spect_duration_s(headers),
        "decay_corrected_to": _REFERENCES.get(correction),
        "radionuclide": nuclide,
        "injected_mbq": _injected_mbq(headers),
        "injected_at": _injected_at(headers, started, half_life_s),
    }


def _spect_duration_s(headers: Headers) -> float | None:
    """Time of all stops, where the header leaves one way to count them."""
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


def _pet(headers: Headers) -> dict[str, Any]:
    correction = headers.one("DecayCorrection")
    if correction not in _REFERENCES:
        raise headers.refused(
            f"DecayCorrection is {correction}; allowed are START and ADMIN, since beds without a "
            "correction each have a time of their own: reconstruct with decay correction, or "
            "correct each bed and give NIfTI"
        )
    _check_corrections(headers)
    nuclide, half_life_s = _radionuclide(headers)
    frames = _frames(headers)
    first = min(frame.acquired for frame in frames)
    last = max(frame.acquired + timedelta(seconds=frame.duration_s) for frame in frames)
    if (last - first).total_seconds() > _LONGEST_S:
        raise headers.refused(
            f"AcquisitionDate and AcquisitionTime run from {first} to {last}, longer than "
            f"{_LONGEST_S / 3600:g} h: give the files of one scan"
        )
    started = first
    if correction == "START":
        started = _reference(headers, frames, half_life_s)
    injected = _injected_at(headers, started, half_life_s)
    _check_decay_factor(headers, frames, half_life_s, correction, started, injected)
    return {
        "started": started,
        "duration_s": (last - first).total_seconds() or None,
        "decay_corrected_to": _REFERENCES[correction],
        "radionuclide": nuclide,
        "injected_mbq": _injected_mbq(headers),
        "injected_at": injected,
    }


def _corrections(headers: Headers) -> tuple[str, ...]:
    found = headers.one("CorrectedImage")
    return (found,) if isinstance(found, str) else found or ()


def _check_corrections(headers: Headers) -> None:
    found = _corrections(headers)
    if found and "DECY" not in found:
        raise headers.refused(
            f"contradicts itself: DecayCorrection is {headers.one('DecayCorrection')}, and "
            "CorrectedImage does not list DECY"
        )
    if found and "ATTN" not in found:
        warnings.warn(
            f"{headers.name}: CorrectedImage does not list ATTN: without attenuation correction "
            "its activities are far too low",
            stacklevel=2,
        )


@dataclass(frozen=True)
class _Frame:
    """When the data of one file were acquired."""

    acquired: datetime
    duration_s: float
    since_reference_s: float
    decay_factor: float | None

    def reference(self, half_life_s: float) -> datetime | None:
        """Time that the decay correction of this frame refers to, by its DecayFactor."""
        if self.decay_factor is None or self.decay_factor <= 0:
            return None
        return self.acquired - timedelta(seconds=half_life_s * np.log2(self.decay_factor))


def _frames(headers: Headers) -> list[_Frame]:
    times = list(_acquisitions(headers))
    if len(times) < len(headers.datasets):
        raise headers.refused(
            "AcquisitionDate or AcquisitionTime is missing, so that the time of the scan is not "
            "known: export again with them"
        )
    return [
        _Frame(
            acquired=time,
            duration_s=(stated_number(one, "ActualFrameDuration", headers) or 0.0) / 1000.0,
            since_reference_s=(stated_number(one, "FrameReferenceTime", headers) or 0.0) / 1000.0,
            decay_factor=stated_number(one, "DecayFactor", headers),
        )
        for time, one in zip(times, headers.datasets, strict=True)
    ]


def _reference(headers: Headers, frames: list[_Frame], half_life_s: float | None) -> datetime:
    """Time that a correction to the scan's start refers to.

    The series' time, unless the series was made after the scan; then what else tells it.
    """
    first = min(frame.acquired for frame in frames)
    series = _moment(headers.one("SeriesDate"), headers.one("SeriesTime"), headers)
    if series is not None and _seconds(first, series) >= -_ROUNDING_S:
        if _seconds(first, series) > _EARLY_S and not _informative(frames):
            raise headers.refused(
                f"the series begins at {series}, more than an hour before the first image at "
                f"{first}, and no DecayFactor tells which of them the decay correction refers to"
            )
        return series
    stamp = headers.private("GEMS_PETD_01", 0x0009, 0x0D)
    if stamp is not None:
        scan = _stamp(str(stamp), headers)
        if _seconds(first, scan) >= -_ROUNDING_S:
            return scan
    return _reference_of_frames(headers, frames, half_life_s)


def _reference_of_frames(
    headers: Headers, frames: list[_Frame], half_life_s: float | None
) -> datetime:
    """Reference from FrameReferenceTime, which is that of a frame's mean count rate (QIBA)."""
    unknown = headers.refused(
        "the series was made after the scan, and neither GE's scan time (0009,100d) nor "
        "FrameReferenceTime, ActualFrameDuration and RadionuclideHalfLife tell to which time its "
        "decay is corrected: export the original series"
    )
    if half_life_s is None or min(min(f.since_reference_s, f.duration_s) for f in frames) <= 0:
        raise unknown
    rate = np.log(2.0) / half_life_s
    found = []
    for frame in frames:
        mean_s = np.log(rate * frame.duration_s / -np.expm1(-rate * frame.duration_s)) / rate
        found.append(frame.acquired + timedelta(seconds=mean_s - frame.since_reference_s))
    if _seconds(max(found), min(found)) > 60.0:
        raise headers.refused(
            f"AcquisitionTime and FrameReferenceTime of its files give scan starts from "
            f"{min(found)} to {max(found)}: export the original series"
        )
    first = min(frame.acquired for frame in frames)
    if _seconds(min(found), first) > 60.0:
        raise headers.refused(
            f"FrameReferenceTime puts the scan's start at {min(found)}, after its first image at "
            f"{first}: export the original series"
        )
    return min(found)


def _informative(frames: list[_Frame]) -> bool:
    """Whether DecayFactor is filled in: 1 throughout is also what is written without a thought."""
    factors = [frame.decay_factor for frame in frames]
    return all(one is not None for one in factors) and any(one != 1.0 for one in factors)


def _check_decay_factor(
    headers: Headers,
    frames: list[_Frame],
    half_life_s: float | None,
    correction: str,
    started: datetime,
    injected: datetime | None,
) -> None:
    """Refuse a correction whose factors belong to another time than it claims."""
    claimed, other = (started, injected) if correction == "START" else (injected, started)
    if half_life_s is None or claimed is None:
        return
    for frame in frames:
        implied = frame.reference(half_life_s)
        off = 0.0 if implied is None else abs(_seconds(implied, claimed))
        if implied is None or off <= frame.duration_s + _FACTOR_S:
            continue
        if other is not None and abs(_seconds(implied, other)) < off:
            raise headers.refused(
                f"contradicts itself, corrected twice? DecayCorrection is {correction} "
                f"({claimed:%H:%M:%S}), and DecayFactor {frame.decay_factor:g} corrects to "
                f"{implied:%H:%M:%S}, nearer to the "
                f"{'injection' if correction == 'START' else 'scan start'} ({other:%H:%M:%S})"
            )
        if _informative(frames):
            raise headers.refused(
                f"contradicts itself: DecayCorrection is {correction} ({claimed:%H:%M:%S}), and "
                f"DecayFactor {frame.decay_factor:g} of an image acquired at "
                f"{frame.acquired:%H:%M:%S} corrects to {implied:%H:%M:%S}"
            )


def _radionuclide(headers: Headers) -> tuple[str | None, float | None]:
    """Name and half-life in s; the name by the code, without one by the half-life."""
    stated_s = headers.number("RadionuclideHalfLife", headers.drug)
    coded = _nuclide_name(headers.drug("RadionuclideCodeSequence") or "")
    near = [
        name
        for name, hours in HALF_LIVES_H.items()
        if stated_s is not None and abs(stated_s / (hours * 3600.0) - 1.0) <= _HALF_LIFE_APART
    ]
    if coded is None:
        coded = near[0] if near else None
    table_s = HALF_LIVES_H[coded] * 3600.0 if coded in HALF_LIVES_H else None
    if stated_s is not None and coded not in near and (near or table_s is not None):
        expected = f"that of {coded} is {table_s:g} s" if table_s else f"that is {near[0]}'s"
        raise headers.refused(
            f"contradicts itself: RadionuclideCodeSequence says {coded}, and RadionuclideHalfLife "
            f"is {stated_s:g} s; {expected}: correct the one that is wrong; with the half-life the "
            "decay correction is wrong too"
        )
    return coded, table_s or stated_s


def _nuclide_name(meaning: str) -> str | None:
    """Name such as F18 from ^18^Fluorine, F-18, 18F or Fluorine-18; None from other words."""
    mass = re.search(r"\d+", meaning)
    words = re.findall(r"[A-Za-z]+", meaning)
    names = [word for word in words if word != "m"]
    if mass is None or not names:
        return None
    symbol = _ELEMENTS.get(names[0].lower(), names[0].capitalize())
    if symbol not in _ELEMENTS.values():
        return None
    return f"{symbol}{mass.group()}{'m' if 'm' in words else ''}"


def _injected_mbq(headers: Headers) -> float | None:
    """Activity in MBq, from Bq (PET) or MBq (NM) and from files that have it the other way."""
    given = headers.number("RadionuclideTotalDose", headers.drug)
    if given is None:
        return None
    in_bq = given >= _BQ_FROM
    injected = given * 1e-6 if in_bq else given
    if not _INJECTED_MBQ[0] <= injected <= _INJECTED_MBQ[1]:
        raise headers.refused(
            f"RadionuclideTotalDose is {given:g}, which is {injected:g} MBq; allowed are "
            f"{_INJECTED_MBQ[0]:g} to {_INJECTED_MBQ[1]:g} MBq: in kBq, GBq or mCi?"
        )
    if in_bq != (headers.modality == "PT"):
        warnings.warn(
            f"{headers.name}: RadionuclideTotalDose is {given:g}, read as {injected:g} MBq; by the "
            f"standard the number is in {'MBq' if in_bq else 'Bq'}",
            stacklevel=2,
        )
    return injected


def _injected_at(
    headers: Headers, started: datetime | None, half_life_s: float | None
) -> datetime | None:
    clock = _clock(headers)
    text = headers.drug("RadiopharmaceuticalStartDateTime")
    if text is not None:
        injected = _stamp(str(text), headers, confirmed=clock is not None)
        _check_clock(headers, injected, clock)
    elif clock is not None:
        return _dated(headers, clock, started, half_life_s)
    else:
        return None
    if started is None:
        return injected
    uptake_s = _seconds(started, injected)
    if uptake_s < 0:
        raise headers.refused(
            f"the injection ({injected}) is after the scan ({started}): one of them is wrong"
        )
    if half_life_s is not None and uptake_s > _SPENT * half_life_s:
        raise headers.refused(
            f"the injection ({injected}) is {uptake_s / half_life_s:.3g} half-lives before the "
            f"scan ({started}): one of them is wrong"
        )
    return injected


def _clock(headers: Headers) -> timedelta | None:
    """RadiopharmaceuticalStartTime as a time since midnight."""
    text = headers.drug("RadiopharmaceuticalStartTime")
    return None if text is None else _since_midnight(_time(str(text), headers))


def _check_clock(headers: Headers, injected: datetime, clock: timedelta | None) -> None:
    if clock is None:
        return
    apart = abs((_since_midnight(injected) - clock).total_seconds())
    if min(apart, _DAY_S - apart) > _CLOCKS_APART_S:
        raise headers.refused(
            f"contradicts itself: RadiopharmaceuticalStartDateTime is {injected}, and "
            f"RadiopharmaceuticalStartTime is {datetime.min + clock:%H:%M:%S}"
        )


def _dated(
    headers: Headers, clock: timedelta, started: datetime | None, half_life_s: float | None
) -> datetime | None:
    """Date of an injection of which only the time of day is known.

    It is beyond doubt where nothing would be left of an injection a day earlier.
    """
    if started is None or half_life_s is None or _SPENT * half_life_s >= _DAY_S:
        warnings.warn(
            f"{headers.name}: RadiopharmaceuticalStartTime has no date, and the injection may have "
            "been on an earlier day than the scan: it is left out, state it yourself",
            stacklevel=2,
        )
        return None
    midnight = datetime(started.year, started.month, started.day)
    injected = midnight + clock
    if injected > started:
        injected -= timedelta(days=1)
    uptake_s = _seconds(started, injected)
    if uptake_s > min(_DAY_S / 2, _SPENT * half_life_s):
        raise headers.refused(
            f"RadiopharmaceuticalStartTime is {datetime.min + clock:%H:%M:%S} without a date, and "
            f"the scan began at {started}, so that the injection is after the scan or "
            f"{uptake_s / 3600:.3g} h before it: one of them is wrong"
        )
    return injected


def _acquisitions(headers: Headers) -> Iterator[datetime]:
    """Start of the acquisition of each file that has one."""
    for one in headers.datasets:
        found = _moment(one.get("AcquisitionDate"), one.get("AcquisitionTime"), headers)
        if found is None and one.get("AcquisitionDateTime"):
            found = _stamp(str(one.AcquisitionDateTime), headers)
        if found is not None:
            yield found


def _moment(day: str | None, clock: str | None, headers: Headers) -> datetime | None:
    if not day or not clock:
        return None
    try:
        on: Any = DA(day)
    except ValueError as err:
        raise headers.refused(f"a date is {day!r}; allowed is YYYYMMDD") from err
    return datetime(on.year, on.month, on.day) + _since_midnight(_time(clock, headers))


def _time(text: str, headers: Headers) -> Any:
    try:
        return TM(text.strip())
    except ValueError as err:
        raise headers.refused(f"a time of day is {text!r}; allowed is HHMMSS.FFFFFF") from err


def _stamp(text: str, headers: Headers, *, confirmed: bool = True) -> datetime:
    """Date and time on the scanner's clock.

    `confirmed` says that there is another attribute to hold it against, should the file not tell
    the time zone of its clock.
    """
    text = text.strip()
    try:
        # pydicom passes over what follows the part that it understands.
        found: Any = DT(text) if _STAMP.fullmatch(text) else None
    except ValueError:
        found = None
    if found is None:
        raise headers.refused(
            f"a date and time is {text!r}; allowed is YYYYMMDDHHMMSS.FFFFFF&ZZXX, with the time of "
            "day at least to the minute"
        )
    zone = headers.one("TimezoneOffsetFromUTC")
    if found.tzinfo is None:
        return datetime.combine(found.date(), found.time())
    if zone is not None:
        return found.astimezone(_zone(zone, headers)).replace(tzinfo=None)
    if not confirmed:
        raise headers.refused(
            f"a date and time is {text!r}, with an offset from UTC, and TimezoneOffsetFromUTC does "
            "not tell that of the scan's times"
        )
    return datetime.combine(found.date(), found.time())


def _zone(text: str, headers: Headers) -> tzinfo:
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise headers.refused(f"TimezoneOffsetFromUTC is {text!r}; allowed is &ZZXX, as in +0200")
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return timezone(-offset if found["sign"] == "-" else offset)


def _since_midnight(time: Any) -> timedelta:
    return timedelta(
        hours=time.hour, minutes=time.minute, seconds=time.second, microseconds=time.microsecond
    )


def _seconds(later: datetime, earlier: datetime) -> float:
    return (later - earlier).total_seconds()
