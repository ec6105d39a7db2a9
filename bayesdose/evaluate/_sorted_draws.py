"""Numbers read off sorted draws: one sort a site serves medians, intervals and scores.

Every function here takes ``rows`` of shape (n_sites, n_draws), ascending along the last axis.
"""

from collections.abc import Iterator

import numpy as np

from bayesdose.evaluate._arrays import Floats

# 2 MB a block: it stays in the cache, and no number of sites needs a second copy of the draws.
_BLOCK_VALUES = 2**18


def sorted_blocks(draws: Floats) -> Iterator[tuple[slice, Floats]]:
    """Yield (sites, rows) over the sites of `draws`, shape (n_draws, n_sites)."""
    n_draws, n_sites = draws.shape
    step = max(1, _BLOCK_VALUES // n_draws)
    for start in range(0, n_sites, step):
        sites = slice(start, min(start + step, n_sites))
        # np.array always copies: a block that needs no transposing is still the caller's memory.
        rows = np.array(draws[:, sites].T, order="C")
        rows.sort(axis=1)
        yield sites, rows


def points_inside(prob: float, n_draws: int) -> int:
    """Return the smallest number of draws that is at least the share `prob`: ceil(prob S)."""
    # 0.55 * 100 is 55.00000000000001 in floating point and must not become 56.
    return min(max(int(np.ceil(prob * n_draws - 1e-9)), 1), n_draws)


def hdi_rows(rows: Floats, prob: float) -> tuple[Floats, Floats]:
    """Return ends (n_sites,) of the narrowest window of ceil(prob S) consecutive draws."""
    n_draws = rows.shape[1]
    span = points_inside(prob, n_draws) - 1
    start = np.argmin(rows[:, span:] - rows[:, : n_draws - span], axis=1)
    site = np.arange(rows.shape[0])
    return rows[site, start], rows[site, start + span]


def quantile_rows(rows: Floats, prob: float) -> Floats:
    """Return the quantile (n_sites,) by linear interpolation, NumPy's and R's default (type 7)."""
    position = prob * (rows.shape[1] - 1)
    below = int(np.floor(position))
    above = min(below + 1, rows.shape[1] - 1)
    step: Floats = rows[:, above] - rows[:, below]
    return rows[:, below] + (position - below) * step


def eti_rows(rows: Floats, prob: float) -> tuple[Floats, Floats]:
    """Return ends (n_sites,) that leave (1 - prob) / 2 of the draws on either side."""
    tail = 0.5 * (1.0 - prob)
    return quantile_rows(rows, tail), quantile_rows(rows, 1.0 - tail)


def crps_rows(observed: Floats, rows: Floats) -> Floats:
    """Return the CRPS (n_sites,) of the empirical distribution of each row at `observed`."""
    n_draws = rows.shape[1]
    # 1/2 mean |x_i - x_j| = sum_i (2 i - S - 1) x_(i) / S^2; differences to the observation
    # keep the two terms from cancelling when the doses are large and the spread is small.
    difference: Floats = rows - observed[:, None]
    rank_weight = 2.0 * np.arange(1, n_draws + 1) - n_draws - 1.0
    spread: Floats = difference @ rank_weight / n_draws**2
    return np.abs(difference).mean(axis=1) - spread
