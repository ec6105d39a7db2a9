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
    """Refuse an image whose headers disagree on whether decay is corrected.

    Parameters
    ----------
    headers : Headers
        Of all files of the series.

    Raises
    ------
    MeasureError
        When DecayCorrection names a time and CorrectedImage does not list the correction, or
        DecayCorrection is NONE and CorrectedImage lists it.

    Warns
    -----
    UserWarning
        When attenuation is not corrected.
    """
    found = corrections(headers)
    correction = headers.one("DecayCorrection")
    if found and correction is not None and (correction in REFERENCES) != ("DECY" in found):
        raise headers.refused(
            f"contradicts itself: DecayCorrection is {correction}, and CorrectedImage "
            f"{'lists' if 'DECY' in found else 'does not list'} DECY: ask the software that "
            "reconstructed it, and correct the one that is wrong"
        )
    if found and "ATTN" not in found:
        warnings.warn(
            f"{headers.name}: CorrectedImage does not list ATTN: without attenuation correction "
            "its activities are far too low",
            stacklevel=2,
        )
