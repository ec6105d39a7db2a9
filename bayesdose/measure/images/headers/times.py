"""Dates, times of day and time zones in headers, all on the scanner's clock."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

from pydicom.valuerep import DA, DT, TM

from bayesdose.measure.images.headers.values import Headers

_STAMP = re.compile(r"\d{12,14}(\.\d{1,6})?([+-]\d{4})?")
_OFFSET = re.compile(r"(?P<sign>[+-])(?P<hours>\d{2})(?P<minutes>\d{2})")


def acquisitions(headers: Headers) -> Iterator[datetime]:
    """Start of the acquisition of each file that has one.

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
        When a date or time cannot be read.
    """
    for one in headers.datasets:
        found = moment(one.get("AcquisitionDate"), one.get("AcquisitionTime"), headers)
        if found is None and one.get("AcquisitionDateTime"):
            found = date_and_time(str(one.AcquisitionDateTime), headers)
        if found is not None:
            yield found


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


def date_and_time(text: str, headers: Headers, *, confirmed: bool = True) -> datetime:
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
        return TM(text.strip())
    except ValueError as err:
        raise headers.refused(f"a time of day is {text!r}; allowed is HHMMSS.FFFFFF") from err


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
