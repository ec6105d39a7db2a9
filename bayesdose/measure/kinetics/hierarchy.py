"""Posterior draws of a population of uptake-and-clearance curves, by NUTS."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from bayesdose.measure._numbers import Floats
from bayesdose.measure.kinetics.shape import Scans, log_shape, rates

WARMUP, DRAWS, CHAINS = 500, 500, 4
#: What a region's own parameters are called in the sampler; predictions need the others.
_OWN = ("p", "e", "f")


@dataclass(frozen=True)
class Population:
    """Draws of a population.

    Parameters
    ----------
    draws : dict of ndarray of shape (n_draws, ...)
        half_life and uptake (means of log h), half_life_sd and uptake_sd, by tissue;
        patient_sd, noise.
    r_hat : float
        Largest among them.
    divergences : int
        Transitions that the sampler could not follow.
    """

    draws: dict[str, Floats]
    r_hat: float
    divergences: int


def sample_population(
    scans: Scans, n_tissues: int, decay: float, random_seed: int, progress: bool
) -> Population:
    """Posterior draws of the population.

    Parameters
    ----------
    scans : Scans
        Training regions.
    n_tissues : int
        Populations.
    decay : float, 1/h
        Physical decay.
    random_seed : int
        Seed.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Population
    """
    import jax
    import jax.numpy as jnp
    import numpyro
    from numpyro import distributions as dist
    from numpyro.diagnostics import split_gelman_rubin
    from numpyro.infer import MCMC, NUTS

    n_patients, n_regions = scans.patient.max() + 1, len(scans.keys)

    def model() -> None:
        half_life = numpyro.sample(
            "half_life", dist.Normal(np.log(45.0), 0.5).expand([n_tissues]).to_event(1)
        )
        spread = numpyro.sample(
            "half_life_sd", dist.HalfNormal(0.4).expand([n_tissues]).to_event(1)
        )
        uptake = numpyro.sample(
            "uptake", dist.Normal(np.log(2.0), 1.0).expand([n_tissues]).to_event(1)
        )
        uptake_sd = numpyro.sample(
            "uptake_sd", dist.HalfNormal(0.5).expand([n_tissues]).to_event(1)
        )
        patient_sd = numpyro.sample("patient_sd", dist.HalfNormal(0.3))
        noise = numpyro.sample("noise", dist.HalfNormal(0.1))
        # half-lives are centred, since three scans or more say more of them than the population
        # does; uptake is not, since few scans fall into it
        p = numpyro.sample("p", dist.Normal(0, 1).expand([n_patients]).to_event(1))
        centre = half_life[scans.tissue] + patient_sd * p[scans.patient]
        e = numpyro.sample("e", dist.Normal(centre, spread[scans.tissue]).to_event(1))
        f = numpyro.sample("f", dist.Normal(0, 1).expand([n_regions]).to_event(1))
        slow, fast = rates(e, uptake[scans.tissue] + uptake_sd[scans.tissue] * f, decay, jnp)
        shape = log_shape(slow[scans.region], fast[scans.region], scans.time_h, jnp)
        variance = noise**2 + scans.noise_var
        numpyro.factor("y", _contrasts(scans.log_activity - shape, variance, scans.region))

    with jax.enable_x64(True):
        mcmc = MCMC(
            NUTS(model, target_accept_prob=0.95),
            num_warmup=WARMUP,
            num_samples=DRAWS,
            num_chains=CHAINS,
            chain_method="vectorized",
            progress_bar=progress,
        )
        mcmc.run(jax.random.key(random_seed))
        by_chain = mcmc.get_samples(group_by_chain=True)
        found = {name: np.asarray(by_chain[name]) for name in by_chain if name not in _OWN}
        divergences = int(np.asarray(mcmc.get_extra_fields()["diverging"]).sum())
    r_hat = max(float(np.max(split_gelman_rubin(values))) for values in found.values())
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in found.items()}
    return Population(flat, r_hat, divergences)


def _contrasts(residual: Any, variance: Any, region: np.ndarray) -> Any:
    """Log density of all residuals, with the flat level of each region integrated out."""
    import jax.numpy as jnp

    def by_region(values: Any) -> Any:
        return jnp.zeros(region.max() + 1).at[region].add(values)

    total = by_region(1 / variance)
    level = by_region(residual / variance) / total
    square = (residual**2 / variance).sum() - (total * level**2).sum()
    return -0.5 * (jnp.log(variance).sum() + jnp.log(total).sum() + square)
