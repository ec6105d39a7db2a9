"""Quantiles of the risk over draws of the parameters."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesdose.evaluate._arrays import Floats
from bayesdose.risk.naive_bayes._features import Feature, drawn_log_ratios

#: Numbers in the largest array of draws by rows.
_BLOCK = 4_000_000


def risk_quantiles(
    features: list[Feature],
    encoded: list[NDArray[Any]],
    prevalence_log_odds: Floats,
    rng: np.random.Generator,
    quantiles: list[float],
) -> Floats:
    """Quantiles of each row's risk, shape (n_quantiles, n); one draw of parameters for all rows."""
    draws, n = prevalence_log_odds.size, encoded[0].size
    ratios = [feature.draw(draws, rng) for feature in features]
    out = np.empty((len(quantiles), n))
    step = max(1, _BLOCK // draws)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        log_odds = prevalence_log_odds[:, None] + sum(
            drawn_log_ratios(ratio, values[rows], draws)
            for ratio, values in zip(ratios, encoded, strict=True)
        )
        out[:, rows] = expit(np.quantile(log_odds, quantiles, axis=0))
    return out
