"""Scores from biopsy, PSA and clinical stage: CAPRA and the grade group."""

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from bayesdose.risk.scores import tables
from bayesdose.risk.scores._inputs import check_shapes, in_range, looked_up, positive_cores
from bayesdose.risk.scores.tables import Floats

_PATTERN_HINT = "It is one pattern, not the sum of both."
_STAGE_HINT = (
    "The score ends at T3a: T3b and T4 lie outside, T3 alone may be either, and a pathological "
    "stage is no clinical one."
)


def capra(
    age_y: ArrayLike,
    psa_ng_ml: ArrayLike,
    gleason_primary: ArrayLike,
    gleason_secondary: ArrayLike,
    clinical_t: ArrayLike,
    percent_positive_cores: ArrayLike,
) -> Floats:
    """CAPRA score before treatment, 0 to 10; higher is worse.

    The sum of the points of ``tables.CAPRA``: age from 50 (1); PSA above 6, 10, 20 and 30 (1 to 4);
    a Gleason pattern 4 or 5 as the secondary only (1) or as the primary (3); T3a (1); positive
    cores from 34 % (1). Arrays go together by position.

    Parameters
    ----------
    age_y : array-like, years
        Age at diagnosis, 18 to 120.
    psa_ng_ml : array-like, broadcastable, ng/mL
        At diagnosis, not rounded here. The published bands have one decimal ("6.1–10"); what lies
        between them, such as 6.05, counts to the upper one, and below 2.1, where the published
        table begins, has no points.
    gleason_primary, gleason_secondary : array-like of int, broadcastable
        Patterns of the biopsy, 1 to 5.
    clinical_t : array-like of str, broadcastable
        ``"T1"`` to ``"T3a"``, also with c before it and in lower case.
    percent_positive_cores : array-like, broadcastable, %
        0 to 100. Numbers between 0 and 1 are refused, as shares given for percentages.

    Returns
    -------
    ndarray of float of the broadcast shape
        0 to 10; NaN where any of the six is missing (NaN, None, NA, or an empty stage), for each
        may change the score.

    Raises
    ------
    RiskError
        When a value is not in its range, or the shapes do not broadcast. T3b and T4 are outside the
        score, and never counted as T3a.

    References
    ----------
    Cooperberg 2005, J. Urol. 173:1938. Points verified against public calculators that quote the
    paper; decimals of the cut-points from memory, confirmed by table 2 of PMC2777059, which adapts
    the paper's. The paper itself was not read.
    """
    age = tables.CAPRA_AGE.points_of(in_range(age_y, tables.CAPRA_AGE.range))
    psa = tables.CAPRA_PSA.points_of(in_range(psa_ng_ml, tables.CAPRA_PSA.range))
    primary = in_range(gleason_primary, tables.GLEASON_PRIMARY, hint=_PATTERN_HINT)
    secondary = in_range(gleason_secondary, tables.GLEASON_SECONDARY, hint=_PATTERN_HINT)
    stage = looked_up(clinical_t, "clinical_t", tables.CAPRA_STAGE.points, _STAGE_HINT, cut="c")
    cores = tables.CAPRA_CORES.points_of(positive_cores(percent_positive_cores))
    check_shapes(
        age_y=age,
        psa_ng_ml=psa,
        gleason_primary=primary,
        gleason_secondary=secondary,
        clinical_t=stage,
        percent_positive_cores=cores,
    )
    total: Floats = age + psa + _gleason_points(primary, secondary) + stage + cores
    return total


def capra_risk_group(score: ArrayLike) -> np.ndarray | str | float:
    """Risk group of CAPRA scores: low (0 to 2), intermediate (3 to 5) or high (6 to 10).

    Parameters
    ----------
    score : array-like
        As from `capra`: whole numbers from 0 to 10.

    Returns
    -------
    ndarray of object of the same shape
        ``"low"``, ``"intermediate"`` or ``"high"``; NaN where the score is missing. One score has
        one group, not in an array.

    Raises
    ------
    RiskError
        When a number is no CAPRA score.

    References
    ----------
    Cooperberg 2005, J. Urol. 173:1938. Groups verified against public calculators that quote the
    paper.
    """
    table = tables.CAPRA
    numbers = in_range(score, tables.Range("score", "", table.least, table.most, whole=True))
    found = np.full(numbers.shape, np.nan, dtype=object)
    for name, (first, last) in table.groups.items():
        found[(numbers >= first) & (numbers <= last)] = name
    return found[()]


def grade_group(gleason_primary: ArrayLike, gleason_secondary: ArrayLike) -> Floats:
    """ISUP grade group, 1 to 5, of two Gleason patterns.

    3+3 is group 1, 3+4 group 2, 4+3 group 3, a sum of 8 group 4 and a sum of 9 or 10 group 5.

    Parameters
    ----------
    gleason_primary, gleason_secondary : array-like of int, broadcastable
        3 to 5 each. Patterns 1 and 2, of old reports, have no grade group here.

    Returns
    -------
    ndarray of float of the broadcast shape
        1 to 5; NaN where a pattern is missing (NaN, None or NA).

    Raises
    ------
    RiskError
        When a pattern is not 3, 4 or 5, or the shapes do not broadcast.

    References
    ----------
    Epstein 2016, Am. J. Surg. Pathol. 40:244 (not read; groups verified elsewhere, in a source that
    was not noted).
    """
    hint = f"{_PATTERN_HINT} Patterns 1 and 2 are no longer given and have no group."
    primary = in_range(gleason_primary, replace(tables.GLEASON_PRIMARY, least=3), hint=hint)
    secondary = in_range(gleason_secondary, replace(tables.GLEASON_SECONDARY, least=3), hint=hint)
    check_shapes(gleason_primary=primary, gleason_secondary=secondary)
    found = np.full(np.broadcast_shapes(primary.shape, secondary.shape), np.nan)
    for patterns, group in tables.GRADE_GROUP_PATTERNS.points.items():
        first, second = (float(pattern) for pattern in patterns.split("+"))
        found[(primary == first) & (secondary == second)] = group
    return found[()]


def _gleason_points(primary: Floats, secondary: Floats) -> Floats:
    points = tables.CAPRA_GLEASON.points
    without = np.where(
        secondary >= 4, points[tables.HIGH_SECONDARY], points[tables.NO_HIGH_PATTERN]
    )
    found = np.where(primary >= 4, points[tables.HIGH_PRIMARY], without)
    # NaN >= 4 is False, which would count an unknown pattern as a low one
    return np.where(np.isnan(primary) | np.isnan(secondary), np.nan, found)
