"""Which corrections headers say were made."""

import warnings

from bayesdose.measure.images.headers.values import Headers

#: DecayCorrection → time that it refers to, as in `Scan`.
REFERENCES = {"START": "scan_start", "ADMIN": "injection"}


def corrections(headers: Headers) -> tuple[str, ...]:
    """Corrections that CorrectedImage lists.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Returns
    -------
    tuple of str
        Such as ``"DECY"``; empty where the headers do not say.

    Raises
    ------
    MeasureError
        When files differ in it.
    """
    found = headers.one("CorrectedImage")
    return (found,) if isinstance(found, str) else found or ()


def check_corrections(headers: Headers) -> None:
    """Refuse a PET without decay correction that claims one.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Raises
    ------
    MeasureError
        When DecayCorrection names a time and CorrectedImage does not list the correction.

    Warns
    -----
    UserWarning
        When attenuation is not corrected.
    """
    found = corrections(headers)
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
