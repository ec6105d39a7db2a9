"""Predictions of many patients, each updated with that patient's own measured rows.

Each patient's rows move β, θ and the patient's effects for that patient alone, so that a result
does not depend on who else stands in the table. At each draw everything is normal, and a draw from
the law before the measurement becomes one from the law after it by Matheron's rule,

    f_new + cov(f_new, y) K⁻¹ (y - y_drawn),    K = cov(y),

with f and y_drawn from the same draw (Wilson et al. 2021, JMLR 22(105), from memory). θ is
reweighted with p(y | θ), Pareto-smoothed, and whole draws are resampled.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special

from bayesdose._arviz import pareto_smoothed
from bayesdose.dose import joint
from bayesdose.dose.conditional import draw_beta, law_without, patient_root
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.measured_rows import GIVEN, PREDICTED, TRAINED
from bayesdose.dose.posterior import Draws, resample

#: Numbers that an array of a block of patients may hold: few enough to stay in the cache.
_BLOCK = 2 * 10**6


@dataclass(frozen=True)
class Updates:
    """Predictions before and after measurement, of n rows in N of which a dose was measured.

    Parameters
    ----------
    before, after : numpy.ndarray of shape (n_predicted, S), log Gy
        Joint draws of the rows to predict, before and after the rows measured since training.
    percentile : numpy.ndarray of shape (n_given,)
        Predictive probability, before, of a measured dose below the one found.
    pareto_k : numpy.ndarray of shape (P,)
        Of the weights of each patient; NaN where nothing was measured since training.
    source : numpy.ndarray of int of shape (P, S)
        Posterior draw that each draw comes from.
    """

    before: np.ndarray
    after: np.ndarray
    percentile: np.ndarray
    pareto_k: np.ndarray
    source: np.ndarray


def update(
    encoding: Encoding,
    draws: Draws,
    rows: Rows,
    role: np.ndarray,
    rng: np.random.Generator,
    *,
    persistent: bool,
) -> Updates:
    """Update every patient with the patient's own measured rows.

    Parameters
    ----------
    encoding : Encoding
        Learnt model; group levels of measured rows have coefficients.
    draws : Draws
        S draws with ``precision`` and ``shift``.
    rows : Rows
        Rows to predict and measured rows, in common codes.
    role : numpy.ndarray of int of shape (n,)
        `PREDICTED`, `TRAINED` or `GIVEN`.
    rng : numpy.random.Generator
        Source of randomness.
    persistent : bool
        Whether rows of one site share one residual.

    Returns
    -------
    Updates
    """
    n_draws, n_patients = len(draws), len(rows.patients)
    before = np.empty((int((role == PREDICTED).sum()), n_draws))
    after = np.empty_like(before)
    percentile = np.empty(int((role == GIVEN).sum()))
    pareto_k = np.full(n_patients, np.nan)
    source = np.empty((n_patients, n_draws), int)
    place = np.empty(len(role), int)  # of each row among those of its role
    for kind in (PREDICTED, TRAINED, GIVEN):
        place[role == kind] = np.arange((role == kind).sum())
    assert draws.precision is not None
    assert draws.shift is not None
    coefficients = joint.coefficient_law(draws.precision, draws.shift)
    root = np.ascontiguousarray(patient_root(draws).transpose(1, 2, 0))
    for patients, measured in _blocks(rows, role, n_draws):
        mine = np.flatnonzero(np.isin(rows.patient, patients))
        mine = mine[np.argsort(rows.patient[mine], kind="stable")]
        there = np.full(len(role), -1)
        there[mine] = np.arange(len(mine))
        part, groups, roles = rows.take(mine), there[measured], role[mine]
        beta, law = draws.beta, coefficients
        if (roles == TRAINED).any():
            precision, shift = law_without(encoding, draws, part.take(roles == TRAINED))
            beta, law = draw_beta(precision, shift, rng), joint.coefficient_law(precision, shift)
        block = _Block(
            joint.law_of(encoding, draws, part, law, persistent=persistent),
            beta,
            np.searchsorted(patients, part.patient),
            groups,
            np.flatnonzero(roles == PREDICTED),
            int((roles[groups[0]] == TRAINED).sum()) if groups.size else 0,
        )
        found = _update_block(block, root, rng)
        predicted = place[mine[block.predicted]]
        before[predicted], after[predicted] = found.before, found.after
        percentile[place[measured[:, block.n_trained :]]] = found.percentile
        pareto_k[patients], source[patients] = found.pareto_k, found.source
    return Updates(before, after, percentile, pareto_k, source)


@dataclass(frozen=True)
class _Block:
    """Patients, one after another, with the same number of measured rows, trained ones first."""

    law: joint.Law
    beta: np.ndarray
    patient: np.ndarray
    groups: np.ndarray
    predicted: np.ndarray
    n_trained: int


def _blocks(rows: Rows, role: np.ndarray, n_draws: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Patients to be updated together, with the places (P, m) of their measured rows."""
    order = np.lexsort((role, rows.patient))
    order = order[role[order] != PREDICTED]
    counts = np.bincount(rows.patient[order], minlength=len(rows.patients))
    first = np.cumsum(counts) - counts
    trained = np.bincount(rows.patient[role == TRAINED], minlength=len(rows.patients)) > 0
    size = rows.x.shape[1] + rows.z.shape[1]
    for m in np.unique(counts):
        alike = np.flatnonzero((counts == m) & ~trained)
        step = max(1, _BLOCK // (max(m, 1) * (size + m) * n_draws))
        cuts = [alike[i : i + step] for i in range(0, len(alike), step)]
        # a patient who was in training has another law of β
        cuts += [np.array([i]) for i in np.flatnonzero((counts == m) & trained)]
        for patients in cuts:
            yield patients, order[first[patients][:, None] + np.arange(m)]


def _update_block(block: _Block, root: np.ndarray, rng: np.random.Generator) -> Updates:
    law, groups, predicted, t = block.law, block.groups, block.predicted, block.n_trained
    rows, (n_patients, m) = law.rows, groups.shape
    path = _prior_path(block, root, rng)
    before = path[predicted]
    n_draws = path.shape[1]
    source = np.tile(np.arange(n_draws), (n_patients, 1))
    pareto_k = np.full(n_patients, np.nan)
    if m == 0:
        before += rows.log_activity[predicted, None]
        return Updates(before, before, np.empty((n_patients, 0)), pareto_k, source)
    loaded = joint.loadings(law, groups)
    error = joint.error_covariance(rows, groups)
    covariance = joint.covariance_of(law, groups, loaded) + error[..., None]
    noise = _measurement_noise(rows, groups, n_draws, rng)
    chol = joint.cholesky(covariance)
    left = rows.y[groups][..., None] - path[groups] - noise
    white = joint.forward(chol, left)
    after = before + _correction(block, loaded, joint.backward(chol, white))
    if t:
        head = joint.backward(chol[:, :t, :t], white[:, :t])
        before = before + _correction(block, loaded[:, :t], head)
    before += rows.log_activity[predicted, None]
    after += rows.log_activity[predicted, None]
    if t == m:
        return Updates(before, after, np.empty((n_patients, 0)), pareto_k, source)
    mean = joint.mean_of(law, groups.ravel()).reshape((*groups.shape, n_draws))
    surprise = joint.forward(chol, rows.y[groups][..., None] - mean)
    percentile = _percentiles(chol[:, t:, t:], surprise[:, t:])
    diagonal = chol[:, np.arange(t, m), np.arange(t, m)]
    log_ratio = -(0.5 * surprise[:, t:] ** 2 + np.log(diagonal)).sum(1)
    for i, mine in enumerate(_of_patients(block.patient[predicted], n_patients)):
        weights, pareto_k[i] = pareto_smoothed(log_ratio[i])
        source[i] = resample(weights, n_draws, rng)
        after[mine] = after[mine].take(source[i], axis=1)
    return Updates(before, after, percentile, pareto_k, source)


def _of_patients(patient: np.ndarray, n_patients: int) -> Iterator[slice]:
    """Rows of each patient, where they stand one patient after another."""
    ends = np.searchsorted(patient, np.arange(n_patients), side="right")
    starts = np.searchsorted(patient, np.arange(n_patients))
    yield from map(slice, starts.tolist(), ends.tolist())


def _prior_path(block: _Block, root: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draws (n, S) of the true log dose per activity of all rows, nothing of them measured."""
    law = block.law
    q, n_draws = root.shape[1:]
    path = law.rows.x @ block.beta.T
    if q:
        n_patients = len(block.groups)
        noise = rng.standard_normal((n_patients, q, n_draws))
        effects = np.zeros_like(noise)
        for j in range(q):
            for k in range(j + 1):
                effects[:, j] += root[j, k] * noise[:, k]
        for i, mine in enumerate(_of_patients(block.patient, n_patients)):
            path[mine] += law.rows.z[mine] @ effects[i]
    for effect in law.effects:
        present, index = np.unique(effect.index, return_inverse=True)
        noise = rng.standard_normal((len(present), n_draws))
        noise = noise if len(present) == len(index) else noise[index]
        noise *= effect.scale(slice(None))
        path += noise
    return path


def _measurement_noise(
    rows: Rows, groups: np.ndarray, n_draws: int, rng: np.random.Generator
) -> np.ndarray:
    own = np.sqrt(rows.own_var[groups])[..., None] * rng.standard_normal((*groups.shape, n_draws))
    cycles, index = np.unique(rows.cycle[groups], return_inverse=True)
    common = rng.standard_normal((len(cycles), n_draws))[index.reshape(groups.shape)]
    return own + np.sqrt(rows.shared_var[groups])[..., None] * common


def _correction(block: _Block, loaded: np.ndarray, solved: np.ndarray) -> np.ndarray:
    """cov(f_new, y) K⁻¹ (y - y_drawn) of the rows to predict."""
    law, predicted = block.law, block.predicted
    patient, columns = block.patient[predicted], law.columns[predicted]
    moved = np.einsum("pmhs,pms->phs", loaded, solved)
    out = np.empty((len(predicted), solved.shape[-1]))
    for i, mine in enumerate(_of_patients(patient, len(moved))):
        np.matmul(columns[mine], moved[i], out=out[mine])
    for effect in law.effects:
        for j in range(solved.shape[1]):
            measured = block.groups[patient, j]
            shared = np.flatnonzero(effect.index[predicted] == effect.index[measured])
            if len(shared):
                scales = effect.scale(predicted[shared]) * effect.scale(measured[shared])
                out[shared] += scales * solved[patient[shared], j]
    return out


def _percentiles(chol: np.ndarray, white: np.ndarray) -> np.ndarray:
    """Probability below each measured value, given what was known before any of them."""
    out = np.empty(white.shape[:2])
    for j in range(white.shape[1]):
        left = (chol[:, j, : j + 1] * white[:, : j + 1]).sum(1)
        scale = np.sqrt((chol[:, j, : j + 1] ** 2).sum(1))
        out[:, j] = special.ndtr(left / scale).mean(1)
    return out
