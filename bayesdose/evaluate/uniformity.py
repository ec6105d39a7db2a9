"""PIT values and ranks, and the bands that their ECDF stays inside when all is well."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from bayesdose.errors import BayesdoseError
from bayesdose.evaluate._arrays import Floats, as_draws, as_sites, check_probability, group_codes

_MOST_POINTS = 1000


@dataclass(frozen=True)
class EcdfBand:
    """Simultaneous band for the ECDF of n values that should be uniform.

    Attributes
    ----------
    z : ndarray of float, shape (n_points,)
        Points in (0, 1) at which the ECDF is looked at.
    lower, upper : ndarray of float, shape (n_points,)
        Ends of the band; the whole ECDF is inside, ends included, with probability `prob`.
    prob : float
        Probability of the band, for all points at once.
    n : int
        Number of values in the ECDF.
    """

    z: Floats
    lower: Floats
    upper: Floats
    prob: float
    n: int


def pit(observed: ArrayLike, draws: ArrayLike, rng: np.random.Generator | None = None) -> Floats:
    """Probability integral transform of each observation under its predictive draws.

        PIT_j = (number of draws below y_j + v (number of draws equal to y_j + 1)) / (S + 1)

    with v = 1/2, or v uniform on (0, 1) when a generator is given: then PIT is exactly uniform
    if the observation is exchangeable with the draws, also with ties and few draws.

    Parameters
    ----------
    observed : array_like of float, shape (n_sites,), any unit
        Measured values.
    draws : array_like of float, shape (n_draws, n_sites), unit of `observed`
        Predictive draws of the measured value.
    rng : numpy.random.Generator, optional
        Source of v; without it, mid-ranks.

    Returns
    -------
    ndarray of float, shape (n_sites,)
        Values in (0, 1): near 0 the observation is lower than was predicted.

    Raises
    ------
    BayesdoseError
        If arrays differ in length or hold values that are not finite.
    """
    y = as_sites(observed, "observed")
    array = as_draws(draws, n_sites=y.size)
    below = (array < y).sum(axis=0)
    equal = (array == y).sum(axis=0)
    v = 0.5 if rng is None else rng.uniform(size=y.size)
    return np.asarray((below + v * (equal + 1.0)) / (array.shape[0] + 1.0))


def pit_ecdf_band(n: int, prob: float = 0.95, n_points: int | None = None) -> EcdfBand:
    """Simultaneous band for the ECDF of n independent uniform values.

    At z the count n F(z) is binomial(n, z); the band joins the central binomial intervals of one
    pointwise level 1 - gamma, gamma being the largest for which the whole ECDF is inside with at
    least probability `prob`. That probability is computed, not simulated: the counts are those
    of a Poisson process conditioned on its total, so it is a chain of convolutions. Counts are
    whole numbers, hence the true probability is slightly above `prob`.

    Values from sites of one patient are not independent and leave this band too often; use
    `pit_ecdf_band_joint` for them.

    Parameters
    ----------
    n : int
        Number of values.
    prob : float
        Probability that the whole ECDF is inside.
    n_points : int, optional
        The points are k / n_points, k = 1..n_points - 1; by default n_points is n, at least 2
        and at most 1000.

    Returns
    -------
    EcdfBand
        Points and ends of the band.

    Raises
    ------
    BayesdoseError
        If `n` is below 1, `n_points` below 2, or `prob` not between 0 and 1.

    References
    ----------
    T. Saeilynoja, P.-C. Buerkner and A. Vehtari, Graphical test for discrete uniformity and its
    applications in goodness-of-fit evaluation and multiple sample comparison, Stat. Comput. 32
    (2022) 32, doi 10.1007/s11222-022-10090-6. Poisson form of the recursion: A. Moscovich and
    B. Nadler, Stat. Probab. Lett. 123 (2017) 177-182 (cited from memory).
    """
    check_probability(prob)
    if n < 1:
        raise BayesdoseError(f"`n` must be at least 1; got {n}.")
    if n_points is None:
        n_points = min(max(n, 2), _MOST_POINTS)
    if n_points < 2:
        raise BayesdoseError(f"`n_points` must be at least 2; got {n_points}.")
    z = np.arange(1, n_points) / n_points
    # Bonferroni's level holds at all points for certain, the pointwise level 1 - prob at none.
    low, high = (1.0 - prob) / z.size, 1.0 - prob
    for _ in range(30):
        gamma = np.sqrt(low * high)
        if _probability_inside(n, *_binomial_ends(n, z, gamma)) >= prob:
            low = gamma
        else:
            high = gamma
    lower, upper = _binomial_ends(n, z, low)
    return EcdfBand(z, lower / n, upper / n, prob, n)


def sbc_rank_band(n_sims: int, n_ranks: int, prob: float = 0.99) -> EcdfBand:
    """Simultaneous band for the ECDF of simulation-based calibration ranks.

    Ranks are uniform on 0..L, n_ranks = L + 1 values; the points are k / n_ranks, where the share
    of ranks below k is exactly binomial(n_sims, k / n_ranks). Look at a set of ranks with
    ``pit_ecdf((ranks + 0.5) / n_ranks, sbc_rank_band(n_sims, n_ranks))``.

    Parameters
    ----------
    n_sims : int
        Number of simulated fits, one rank each.
    n_ranks : int
        Number of values that a rank can take: draws a fit after thinning, plus 1.
    prob : float
        Probability that the whole ECDF is inside.

    Returns
    -------
    EcdfBand
        Points and ends of the band.

    Raises
    ------
    BayesdoseError
        If `n_sims` is below 1, `n_ranks` below 2, or `prob` not between 0 and 1.

    References
    ----------
    As `pit_ecdf_band`; S. Talts et al., arXiv:1804.06788.
    """
    return pit_ecdf_band(n_sims, prob, n_points=n_ranks)


def pit_ecdf_band_joint(
    draws: ArrayLike,
    groups: ArrayLike,
    prob: float = 0.95,
    *,
    n_replicates: int = 4000,
    random_seed: int = 0,
) -> EcdfBand:
    """Simultaneous band for the PIT ECDF that respects the dependence of a patient's sites.

    A replicate takes one joint draw a patient as if it had been observed and ranks each site's
    value among that site's other draws. The band joins the central intervals of the replicates'
    ECDFs at one pointwise level, chosen so that the share `prob` of replicates is inside as a
    whole. Patients are drawn independently of one another: the order of draws links the sites
    of a patient, not patients, who under leave-one-patient-out come from different fits.

    Parameters
    ----------
    draws : array_like of float, shape (n_draws, n_sites), any unit
        Joint predictive draws: the sites of a patient share a draw.
    groups : array_like, shape (n_sites,)
        Patient of each site.
    prob : float
        Probability that the whole ECDF is inside.
    n_replicates : int
        Replicates to simulate.
    random_seed : int
        Seed of the draws picked.

    Returns
    -------
    EcdfBand
        Points and ends of the band, at the points of `pit_ecdf_band`.

    Raises
    ------
    BayesdoseError
        If arrays differ in length, hold values that are not finite, or there are fewer
        replicates than ten times 1 / (1 - prob).
    """
    check_probability(prob)
    array = as_draws(draws)
    n_draws, n_sites = array.shape
    codes, labels = group_codes(groups, n_sites, unit="site")
    if n_replicates * (1.0 - prob) < 10.0:
        raise BayesdoseError(
            f"`n_replicates` = {n_replicates} leaves fewer than ten outside a {prob} band; "
            f"use at least {int(np.ceil(10.0 / (1.0 - prob)))}."
        )
    n_points = min(max(n_sites, 2), _MOST_POINTS)
    z = np.arange(1, n_points) / n_points
    rng = np.random.default_rng(random_seed)

    counts = np.zeros((n_replicates, n_points), dtype=np.int64)
    row = np.arange(n_replicates)[:, None] * n_points
    for code in range(len(labels)):
        own = array[:, codes == code]
        rank = stats.rankdata(own, axis=0)  # mid-ranks 1..S, the draw itself counted
        replicate = (rank[rng.integers(n_draws, size=n_replicates)] - 0.5) / n_draws
        cell = np.searchsorted(z, replicate)
        counts += np.bincount((row + cell).ravel(), minlength=counts.size).reshape(counts.shape)
    lower, upper = _envelope(counts.cumsum(axis=1)[:, :-1], prob)
    return EcdfBand(z, lower / n_sites, upper / n_sites, prob, n_sites)


def pit_ecdf(pit_values: ArrayLike, band: EcdfBand | None = None) -> pd.DataFrame:
    """ECDF of PIT values beside its band: the table behind the picture.

    Parameters
    ----------
    pit_values : array_like of float, shape (n_sites,)
        PIT values, or ranks as ``(ranks + 0.5) / n_ranks``.
    band : EcdfBand, optional
        Band to compare with; by default `pit_ecdf_band` at 0.95, for independent values.

    Returns
    -------
    pandas.DataFrame
        One row a point: `z`, `ecdf` (share of values at or below z), `difference` (ecdf - z),
        `lower`, `upper` (band of the ECDF) and `inside`. Calibration is contradicted at the
        band's level when not all points are inside.

    Raises
    ------
    BayesdoseError
        If a value lies outside 0..1, or the band is for another number of values.
    """
    values = as_sites(pit_values, "pit_values")
    if values.min() < 0.0 or values.max() > 1.0:
        raise BayesdoseError(
            f"`pit_values` must lie in 0..1; got {values.min()} to {values.max()}. "
            "Pass ranks as (ranks + 0.5) / n_ranks."
        )
    band = pit_ecdf_band(values.size) if band is None else band
    if band.n != values.size:
        raise BayesdoseError(f"The band is for {band.n} values; got {values.size} PIT values.")
    ecdf = np.searchsorted(np.sort(values), band.z, side="right") / values.size
    # Counts are whole numbers over n: half a count is far above rounding.
    slack = 0.5 / values.size
    return pd.DataFrame(
        {
            "z": band.z,
            "ecdf": ecdf,
            "difference": ecdf - band.z,
            "lower": band.lower,
            "upper": band.upper,
            "inside": (ecdf > band.lower - slack) & (ecdf < band.upper + slack),
        }
    )


def _binomial_ends(n: int, z: Floats, gamma: float) -> tuple[Floats, Floats]:
    return stats.binom.ppf(0.5 * gamma, n, z), stats.binom.ppf(1.0 - 0.5 * gamma, n, z)


def _probability_inside(n: int, lower: Floats, upper: Floats) -> float:
    """Return P(lower_k <= n F(k / K) <= upper_k, k = 1..K-1), F the ECDF of n uniforms."""
    kernel = stats.poisson.pmf(np.arange(n + 1), n / (lower.size + 1))
    state, first = np.ones(1), 0
    ends = np.array([lower, upper], dtype=int).T.tolist()
    for start, end in [*ends, (n, n)]:
        reached = np.convolve(state, kernel[: end - first + 1])
        state, first = reached[start - first : end - first + 1], start
    # Conditioning the Poisson process on its total, n, gives the n uniform values.
    return float(state.sum() / stats.poisson.pmf(n, n))


def _envelope(counts: Floats, prob: float) -> tuple[Floats, Floats]:
    """Return ends (n_points,) that hold the share `prob` of the rows of `counts` as a whole."""
    n_rows = counts.shape[0]
    # How many rows are as extreme as this one, at each point and on the nearer side.
    at_or_below = stats.rankdata(counts, method="max", axis=0)
    at_or_above = n_rows + 1 - stats.rankdata(counts, method="min", axis=0)
    most_extreme = np.minimum(at_or_below, at_or_above).min(axis=1)
    depth = int(np.sort(most_extreme)[int(np.floor((1.0 - prob) * n_rows))])
    ordered = np.sort(counts, axis=0)
    return ordered[depth - 1], ordered[n_rows - depth]
