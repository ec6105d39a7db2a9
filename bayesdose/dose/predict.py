"""Predictive draws of absorbed dose: joint over the rows, for a stated kind of patient.

In each draw the sites of one patient share that patient's effects, and all rows share β and θ.
Rows that were measured (``given``, or a known patient's own) are conditioned on in closed form.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from bayesdose._arviz import pareto_smoothed
from bayesdose.dose.conditional import (
    Latents,
    draw_beta,
    draw_latents,
    log_density,
    patient_gram,
    patient_root,
)
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.posterior import Draws, resample

KINDS = ("new_patient", "known_patient", "typical_patient")
TARGETS = ("true", "measured")


@dataclass(frozen=True)
class Measured:
    """Measured rows of one patient.

    Parameters
    ----------
    rows : Rows
        All measured rows of the patient, one patient, in the codes of the rows to predict.
    is_new : numpy.ndarray of bool
        Rows that were not in the training table.
    """

    rows: Rows
    is_new: np.ndarray


@dataclass(frozen=True)
class Conditioned:
    """Draws after conditioning on measured rows.

    Parameters
    ----------
    draws : Draws
        Equally weighted.
    pareto_k : float
        Of the weights that moved θ; NaN when nothing new was conditioned on.
    weight_ess : float
    """

    draws: Draws
    pareto_k: float
    weight_ess: float


def condition(
    encoding: Encoding, draws: Draws, measured: Mapping[str, Measured], rng: np.random.Generator
) -> Conditioned:
    """Update θ and β with rows that were not in the training table.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        Posterior with ``precision`` and ``shift``.
    measured : dict of Measured
        By patient.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Conditioned
        θ reweighted by p(new rows | y, θ), Pareto-smoothed and resampled; β drawn anew.
    """
    assert draws.precision is not None
    assert draws.shift is not None
    p = draws.shift.shape[1]
    gram = np.zeros((len(draws), p + 1, p + 1))
    log_det = np.zeros(len(draws))
    n = 0
    for known in measured.values():
        if not known.is_new.any():
            continue
        after, det_after = patient_gram(encoding, draws, known.rows)
        gram, log_det = gram + after, log_det + det_after
        if not known.is_new.all():
            before, det_before = patient_gram(encoding, draws, known.rows.take(~known.is_new))
            gram, log_det = gram - before, log_det - det_before
        n += int(known.is_new.sum())
    if n == 0:
        return Conditioned(draws, float("nan"), float(len(draws)))
    log_ratio = log_density(draws.precision, draws.shift, gram, log_det, n)
    weights, pareto_k = pareto_smoothed(log_ratio)
    index = resample(weights, len(draws), rng)
    precision = (draws.precision + gram[:, :p, :p])[index]
    shift = (draws.shift + gram[:, :p, p])[index]
    moved = replace(
        draws.take(index),
        beta=draw_beta(precision, shift, rng),
        precision=precision,
        shift=shift,
        patient_effect=None,
        chains=draws.chains,
    )
    return Conditioned(moved, pareto_k, float(1 / (weights**2).sum()))


def log_dose_draws(
    encoding: Encoding,
    draws: Draws,
    rows: Rows,
    *,
    kind: str,
    target: str,
    measured: Mapping[str, Measured],
    rng: np.random.Generator,
) -> np.ndarray:
    """Joint predictive draws of log dose.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws, already conditioned on the new rows of ``measured``.
    rows : Rows
        Rows to predict.
    kind : str
        One of `KINDS`, for patients without measured rows.
    target : str
        ``"true"`` or ``"measured"``, the latter with the rows' measurement error.
    measured : dict of Measured
        By patient; these are predicted given their rows.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of shape (S, n), log Gy
    """
    out = draws.beta @ rows.x.T + rows.log_activity
    # a new centre has one effect a tissue, shared by its patients
    new_levels: dict[tuple[int, int, int], np.ndarray] = {}
    for code, label in enumerate(rows.patients):
        mine = np.flatnonzero(rows.patient == code)
        if len(mine) == 0:
            continue
        latents = (
            draw_latents(encoding, draws, measured[label].rows, rng) if label in measured else None
        )
        mine_rows = rows.take(mine)
        out[:, mine] += _new_levels(draws, mine_rows, new_levels, rng)
        out[:, mine] += _patient_part(encoding, draws, mine_rows, latents, kind, rng)
        if target == "measured":
            out[:, mine] += _measurement(draws, mine_rows, latents, rng)
    return out + _residual(encoding, draws, rows, rng)


def _new_levels(
    draws: Draws,
    rows: Rows,
    levels: dict[tuple[int, int, int], np.ndarray],
    rng: np.random.Generator,
) -> np.ndarray:
    """Effects of group levels that the training table did not have, drawn once a level."""
    out = np.zeros((len(draws), len(rows.tissue)))
    for g in range(rows.groups.shape[1]):
        for j in np.flatnonzero(rows.groups[:, g] < 0):
            key = (g, int(rows.groups[j, g]), int(rows.tissue[j]))
            if key not in levels:
                levels[key] = draws.group_sd[:, g] * rng.standard_normal(len(draws))
            out[:, j] += levels[key]
    return out


def _patient_part(
    encoding: Encoding,
    draws: Draws,
    rows: Rows,
    latents: Latents | None,
    kind: str,
    rng: np.random.Generator,
) -> np.ndarray:
    s, n = len(draws), len(rows.patient)
    q = rows.z.shape[1]
    if latents is not None:
        u = latents.u
    elif kind == "typical_patient" or q == 0:
        u = np.zeros((s, q))
    else:
        u = (patient_root(draws) @ rng.standard_normal((s, q, 1)))[..., 0]
    out = u @ rows.z.T
    cycles: dict[tuple[int, int], np.ndarray] = dict(latents.cycle) if latents else {}
    sites: dict[int, np.ndarray] = dict(latents.site) if latents else {}
    for j in range(n):
        tissue, site = int(rows.tissue[j]), int(rows.site[j])
        if encoding.cycle_effect[tissue]:
            key = (int(rows.cycle[j]), tissue)
            if key not in cycles:
                cycles[key] = draws.cycle_sd[:, tissue] * rng.standard_normal(s)
            out[:, j] += cycles[key]
        if encoding.site_effect[tissue]:
            if site not in sites:
                sites[site] = draws.site_sd[:, tissue] * rng.standard_normal(s)
            out[:, j] += sites[site]
    return out


def _measurement(
    draws: Draws, rows: Rows, latents: Latents | None, rng: np.random.Generator
) -> np.ndarray:
    s, n = len(draws), len(rows.patient)
    out = np.sqrt(rows.own_var) * rng.standard_normal((s, n))
    shared: dict[int, np.ndarray] = dict(latents.shared) if latents else {}
    for j in range(n):
        cycle = int(rows.cycle[j])
        if rows.shared_var[j] > 0:
            if cycle not in shared:
                shared[cycle] = rng.standard_normal(s)
            out[:, j] += np.sqrt(rows.shared_var[j]) * shared[cycle]
    return out


def _residual(encoding: Encoding, draws: Draws, rows: Rows, rng: np.random.Generator) -> np.ndarray:
    scale = draws.residual_sd[:, rows.tissue]
    likelihood = encoding.spec.likelihood
    if likelihood == "student_t":
        assert draws.df is not None
        return scale * rng.standard_t(draws.df[:, None], scale.shape)
    if likelihood == "gamma":
        shape = 1 / scale**2  # residual_sd is the coefficient of variation
        return np.log(rng.standard_gamma(shape) / shape)
    return scale * rng.standard_normal(scale.shape)
