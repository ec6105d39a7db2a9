"""Log densities of the parts of the model at posterior draws: priors, and p(y | β, u, θ)."""

from dataclasses import replace

import numpy as np
from scipy import stats

from bayesdose.dose import priors as p
from bayesdose.dose.conditional import Latents, draw_latents
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.posterior import Draws


def log_prior_scales(encoding: Encoding, draws: Draws) -> np.ndarray:
    """Log prior density of the standard deviations and correlations at each draw.

    Parameters
    ----------
    encoding : Encoding
        Learnt model with its priors.
    draws : Draws
        S draws.

    Returns
    -------
    numpy.ndarray of shape (S,)
        Without the normalising constant of the LKJ prior.
    """
    priors, tissues = encoding.spec.priors, encoding.tissues
    out = np.zeros(len(draws))
    width = len(encoding.patient_effects) // len(tissues)
    for k, tissue in enumerate(tissues):
        out += log_density(priors.resolve("residual_sd", tissue), draws.residual_sd[:, k])
        for j in range(k * width, (k + 1) * width):
            out += log_density(priors.resolve("patient_sd", tissue), draws.patient_sd[:, j])
        if encoding.cycle_effect[k]:
            out += log_density(priors.resolve("cycle_sd", tissue), draws.cycle_sd[:, k])
        if encoding.site_effect[k]:
            out += log_density(priors.resolve("site_sd", tissue), draws.site_sd[:, k])
    for g in range(draws.group_sd.shape[1]):
        out += log_density(priors.resolve("group_sd", ""), draws.group_sd[:, g])
    corr = priors.resolve("patient_corr", "")
    if encoding.spec.patient_correlation and draws.patient_sd.shape[1] > 1:
        assert isinstance(corr, p.LKJ)
        # LKJ density is |Ω|^(η - 1)
        out += (corr.eta - 1) * np.linalg.slogdet(draws.patient_corr)[1]
    return out


def log_prior_coefficients(encoding: Encoding, draws: Draws) -> np.ndarray:
    """Log prior density of intercepts and slopes at each draw.

    Parameters
    ----------
    encoding : Encoding
        Learnt model with its priors.
    draws : Draws
        S draws.

    Returns
    -------
    numpy.ndarray of shape (S,)
        Without coefficients whose prior is flat or a shrinkage prior.
    """
    out = np.zeros(len(draws))
    for k, tissue in enumerate(encoding.tissues):
        for j, name in enumerate(encoding.columns(k)):
            kind = "intercept" if name == "Intercept" else "slope"
            prior = encoding.spec.priors.resolve(kind, tissue, encoding.log_activity)
            out += log_density(prior, draws.beta[:, encoding.blocks[k].start + j])
    return out


def log_density(prior: object, values: np.ndarray) -> np.ndarray:
    """Log density of a prior value at draws of its parameter, up to a constant.

    Parameters
    ----------
    prior : prior value
    values : numpy.ndarray of shape (S,)

    Returns
    -------
    numpy.ndarray of shape (S,)
        0 for a flat or a shrinkage prior.
    """
    if isinstance(prior, p.Normal):
        return np.asarray(stats.norm.logpdf(values, prior.mu, prior.sigma))
    if isinstance(prior, p.HalfNormal):
        return np.asarray(stats.halfnorm.logpdf(values, scale=prior.sigma))
    if isinstance(prior, p.StudentT):
        return np.asarray(stats.t.logpdf(values, prior.df, prior.mu, prior.sigma))
    if isinstance(prior, p.Exponential):
        return np.asarray(stats.expon.logpdf(values, scale=1 / prior.rate))
    return np.zeros(len(values))


def conditional_mean(
    encoding: Encoding, draws: Draws, rows: Rows, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each training row's log dose per activity, given its own effects.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws.
    rows : Rows
        Training rows.
    rng : numpy.random.Generator
        Draws the effects from their exact conditionals.

    Returns
    -------
    mean, variance : numpy.ndarray of shape (S, n)
        X β + all effects, and σ² with the row's own measurement variance.
    """
    mean = draws.beta @ rows.x.T
    for code in range(len(rows.patients)):
        mine = np.flatnonzero(rows.patient == code)
        # codes stay as they are, so that effects are found by cycle and site
        one = replace(rows.take(mine), patient=np.zeros(len(mine), int), patients=("",))
        latents = draw_latents(encoding, draws, one, rng)
        mean[:, mine] += latents.u @ one.z.T + _own_effects(one, latents)
    variance = draws.residual_sd[:, rows.tissue] ** 2 + rows.own_var
    return mean, variance


def log_likelihood(
    encoding: Encoding, draws: Draws, rows: Rows, rng: np.random.Generator
) -> np.ndarray:
    """Log density p(y | β, u, θ) at each draw, the patient's own effects given.

    Parameters
    ----------
    encoding, draws, rows, rng
        As in `conditional_mean`.

    Returns
    -------
    numpy.ndarray of shape (S,)
        On the log-dose scale.
    """
    mean, variance = conditional_mean(encoding, draws, rows, rng)
    return -0.5 * (np.log(2 * np.pi * variance) + (rows.y - mean) ** 2 / variance).sum(1)


def _own_effects(rows: Rows, latents: Latents) -> np.ndarray:
    out = np.zeros((len(latents.u), len(rows.tissue)))
    for j in range(len(rows.tissue)):
        key = (int(rows.cycle[j]), int(rows.tissue[j]))
        if key in latents.cycle:
            out[:, j] += latents.cycle[key]
        if int(rows.site[j]) in latents.site:
            out[:, j] += latents.site[int(rows.site[j])]
        if int(rows.cycle[j]) in latents.shared:
            out[:, j] += np.sqrt(rows.shared_var[j]) * latents.shared[int(rows.cycle[j])]
    return out
