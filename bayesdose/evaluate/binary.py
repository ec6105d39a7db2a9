"""Scores of a yes-or-no call at a threshold, with intervals from a bootstrap of patients."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri, stdtrit

from bayesdose.errors import ConfigError
from bayesdose.evaluate._arrays import (
    Floats,
    check_labels,
    check_patients,
    check_probability,
    check_risks,
    check_same_order,
)

_SCORES = (
    "sensitivity",
    "specificity",
    "precision",
    "npv",
    "f_score",
    "mcc",
    "accuracy",
    "balanced_accuracy",
    "brier",
)
# Shares of rows, for which Wilson's interval stands in where resamples do not vary.
_SHARES = frozenset({"sensitivity", "specificity", "precision", "npv", "accuracy"})
# Resamples are drawn in blocks of so many numbers, 16 MB of them.
_BLOCK = 2_000_000
# Two resamples with the same score can differ by rounding.
_TIE = 1e-12


def binary_scores(
    y_true: ArrayLike,
    probability: ArrayLike,
    *,
    threshold: float,
    groups: ArrayLike | None = None,
    n_boot: int = 2000,
    prob: float = 0.95,
    random_seed: int = 1,
) -> pd.DataFrame:
    """Scores of calling a row positive where its probability reaches a threshold.

    Parameters
    ----------
    y_true : array_like of int or bool, shape (n,)
        1 or True for cases, 0 or False for controls.
    probability : array_like of float, shape (n,), from 0 to 1
        Predicted probability of being a case.
    threshold : float, between 0 and 1
        Rows at or above it are called positive. Set it before looking at these rows: a threshold
        tuned on them makes every score but `brier` too good, which no interval here knows of.
    groups : array_like, shape (n,), optional
        Patient of each row, where patients have several; without it each row is a patient.
    n_boot : int
        Bootstrap resamples, at least 100.
    prob : float
        Probability of the intervals.
    random_seed : int
        Seed of the resamples.

    Returns
    -------
    pandas.DataFrame
        Rows `sensitivity`, `specificity`, `precision` (positive predictive value), `npv` (negative
        predictive value), `f_score` (F1), `mcc` (Matthews' correlation), `accuracy`,
        `balanced_accuracy` and `brier` (of the probability). Columns: `value`, NaN where it divides
        by nothing, such as the precision of no positive calls; `lower` and `upper`; `n`, rows that
        the score divides by, and `n_patients`, theirs; `undefined`, resamples in which the score
        divides by nothing and which the interval leaves out.

    Raises
    ------
    BayesdoseError
        When labels are not 0 and 1, one kind is missing, arrays differ in length, a probability
        lies outside 0 to 1, or all rows are of one patient.
    ConfigError
        When `threshold` or `prob` is not between 0 and 1, or `n_boot` is below 100.

    Notes
    -----
    With the counts TP, FP, FN and TN, f_score = 2 TP / (2 TP + FP + FN), mcc = (TP TN - FP FN) /
    sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)), balanced_accuracy = (sensitivity + specificity)
    / 2, and brier = mean of (probability - y)^2.

    Whole patients are drawn, with all of their rows. Cases and controls are not drawn apart: rows
    of both kinds can belong to one patient, and a cohort does not fix how many cases it will have,
    on which precision, npv, f_score, mcc, accuracy and brier depend. For a case-control study,
    whose design fixes the share of cases, those six describe that share only.

    The interval is BCa, its acceleration from leaving out each patient, at levels widened for few
    patients: Student's quantile times sqrt(G / (G - 1)) in place of the normal one, G being
    `n_patients`. In simulations of 10 to 100 patients with 1 to 15 rows, and of one row each, it
    covers 0.937 to 0.988 at 95 % (600 each, Monte-Carlo standard error 0.009; most for shares of
    few rows), where the plain percentile interval goes down to 0.895.

    Where resamples do not vary, as at a sensitivity of 1, they say nothing: shares of 0 and 1 get
    Wilson's interval for `n_patients` rows, as in `interval_coverage`; any other score gets none.

    References
    ----------
    Efron 1987, J. Am. Stat. Assoc. 82:171 (BCa); Hesterberg 2015, Am. Stat. 69:371 (levels for few
    observations); Matthews 1975, Biochim. Biophys. Acta 405:442; Brier 1950, Mon. Weather Rev.
    78:1; Wilson 1927, J. Am. Stat. Assoc. 22:209 (all from memory; values checked against
    scikit-learn, intervals by simulation).
    """
    check_same_order(y_true=y_true, probability=probability, groups=groups)
    case = check_labels(y_true, "y_true", both=True)
    risk = check_risks(probability, "probability", case.size)
    positive = risk >= check_probability(threshold, "threshold")
    check_probability(prob)
    if n_boot < 100:
        raise ConfigError(f"`n_boot` must be at least 100; got {n_boot}. 2000 is the default.")
    sums = _patient_sums(case, positive, risk, check_patients(groups, case.size))
    total = sums.sum(axis=0)
    values, counted = _values(total), _denominators(sums)
    drawn = _resampled(sums, n_boot, np.random.default_rng(random_seed))
    left_out = _values(total - sums)
    n_patients = (counted > 0).sum(axis=0)
    ends = [
        _interval(name, values[j], drawn[:, j], left_out[:, j], int(n_patients[j]), prob)
        for j, name in enumerate(_SCORES)
    ]
    return pd.DataFrame(
        {
            "value": values,
            "lower": [low for low, _ in ends],
            "upper": [high for _, high in ends],
            "n": counted.sum(axis=0).astype(int),
            "n_patients": n_patients,
            "undefined": np.isnan(drawn).sum(axis=0),
        },
        index=pd.Index(_SCORES, name="score"),
    )


def _patient_sums(
    case: NDArray[np.bool_], positive: NDArray[np.bool_], risk: Floats, codes: NDArray[np.intp]
) -> Floats:
    """TP, FP, FN, TN and squared errors of each patient, (n_patients, 5): all scores need no more.

    A resample is then a product of patient weights with this table, without copies of rows.
    """
    rows = (
        positive & case,
        positive & ~case,
        ~positive & case,
        ~positive & ~case,
        (risk - case) ** 2,
    )
    return np.stack([np.bincount(codes, weights=row) for row in rows], axis=-1)


def _values(sums: Floats) -> Floats:
    """Scores of sums (..., 5), in the order of `_SCORES`; NaN where they divide by nothing."""
    tp, fp, fn, tn, squares = np.moveaxis(sums, -1, 0)
    n = tp + fp + fn + tn
    with np.errstate(divide="ignore", invalid="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        # Roots of pairs: the product of four counts leaves the exact integers early.
        margins = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
        return np.stack(
            [
                sensitivity,
                specificity,
                tp / (tp + fp),
                tn / (tn + fn),
                2.0 * tp / (2.0 * tp + fp + fn),
                (tp * tn - fp * fn) / margins,
                (tp + tn) / n,
                0.5 * (sensitivity + specificity),
                squares / n,
            ],
            axis=-1,
        )


def _denominators(sums: Floats) -> Floats:
    """Rows that each score of each patient divides by, (n_patients, n_scores)."""
    tp, fp, fn, tn, _ = np.moveaxis(sums, -1, 0)
    n = tp + fp + fn + tn
    return np.stack([tp + fn, tn + fp, tp + fp, tn + fn, tp + fp + fn, n, n, n, n], axis=-1)


def _resampled(sums: Floats, n_boot: int, rng: np.random.Generator) -> Floats:
    """Scores of bootstrap resamples of patients, (n_boot, n_scores)."""
    n = len(sums)
    size = max(1, _BLOCK // n)
    blocks = []
    for start in range(0, n_boot, size):
        count = min(size, n_boot - start)
        drawn = rng.integers(n, size=(count, n)) + n * np.arange(count)[:, None]
        weights = np.bincount(drawn.ravel(), minlength=count * n).reshape(count, n)
        blocks.append(_values(weights @ sums))
    return np.concatenate(blocks)


def _interval(
    name: str, value: float, drawn: Floats, left_out: Floats, n_patients: int, prob: float
) -> tuple[float, float]:
    drawn = drawn[~np.isnan(drawn)]
    if name in _SHARES and value in (0.0, 1.0):
        share = float(ndtri(0.5 + 0.5 * prob)) ** 2 / n_patients
        share /= 1.0 + share
        return (1.0 - share, 1.0) if value == 1.0 else (0.0, share)
    if np.isnan(value) or n_patients < 2 or drawn.size < 2 or np.ptp(drawn) < _TIE:
        return float("nan"), float("nan")
    low, high = np.quantile(drawn, _levels(value, drawn, left_out, n_patients, prob))
    return float(low), float(high)


def _levels(
    value: float, drawn: Floats, left_out: Floats, n_patients: int, prob: float
) -> list[float]:
    """Levels of the BCa interval, widened for few patients."""
    # Without a patient who alone made the score defined there is no score to compare with.
    kept = left_out[~np.isnan(left_out)]
    away = kept.mean() - kept if kept.size else np.zeros(1)
    spread = float((away**2).sum())
    skew = float((away**3).sum()) / (6.0 * spread**1.5) if spread > 0 else 0.0
    tied = np.abs(drawn - value) <= _TIE
    below = float(np.mean(np.where(tied, 0.5, drawn < value)))
    edge = 1.0 / (drawn.size + 1.0)
    bias = float(ndtri(min(max(below, edge), 1.0 - edge)))
    tail = float(stdtrit(n_patients - 1.0, 0.5 - 0.5 * prob))
    tail *= np.sqrt(n_patients / (n_patients - 1.0))
    return [
        float(ndtr(bias + (bias + z) / max(1.0 - skew * (bias + z), _TIE))) for z in (tail, -tail)
    ]
