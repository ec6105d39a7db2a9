"""A stand-in for the UCLA PSMA score, whose intercept and two coefficients were not found."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import expit, logit

from bayesdose.errors import RiskError
from bayesdose.risk.scores import tables
from bayesdose.risk.scores._inputs import check_shapes, in_range, positive_cores
from bayesdose.risk.scores.tables import Floats


def ucla_psma_surrogate(
    grade_group: ArrayLike,
    percent_positive_cores: ArrayLike,
    *,
    reference_grade_group: ArrayLike,
    reference_percent_positive_cores: ArrayLike,
) -> Floats:
    """Probability of upstaging on PSMA PET by a surrogate: this is not the UCLA PSMA score.

    logit p = b0 + ln 2.15 grade group + ln 1.03 percent of positive cores, with b0 such that the
    mean of p over the reference men is 0.239, the share upstaged in Ma 2021. The original also has
    PSA and clinical T and an intercept of its own, whose values were not found. The reference moves
    the level of p alone: the order of men, and with it the area under a ROC curve, is the same
    under all.

    Parameters
    ----------
    grade_group : array-like of int
        ISUP grade group of the biopsy, 1 to 5.
    percent_positive_cores : array-like, broadcastable, %
        Of systematic cores, 0 to 100. Numbers between 0 and 1 are refused, as shares given for
        percentages.
    reference_grade_group : array-like of int of shape (n_reference,)
        Of the men among whom p is 0.239 on average: high risk, cN0 cM0 on conventional imaging. Say
        in any report who they are.
    reference_percent_positive_cores : array-like of shape (n_reference,), %
        Of the same men, in the same order.

    Returns
    -------
    ndarray of float of the broadcast shape
        0 to 1; NaN where either is missing. The confidence intervals of the odds ratios, 1.33 to
        3.45 and 1.01 to 1.04, are not in it.

    Raises
    ------
    RiskError
        When a value is out of range, the shapes do not go together, or the reference is empty or
        has missing values.

    References
    ----------
    Ma 2021, Eur. Urol. Oncol.: odds ratios and mean verified against the abstract. Xiang 2021, doi
    10.1001/jamanetworkopen.2021.38550: the original score, not reproduced here. The formula is
    derived, and was never validated.
    """
    reference = np.atleast_1d(
        _log_odds(reference_grade_group, reference_percent_positive_cores, "reference_")
    )
    if reference.size == 0 or np.isnan(reference).any():
        raise RiskError(
            f"the reference has {reference.size} men, {int(np.isnan(reference).sum())} of them "
            "with missing values; allowed are one or more, all known. Leave incomplete ones out."
        )
    intercept = _intercept(reference, tables.UCLA_SURROGATE.mean_probability)
    found: Floats = expit(intercept + _log_odds(grade_group, percent_positive_cores))
    return found


def _log_odds(grade_group: ArrayLike, percent_positive_cores: ArrayLike, of: str = "") -> Floats:
    """Log odds of men without the intercept."""
    names = f"{of}grade_group", f"{of}percent_positive_cores"
    group = in_range(grade_group, tables.GRADE_GROUP, names[0])
    cores = positive_cores(percent_positive_cores, names[1])
    check_shapes(**dict(zip(names, (group, cores), strict=True)))
    ratios = tables.UCLA_SURROGATE.odds_ratios
    found: Floats = (
        np.log(ratios["grade_group"].value) * group
        + np.log(ratios["percent_positive_cores"].value) * cores
    )
    return found


def _intercept(log_odds: Floats, mean: float) -> float:
    # at these two ends all men lie below, or above, the mean; 1 keeps equal men off the ends
    ends = logit(mean) - log_odds.max() - 1.0, logit(mean) - log_odds.min() + 1.0
    return float(brentq(lambda b0: expit(b0 + log_odds).mean() - mean, *ends, xtol=1e-12))
