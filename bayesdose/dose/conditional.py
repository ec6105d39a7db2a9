"""What one patient's measured rows say, at each posterior draw, in closed form and in NumPy.

At fixed θ everything is Gaussian. `patient_gram` gives the rows' part of the posterior of β and
their density; `draw_latents` draws the patient's own effects given β. See `collapsed.grams` for
the algebra, which is the same for all patients at once.
"""

from dataclasses import dataclass

import numpy as np

from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.extras import Extras, extra_columns
from bayesdose.dose.posterior import Draws


@dataclass(frozen=True)
class Latents:
    """A patient's own effects at each of S draws.

    Parameters
    ----------
    u : numpy.ndarray of shape (S, q)
    cycle : dict
        (cycle code, tissue) → effect of shape (S,).
    shared : dict
        Cycle code → standardised shared measurement error of shape (S,).
    site : dict
        Site code → effect of shape (S,).
    """

    u: np.ndarray
    cycle: dict[tuple[int, int], np.ndarray]
    shared: dict[int, np.ndarray]
    site: dict[int, np.ndarray]


@dataclass(frozen=True)
class _Inner:
    """[Z E X y]' R⁻¹ [Z E X y] in blocks, with R⁻¹'s parts for the site effects."""

    c: np.ndarray
    b: np.ndarray
    a: np.ndarray
    log_det: np.ndarray
    root: np.ndarray
    weight: np.ndarray
    extras: Extras


def patient_gram(
    encoding: Encoding, draws: Draws, rows: Rows, effects: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """[X y]' V⁻¹ [X y] and log |V| of one patient's rows at each draw.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws.
    rows : Rows
        Measured rows of one patient.
    effects : bool
        False leaves the patient effects out (they are 0 in a typical patient).

    Returns
    -------
    gram : numpy.ndarray of shape (S, p + 1, p + 1)
    log_det : numpy.ndarray of shape (S,)
    """
    inner = _inner(encoding, draws, rows, effects)
    size = inner.c.shape[-1]
    if size == 0:
        return inner.a, inner.log_det
    chol = np.linalg.cholesky(np.eye(size) + _t(inner.root) @ inner.c @ inner.root)
    w = np.linalg.solve(chol, _t(inner.root) @ inner.b)
    log_det = inner.log_det + 2 * np.log(np.diagonal(chol, axis1=1, axis2=2)).sum(1)
    return inner.a - _t(w) @ w, log_det


def law_without(encoding: Encoding, draws: Draws, trained: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Law of β, N(precision⁻¹ shift, precision⁻¹), as it were without one patient's training rows.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws with ``precision`` and ``shift``.
    trained : Rows
        Training rows of the patient; perhaps none.

    Returns
    -------
    precision : numpy.ndarray of shape (S, p, p)
    shift : numpy.ndarray of shape (S, p)
    """
    assert draws.precision is not None
    assert draws.shift is not None
    if not len(trained.patient):
        return draws.precision, draws.shift
    p = draws.shift.shape[1]
    gram, _ = patient_gram(encoding, draws, trained.compact())
    return draws.precision - gram[:, :p, :p], draws.shift - gram[:, :p, p]


def log_density(
    precision: np.ndarray, shift: np.ndarray, gram: np.ndarray, log_det: np.ndarray, n: int
) -> np.ndarray:
    """Log density of n new rows at each draw, β integrated over its conditional posterior.

    Parameters
    ----------
    precision : numpy.ndarray of shape (S, p, p)
    shift : numpy.ndarray of shape (S, p)
        Of β before the rows.
    gram : numpy.ndarray of shape (S, p + 1, p + 1)
    log_det : numpy.ndarray of shape (S,)
        Of the rows.
    n : int
        Number of rows.

    Returns
    -------
    numpy.ndarray of shape (S,)
    """
    p = shift.shape[1]
    before, half_before = _log_det_and_square(precision, shift)
    after, half_after = _log_det_and_square(precision + gram[:, :p, :p], shift + gram[:, :p, p])
    quadratic = gram[:, p, p] + half_before - half_after
    return -0.5 * (n * np.log(2 * np.pi) + log_det + after - before + quadratic)


def draw_beta(precision: np.ndarray, shift: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One draw of N(precision⁻¹ shift, precision⁻¹) for each of S draws of θ.

    Parameters
    ----------
    precision : numpy.ndarray of shape (S, p, p)
    shift : numpy.ndarray of shape (S, p)
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of shape (S, p)
    """
    chol = np.linalg.cholesky(precision)
    # L'β = L⁻¹ shift + z
    white = np.linalg.solve(chol, shift[..., None])
    noise = rng.standard_normal(shift.shape)[..., None]
    return np.linalg.solve(_t(chol), white + noise)[..., 0]


def draw_latents(encoding: Encoding, draws: Draws, rows: Rows, rng: np.random.Generator) -> Latents:
    """Draw a patient's own effects given β, θ and the patient's measured rows.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws; ``beta`` is conditioned on.
    rows : Rows
        Measured rows of one patient, of group levels that have coefficients.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Latents
    """
    inner = _inner(encoding, draws, rows, True)
    q, size = rows.z.shape[1], inner.c.shape[-1]
    effect = np.zeros((len(draws), size))
    if size:
        residual = inner.b[..., -1] - np.einsum("sep,sp->se", inner.b[..., :-1], draws.beta)
        chol = np.linalg.cholesky(np.eye(size) + _t(inner.root) @ inner.c @ inner.root)
        white = np.linalg.solve(chol, _t(inner.root) @ residual[..., None])
        noise = rng.standard_normal((len(draws), size, 1))
        effect = (inner.root @ np.linalg.solve(_t(chol), white + noise))[..., 0]
    cycle, shared = {}, {}
    extras = inner.extras
    for j, (code, tissue) in enumerate(zip(extras.cycle[0], extras.tissue[0], strict=True)):
        if tissue >= 0:
            cycle[int(code), int(tissue)] = effect[:, q + j]
        elif code >= 0:
            shared[int(code)] = effect[:, q + j]
    design = np.column_stack([rows.z, inner.extras.columns])
    left = rows.y - draws.beta @ rows.x.T - effect @ design.T
    sites = _draw_sites(encoding, draws, rows, inner.weight, left, rng)
    return Latents(effect[:, :q], cycle, shared, sites)


def _draw_sites(
    encoding: Encoding,
    draws: Draws,
    rows: Rows,
    weight: np.ndarray,
    left: np.ndarray,
    rng: np.random.Generator,
) -> dict[int, np.ndarray]:
    out = {}
    for site in np.unique(rows.site):
        mine = rows.site == site
        tissue = rows.tissue[mine][0]
        if encoding.site_effect[tissue]:
            variance = draws.site_sd[:, tissue] ** 2
            spread = variance / (1 + variance * weight[:, mine].sum(1))
            mean = spread * (weight[:, mine] * left[:, mine]).sum(1)
            out[int(site)] = mean + np.sqrt(spread) * rng.standard_normal(len(draws))
    return out


def _inner(encoding: Encoding, draws: Draws, rows: Rows, effects: bool) -> _Inner:
    rows = rows.compact() if len(rows.patients) != 1 else rows
    extras = extra_columns(rows, encoding.cycle_effect)
    z = rows.z if effects else rows.z[:, :0]
    features = np.column_stack([z, extras.columns, rows.x, rows.y])
    variance = draws.residual_sd[:, rows.tissue] ** 2 + rows.own_var
    weight = 1 / variance
    q_matrix = _t(features) @ (weight[:, :, None] * features)
    log_det = np.log(variance).sum(1)
    for site in np.unique(rows.site):
        mine = rows.site == site
        tissue = rows.tissue[mine][0]
        if encoding.site_effect[tissue]:
            site_var = draws.site_sd[:, tissue] ** 2
            ratio = 1 + site_var * weight[:, mine].sum(1)
            total = weight[:, mine] @ features[mine]
            q_matrix -= (site_var / ratio)[:, None, None] * total[:, :, None] * total[:, None]
            log_det += np.log(ratio)
    e = z.shape[1] + extras.columns.shape[1]
    return _Inner(
        q_matrix[:, :e, :e],
        q_matrix[:, :e, e:],
        q_matrix[:, e:, e:],
        log_det,
        _root(draws, extras, z.shape[1]),
        weight,
        extras,
    )


def _root(draws: Draws, extras: Extras, q: int) -> np.ndarray:
    size = q + extras.columns.shape[1]
    root = np.zeros((len(draws), size, size))
    if q:
        root[:, :q, :q] = patient_root(draws)
    for j, (tissue, g) in enumerate(zip(extras.tissue[0], extras.group[0], strict=True)):
        if g >= 0:
            root[:, q + j, q + j] = draws.group_sd[:, g]
        else:
            known = np.sqrt(extras.variance[0, j])
            root[:, q + j, q + j] = draws.cycle_sd[:, tissue] if tissue >= 0 else known
    return root


def patient_root(draws: Draws) -> np.ndarray:
    """Root L of the patient effects' covariance, L L'.

    Parameters
    ----------
    draws : Draws
        S draws.

    Returns
    -------
    numpy.ndarray of shape (S, q, q)
    """
    return draws.patient_sd[:, :, None] * np.linalg.cholesky(draws.patient_corr)


def _log_det_and_square(precision: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    chol = np.linalg.cholesky(precision)
    white = np.linalg.solve(chol, shift[..., None])[..., 0]
    return 2 * np.log(np.diagonal(chol, axis1=1, axis2=2)).sum(1), (white**2).sum(1)


def _t(matrix: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrix, -1, -2)
