"""Importance sampling of θ: an adapted Student-t mixture, mirrored at 0, with its own checks.

The proposal is t(location, scale) with a defensive component of the same location and a wider
scale, averaged over the sign changes that leave the target alone. Location and scale start at
the mode and are re-estimated from weighted draws until the Pareto k̂ of the weights is good.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln, logsumexp

from bayesdose._arviz import pareto_smoothed

#: log density of θ up to a constant, (S, d) -> (S,)
Target = Callable[[np.ndarray], np.ndarray]

DF = 6.0
WIDE = 2.5
WIDE_SHARE = 0.2
INFLATE = 1.2


@dataclass(frozen=True)
class Proposal:
    """Student-t mixture over θ.

    Parameters
    ----------
    location : numpy.ndarray of shape (d,)
    chol : numpy.ndarray of shape (d, d)
        Cholesky factor of the scale matrix.
    signed : tuple of int
        Positions of the standard deviations that are carried with a sign.
    flips : numpy.ndarray of shape (2^n_signed, d)
        Sign changes to average over, in binary order of ``signed``.
    """

    location: np.ndarray
    chol: np.ndarray
    signed: tuple[int, ...]
    flips: np.ndarray

    def sample(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw θ, turned to the mirror image in which carried standard deviations are positive.

        Parameters
        ----------
        n : int
            Number of draws.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        numpy.ndarray of shape (n, d)
        """
        d = len(self.location)
        wide = rng.random(n) < WIDE_SHARE
        spread = np.sqrt(DF / rng.chisquare(DF, n)) * np.where(wide, WIDE, 1.0)
        theta = self.location + spread[:, None] * (rng.standard_normal((n, d)) @ self.chol.T)
        binary = 2 ** np.arange(len(self.signed))[::-1]
        return theta * self.flips[(theta[:, list(self.signed)] < 0) @ binary]

    def log_density(self, theta: np.ndarray) -> np.ndarray:
        """Log density of the mirrored proposal.

        Parameters
        ----------
        theta : numpy.ndarray of shape (n, d)
            Reals.

        Returns
        -------
        numpy.ndarray of shape (n,)
        """
        d = len(self.location)
        inverse = np.linalg.inv(self.chol)
        mirrored = np.stack([self._mixture(theta * flip, inverse) for flip in self.flips])
        constant = gammaln((DF + d) / 2) - gammaln(DF / 2) - 0.5 * d * np.log(DF * np.pi)
        log_det = np.log(np.diag(self.chol)).sum()
        return logsumexp(mirrored, axis=0) - np.log(len(self.flips)) + constant - log_det

    def _mixture(self, theta: np.ndarray, inverse: np.ndarray) -> np.ndarray:
        d = len(self.location)
        distance = (((theta - self.location) @ inverse.T) ** 2).sum(1)
        narrow = np.log1p(-WIDE_SHARE) - 0.5 * (DF + d) * np.log1p(distance / DF)
        wide = (
            np.log(WIDE_SHARE)
            - d * np.log(WIDE)
            - 0.5 * (DF + d) * np.log1p(distance / (DF * WIDE**2))
        )
        return np.logaddexp(narrow, wide)


@dataclass(frozen=True)
class Weighted:
    """Weighted draws of θ and how far to trust them.

    Parameters
    ----------
    theta : numpy.ndarray of shape (S, d)
    log_target : numpy.ndarray of shape (S,)
        Log density of the target up to its constant.
    log_ratio : numpy.ndarray of shape (S,)
        log target - log proposal.
    weights : numpy.ndarray of shape (S,)
        Pareto-smoothed, summing to 1.
    pareto_k : float
    proposal : Proposal
    """

    theta: np.ndarray
    log_target: np.ndarray
    log_ratio: np.ndarray
    weights: np.ndarray
    pareto_k: float
    proposal: Proposal

    @property
    def ess(self) -> float:
        """Effective number of equally weighted draws, 1 / Σ w².

        Returns
        -------
        float
        """
        return float(1 / (self.weights**2).sum())

    @property
    def log_constant(self) -> tuple[float, float]:
        """Log of the target's integral, and its Monte-Carlo standard error.

        Returns
        -------
        value, error : float
        """
        n = len(self.log_ratio)
        value = float(logsumexp(self.log_ratio) - np.log(n))
        relative = np.exp(self.log_ratio - value)
        return value, float(relative.std(ddof=1) / np.sqrt(n))


def threshold(n: int) -> float:
    """Largest acceptable Pareto k̂ for n draws (Vehtari et al. 2024).

    Parameters
    ----------
    n : int
        Number of draws.

    Returns
    -------
    float
    """
    return float(min(1 - 1 / np.log10(n), 0.7))


def sample(
    target: Target, first: Proposal, ess: float, rng: np.random.Generator, round_size: int = 4000
) -> Weighted:
    """Adapt a proposal to a target, then draw until the weights are worth ``ess`` draws.

    Parameters
    ----------
    target : callable
        Log density of θ, (S, d) → (S,).
    first : Proposal
        Where to begin.
    ess : float
        Effective number of draws wanted.
    rng : numpy.random.Generator
        Source of randomness.
    round_size : int
        Draws a round.

    Returns
    -------
    Weighted
        Of the last proposal; the caller checks ``pareto_k`` and ``ess``.
    """
    proposal = first
    for adapted in range(MAX_ROUNDS):
        # a shape that two rounds do not settle needs more draws to be seen
        found = weigh(target, proposal, round_size // 2 * 2 ** (adapted // 2), rng)
        if found.pareto_k < GOOD_K and found.ess > GOOD_SHARE * len(found.weights):
            break
        proposal = _refit(found)
    n = int(np.clip(1.2 * ess * len(found.weights) / found.ess, round_size, MAX_DRAWS))
    found = weigh(target, proposal, n, rng)
    if found.ess < ess and n < MAX_DRAWS:
        more = int(np.clip(1.3 * ess * n / found.ess - n, round_size, MAX_DRAWS))
        found = _joined(found, weigh(target, proposal, more, rng))
    return found


#: Rounds of adaptation, what ends them, and the most draws of one target.
MAX_ROUNDS = 6
GOOD_K = 0.5
GOOD_SHARE = 0.3
MAX_DRAWS = 60_000


def weigh(target: Target, proposal: Proposal, n: int, rng: np.random.Generator) -> Weighted:
    """Draw from a proposal and weigh against a target.

    Parameters
    ----------
    target : callable
        Log density of θ, (S, d) → (S,).
    proposal : Proposal
        Where to draw.
    n : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Weighted
    """
    theta = proposal.sample(n, rng)
    log_target = target(theta)
    return weighted(theta, log_target, log_target - proposal.log_density(theta), proposal)


def weighted(
    theta: np.ndarray, log_target: np.ndarray, log_ratio: np.ndarray, proposal: Proposal
) -> Weighted:
    """Smooth log ratios into weights.

    Parameters
    ----------
    theta : numpy.ndarray of shape (S, d)
        Draws.
    log_target, log_ratio : numpy.ndarray of shape (S,)
        Log target, and log target - log proposal.
    proposal : Proposal
        Where they came from.

    Returns
    -------
    Weighted
    """
    # a θ at the edge of double precision has no density: its weight is 0
    log_ratio = np.where(np.isfinite(log_ratio), log_ratio, -np.inf)
    weights, pareto_k = pareto_smoothed(log_ratio)
    return Weighted(theta, log_target, log_ratio, weights, pareto_k, proposal)


def _refit(found: Weighted) -> Proposal:
    proposal, weights = found.proposal, found.weights
    location = weights @ found.theta
    centred = found.theta - location
    covariance = (weights[:, None] * centred).T @ centred
    # few effective draws give a poor covariance: shrink towards the one that made them
    trust = found.ess / (found.ess + 5.0 * len(location))
    old = proposal.chol @ proposal.chol.T
    scale = trust * covariance * INFLATE * (DF - 2) / DF + (1 - trust) * old
    return Proposal(location, np.linalg.cholesky(scale), proposal.signed, proposal.flips)


def _joined(first: Weighted, second: Weighted) -> Weighted:
    return weighted(
        np.concatenate([first.theta, second.theta]),
        np.concatenate([first.log_target, second.log_target]),
        np.concatenate([first.log_ratio, second.log_ratio]),
        first.proposal,
    )


def around(theta: np.ndarray, like: Proposal) -> Proposal:
    """Proposal with the mean and covariance of equally weighted draws.

    Parameters
    ----------
    theta : numpy.ndarray of shape (S, d)
        Draws.
    like : Proposal
        Gives the mirror images.

    Returns
    -------
    Proposal
    """
    covariance = np.atleast_2d(np.cov(theta.T)) * INFLATE * (DF - 2) / DF
    return Proposal(theta.mean(0), np.linalg.cholesky(covariance), like.signed, like.flips)
