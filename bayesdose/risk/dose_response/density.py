"""The dose-response model in NumPyro: priors, uncertain doses, and the Bernoulli likelihood.

x is the log of the true dose over the reference dose. Numbers are in `data`, so that data of like
shape share one compilation.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpyro
from jax.scipy.special import log_ndtr
from numpyro import distributions as dist

from bayesdose.dose import priors as p
from bayesdose.risk._drawn import true_values

#: Prior standard deviations, in log dose, of the mean of true doses and (half normal) of their
#: spread: a factor of 150 and of 7.
EXPOSURE_MEAN_SD, EXPOSURE_SPREAD = 5.0, 2.0


@dataclass(frozen=True)
class Structure:
    """What a fit is made of.

    Parameters
    ----------
    link : str
        ``logit`` or ``probit``.
    intercept, slope, patient_sd : prior value
    doses : str
        ``exact``, ``measured`` or ``drawn``.
    n_patients : int
        Patients; 0 where each has one row, and no effect of its own.
    n_drawn : int
        Values of drawn doses, padding included.
    """

    link: str
    intercept: Any
    slope: Any
    patient_sd: Any
    doses: str = "exact"
    n_patients: int = 0
    n_drawn: int = 0


def model(structure: Structure, data: dict[str, Any]) -> None:
    """Log posterior density, as a NumPyro model.

    Parameters
    ----------
    structure : Structure
    data : dict of str to jax.Array
        Of each row: ``sign`` (1 with the outcome, -1 without), ``counted`` (0 for padding),
        ``patient``; ``x`` of exact doses; ``measurement`` and ``error_sd`` of measured ones;
        ``quantiles``, ``root`` and ``drawn_place`` of drawn ones.
    """
    intercept = numpyro.sample("intercept", _law(structure.intercept))
    slope = numpyro.sample("slope", _law(structure.slope))
    eta = intercept + slope * _log_dose(structure, data)
    if structure.n_patients:
        sd = numpyro.sample("patient_sd", _half(structure.patient_sd))
        z = _normals("patient_z", structure.n_patients)
        effect = numpyro.deterministic("patient_effect", sd * z)
        eta = eta + effect[data["patient"]]
    log_probability = jax.nn.log_sigmoid if structure.link == "logit" else log_ndtr
    each = log_probability(data["sign"] * eta)
    numpyro.factor("log_likelihood", (data["counted"] * each).sum())


def _log_dose(structure: Structure, data: dict[str, Any]) -> jax.Array:
    if structure.doses == "exact":
        return data["x"]
    if structure.doses == "drawn":
        own = _normals("drawn_z", structure.n_drawn)
        x = true_values(own, data["quantiles"], data["root"])[0, data["drawn_place"]]
    else:
        x = _behind_measured(structure, data)
    return numpyro.deterministic("true_x", x)


def _behind_measured(structure: Structure, data: dict[str, Any]) -> jax.Array:
    """True log doses, Normal about their patient's mean, given their measurements.

    With lambda = tau^2 / (tau^2 + e^2): w ~ N(m_i, tau^2 + e^2), and
    x | w ~ N(m_i + lambda (w - m_i), lambda e^2).
    """
    center = numpyro.sample("exposure_mean", dist.Normal(0.0, EXPOSURE_MEAN_SD))
    spread = numpyro.sample("exposure_sd", dist.HalfNormal(EXPOSURE_SPREAD))
    if structure.n_patients:
        sd = numpyro.sample("exposure_patient_sd", dist.HalfNormal(EXPOSURE_SPREAD))
        center = (
            center + (sd * _normals("exposure_patient_z", structure.n_patients))[data["patient"]]
        )
    measured, error = data["measurement"], data["error_sd"]
    total = jnp.sqrt(spread**2 + error**2)
    seen = dist.Normal(center, total).log_prob(measured)
    numpyro.factor("exposure", (data["counted"] * seen).sum())
    reliability = (spread / total) ** 2
    z = _normals("measured_z", measured.shape[0])
    return center + reliability * (measured - center) + (spread / total) * error * z


def _normals(name: str, size: int) -> jax.Array:
    return numpyro.sample(name, dist.Normal().expand([size]).to_event(1))


def _law(prior: Any) -> Any:
    if isinstance(prior, p.StudentT):
        return dist.StudentT(prior.df, prior.mu, prior.sigma)
    return dist.Normal(prior.mu, prior.sigma)


def _half(prior: Any) -> Any:
    if isinstance(prior, p.Exponential):
        return dist.Exponential(prior.rate)
    if isinstance(prior, p.StudentT):
        return dist.FoldedDistribution(dist.StudentT(prior.df, 0.0, prior.sigma))
    return dist.HalfNormal(prior.sigma)
