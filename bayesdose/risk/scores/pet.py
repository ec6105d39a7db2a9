"""Scores read from PSMA PET: the PRIMARY score of the prostate."""

from dataclasses import replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.errors import RiskError
from bayesdose.risk.scores import tables
from bayesdose.risk.scores._inputs import check_shapes, in_range, looked_up
from bayesdose.risk.scores.tables import Bands, Floats

#: Letters and digits in the name of the tracer that the score was made with; one of each, because
#: 18F-PSMA-11 and 68Ga-PSMA-617 are others.
_NUCLIDE = ("68ga", "ga68")
_LIGAND = ("psma11", "hbedcc")

_PATTERN_HINT = "No dominant pattern, with low-grade activity, is 'none'."


def primary_score(
    pattern: ArrayLike,
    suv_max: ArrayLike,
    *,
    pet_tracer: str,
    suv_max_limit: float | None = None,
    limit_included: bool = False,
) -> Floats:
    """PRIMARY score of the prostate on PSMA PET, 1 to 5; 3 to 5 are positive.

    The pattern gives 1 to 4 and SUVmax above the limit gives 5, whatever the pattern.

    Parameters
    ----------
    pattern : array-like of str
        ``"none"`` (1: no dominant pattern, low-grade activity), ``"diffuse_transition_zone"`` (2),
        ``"symmetric_central_zone"`` (2: not reaching the margin of the prostate),
        ``"focal_transition_zone"`` (3: visually at least twice the transition zone's background) or
        ``"focal_peripheral_zone"`` (4: of any intensity).
    suv_max : array-like, broadcastable, g/mL
        Largest uptake in the prostate.
    pet_tracer : str
        The score was made with 68Ga-PSMA-11; any other needs ``suv_max_limit``.
    suv_max_limit : float, g/mL, optional
        A limit that you calibrated for your tracer, in the place of 12.
    limit_included : bool, optional
        Whether SUVmax of exactly the limit gives 5. The paper says both: "> 12" in its table of the
        score, which is followed here, and "at least 12" in its abstract.

    Returns
    -------
    ndarray of float of the broadcast shape
        1 to 5. Where SUVmax is missing the score is NaN, because it could be 5; where the pattern
        is missing it is 5 above the limit, else NaN.

    Raises
    ------
    RiskError
        When the pattern is another word, a number is out of range, the shapes do not broadcast, or
        the tracer is not 68Ga-PSMA-11 and no limit is given.

    References
    ----------
    Emmett 2022, doi 10.2967/jnumed.121.263448: levels and limit verified against table 2 of
    PMC9635676.
    """
    high = _high_suv(pet_tracer, suv_max_limit, limit_included)
    by_pattern = looked_up(pattern, "pattern", tables.PRIMARY_PATTERN.points, _PATTERN_HINT)
    by_suv = high.points_of(in_range(suv_max, high.range))
    check_shapes(pattern=by_pattern, suv_max=by_suv)
    # NaN where either is missing, but for a level 5, which no pattern can change
    found = np.where(by_suv == tables.PRIMARY.most, by_suv, np.maximum(by_pattern, by_suv))
    return found[()]


def _high_suv(pet_tracer: str, limit: float | None, included: bool) -> Bands:
    published = tables.PRIMARY_SUV_MAX
    if limit is None and not _is_68ga_psma_11(pet_tracer):
        raise RiskError(
            f"`pet_tracer` is {pet_tracer!r}; the limit of SUVmax {published.cuts[0]:g} holds for "
            "68Ga-PSMA-11 and does not carry over. Give suv_max_limit= as calibrated for yours."
        )
    if limit is not None and not (isinstance(limit, Real) and 0.0 < limit < np.inf):
        raise RiskError(
            f"`suv_max_limit` is {limit!r}; allowed are finite numbers above 0 g/mL, or None "
            "for the published limit."
        )
    return replace(
        published,
        cuts=published.cuts if limit is None else (float(limit),),
        cut_lies="above" if included else published.cut_lies,
    )


def _is_68ga_psma_11(pet_tracer: str) -> bool:
    letters = "".join(one for one in str(pet_tracer).casefold() if one.isalnum())
    return any(one in letters for one in _NUCLIDE) and any(one in letters for one in _LIGAND)
