"""Exact Shapley values of a sum of terms, seen through the logistic function."""

from math import factorial

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from bayesdose.errors import ConfigError
from bayesdose.evaluate._arrays import Floats

#: Players whose coalitions are enumerated.
MOST_PLAYERS = 15
#: Numbers in the largest array of coalitions.
_BLOCK = 4_000_000


def probability_shapley(terms: Floats, background: Floats, intercept: float) -> Floats:
    """Shapley values of the risk, by going through all coalitions.

    Parameters
    ----------
    terms : ndarray of shape (n, n_players)
        What each player adds to the log odds of each row.
    background : ndarray of shape (n_background, n_players)
        The same of the rows that absent players are taken from.
    intercept : float
        Log odds before any player.

    Returns
    -------
    ndarray of shape (n, n_players)
        Contributions; a row's sum is its risk minus the mean risk of the background.

    Raises
    ------
    ConfigError
        When there are more than 15 players.

    Notes
    -----
    The value of a coalition S is the mean over background rows b of
    ``expit(intercept + sum_S terms + sum_(not S) terms of b)``, and the contribution of player i
    the sum over S without i of ``|S|! (p - |S| - 1)! / p! (v(S + i) - v(S))``.

    References
    ----------
    Shapley 1953; Janzing et al. 2020, AISTATS, for the interventional value (both from memory;
    checked against enumeration of rows).
    """
    p = terms.shape[1]
    if p > MOST_PLAYERS:
        raise ConfigError(
            f"contributions to a probability go through all coalitions of {p} features; at most "
            f"{MOST_PLAYERS} are allowed. Take scale='log_odds', or by='modality' with fewer "
            "`modalities`."
        )
    step = max(1, _BLOCK // 2**p)
    return np.concatenate(
        [
            _shares(_coalition_values(terms[start : start + step], background, intercept))
            for start in range(0, len(terms), step)
        ]
    )


def _coalition_values(terms: Floats, background: Floats, intercept: float) -> Floats:
    """Value of each coalition, bit i of its number saying whether player i is in; (n, 2^p)."""
    inside = _subset_sums(terms)
    value = np.zeros_like(inside)
    for row in background:
        # reversed, a coalition's number is that of its complement
        outside = intercept + _subset_sums(row[None])[:, ::-1]
        value += expit(inside + outside)
    return value / len(background)


def _subset_sums(terms: Floats) -> Floats:
    sums = np.zeros((len(terms), 1))
    for player in range(terms.shape[1]):
        sums = np.concatenate([sums, sums + terms[:, player, None]], axis=1)
    return sums


def _shares(value: Floats) -> Floats:
    coalitions = np.arange(value.shape[1])
    p = value.shape[1].bit_length() - 1
    sizes = np.bitwise_count(coalitions)
    weight = np.array([factorial(s) * factorial(p - s - 1) / factorial(p) for s in range(p)])
    out = np.empty((len(value), p))
    for player in range(p):
        without: NDArray[np.intp] = coalitions[(coalitions >> player) & 1 == 0]
        gain = value[:, without | (1 << player)] - value[:, without]
        out[:, player] = gain @ weight[sizes[without]]
    return out
