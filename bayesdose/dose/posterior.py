"""Posterior draws as plain arrays, the one container that every engine fills."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

CHAINS = 4


@dataclass(frozen=True)
class Draws:
    """S draws, chain after chain, for K tissues, p coefficients, q patient effects, P patients.

    Parameters
    ----------
    beta : numpy.ndarray of shape (S, p)
        Coefficients on the standardised scale, group effects last.
    residual_sd : numpy.ndarray of shape (S, K)
        Log scale. For ``gamma`` it is the coefficient of variation, for ``student_t`` the scale.
    patient_sd : numpy.ndarray of shape (S, q)
    patient_corr : numpy.ndarray of shape (S, q, q)
    cycle_sd, site_sd : numpy.ndarray of shape (S, K)
        0 where the tissue has no such effect.
    group_sd : numpy.ndarray of shape (S, n_groups)
    patient_effect : numpy.ndarray of shape (S, P, q) or None
        None where it was too large to keep.
    precision : numpy.ndarray of shape (S, p, p) or None
    shift : numpy.ndarray of shape (S, p) or None
        Conditional posterior of β at the draw's θ, N(precision⁻¹ shift, precision⁻¹): what
        conditioning on further rows needs. None where the likelihood does not collapse.
    log_posterior : numpy.ndarray of shape (S,)
        Up to a constant.
    df : numpy.ndarray of shape (S,) or None
        Degrees of freedom of a ``student_t`` likelihood.
    sample_stats : dict of numpy.ndarray
        Sampler statistics of shape (chains, draws per chain).
    chains : int
        Number of chains.
    """

    beta: np.ndarray
    residual_sd: np.ndarray
    patient_sd: np.ndarray
    patient_corr: np.ndarray
    cycle_sd: np.ndarray
    site_sd: np.ndarray
    group_sd: np.ndarray
    patient_effect: np.ndarray | None
    precision: np.ndarray | None
    shift: np.ndarray | None
    log_posterior: np.ndarray
    df: np.ndarray | None = None
    sample_stats: dict[str, np.ndarray] = field(default_factory=dict)
    chains: int = CHAINS

    def __len__(self) -> int:
        return len(self.beta)

    @property
    def patient_cov(self) -> np.ndarray:
        """Covariance of the patient effects.

        Returns
        -------
        numpy.ndarray of shape (S, q, q)
        """
        return self.patient_sd[:, :, None] * self.patient_corr * self.patient_sd[:, None, :]

    def take(self, index: np.ndarray | slice) -> "Draws":
        """Draws at some positions, as one chain.

        Parameters
        ----------
        index : numpy.ndarray of int, or slice
            Positions, repeated ones included.

        Returns
        -------
        Draws
        """
        changed: dict[str, Any] = {
            name: value[index]
            for name, value in vars(self).items()
            if isinstance(value, np.ndarray)
        }
        return replace(self, **changed, sample_stats={}, chains=1)


def resample(weights: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """Positions of n equally weighted draws, by stratified resampling, in random order.

    Parameters
    ----------
    weights : numpy.ndarray of shape (S,)
        Summing to 1.
    n : int
        Number of draws.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of int of shape (n,)
    """
    points = (np.arange(n) + rng.random(n)) / n
    index = np.minimum(np.searchsorted(np.cumsum(weights), points), len(weights) - 1)
    return rng.permutation(index)
