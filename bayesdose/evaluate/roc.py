"""Area under the ROC curve with DeLong's variance, and comparisons of areas."""

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit, ndtr, ndtri

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate._arrays import (
    Floats,
    as_sites,
    check_labels,
    check_probability,
    check_same_order,
    group_codes,
)


@dataclass(frozen=True)
class RocArea:
    """Area under the ROC curve.

    Attributes
    ----------
    auc : float
        Probability that a case has a higher score than a control; ties count half.
    se : float
        DeLong's standard error; with groups, that of whole patients.
    lower, upper : float
        Confidence interval on the logit scale, which stays between 0 and 1; NaN at an area of 0 or
        1, where the scores say nothing of their own variance.
    wald : tuple of (float, float)
        auc plus and minus z standard errors, cut at 0 and 1, as many papers print it.
    p_value : float
        Two-sided Mann-Whitney test of an area of 0.5, normal with the variance for ties; it takes
        rows as independent and is NaN with groups.
    n_cases, n_controls : int
        Rows of either kind.
    """

    auc: float
    se: float
    lower: float
    upper: float
    wald: tuple[float, float]
    p_value: float
    n_cases: int
    n_controls: int


@dataclass(frozen=True)
class RocAreaDifference:
    """Difference of two areas under the ROC curve.

    Attributes
    ----------
    difference : float
        First minus second.
    se : float
        Its standard error.
    lower, upper : float
        Confidence interval, normal.
    z : float
        Difference over standard error.
    p_value : float
        Two-sided.
    """

    difference: float
    se: float
    lower: float
    upper: float
    z: float
    p_value: float


def auc(
    y_true: ArrayLike, score: ArrayLike, *, groups: ArrayLike | None = None, prob: float = 0.95
) -> RocArea:
    """Area under the ROC curve, its uncertainty, and the test of no discrimination.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 or True for cases, 0 or False for controls.
    score : array-like of shape (n,)
        Higher for cases.
    groups : array-like of shape (n,), optional
        Patient of each row, where patients have several.
    prob : float
        Probability of the intervals.

    Returns
    -------
    RocArea

    Raises
    ------
    BayesdoseError
        When labels are not 0 and 1, one kind is missing, or a score is not finite.

    Warns
    -----
    UserWarning
        At an area of 0 or 1.

    Notes
    -----
    With psi the share of won comparisons of each case and each control, found by one sort in
    O(n log n): var = S10 / n_cases + S01 / n_controls. With groups the sums are over patients, and
    their covariance is added (Obuchowski 1997).

    References
    ----------
    DeLong 1988, Biometrics 44:837, doi 10.2307/2531595; Sun 2014, IEEE Signal Process. Lett.
    21:1389; Obuchowski 1997, Biometrics 53:567 (all from memory, checked against pROC and by
    bootstrap).
    """
    check_same_order(y_true=y_true, score=score, groups=groups)
    case, scores = _checked(y_true, score)
    codes = None if groups is None else group_codes(groups, case.size)[0]
    area, won = _won(case, scores)
    se = float(np.sqrt(max(_covariance(case, won[None], area[None], codes)[0, 0], 0.0)))
    z = float(ndtri((1 + check_probability(prob)) / 2))
    value = float(area)
    return RocArea(
        value,
        se,
        *_logit_interval(value, se, z),
        (max(value - z * se, 0.0), min(value + z * se, 1.0)),
        _mann_whitney(case, scores, value) if codes is None else float("nan"),
        int(case.sum()),
        int((~case).sum()),
    )


def compare_auc(
    y_true: ArrayLike,
    score_a: ArrayLike,
    score_b: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> RocAreaDifference:
    """Compare the areas of two scores of the same rows.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        1 or True for cases, 0 or False for controls.
    score_a, score_b : array-like of shape (n,)
        Two scores, both higher for cases.
    groups : array-like of shape (n,), optional
        Patient of each row, where patients have several.
    prob : float
        Probability of the interval.

    Returns
    -------
    RocAreaDifference
        z is 0 where the scores order all rows alike.

    Raises
    ------
    BayesdoseError
        As for `auc`.
    """
    check_same_order(y_true=y_true, score_a=score_a, score_b=score_b, groups=groups)
    case, first = _checked(y_true, score_a)
    _, second = _checked(y_true, score_b)
    codes = None if groups is None else group_codes(groups, case.size)[0]
    parts = [_won(case, scores) for scores in (first, second)]
    areas, won = np.array([area for area, _ in parts]), np.stack([w for _, w in parts])
    covariance = _covariance(case, won, areas, codes)
    variance = covariance[0, 0] + covariance[1, 1] - 2.0 * covariance[0, 1]
    return _difference(float(areas[0] - areas[1]), variance, prob)


def compare_auc_unpaired(
    first: RocArea, second: RocArea, *, prob: float = 0.95
) -> RocAreaDifference:
    """Compare the areas of scores of different patients.

    Parameters
    ----------
    first, second : RocArea
        Of rows that share no patient.
    prob : float
        Probability of the interval.

    Returns
    -------
    RocAreaDifference
    """
    return _difference(first.auc - second.auc, first.se**2 + second.se**2, prob)


def _checked(y_true: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], Floats]:
    case = check_labels(y_true, "y_true", both=True)
    scores = as_sites(score, "score", n_sites=case.size)
    return case, scores


def _won(case: NDArray[np.bool_], scores: Floats) -> tuple[np.float64, Floats]:
    """Area, and for each row the share of comparisons with the other kind that are in order."""
    _, block = np.unique(scores, return_inverse=True)
    won = np.empty(case.size)
    for kind, other in ((case, ~case), (~case, case)):
        in_block = np.bincount(block[other], minlength=block.max() + 1)
        below = np.cumsum(in_block) - in_block
        won[kind] = ((below + 0.5 * in_block) / int(other.sum()))[block[kind]]
    won[~case] = 1.0 - won[~case]
    return np.float64(won[case].mean()), won


def _covariance(
    case: NDArray[np.bool_],
    won: Floats,
    areas: Floats,
    codes: NDArray[np.intp] | None,
) -> Floats:
    """Covariance of areas, from the shares won of shape (n_scores, n)."""
    away = won - areas[:, None]
    codes = np.arange(case.size) if codes is None else codes
    n_groups = int(codes.max()) + 1
    of_cases, of_controls = (
        np.stack([np.bincount(codes[kind], row[kind], n_groups) for row in away])
        for kind in (case, ~case)
    )
    sizes = []
    for kind in (case, ~case):
        with_any = int((np.bincount(codes[kind], minlength=n_groups) > 0).sum())
        if with_any < 2:
            raise BayesdoseError(
                "the variance of an area needs two cases and two controls, of different patients"
            )
        sizes.append((with_any / (with_any - 1), int(kind.sum())))
    (more_cases, n_cases), (more_controls, n_controls) = sizes
    both = n_groups / (n_groups - 1) / (n_cases * n_controls)
    crossed = of_cases @ of_controls.T
    out: Floats = (
        more_cases * of_cases @ of_cases.T / n_cases**2
        + more_controls * of_controls @ of_controls.T / n_controls**2
        + both * (crossed + crossed.T)
    )
    return out


def _logit_interval(area: float, se: float, z: float) -> tuple[float, float]:
    if not 0.0 < area < 1.0:
        warnings.warn(
            f"the area is {area:g}: the scores separate cases and controls, and DeLong's variance "
            "is 0; no interval is given",
            stacklevel=3,
        )
        return float("nan"), float("nan")
    half = z * se / (area * (1.0 - area))
    return float(expit(logit(area) - half)), float(expit(logit(area) + half))


def _mann_whitney(case: NDArray[np.bool_], scores: Floats, area: float) -> float:
    n_cases, n = int(case.sum()), case.size
    n_controls = n - n_cases
    _, ties = np.unique(scores, return_counts=True)
    # variance of U over (n_cases n_controls)^2, with the correction for ties
    tied = (ties.astype(float) ** 3 - ties).sum() / (n * (n - 1.0))
    variance = (n + 1.0 - tied) / (12.0 * n_cases * n_controls)
    if variance <= 0:
        return 1.0
    return float(2.0 * ndtr(-abs(area - 0.5) / np.sqrt(variance)))


def _difference(difference: float, variance: float, prob: float) -> RocAreaDifference:
    # rounding can leave a variance of nothing below 0
    se = float(np.sqrt(variance)) if variance > 1e-15 else 0.0
    half = float(ndtri((1 + check_probability(prob)) / 2)) * se
    z = difference / se if se > 0 else float(np.copysign(np.inf, difference)) if difference else 0.0
    return RocAreaDifference(
        difference, se, difference - half, difference + half, z, float(2.0 * ndtr(-abs(z)))
    )
