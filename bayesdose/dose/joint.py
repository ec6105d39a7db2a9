"""Log dose of rows is jointly normal at each draw of θ: its covariance, and solving with it.

With γ = (β, u), γ ~ N((b, 0), diag(C, Σ)), C and b from the conditional posterior of β at the draw,
and h the row's columns of β and u,

    cov(log D_i, log D_j) = h_i' diag(C, Σ) h_j + sum over effects of sd_i sd_j [i and j share it].

Arrays have the draws last: small matrices are many, and loops run over their few rows.
"""

from dataclasses import dataclass

import numpy as np

from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.effects import Effect, row_effects
from bayesdose.dose.posterior import Draws


@dataclass(frozen=True)
class Law:
    """Law of the n rows' log dose per activity at S draws, p coefficients and q patient effects.

    Parameters
    ----------
    columns : numpy.ndarray of shape (n, p + q)
        h of each row.
    mean : numpy.ndarray of shape (p, S)
        b, of the coefficients.
    covariance : numpy.ndarray of shape (S, p + q, p + q)
        diag(C, Σ).
    effects : list of Effect
        Of the rows.
    rows : Rows
        The rows.
    """

    columns: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    effects: list[Effect]
    rows: Rows


def law_of(
    encoding: Encoding,
    draws: Draws,
    rows: Rows,
    coefficients: tuple[np.ndarray, np.ndarray],
    *,
    persistent: bool,
) -> Law:
    """Law of rows whose patients are independent given the coefficients.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws.
    rows : Rows
        n rows.
    coefficients : tuple of numpy.ndarray of shape (p, S) and (S, p, p)
        b and C, from `coefficient_law`.
    persistent : bool
        Whether rows of one site share one residual.

    Returns
    -------
    Law
    """
    mean, covariance = coefficients
    p, q = len(mean), rows.z.shape[1]
    both = np.zeros((len(draws), p + q, p + q))
    both[:, :p, :p] = covariance
    if q:
        both[:, p:, p:] = draws.patient_cov
    columns = np.column_stack([rows.x, rows.z])
    return Law(columns, mean, both, row_effects(encoding, draws, rows, persistent=persistent), rows)


def coefficient_law(precision: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of N(precision⁻¹ shift, precision⁻¹).

    Parameters
    ----------
    precision : numpy.ndarray of shape (S, p, p)
    shift : numpy.ndarray of shape (S, p)

    Returns
    -------
    mean : numpy.ndarray of shape (p, S)
    covariance : numpy.ndarray of shape (S, p, p)
    """
    covariance = np.linalg.inv(precision)
    return (covariance @ shift[..., None])[..., 0].T, covariance


def mean_of(law: Law, place: np.ndarray) -> np.ndarray:
    """Mean log dose per activity of some rows.

    Parameters
    ----------
    law : Law
    place : numpy.ndarray of int
        Rows.

    Returns
    -------
    numpy.ndarray of shape (n_rows, S), log Gy/GBq
    """
    return law.rows.x[place] @ law.mean


def loadings(law: Law, groups: np.ndarray) -> np.ndarray:
    """Covariance of γ with rows, diag(C, Σ) h.

    Parameters
    ----------
    law : Law
    groups : numpy.ndarray of int of shape (P, m)
        Rows of each of P patients.

    Returns
    -------
    numpy.ndarray of shape (P, m, p + q, S)
    """
    n_draws, size = law.covariance.shape[:2]
    flat = np.ascontiguousarray(law.covariance.transpose(1, 2, 0)).reshape(size, size * n_draws)
    found = law.columns[groups.ravel()] @ flat
    return found.reshape(*groups.shape, size, n_draws)


def covariance_of(law: Law, groups: np.ndarray, loaded: np.ndarray) -> np.ndarray:
    """Covariance of the true log doses of rows of each patient.

    Parameters
    ----------
    law : Law
    groups : numpy.ndarray of int of shape (P, m)
        Rows of each patient.
    loaded : numpy.ndarray of shape (P, m, p + q, S)
        `loadings` of them.

    Returns
    -------
    numpy.ndarray of shape (P, m, m, S)
    """
    n_patients, m = groups.shape
    columns = law.columns[groups]
    out = np.empty((n_patients, m, m, loaded.shape[-1]))
    for j in range(m):
        out[:, :, j] = columns @ loaded[:, j]
    for effect in law.effects:
        index = effect.index[groups]
        for i in range(m):
            for j in range(m):
                shared = np.flatnonzero(index[:, i] == index[:, j])
                if len(shared):
                    scales = effect.scale(groups[shared, i]) * effect.scale(groups[shared, j])
                    out[shared, i, j] += scales
    return out


def error_covariance(rows: Rows, groups: np.ndarray) -> np.ndarray:
    """Covariance of the measurement errors of rows of each patient.

    Parameters
    ----------
    rows : Rows
        Measured rows.
    groups : numpy.ndarray of int of shape (P, m)
        Rows of each patient.

    Returns
    -------
    numpy.ndarray of shape (P, m, m)
    """
    shared, cycle = np.sqrt(rows.shared_var[groups]), rows.cycle[groups]
    same = cycle[:, :, None] == cycle[:, None]
    out = same * shared[:, :, None] * shared[:, None]
    diagonal = np.arange(groups.shape[1])
    out[:, diagonal, diagonal] += rows.own_var[groups]
    return out


def cholesky(matrix: np.ndarray) -> np.ndarray:
    """Cholesky factors of many small matrices.

    Parameters
    ----------
    matrix : numpy.ndarray of shape (P, m, m, S)

    Returns
    -------
    numpy.ndarray of shape (P, m, m, S)
        Lower.
    """
    m = matrix.shape[1]
    out = np.zeros_like(matrix)
    for j in range(m):
        left = matrix[:, j:, j] - np.einsum("piks,pks->pis", out[:, j:, :j], out[:, j, :j])
        out[:, j:, j] = left / np.sqrt(left[:, :1])
    return out


def forward(root: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve L w = r.

    Parameters
    ----------
    root : numpy.ndarray of shape (P, m, m, S)
        L, of `cholesky`.
    values : numpy.ndarray of shape (P, m, S)
        r.

    Returns
    -------
    numpy.ndarray of shape (P, m, S)
    """
    out = np.empty_like(values)
    for i in range(values.shape[1]):
        known = np.einsum("pks,pks->ps", root[:, i, :i], out[:, :i])
        out[:, i] = (values[:, i] - known) / root[:, i, i]
    return out


def backward(root: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Solve L' a = w.

    Parameters
    ----------
    root : numpy.ndarray of shape (P, m, m, S)
        L, of `cholesky`.
    values : numpy.ndarray of shape (P, m, S)
        w.

    Returns
    -------
    numpy.ndarray of shape (P, m, S)
    """
    out = np.empty_like(values)
    for i in reversed(range(values.shape[1])):
        known = np.einsum("pks,pks->ps", root[:, i + 1 :, i], out[:, i + 1 :])
        out[:, i] = (values[:, i] - known) / root[:, i, i]
    return out
