"""The collapsed log density of θ, for the whole table and for every fold of it.

A fold keeps some patients, in its own standardisation X T and with its own prior means m. With
G = Σ kept G_i mapped by T,

    log p(y | θ) = -½ [n log 2π + Σ log|V_i| - log|Λ₀| + log|Λ| + G_yy + m'Λ₀m - b'Λ⁻¹b],
    Λ = Λ₀ + G_xx,   b = Λ₀ m + G_xy,

so that leaving a patient out costs a p × p Cholesky and no pass over the data. Flat priors drop
out of log|Λ₀|.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular

from bayesdose.dose.collapsed.grams import Statistics, grams, resolved
from bayesdose.dose.collapsed.hyper import Hyper, HyperSpace, unpack

#: θ evaluated at once, which bounds the memory; the number of θ must be a multiple.
BATCH = 50


class Fold(NamedTuple):
    """One fold; stacked along a first axis for many.

    Parameters
    ----------
    keep : array of shape (P,)
        1 for a patient that the fold trains on, 0 for one that it leaves out.
    mapping : array of shape (p, p)
        T, from the standardisation of the statistics to the fold's own.
    mean : array of shape (p,)
        Prior means of the coefficients.
    """

    keep: Any
    mapping: Any
    mean: Any


@partial(jax.jit, static_argnums=0)
def log_posterior(
    space: HyperSpace, theta: jax.Array, stats: Statistics, fold: Fold, counts: jax.Array
) -> jax.Array:
    """Log p(θ) + log p(y kept | θ).

    Parameters
    ----------
    space : HyperSpace
        Layout of θ.
    theta : jax.Array of shape (d,)
        Reals.
    stats : Sums or RowWise
        Data.
    fold : Fold
        Patients kept, and their standardisation.
    counts : jax.Array of shape (P,)
        Rows of each patient.

    Returns
    -------
    jax.Array of shape ()
    """
    hyper, log_prior = unpack(space, theta)
    gram, log_det = grams(hyper, stats)
    value = log_prior + _evidence(hyper, gram, log_det, counts, fold)
    return jnp.where(resolved(hyper, stats), value, -jnp.inf)


value_and_grad = jax.jit(jax.value_and_grad(log_posterior, argnums=1), static_argnums=0)


@partial(jax.jit, static_argnums=0)
def log_posteriors(
    space: HyperSpace, thetas: jax.Array, stats: Statistics, fold: Fold, counts: jax.Array
) -> jax.Array:
    """`log_posterior` at many θ.

    Parameters
    ----------
    space, stats, fold, counts
        As in `log_posterior`.
    thetas : jax.Array of shape (S, d)
        Reals.

    Returns
    -------
    jax.Array of shape (S,)
    """

    def one(theta: jax.Array) -> jax.Array:
        return log_posterior(space, theta, stats, fold, counts)

    return _batched(one, thetas)


@partial(jax.jit, static_argnums=0)
def fold_densities(
    space: HyperSpace, thetas: jax.Array, stats: Statistics, folds: Fold, counts: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Log densities of every fold at many θ, from one pass over the patients' sums.

    Parameters
    ----------
    space, stats, counts
        As in `log_posterior`.
    thetas : jax.Array of shape (S, d)
        Reals.
    folds : Fold
        F folds, stacked.

    Returns
    -------
    posterior : jax.Array of shape (S, F)
        log p(θ) + log p(y kept | θ).
    held_out : jax.Array of shape (S, F)
        log p(y left out | y kept, θ), the joint density of all rows left out.
    """

    def one(theta: jax.Array) -> tuple[jax.Array, jax.Array]:
        hyper, log_prior = unpack(space, theta)
        gram, log_det = grams(hyper, stats)
        everyone = jnp.ones_like(counts)
        known = resolved(hyper, stats)

        def each(fold: Fold) -> tuple[jax.Array, jax.Array]:
            kept = _evidence(hyper, gram, log_det, counts, fold)
            full = _evidence(hyper, gram, log_det, counts, fold._replace(keep=everyone))
            return jnp.where(known, log_prior + kept, -jnp.inf), jnp.where(known, full - kept, 0.0)

        return jax.vmap(each)(folds)

    return _batched(one, thetas)


@partial(jax.jit, static_argnums=0)
def gram_totals(
    space: HyperSpace, thetas: jax.Array, stats: Statistics, keep: jax.Array
) -> tuple[Hyper, jax.Array]:
    """Hyperparameters, and Σ kept G_i, at many θ.

    Parameters
    ----------
    space, stats
        As in `log_posterior`.
    thetas : jax.Array of shape (S, d)
        Reals.
    keep : jax.Array of shape (P,) or (F, P)
        1 for a patient that is kept; of one fold, or of many.

    Returns
    -------
    hyper : Hyper
        Each of shape (S, ...).
    gram : jax.Array of shape (S, p + 1, p + 1) or (S, F, p + 1, p + 1)
    """

    def one(theta: jax.Array) -> tuple[Hyper, jax.Array]:
        hyper, _ = unpack(space, theta)
        gram, _ = grams(hyper, stats)
        return hyper, jnp.einsum("...p,pij->...ij", keep, gram)

    return _batched(one, thetas)


def _batched(one: Callable[[jax.Array], Any], thetas: jax.Array) -> Any:
    n, d = thetas.shape
    blocks = jax.lax.map(jax.vmap(one), thetas.reshape(n // BATCH, BATCH, d))
    # written out, because lax.map's own batching cannot join leaves of size 0
    return jax.tree.map(lambda leaf: leaf.reshape(n, *leaf.shape[2:]), blocks)


def _evidence(
    hyper: Hyper,
    gram: jax.Array,
    log_det: jax.Array,
    counts: jax.Array,
    fold: Fold,
) -> jax.Array:
    mapped = _mapped(jnp.einsum("p,pij->ij", fold.keep, gram), fold.mapping)
    p = fold.mapping.shape[0]
    prior_precision = 1 / hyper.prior_sd**2  # 0 for a flat prior
    precision = mapped[:p, :p] + jnp.diag(prior_precision)
    shift = mapped[:p, p] + prior_precision * fold.mean
    chol = jnp.linalg.cholesky(precision)
    white = solve_triangular(chol, shift, lower=True)
    flat = prior_precision == 0
    log_prior_det = jnp.where(flat, 0.0, jnp.log(jnp.where(flat, 1.0, prior_precision))).sum()
    quadratic = mapped[-1, -1] + (prior_precision * fold.mean**2).sum() - white @ white
    return -0.5 * (
        (fold.keep @ counts) * jnp.log(2 * jnp.pi)
        + fold.keep @ log_det
        - log_prior_det
        + 2 * jnp.log(jnp.diagonal(chol)).sum()
        + quadratic
    )


def _mapped(gram: jax.Array, mapping: jax.Array) -> jax.Array:
    p = mapping.shape[0]
    left = jnp.concatenate([mapping.T @ gram[:p], gram[p:]])
    return jnp.concatenate([left[:, :p] @ mapping, left[:, p:]], axis=1)
