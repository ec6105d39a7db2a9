"""Mean of the scores of splits that share patients, and its interval."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from bayesdose.evaluate._arrays import Floats
from bayesdose.evaluate._pipelines import Rows


def shared_pairs(pairs: Sequence[tuple[Rows, Rows]], codes: NDArray[np.intp]) -> Floats:
    """Share of pairs of a training and a tested patient that two splits have in common.

    Without signal, a score sums what each tested row happens to be to each training row. The sum
    does not ask which of the two was tested, so that two splits are correlated by the pairs that
    they share: 1 / (K - 1) within K folds, 2 (K - 1) / K² between deals.
    """
    patient = np.unique(codes, return_inverse=True)[1]
    train, test = np.zeros((2, len(pairs), patient.max() + 1))
    for k, (fitted, scored) in enumerate(pairs):
        train[k, patient[fitted]], test[k, patient[scored]] = 1.0, 1.0
    crossed = test @ train.T
    shared = (test @ test.T) * (train @ train.T) + crossed * crossed.T
    own = np.sqrt(np.diag(shared))
    found: Floats = shared / np.outer(own, own)
    return found


def mean_correlation(overlap: Floats, defined: NDArray[np.bool_]) -> float:
    """Mean correlation of two different splits, of those that have a score."""
    kept = overlap[np.ix_(defined, defined)]
    n = len(kept)
    return float((kept.sum() - np.trace(kept)) / (n * (n - 1))) if n > 1 else float("nan")


def interval(
    scores: Floats, correlation: float, prob: float, centre: float | None = None
) -> tuple[dict[str, float], str]:
    """Standard error and ends of Nadeau and Bengio's interval, and why there may be none.

    With J scores of variance s² and one correlation rho of any two, the variance of their mean is
    (1 / J + rho / (1 - rho)) s², because s² estimates (1 - rho) of the variance of a score.
    """
    nothing = dict.fromkeys(("se", "lower", "upper"), float("nan"))
    if scores.size < 2:
        return nothing, "no interval of fewer than two scores"
    # a spread of rounding is none
    if scores.std() < 1e-12:
        return nothing, "scores do not vary: no interval"
    if correlation > 1.0 - 1e-9:
        return nothing, "both folds hold the same pairs: no interval; use more folds"
    factor = 1.0 / scores.size + correlation / (1.0 - correlation)
    se = float(np.sqrt(factor * scores.var(ddof=1)))
    half = float(stdtrit(scores.size - 1.0, 0.5 + 0.5 * prob)) * se
    middle = float(scores.mean()) if centre is None else centre
    return {"se": se, "lower": middle - half, "upper": middle + half}, ""
