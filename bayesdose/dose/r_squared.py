"""Bayesian R² of a fitted dose model: the share of variance that the model itself explains.

On the log scale the mean of a site is μ and its residual variance v; a log-normal dose in Gy has
mean exp(μ + v/2) and residual variance exp(2μ + v) (exp(v) − 1).

* conditional: the patient is known. μ has the patient's effects in it, v = σ².
* marginal: the patient is new. μ has covariates and activity only, v = z'Σz + ω² + κ² + σ².

The known error of a measurement is in neither: R² is of the dose itself.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from bayesdose.dose.conditional import draw_latents
from bayesdose.dose.model import DoseModel
from bayesdose.dose.training import Fitted, needs_training
from bayesdose.errors import PredictionError
from bayesdose.evaluate import bayes_r2 as r2_of_draws
from bayesdose.evaluate import hdi

#: Mass of the interval.
PROB = 0.95


def bayes_r2(model: DoseModel) -> pd.DataFrame:
    """Bayesian R² by tissue, in-sample: what the fit claims, not a validation.

    Parameters
    ----------
    model : DoseModel
        Fitted, with its training rows.

    Returns
    -------
    pandas.DataFrame
        Four rows a tissue: tissue, patient (``"known"`` is conditional on the patient's effects,
        ``"new"`` is marginal over them), scale (``"Gy"``, ``"log"``), n_sites, and median, lower
        and upper of R² (95 % HDI). NaN for a tissue with one site.

    Raises
    ------
    PredictionError
        When the model was saved without its rows, its likelihood is not log-normal, or
        covariates were imputed.

    References
    ----------
    A. Gelman, B. Goodrich, J. Gabry and A. Vehtari, Am. Stat. 73 (2019) 307-309,
    doi 10.1080/00031305.2018.1549100 (from memory).
    """
    fitted = model._state()
    rows = needs_training(fitted, "Bayesian R2").rows
    if fitted.encoding.spec.likelihood != "lognormal":
        raise PredictionError(
            f"likelihood={fitted.encoding.spec.likelihood!r}: Bayesian R2 is written for "
            "likelihood='lognormal' only; compare models by compare_models"
        )
    residual = fitted.draws.residual_sd[:, rows.tissue] ** 2
    means = {
        "known": (conditional_mean(fitted), residual),
        "new": (_covariates(fitted), residual + _effect_variance(fitted)),
    }
    table = []
    for k, tissue in enumerate(fitted.encoding.tissues):
        mine = rows.tissue == k
        for patient, (mean, variance) in means.items():
            for scale in ("Gy", "log"):
                found = _summary(mean[:, mine], variance[:, mine], scale)
                labels = {"tissue": tissue, "patient": patient, "scale": scale}
                table.append({**labels, "n_sites": int(mine.sum()), **found})
    out = pd.DataFrame(table)
    out.attrs = {"interval": "hdi", "hdi_prob": PROB}
    return out


def conditional_mean(fitted: Fitted) -> np.ndarray:
    """Log dose of the training sites given their own patients' effects, without residual.

    Parameters
    ----------
    fitted : Fitted
        A fitted model with its rows.

    Returns
    -------
    numpy.ndarray of shape (S, n), log Gy

    Raises
    ------
    PredictionError
        When covariates were imputed, so that draws belong to different tables, or the effects of
        a likelihood that does not collapse were not kept.
    """
    rows = needs_training(fitted, "the in-sample fit").rows
    encoding, draws = fitted.encoding, fitted.draws
    if encoding.spec.missing == "impute":
        raise PredictionError(
            "the covariates of this fit were imputed, differently in different draws, so that "
            "there is no one in-sample fit; look at leave_one_patient_out()"
        )
    out = _covariates(fitted)
    by_cycle_or_site = any(encoding.cycle_effect) or any(encoding.site_effect)
    if draws.patient_effect is not None and not by_cycle_or_site:
        return out + np.einsum("snq,nq->sn", draws.patient_effect[:, rows.patient], rows.z)
    if encoding.spec.likelihood != "lognormal":
        raise PredictionError(
            f"likelihood={encoding.spec.likelihood!r}: the effects of this fit were not kept "
            "(there are effects of cycle or site, or too many patients); the in-sample fit needs "
            "likelihood='lognormal'"
        )
    # the generator of DoseModel.posterior_: these are its patient effects
    rng = np.random.default_rng([fitted.info["random_seed"], 2])
    for code, label in enumerate(rows.patients):
        mine = np.flatnonzero(rows.patient == code)
        one = replace(rows.take(mine), patient=np.zeros(len(mine), int), patients=(label,))
        effects = draw_latents(encoding, draws, one, rng)
        out[:, mine] += effects.u @ one.z.T
        for j, site in enumerate(mine):
            out[:, site] += effects.cycle.get((int(one.cycle[j]), int(one.tissue[j])), 0.0)
            out[:, site] += effects.site.get(int(one.site[j]), 0.0)
    return out


def _covariates(fitted: Fitted) -> np.ndarray:
    rows = needs_training(fitted, "the in-sample fit").rows
    return fitted.draws.beta @ rows.x.T + rows.log_activity


def _effect_variance(fitted: Fitted) -> np.ndarray:
    """z'Σz + ω² + κ² of every draw and training site, (S, n)."""
    rows = needs_training(fitted, "the in-sample fit").rows
    draws = fitted.draws
    patient = np.einsum("nq,sqr,nr->sn", rows.z, draws.patient_cov, rows.z, optimize=True)
    return patient + draws.cycle_sd[:, rows.tissue] ** 2 + draws.site_sd[:, rows.tissue] ** 2


def _summary(mean: np.ndarray, variance: np.ndarray, scale: str) -> dict[str, float]:
    if mean.shape[1] < 2:
        return dict.fromkeys(("median", "lower", "upper"), float("nan"))
    if scale == "log":
        draws = r2_of_draws(mean, np.sqrt(variance))
    else:
        # R² of a draw does not change with its unit: in units of the largest exp(μ + v) no
        # draw of a heavy-tailed prior overflows. sd = exp(μ + v) √(1 − exp(−v))
        top = (mean + variance).max(axis=1, keepdims=True)
        sd = np.exp(mean + variance - top) * np.sqrt(-np.expm1(-variance))
        draws = r2_of_draws(np.exp(mean + variance / 2 - top), sd)
    lower, upper = hdi(draws[:, None], PROB)
    return {"median": float(np.median(draws)), "lower": float(lower[0]), "upper": float(upper[0])}
