"""NUTS over θ by NumPyro, for posteriors that a Student-t proposal does not fit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayesdose.dose.collapsed import density
from bayesdose.dose.collapsed.density import Fold
from bayesdose.dose.collapsed.proposal import Weighted

CHAINS = 4
WARMUP = 1000
TARGET_ACCEPT = 0.95


def sample(
    problem: Any, fold: Fold, near: Weighted, draws: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Sample θ with four chains in lock step.

    Parameters
    ----------
    problem : Problem
        Table and model.
    fold : Fold
        Patients kept.
    near : Weighted
        Draws about the posterior; the chains start at some of them.
    draws : int
        Draws in total.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    theta : numpy.ndarray of shape (draws, d)
        Chain after chain; carried standard deviations turned positive.
    log_posterior : numpy.ndarray of shape (draws,)
    stats : dict of numpy.ndarray of shape (4, draws / 4)
        ``diverging``, ``energy``, ``tree_depth``.
    """
    from numpyro.infer import MCMC, NUTS

    from bayesdose.dose.collapsed.engine import double_precision

    def potential(theta: jax.Array) -> jax.Array:
        value = density.log_posterior(problem.space, theta, problem.stats, fold, problem.counts)
        return jnp.where(jnp.isfinite(value), -value, jnp.inf)

    with double_precision(problem.device):
        kernel = NUTS(potential_fn=potential, target_accept_prob=TARGET_ACCEPT, dense_mass=True)
        per_chain = -(-draws // CHAINS)
        mcmc = MCMC(
            kernel,
            num_warmup=WARMUP,
            num_samples=per_chain,
            num_chains=CHAINS,
            chain_method="vectorized",
            progress_bar=False,
        )
        first = jnp.asarray(_starts(near, rng))
        key = jax.random.key(int(rng.integers(2**31)))
        mcmc.run(
            key,
            init_params=first,
            extra_fields=("diverging", "energy", "num_steps", "potential_energy"),
        )
        theta = np.asarray(mcmc.get_samples()).reshape(CHAINS * per_chain, -1)[:draws]
        fields = mcmc.get_extra_fields(group_by_chain=True)
        stats = {
            "diverging": np.asarray(fields["diverging"]),
            "energy": np.asarray(fields["energy"]),
            "n_steps": np.asarray(fields["num_steps"]),
        }
        log_posterior = -np.asarray(fields["potential_energy"]).reshape(-1)[:draws]
    signed, flips = near.proposal.signed, near.proposal.flips
    binary = 2 ** np.arange(len(signed))[::-1]
    flipped = theta * flips[(theta[:, list(signed)] < 0) @ binary]
    return flipped, log_posterior, stats


def _starts(near: Weighted, rng: np.random.Generator) -> np.ndarray:
    """Draws that are spread out, but none far out in a tail where a chain could be caught."""
    lowest = near.log_target[np.isfinite(near.log_target)].max() - 5.0 - near.theta.shape[1]
    plausible = np.flatnonzero(near.log_target > lowest)
    return near.theta[rng.choice(plausible, CHAINS, replace=len(plausible) < CHAINS)]
