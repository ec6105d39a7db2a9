"""Hours between moments that may or may not have a time zone."""

from datetime import datetime

from bayesdose.errors import MeasureError


def hours_between(begin: datetime, end: datetime, what: str) -> float:
    """Hours from one moment to another, below 0 where the second comes first.

    Parameters
    ----------
    begin, end : datetime
        Both with a time zone, or both without.
    what : str
        For messages.

    Returns
    -------
    float, h

    Raises
    ------
    MeasureError
        When one has a time zone and the other not.
    """
    if (begin.tzinfo is None) != (end.tzinfo is None):
        raise MeasureError(
            f"{what}: {begin} and {end}: one has a time zone and the other not; write both alike"
        )
    return (end - begin).total_seconds() / 3600.0


def hours_after(injection: datetime, scan: datetime, what: str) -> float:
    """Hours from an injection to a scan.

    Parameters
    ----------
    injection, scan : datetime
        Both with a time zone, or both without.
    what : str
        For messages.

    Returns
    -------
    float, h

    Raises
    ------
    MeasureError
        When the scan does not come after the injection, or time zones are not stated alike.
    """
    hours = hours_between(injection, scan, what)
    if hours <= 0:
        raise MeasureError(
            f"{what}: the scan of {scan} does not come after the injection of {injection}; check "
            "dates, time zones and which injection it is"
        )
    return hours
