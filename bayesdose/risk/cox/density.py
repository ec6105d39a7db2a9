"""The Cox model in NumPyro: priors, uncertain covariates, and either likelihood.

Columns arrive centred and scaled; the coefficients here are per scale. What decides the shape of
the computation is in `Structure`, which is hashable; numbers are in `data`, so that data of like
shape share one compilation.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
from numpyro import distributions as dist

from bayesdose.dose import priors as p
from bayesdose.risk._drawn import true_values
from bayesdose.risk.cox.partial_likelihood import log_likelihood

#: Variance of the log of an exponential time, which stands for the residual variance in R2D2.
LOG_TIME_VARIANCE = math.pi**2 / 6


#: Prior standard deviation of the mean of true values, in standard deviations within strata.
EXPOSURE_MEAN_SD = 5.0


@dataclass(frozen=True)
class Structure:
    """What a fit is made of.

    Parameters
    ----------
    slope : prior value
        Of the coefficients.
    n_columns : int
        Number of coefficients.
    drawn : tuple of int
        Places of drawn columns.
    n_drawn : int
        Values of each of them, padding included.
    measured : tuple of int
        Places of columns measured with error.
    n_measured : int
        Measurements of each of them, padding included.
    n_centres : int
        Levels of the frailty; 0 for none.
    frailty_sd : prior value
        Of its standard deviation.
    n_basis : int
        M-splines of the baseline; 0 for the partial likelihood.
    n_strata : int
    concentration, level : float
        Priors of the baseline.
    """

    slope: Any
    n_columns: int
    drawn: tuple[int, ...] = ()
    n_drawn: int = 0
    measured: tuple[int, ...] = ()
    n_measured: int = 0
    n_centres: int = 0
    frailty_sd: Any = None
    n_basis: int = 0
    n_strata: int = 1
    concentration: float = 1.0
    level: float = 2.0


def model(structure: Structure, data: dict[str, Any]) -> None:
    """Log posterior density, as a NumPyro model.

    Parameters
    ----------
    structure : Structure
    data : dict of str to jax.Array
        ``x`` (n, p); ``counted`` (n,), 0 for padding; ``unit`` (p,), what the prior of a slope is
        per, in scales; ``n_events``; ``stratum`` and ``centre`` of each row; for the partial
        likelihood ``sets`` and ``event_counted``; for the full one ``event``, ``hazard_basis`` and
        ``cumulative_basis``; ``quantiles``, ``root`` and ``drawn_place`` of drawn columns;
        ``measurement``, ``error_sd``, ``measured_counted``, ``measured_first`` (m, n_measured) and
        ``measured_place`` (m, n) of measured ones.
    """
    beta = _slopes(structure, data)
    x = data["x"]
    if structure.drawn:
        x = _with_drawn(structure, data, x)
    if structure.measured:
        x = _with_measured(structure, data, x)
    eta = x @ beta
    if structure.n_centres:
        sd = numpyro.sample("frailty_sd", _half(structure.frailty_sd))
        with numpyro.plate("centres", structure.n_centres):
            z = numpyro.sample("frailty_z", dist.Normal())
        frailty = numpyro.deterministic("frailty", sd * z)
        eta = eta + frailty[data["centre"]]
    numpyro.deterministic("eta", eta)
    if structure.n_basis:
        value = _full(structure, data, eta)
    else:
        value = log_likelihood(data["sets"], eta, data["event_counted"])
    numpyro.factor("log_likelihood", value)


def _slopes(structure: Structure, data: dict[str, Any]) -> jax.Array:
    """Coefficients per scale; the prior is of coefficients per `unit`."""
    prior, size, unit = structure.slope, structure.n_columns, data["unit"]
    if isinstance(prior, p.RegularizedHorseshoe):
        sds = _horseshoe(prior, size, data["n_events"])
    elif isinstance(prior, p.R2D2):
        sds = _r2d2(prior, size)
    else:
        return numpyro.sample("beta", _law(prior, unit).to_event(1))
    z = numpyro.sample("beta_z", dist.Normal().expand([size]).to_event(1))
    return numpyro.deterministic("beta", sds * z * unit)


def _law(prior: Any, unit: jax.Array) -> Any:
    if isinstance(prior, p.Flat):
        return dist.ImproperUniform(dist.constraints.real, unit.shape, ())
    if isinstance(prior, p.StudentT):
        return dist.StudentT(prior.df, prior.mu * unit, prior.sigma * unit)
    return dist.Normal(prior.mu * unit, prior.sigma * unit)


def _half(prior: Any) -> Any:
    if isinstance(prior, p.Exponential):
        return dist.Exponential(prior.rate)
    if isinstance(prior, p.StudentT):
        return dist.FoldedDistribution(dist.StudentT(prior.df, 0.0, prior.sigma))
    return dist.HalfNormal(prior.sigma)


def _horseshoe(prior: Any, size: int, n_events: jax.Array) -> jax.Array:
    """Scales; an event tells about as much of a standardised slope as a unit-variance row."""
    ratio = prior.expected_nonzero / (size - prior.expected_nonzero)
    tau = numpyro.sample("global_scale", dist.HalfCauchy(ratio / jnp.sqrt(n_events)))
    half_df = prior.slab_df / 2
    slab = numpyro.sample("slab", dist.InverseGamma(half_df, half_df * prior.slab_scale**2))
    local = numpyro.sample("local_scale", dist.HalfCauchy(1.0).expand([size]).to_event(1))
    return tau * local * jnp.sqrt(slab / (slab + tau**2 * local**2))


def _r2d2(prior: Any, size: int) -> jax.Array:
    a, b = prior.mean * prior.precision, (1.0 - prior.mean) * prior.precision
    share = numpyro.sample("r2", dist.Beta(a, b))
    if size == 1:
        parts = jnp.ones(1)
    else:
        parts = numpyro.sample("shares", dist.Dirichlet(jnp.full(size, prior.concentration)))
    return jnp.sqrt(LOG_TIME_VARIANCE * parts * share / (1.0 - share))


def _with_drawn(structure: Structure, data: dict[str, Any], x: jax.Array) -> jax.Array:
    """True values of drawn columns."""
    n_values = len(structure.drawn) * structure.n_drawn
    own = numpyro.sample("drawn_z", dist.Normal().expand([n_values]).to_event(1))
    value = true_values(own, data["quantiles"], data["root"])[:, data["drawn_place"]]
    numpyro.deterministic("drawn", value)
    return x.at[:, jnp.array(structure.drawn)].set(value.T)


def _with_measured(structure: Structure, data: dict[str, Any], x: jax.Array) -> jax.Array:
    """True values of measured columns, each given the columns that stand before it in the chain."""
    given = [j for j in range(structure.n_columns) if j not in structure.measured]
    shape = (len(structure.measured), structure.n_measured)
    every = numpyro.sample("measured_z", dist.Normal().expand(shape).to_event(2))
    values = []
    for k, column in enumerate(structure.measured):
        first, place = data["measured_first"][k], data["measured_place"][k]
        center = _exposure(structure, data, k, x[:, jnp.array(given, int)])[first]
        spread = numpyro.sample(f"exposure_sd_{k}", dist.HalfNormal(2.0))
        measured, error = data["measurement"][k], data["error_sd"][k]
        total = jnp.sqrt(spread**2 + error**2)
        seen = dist.Normal(center, total).log_prob(measured)
        numpyro.factor(f"exposure_{k}", (data["measured_counted"][k] * seen).sum())
        reliability = spread**2 / total**2
        value = center + reliability * (measured - center)
        value = (value + jnp.sqrt(reliability) * error * every[k])[place]
        values.append(value)
        x = x.at[:, column].set(value)
        given = [*given, column]
    numpyro.deterministic("measured", jnp.stack(values))
    return x


def _exposure(structure: Structure, data: dict[str, Any], k: int, given: jax.Array) -> jax.Array:
    """Mean of the true values of each row, by stratum, centre and the covariates given."""
    law = dist.Normal(0.0, EXPOSURE_MEAN_SD).expand([structure.n_strata]).to_event(1)
    center = numpyro.sample(f"exposure_mean_{k}", law)[data["stratum"]]
    if structure.n_centres:
        sd = numpyro.sample(f"exposure_centre_sd_{k}", dist.HalfNormal(2.0))
        law = dist.Normal().expand([structure.n_centres]).to_event(1)
        effect = sd * numpyro.sample(f"exposure_centre_z_{k}", law)
        center = center + numpyro.deterministic(f"exposure_centre_{k}", effect)[data["centre"]]
    if given.shape[1]:
        law = dist.Normal(0.0, 1.0).expand([given.shape[1]]).to_event(1)
        center = center + given @ numpyro.sample(f"exposure_slope_{k}", law)
    return center


def _full(structure: Structure, data: dict[str, Any], eta: jax.Array) -> jax.Array:
    with numpyro.plate("strata", structure.n_strata):
        level = numpyro.sample("log_total_hazard", dist.Normal(0.0, structure.level))
        if structure.n_basis == 1:
            weights = jnp.ones((structure.n_strata, 1))
        else:
            law = dist.Dirichlet(jnp.full(structure.n_basis, structure.concentration))
            weights = numpyro.sample("baseline_weights", law)
    mine = weights[data["stratum"]]
    log_base = level[data["stratum"]] + eta
    hazard = (mine * data["hazard_basis"]).sum(-1)
    passed = (mine * data["cumulative_basis"]).sum(-1)
    of_events = jnp.where(data["event"] > 0, jnp.log(jnp.where(hazard > 0, hazard, 1.0)), 0.0)
    each = data["event"] * (of_events + log_base) - passed * jnp.exp(log_base)
    return (data["counted"] * each).sum()
