"""Dates, times of day and time zones in headers, all on the scanner's clock."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from pydicom.valuerep import DA, DT, TM

from bayesdose.measure.images.headers.values import Headers

_STAMP = re.compile(r"\d{12}(\d{2}(\.\d{1,6})?)?(?P<offset>[+-]\d{4})?")
_CLOCK = re.compile(r"\d{4}(\d{2}(\.\d{1,6})?)?")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>0\d|1[0-4])(?P<minutes>[0-5]\d)")
#: Longest time, s, between a stamp and what confirms it; time zones are 15 min apart or more.
_CONFIRMED_S = 60.0


def acquisitions(headers: Headers) -> Iterator[datetime]:
    """Start of the acquisition of each file that has one.

    That of AcquisitionDate and AcquisitionTime, which are on the scanner's clock by definition;
    without them of AcquisitionDateTime. Should that have an offset from UTC and the file not tell
    the zone of its clock, it may be on any: alone it is refused, and beside the other two it must
    agree with them.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Yields
    ------
    datetime

    Raises
    ------
    MeasureError
        When a date or time cannot be read, or is on a clock that is not known.
    """
    placed = headers.one("TimezoneOffsetFromUTC") is not None
    for one in headers.datasets:
        found = moment(one.get("AcquisitionDate"), one.get("AcquisitionTime"), headers)
        text = str(one.get("AcquisitionDateTime") or "").strip()
        if found is None and text:
            found = date_and_time(text, headers)
        elif found is not None and not placed:
            _check_confirmed(text, found, headers)
        if found is not None:
            yield found


def confirmed_stamp(text: str, plain: datetime, headers: Headers) -> datetime:
    """Date and time of one attribute, which another must confirm if its clock is not known.

    Parameters
    ----------
    text : str
        Value of the attribute.
    plain : datetime
        What it is held against, on the scanner's clock, should it have an offset from UTC and the
        file lack TimezoneOffsetFromUTC.
    headers : Headers
        Of the series.

    Returns
    -------
    datetime
        Without a time zone.

    Raises
    ------
    MeasureError
        When it cannot be read, or is not confirmed.
    """
    if headers.one("TimezoneOffsetFromUTC") is None:
        _check_confirmed(text, plain, headers)
    return date_and_time(text, headers, confirmed=True)


def _check_confirmed(text: str, plain: datetime, headers: Headers) -> None:
    """Refuse a stamp with an offset from UTC that is not the time which is known otherwise."""
    stamp = _STAMP.fullmatch(text.strip())
    if stamp is None or stamp["offset"] is None:
        return
    found = date_and_time(text.strip().removesuffix(stamp["offset"]), headers)
    if abs(seconds(found, plain)) > _CONFIRMED_S:
        raise headers.refused(
            f"a date and time is {text!r}, with an offset from UTC, and AcquisitionDate and "
            f"AcquisitionTime are {plain}; without TimezoneOffsetFromUTC both must be on the same "
            "clock: export again with TimezoneOffsetFromUTC, or correct the one that is wrong"
        )


def moment(day: str | None, clock: str | None, headers: Headers) -> datetime | None:
    """Date and time of two attributes.

    Parameters
    ----------
    day, clock : str or None
        Values of the attributes, such as those of SeriesDate and SeriesTime.
    headers : Headers
        Of the series, for messages.

    Returns
    -------
    datetime or None
        None where one of them is absent or empty.

    Raises
    ------
    MeasureError
        When one of them cannot be read.
    """
    if not day or not clock:
        return None
    try:
        on: Any = DA(day)
    except ValueError as err:
        raise headers.refused(f"a date is {day!r}; allowed is YYYYMMDD") from err
    return datetime(on.year, on.month, on.day) + since_midnight(time_of_day(clock, headers))


def date_and_time(text: str, headers: Headers, *, confirmed: bool = False) -> datetime:
    """Date and time on the scanner's clock, of one attribute.

    Parameters
    ----------
    text : str
        Value of the attribute.
    headers : Headers
        Of the series.
    confirmed : bool
        Whether there is another attribute to hold it against, should the file not tell the time
        zone of its clock.

    Returns
    -------
    datetime
        Without a time zone.

    Raises
    ------
    MeasureError
        When it cannot be read, or has an offset from UTC that leaves the scanner's clock open.
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
    if found.tzinfo is None:
        return datetime.combine(found.date(), found.time())
    zone = headers.one("TimezoneOffsetFromUTC")
    if zone is not None:
        return found.astimezone(_zone(str(zone), headers)).replace(tzinfo=None)
    if not confirmed:
        raise headers.refused(
            f"a date and time is {text!r}, with an offset from UTC, and TimezoneOffsetFromUTC does "
            "not tell that of the scan's times: export again with it"
        )
    return datetime.combine(found.date(), found.time())


def _zone(text: str, headers: Headers) -> tzinfo:
    found = _OFFSET.fullmatch(text)
    if found is None:
        raise headers.refused(
            f"TimezoneOffsetFromUTC is {text!r}; allowed is &ZZXX, as in +0200, of up to 14 hours: "
            "correct or remove it"
        )
    offset = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
    return timezone(-offset if found["sign"] == "-" else offset)


def time_of_day(text: str, headers: Headers) -> Any:
    """Time of day.

    Parameters
    ----------
    text : str
        Value of the attribute.
    headers : Headers
        Of the series, for messages.

    Returns
    -------
    datetime.time

    Raises
    ------
    MeasureError
        When it cannot be read.
    """
    try:
        # pydicom takes hours alone for a time on the hour.
        found = TM(text.strip()) if _CLOCK.fullmatch(text.strip()) else None
    except ValueError:
        found = None
    if found is None:
        raise headers.refused(
            f"a time of day is {text!r}; allowed is HHMMSS.FFFFFF, at least to the minute"
        )
    return found


def since_midnight(time: Any) -> timedelta:
    """Time since midnight.

    Parameters
    ----------
    time : datetime.time or datetime
        Of which only the time of day counts.

    Returns
    -------
    timedelta
    """
    return timedelta(
        hours=time.hour, minutes=time.minute, seconds=time.second, microseconds=time.microsecond
    )


def seconds(later: datetime, earlier: datetime) -> float:
    """Seconds by which a moment is after another, below 0 where it is before it.

    Parameters
    ----------
    later, earlier : datetime
        Both on the scanner's clock.

    Returns
    -------
    float, s
    """
    return (later - earlier).total_seconds()
