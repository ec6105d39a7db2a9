"""How much was injected, and when."""

import warnings
from datetime import datetime, timedelta

from bayesdose.measure.images.headers.times import (
    date_and_time,
    seconds,
    since_midnight,
    time_of_day,
)
from bayesdose.measure.images.headers.values import Headers

#: Activities from here on are in Bq, those below in MBq: 0.1 MBq and 100 GBq are never injected.
_BQ_FROM = 1e5
_INJECTED_MBQ = (1.0, 20000.0)
#: Least activity, MBq, of 177Lu in a therapy that is imaged by SPECT.
_LEAST_LU177_MBQ = 50.0
_DAY_S = 86400.0
#: Half-lives after which nothing is left to be seen.
_SPENT = 10.0
_CLOCKS_APART_S = 5.0


def injected_mbq(headers: Headers, nuclide: str | None) -> float | None:
    """Injected activity, from Bq (PET) or MBq (NM) and from files that have it the other way.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.
    nuclide : str or None
        Radionuclide, such as ``"Lu177"``.

    Returns
    -------
    float or None, MBq
        None where the headers do not say.

    Raises
    ------
    MeasureError
        When nobody is injected with so little or so much.

    Warns
    -----
    UserWarning
        When the number is not in the unit of the standard.
    """
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
    if headers.modality == "NM" and nuclide == "Lu177" and injected < _LEAST_LU177_MBQ:
        raise headers.refused(
            f"RadionuclideTotalDose is {given:g}, which is {injected:g} MBq; allowed of Lu177 are "
            f"{_LEAST_LU177_MBQ:g} MBq and more: is it in {'kBq' if in_bq else 'GBq'}? Correct it "
            "to MBq"
        )
    if in_bq != (headers.modality == "PT"):
        warnings.warn(
            f"{headers.name}: RadionuclideTotalDose is {given:g}, read as {injected:g} MBq; by the "
            f"standard the number is in {'MBq' if in_bq else 'Bq'}",
            stacklevel=2,
        )
    return injected


def injected_at(
    headers: Headers, started: datetime | None, half_life_s: float | None
) -> datetime | None:
    """Start of the injection on the scanner's clock.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.
    started : datetime or None
        Start of the scan.
    half_life_s : float or None, s
        Of the radionuclide.

    Returns
    -------
    datetime or None
        None where the headers do not say, or leave the date open.

    Raises
    ------
    MeasureError
        When attributes contradict each other, or the injection is after the scan or so long before
        it that nothing would be left.

    Warns
    -----
    UserWarning
        When the injection has a time of day, and its date is not known.
    """
    clock = _clock(headers)
    text = headers.drug("RadiopharmaceuticalStartDateTime")
    if text is not None:
        injected = date_and_time(str(text), headers, confirmed=clock is not None)
        _check_clock(headers, injected, clock)
    elif clock is not None:
        return _dated(headers, clock, started, half_life_s)
    else:
        return None
    if started is None:
        return injected
    uptake_s = seconds(started, injected)
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
    return None if text is None else since_midnight(time_of_day(str(text), headers))


def _check_clock(headers: Headers, injected: datetime, clock: timedelta | None) -> None:
    if clock is None:
        return
    apart = abs((since_midnight(injected) - clock).total_seconds())
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
    uptake_s = seconds(started, injected)
    if uptake_s > min(_DAY_S / 2, _SPENT * half_life_s):
        raise headers.refused(
            f"RadiopharmaceuticalStartTime is {datetime.min + clock:%H:%M:%S} without a date, and "
            f"the scan began at {started}, so that the injection is after the scan or "
            f"{uptake_s / 3600:.3g} h before it: one of them is wrong"
        )
    return injected
