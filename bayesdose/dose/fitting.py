"""Fit with either engine."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from bayesdose.dose.conditional import patient_gram
from bayesdose.dose.design import Rows, patients_per_tissue
from bayesdose.dose.posterior import Draws
from bayesdose.dose.training import Fitted, Training, build_domain

#: Packages whose versions are stored with a fit.
_VERSIONED = ("bayesdose", "jax", "numpyro", "pymc", "nutpie", "numpy", "xarray", "arviz-stats")


def fit_collapsed(
    training: Training, draws: int, random_seed: int, sampler: str, device: str
) -> Fitted:
    """Integrate β and u out, sample θ, draw β exactly.

    Parameters
    ----------
    training : Training
        Checked and encoded table.
    draws : int
        Draws in total.
    random_seed : int
        Seed.
    sampler : str
        ``"auto"``, ``"importance"`` or ``"nuts"``.
    device : str
        ``"cpu"`` or ``"gpu"``.

    Returns
    -------
    Fitted
    """
    from bayesdose.dose.collapsed import engine
    from bayesdose.dose.collapsed.draws import posterior_draws

    began = time.perf_counter()
    rng = np.random.default_rng(random_seed)
    problem = engine.prepare(training.encoding, training.rows, device)
    whole = problem.whole
    sampled = engine.explore(problem, whole, draws, rng, sampler)
    hyper, gram = engine.totals(problem, sampled.theta, whole.keep)
    identity = np.eye(training.encoding.n_coefficients)
    found = posterior_draws(
        hyper,
        gram,
        identity,
        np.asarray(problem.space.means),
        sampled.log_posterior,
        rng,
        sampled.stats,
    )
    evidence = (float("nan"), float("nan"))
    info: dict[str, Any] = {"sampler": sampled.method, "device": device}
    if sampled.weighted is not None:
        info["pareto_k"] = sampled.weighted.pareto_k
        info["weight_ess"] = sampled.weighted.ess
        info["proposal_draws"] = len(sampled.weighted.weights)
        if problem.space.proper:
            value, error = sampled.weighted.log_constant
            evidence = (value - _log_jacobian(training.rows), error)
    info["seconds"] = time.perf_counter() - began
    return _fitted(training, found, evidence, info, draws, random_seed, (problem, sampled))


def fit_pymc(
    training: Training, draws: int, random_seed: int, sampler: str, progress: bool | None
) -> Fitted:
    """Sample the full hierarchical model with PyMC.

    Parameters
    ----------
    training : Training
        Checked and encoded table.
    draws : int
        Draws in total.
    random_seed : int
        Seed.
    sampler : str
        ``"auto"`` (nutpie), ``"nutpie"``, ``"pymc"`` or ``"numpyro"``.
    progress : bool or None
        Show a progress bar; None shows it on a terminal.

    Returns
    -------
    Fitted
    """
    from bayesdose.dose.pymc_engine import sample

    found = sample(
        training.encoding,
        training.rows,
        draws=draws,
        random_seed=random_seed,
        sampler="nutpie" if sampler == "auto" else sampler,
        progress=progress,
    )
    info = {
        "sampler": found.sampler,
        "device": "cpu",
        "compile_seconds": found.compile_s,
        "seconds": found.sampling_s,
    }
    nothing = (float("nan"), float("nan"))
    known = _with_moments(training, found.draws)
    return _fitted(training, known, nothing, info, draws, random_seed, None)


def _with_moments(training: Training, draws: Draws) -> Draws:
    """Add the conditional posterior of β where likelihood and priors are Gaussian."""
    from bayesdose.dose.collapsed import hyper

    encoding, rows = training.encoding, training.rows
    n_patients = patients_per_tissue(encoding, rows)
    space = hyper.build(encoding, n_patients)
    collapses = encoding.spec.likelihood == "lognormal" and not encoding.spec.censored
    if not collapses or space.local or space.shrinkage:
        return draws
    p = encoding.n_coefficients
    gram = np.zeros((len(draws), p + 1, p + 1))
    for code in range(len(rows.patients)):
        gram += patient_gram(encoding, draws, rows.take(rows.patient == code).compact())[0]
    prior_sd = np.broadcast_to(np.asarray(space.sds), (len(draws), p)).copy()
    for g, block in enumerate(encoding.group_blocks):
        prior_sd[:, block] = draws.group_sd[:, [g]]
    precision = gram[:, :p, :p]
    precision[:, np.arange(p), np.arange(p)] += 1 / prior_sd**2
    shift = gram[:, :p, p] + np.asarray(space.means) / prior_sd**2
    return replace(draws, precision=precision, shift=shift)


def _fitted(
    training: Training,
    found: Draws,
    evidence: tuple[float, float],
    info: dict[str, Any],
    draws: int,
    random_seed: int,
    state: Any,
) -> Fitted:
    about = {
        "inference_library": "bayesdose",
        "engine": training.encoding.spec.engine,
        "draws": draws,
        "random_seed": random_seed,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "n_sites": len(training.rows.tissue),
        "n_patients": len(training.rows.patients),
        **{f"version_{name.replace('-', '_')}": _version(name) for name in _VERSIONED},
    }
    return Fitted(
        encoding=training.encoding,
        draws=replace(found, log_posterior=np.asarray(found.log_posterior)),
        domain=build_domain(training),
        training=training,
        log_evidence=evidence,
        info={**about, **info},
        engine_state=state,
    )


def _log_jacobian(rows: Rows) -> float:
    """Log density of the dose in Gy is that of its logarithm minus Σ log dose."""
    return float(rows.log_dose.sum())


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
