"""Decay correction: the time that it refers to, and whether its factors agree."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from bayesdose.measure.images.headers.times import (
    acquisitions,
    confirmed_stamp,
    moment,
    seconds,
)
from bayesdose.measure.images.headers.values import Headers, stated_number

_ROUNDING_S = 1.0
#: Longest time, s, by which a scan may begin before its first image without a DecayFactor, which
#: the standard demands of every image that is corrected for decay.
_EARLY_S = 900.0
#: Error, s, of the reference time that a DecayFactor implies, besides the length of its frame:
#: vendors place the factor at a frame's start, middle or mean.
_FACTOR_S = 300.0


@dataclass(frozen=True)
class Frame:
    """When the data of one file were acquired.

    Parameters
    ----------
    acquired : datetime
        Start of the acquisition.
    duration_s : float, s
        0 where the header does not say.
    since_reference_s : float, s
        FrameReferenceTime: from the series' reference to the frame's mean count rate; 0 where the
        header does not say.
    decay_factor : float or None
        What the frame was multiplied with; None where the header does not say.
    """

    acquired: datetime
    duration_s: float
    since_reference_s: float
    decay_factor: float | None

    def reference(self, half_life_s: float) -> datetime | None:
        """Time that the decay correction of this frame refers to, by its DecayFactor.

        Parameters
        ----------
        half_life_s : float, s
            Of the radionuclide.

        Returns
        -------
        datetime or None
            None where there is no factor above 0.
        """
        if self.decay_factor is None or self.decay_factor <= 0:
            return None
        return self.acquired - timedelta(seconds=half_life_s * np.log2(self.decay_factor))


def frames_of(headers: Headers) -> list[Frame]:
    """When the data of each file of a PET were acquired.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    list of Frame
        One a file, in their order.

    Raises
    ------
    MeasureError
        When the time of an acquisition is missing, or cannot be read.
    """
    times = list(acquisitions(headers))
    if len(times) < len(headers.datasets):
        raise headers.refused(
            "AcquisitionDate or AcquisitionTime is missing, so that the time of the scan is not "
            "known: export again with them"
        )
    return [
        Frame(
            acquired=time,
            duration_s=(stated_number(one, "ActualFrameDuration", headers) or 0.0) / 1000.0,
            since_reference_s=(stated_number(one, "FrameReferenceTime", headers) or 0.0) / 1000.0,
            decay_factor=stated_number(one, "DecayFactor", headers),
        )
        for time, one in zip(times, headers.datasets, strict=True)
    ]


def reference_time(headers: Headers, frames: list[Frame], half_life_s: float | None) -> datetime:
    """Time that a correction to the scan's start refers to.

    The series' time, unless the series was made after the scan; then what else tells it. GE's
    stamp of the scan, should it have an offset from UTC that the file does not place on its clock,
    must be that of the first image.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.
    frames : list of Frame
        Of each file.
    half_life_s : float or None, s
        Of the radionuclide.

    Returns
    -------
    datetime

    Raises
    ------
    MeasureError
        When it is not known, or times contradict each other.
    """
    first = min(frame.acquired for frame in frames)
    series = moment(headers.one("SeriesDate"), headers.one("SeriesTime"), headers)
    if series is not None and seconds(first, series) >= -_ROUNDING_S:
        _check_early(headers, frames, "the series", series)
        return series
    stamp = headers.private("GEMS_PETD_01", 0x0009, 0x0D)
    if stamp is not None:
        scan = confirmed_stamp(str(stamp), first, headers)
        if seconds(first, scan) >= -_ROUNDING_S:
            _check_early(headers, frames, "the scan by GE's (0009,100d)", scan)
            return scan
    return _reference_of_frames(headers, frames, half_life_s)


def _check_early(headers: Headers, frames: list[Frame], what: str, start: datetime) -> None:
    first = min(frame.acquired for frame in frames)
    if seconds(first, start) > _EARLY_S and not _informative(frames):
        raise headers.refused(
            f"{what} begins at {start}, more than {_EARLY_S / 60:g} min before the first image at "
            f"{first}, and no DecayFactor tells which of them the decay correction refers to: "
            "export the original series, with DecayFactor"
        )


def _reference_of_frames(
    headers: Headers, frames: list[Frame], half_life_s: float | None
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
    if seconds(max(found), min(found)) > 60.0:
        raise headers.refused(
            f"AcquisitionTime and FrameReferenceTime of its files give scan starts from "
            f"{min(found)} to {max(found)}: export the original series"
        )
    first = min(frame.acquired for frame in frames)
    if seconds(min(found), first) > 60.0:
        raise headers.refused(
            f"FrameReferenceTime puts the scan's start at {min(found)}, after its first image at "
            f"{first}: export the original series"
        )
    return min(found)


def check_decay_factor(
    headers: Headers,
    frames: list[Frame],
    half_life_s: float | None,
    correction: str,
    started: datetime,
    injected: datetime | None,
) -> None:
    """Refuse a correction whose factors belong to another time than it claims.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.
    frames : list of Frame
        Of each file.
    half_life_s : float or None, s
        Of the radionuclide; without it nothing is checked.
    correction : {"START", "ADMIN"}
        DecayCorrection.
    started, injected : datetime or None
        Scan start and injection; without the one that is claimed nothing is checked.

    Raises
    ------
    MeasureError
        When a factor implies the other time, or a time that is neither.
    """
    claimed, other = (started, injected) if correction == "START" else (injected, started)
    if half_life_s is None or claimed is None:
        return
    for frame in frames:
        implied = frame.reference(half_life_s)
        off = 0.0 if implied is None else abs(seconds(implied, claimed))
        if implied is None or off <= frame.duration_s + _FACTOR_S:
            continue
        if other is not None and abs(seconds(implied, other)) < off:
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


def _informative(frames: list[Frame]) -> bool:
    """Whether DecayFactor is filled in: 1 throughout is also what is written without a thought."""
    factors = [frame.decay_factor for frame in frames]
    return all(one is not None for one in factors) and any(one != 1.0 for one in factors)
