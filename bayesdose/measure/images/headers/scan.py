"""What headers say of a scan as a whole."""

import hashlib
import warnings
from datetime import timedelta
from typing import Any

from bayesdose.measure.images.headers.corrections import REFERENCES, check_corrections, corrections
from bayesdose.measure.images.headers.decay import check_decay_factor, frames_of, reference_time
from bayesdose.measure.images.headers.injection import injected_at, injected_mbq
from bayesdose.measure.images.headers.radionuclide import radionuclide_of
from bayesdose.measure.images.headers.times import acquisitions, seconds
from bayesdose.measure.images.headers.units import spect_duration_s, units_of
from bayesdose.measure.images.headers.values import Headers
from bayesdose.measure.images.image import Scan

#: Longest acquisition, s.
_LONGEST_S = 6 * 3600.0


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
        known = {"started": min(acquisitions(headers), default=None)}
    return Scan(
        modality=modality,
        units=units,
        weight_kg=_weight_kg(headers),
        height_cm=_height_cm(headers),
        patient=pseudonym(headers.one("PatientID")),
        frame_of_reference=headers.one("FrameOfReferenceUID"),
        **known,
    )


def _pet(headers: Headers) -> dict[str, Any]:
    correction = headers.one("DecayCorrection")
    if correction not in REFERENCES:
        raise headers.refused(
            f"DecayCorrection is {correction}; allowed are START and ADMIN, since beds without a "
            "correction each have a time of their own: reconstruct with decay correction, or "
            "correct each bed and give NIfTI"
        )
    check_corrections(headers)
    nuclide, half_life_s = radionuclide_of(headers)
    frames = frames_of(headers)
    first = min(frame.acquired for frame in frames)
    last = max(frame.acquired + timedelta(seconds=frame.duration_s) for frame in frames)
    if seconds(last, first) > _LONGEST_S:
        raise headers.refused(
            f"AcquisitionDate and AcquisitionTime run from {first} to {last}, longer than "
            f"{_LONGEST_S / 3600:g} h: give the files of one scan"
        )
    started = first
    if correction == "START":
        started = reference_time(headers, frames, half_life_s)
    injected = injected_at(headers, started, half_life_s)
    check_decay_factor(headers, frames, half_life_s, correction, started, injected)
    return {
        "started": started,
        # Without the length of every frame the end is not known.
        "duration_s": seconds(last, started) if all(one.duration_s for one in frames) else None,
        "decay_corrected_to": REFERENCES[correction],
        "radionuclide": nuclide,
        "injected_mbq": injected_mbq(headers, nuclide),
        "injected_at": injected,
    }


def _spect(headers: Headers) -> dict[str, Any]:
    nuclide, half_life_s = radionuclide_of(headers)
    started = min(acquisitions(headers), default=None)
    correction = headers.one("DecayCorrection")
    if correction not in (None, "NONE", *REFERENCES):
        raise headers.refused(f"DecayCorrection is {correction}; allowed are START, ADMIN, NONE")
    check_corrections(headers)
    if correction is None and "DECY" in corrections(headers):
        warnings.warn(
            f"{headers.name}: CorrectedImage says that decay is corrected, and no DecayCorrection "
            "to which time: ask the software that reconstructed it",
            stacklevel=2,
        )
    return {
        "started": started,
        "duration_s": spect_duration_s(headers),
        "decay_corrected_to": REFERENCES.get(correction),
        "radionuclide": nuclide,
        "injected_mbq": injected_mbq(headers, nuclide),
        "injected_at": injected_at(headers, started, half_life_s),
    }


def pseudonym(patient_id: str | None) -> str | None:
    """Name that files of one patient have in common, which finds out files of two in one row.

    It hides nobody: the hash has no salt, and PatientID is mostly a short number, which trying
    them all finds. Guard it as PatientID itself.

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
