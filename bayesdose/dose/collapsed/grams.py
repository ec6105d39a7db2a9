"""Sums over each patient's rows, and the Gram matrices G_i(θ) that the density is made of.

Per patient, with F = [Z | E | X | y] (E: indicator columns of the patient's own cycle effects and
shared measurement errors) and R the covariance that is left within a site,

    Q_i = F' R⁻¹ F,        G_i = [X y]' V_i⁻¹ [X y],   V_i = R + [Z E] D [Z E]',

G_i by Woodbury with D = L L' (no inverse of D: a standard deviation may be 0),

    G = A - W'W,   W = chol(I + L'CL)⁻¹ L'B,   Q = [[C, B], [B', A]].
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular

from bayesdose.dose.collapsed.hyper import Hyper
from bayesdose.dose.design import Rows
from bayesdose.dose.extras import Extras, extra_columns

#: Largest size of terms whose differences count: 1e-5 is then the error of a log density.
LARGEST = 1e11


class Sums(NamedTuple):
    """Sums of F F' where no row has a variance of its own; P patients, K tissues.

    Parameters
    ----------
    rows : array of shape (P, K, f, f)
        Over all rows.
    counts : array of shape (P, K)
    sites : array of shape (P, K, M, f, f)
        Over sites measured 1, 2, ... times, of tissues with site effects: (Σ F)(Σ F)'.
    site_counts : array of shape (P, K, M)
    repeats : array of shape (M,)
        1, 2, ...
    extra_tissue : array of int of shape (P, e)
        Tissue of each cycle effect, -1 for a shared measurement error or padding.
    extra_var : array of shape (P, e)
        Known variance of each shared measurement error.
    """

    rows: Any
    counts: Any
    sites: Any
    site_counts: Any
    repeats: Any
    extra_tissue: Any
    extra_var: Any


class RowWise(NamedTuple):
    """Rows by site, where rows have variances of their own.

    Parameters
    ----------
    features : array of shape (P, S, C, f)
        S sites a patient, C rows a site, padded with 0.
    own_var : array of shape (P, S, C)
    present : array of shape (P, S, C)
        1 for a row, 0 for padding.
    tissue : array of int of shape (P, S)
    extra_tissue, extra_var : as in `Sums`
    """

    features: Any
    own_var: Any
    present: Any
    tissue: Any
    extra_tissue: Any
    extra_var: Any


Statistics = Sums | RowWise


def statistics(
    rows: Rows, cycle_effect: tuple[bool, ...], site_effect: tuple[bool, ...]
) -> Statistics:
    """Sums, or rows by site, of every patient.

    Parameters
    ----------
    rows : Rows
        Rows with a measured dose; patients counted from 0 without gaps.
    cycle_effect, site_effect : tuple of bool
        Tissues with patient-by-cycle and with site effects.

    Returns
    -------
    Sums or RowWise
        NumPy arrays.
    """
    extra = extra_columns(rows, cycle_effect)
    features = np.column_stack([rows.z, extra.columns, rows.x, rows.y])
    # without a site effect every row is a site of its own
    alone = ~np.asarray(site_effect)[rows.tissue]
    site = np.where(alone, rows.site.max() + 1 + np.arange(len(rows.site)), rows.site)
    if np.ptp(rows.own_var) == 0 and rows.own_var[0] == 0:
        return _sums(rows, site_effect, features, site, extra)
    return _row_wise(rows, features, site, extra)


def grams(hyper: Hyper, stats: Statistics) -> tuple[jax.Array, jax.Array]:
    """Gram matrix and log determinant of every patient at one θ.

    Parameters
    ----------
    hyper : Hyper
        Hyperparameters.
    stats : Sums or RowWise
        Data.

    Returns
    -------
    gram : jax.Array of shape (P, p + 1, p + 1)
        [X y]' V⁻¹ [X y].
    log_det : jax.Array of shape (P,)
        log |V|.
    """
    q_matrix, log_det_r = inner(hyper, stats)
    root = effect_root(hyper, stats)
    e = root.shape[-1]
    c, b, a = q_matrix[:, :e, :e], q_matrix[:, :e, e:], q_matrix[:, e:, e:]
    if e == 0:
        return a, log_det_r
    chol = jnp.linalg.cholesky(jnp.eye(e, dtype=c.dtype) + _sandwich(root, c))
    w = solve_triangular(chol, jnp.swapaxes(root, 1, 2) @ b, lower=True)
    log_det = log_det_r + 2 * jnp.log(jnp.diagonal(chol, axis1=1, axis2=2)).sum(-1)
    return a - jnp.swapaxes(w, 1, 2) @ w, log_det


def resolved(hyper: Hyper, stats: Statistics) -> jax.Array:
    """Whether double precision can tell the density at one θ.

    Parameters
    ----------
    hyper : Hyper
        Hyperparameters.
    stats : Sums or RowWise
        Data.

    Returns
    -------
    jax.Array of bool of shape ()
        False where a residual standard deviation is so small, about 1e-5 of the log doses, that
        the density would be the rounding error of the terms that cancel in it.
    """
    if isinstance(stats, Sums):
        squares = jnp.trace(stats.rows, axis1=2, axis2=3).sum(0)
        size = (squares / hyper.residual_sd**2).sum()
    else:
        variance = hyper.residual_sd[stats.tissue][..., None] ** 2 + stats.own_var
        size = ((stats.features**2).sum(-1) * stats.present / variance).sum()
    return size < LARGEST


def inner(hyper: Hyper, stats: Statistics) -> tuple[jax.Array, jax.Array]:
    """Q = F' R⁻¹ F and log |R| of every patient.

    Parameters
    ----------
    hyper : Hyper
        Hyperparameters.
    stats : Sums or RowWise
        Data.

    Returns
    -------
    q_matrix : jax.Array of shape (P, f, f)
    log_det : jax.Array of shape (P,)
    """
    if isinstance(stats, Sums):
        return _inner_sums(hyper, stats)
    return _inner_row_wise(hyper, stats)


def effect_root(hyper: Hyper, stats: Statistics) -> jax.Array:
    """L with D = L L': patient effects, then the patient's cycle effects and shared errors.

    Parameters
    ----------
    hyper : Hyper
        Hyperparameters.
    stats : Sums or RowWise
        Data.

    Returns
    -------
    jax.Array of shape (P, q + e, q + e)
    """
    n_patients, n_extra = stats.extra_var.shape
    q = hyper.patient_sd.shape[0]
    cycle_sd = hyper.cycle_sd[jnp.maximum(stats.extra_tissue, 0)]
    extra = jnp.where(stats.extra_tissue >= 0, cycle_sd, jnp.sqrt(stats.extra_var))
    root = jnp.zeros((n_patients, q + n_extra, q + n_extra), hyper.residual_sd.dtype)
    root = root.at[:, :q, :q].set(hyper.patient_sd[:, None] * hyper.patient_chol)
    place = q + jnp.arange(n_extra)
    return root.at[:, place, place].set(extra)


def _sandwich(root: jax.Array, matrix: jax.Array) -> jax.Array:
    return jnp.swapaxes(root, 1, 2) @ matrix @ root


def _inner_sums(hyper: Hyper, stats: Sums) -> tuple[jax.Array, jax.Array]:
    w = 1 / hyper.residual_sd**2
    q_matrix = jnp.einsum("k,pkfg->pfg", w, stats.rows)
    log_det = -(stats.counts @ jnp.log(w))
    if stats.repeats.shape[0]:
        # Sherman-Morrison: R⁻¹ = w I - shrink w² 11', shrink = κ² / (1 + m w κ²)
        ratio = 1 + stats.repeats[None, :] * (w * hyper.site_sd**2)[:, None]
        shrink = (hyper.site_sd**2 * w**2)[:, None] / ratio
        q_matrix = q_matrix - jnp.einsum("km,pkmfg->pfg", shrink, stats.sites)
        log_det = log_det + jnp.einsum("km,pkm->p", jnp.log(ratio), stats.site_counts)
    return q_matrix, log_det


def _inner_row_wise(hyper: Hyper, stats: RowWise) -> tuple[jax.Array, jax.Array]:
    variance = hyper.residual_sd[stats.tissue][..., None] ** 2 + stats.own_var
    w = stats.present / variance
    site_var = hyper.site_sd[stats.tissue] ** 2
    ratio = 1 + site_var * w.sum(-1)
    sums = jnp.einsum("psc,pscf->psf", w, stats.features)
    q_matrix = jnp.einsum("psc,pscf,pscg->pfg", w, stats.features, stats.features)
    q_matrix = q_matrix - jnp.einsum("ps,psf,psg->pfg", site_var / ratio, sums, sums)
    log_det = (stats.present * jnp.log(variance)).sum((1, 2)) + jnp.log(ratio).sum(1)
    return q_matrix, log_det


def _sums(
    rows: Rows,
    site_effect: tuple[bool, ...],
    features: np.ndarray,
    site: np.ndarray,
    extra: Extras,
) -> Sums:
    n_patients, n_tissues, f = len(rows.patients), len(site_effect), features.shape[1]
    _, first, place, size = np.unique(
        site, return_index=True, return_inverse=True, return_counts=True
    )
    has_effect = np.asarray(site_effect)[rows.tissue[first]]
    largest = int(size[has_effect].max(initial=0))
    by_row = np.zeros((n_patients, n_tissues, f, f))
    counts = np.zeros((n_patients, n_tissues))
    by_site = np.zeros((n_patients, n_tissues, largest, f, f))
    site_counts = np.zeros((n_patients, n_tissues, largest))
    cell = rows.patient * n_tissues + rows.tissue
    for c in np.unique(cell):
        patient, tissue = divmod(int(c), n_tissues)
        mine = features[cell == c]
        by_row[patient, tissue] = mine.T @ mine
        counts[patient, tissue] = len(mine)
    # a site measured once has its effect too: κ² adds to its variance
    for s in np.flatnonzero(has_effect):
        patient, tissue = rows.patient[first[s]], rows.tissue[first[s]]
        total = features[place == s].sum(0)
        by_site[patient, tissue, size[s] - 1] += np.outer(total, total)
        site_counts[patient, tissue, size[s] - 1] += 1
    repeats = np.arange(1.0, largest + 1)
    return Sums(by_row, counts, by_site, site_counts, repeats, extra.tissue, extra.variance)


def _row_wise(
    rows: Rows,
    features: np.ndarray,
    site: np.ndarray,
    extra: Extras,
) -> RowWise:
    labels, first, place, size = np.unique(
        site, return_index=True, return_inverse=True, return_counts=True
    )
    patient_of = rows.patient[first]
    rank = np.zeros(len(labels), int)
    for patient in range(len(rows.patients)):
        rank[patient_of == patient] = np.arange((patient_of == patient).sum())
    order = np.argsort(place, kind="stable")
    within = np.empty(len(place), int)
    starts = np.cumsum(np.concatenate([[0], size[:-1]]))
    within[order] = np.arange(len(place)) - starts[place[order]]
    shape = (len(rows.patients), int(rank.max()) + 1, int(size.max()))
    padded = np.zeros((*shape, features.shape[1]))
    own_var = np.ones(shape)
    present = np.zeros(shape)
    tissue = np.zeros(shape[:2], int)
    at = (rows.patient, rank[place], within)
    padded[at], own_var[at], present[at] = features, rows.own_var, 1.0
    tissue[rows.patient, rank[place]] = rows.tissue
    return RowWise(padded, own_var, present, tissue, extra.tissue, extra.variance)
