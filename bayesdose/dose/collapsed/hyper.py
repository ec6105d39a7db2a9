"""Hyperparameters θ: what is left to explore once β and u are integrated out.

θ is a flat real vector. Residual standard deviations enter by their logarithm. Standard
deviations that may be 0 (patient, cycle, site, group effects) enter *with a sign*: the density
depends on their square, so it has no boundary at 0 and a bell-shaped proposal fits; `flips`
lists the sign changes that leave the density alone. Correlations enter by NumPyro's map from
reals to Cholesky factors.
"""

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpyro import distributions as dist
from numpyro.distributions.transforms import CorrCholeskyTransform

from bayesdose.dose import priors as p
from bayesdose.dose.design import Encoding

#: More signed dimensions than this are explored by their logarithm: 2^n mirrored proposals.
MAX_SIGNED = 8

#: Stands in `HyperSpace.sds` for a prior sd that θ decides; a NaN would not equal itself.
BY_THETA = -1.0


class Hyper(NamedTuple):
    """Hyperparameters by name, for K tissues, q patient effects, p coefficients.

    Parameters
    ----------
    residual_sd : array of shape (K,)
    patient_sd : array of shape (q,)
    patient_chol : array of shape (q, q)
        Cholesky factor of the patient correlation.
    cycle_sd, site_sd : array of shape (K,)
        0 where the tissue has no such effect.
    group_sd : array of shape (n_groups,)
    prior_sd : array of shape (p,)
        Of the coefficients; infinite for a flat prior.
    """

    residual_sd: Any
    patient_sd: Any
    patient_chol: Any
    cycle_sd: Any
    site_sd: Any
    group_sd: Any
    prior_sd: Any


@dataclass(frozen=True)
class Scale:
    """One standard deviation: its prior, and whether it is carried with a sign.

    Parameters
    ----------
    prior : prior value
    signed : bool
    """

    prior: Any
    signed: bool


@dataclass(frozen=True)
class LocalScale:
    """Scale mixture of one slope with a Student-t prior.

    Parameters
    ----------
    place : int
        Coefficient.
    df : float
        Degrees of freedom.
    """

    place: int
    df: float


@dataclass(frozen=True)
class Shrinkage:
    """Horseshoe or R2D2 over the slopes of one tissue.

    Parameters
    ----------
    prior : RegularizedHorseshoe or R2D2
    tissue : int
    places : tuple of int
        Slopes.
    effects : tuple of int
        Patient effects that share an R2D2 prior.
    n_patients : int
        Patients with this tissue, the effective sample size of the horseshoe.
    """

    prior: Any
    tissue: int
    places: tuple[int, ...]
    effects: tuple[int, ...]
    n_patients: int

    @property
    def size(self) -> int:
        """Number of reals that it takes.

        Returns
        -------
        int
        """
        terms = len(self.places) + len(self.effects)
        # horseshoe: global, slab and a local scale each; R2D2: R² and a gamma weight each
        return terms + (2 if isinstance(self.prior, p.RegularizedHorseshoe) else 1)


@dataclass(frozen=True)
class HyperSpace:
    """Layout of θ; hashable, so that it can key a compiled function.

    Parameters
    ----------
    residual, patient, cycle, site, group : tuple of Scale
        Scales of each kind (None where a tissue has no cycle or site effect, or where a
        patient effect takes its scale from an R2D2 prior).
    correlation : float or None
        LKJ's eta; None for independent effects.
    means, sds : tuple of float
        Normal priors of the coefficients; sd infinite for flat, `BY_THETA` where θ decides.
    group_of : tuple of int
        Group effect of each coefficient, -1 for none.
    local : tuple of LocalScale
    shrinkage : tuple of Shrinkage
    """

    residual: tuple[Scale, ...]
    patient: tuple[Scale | None, ...]
    cycle: tuple[Scale | None, ...]
    site: tuple[Scale | None, ...]
    group: tuple[Scale, ...]
    correlation: float | None
    means: tuple[float, ...]
    sds: tuple[float, ...]
    group_of: tuple[int, ...]
    local: tuple[LocalScale, ...]
    shrinkage: tuple[Shrinkage, ...]

    @property
    def scales(self) -> list[Scale]:
        """Scales in the order in which θ holds them.

        Returns
        -------
        list of Scale
        """
        kinds = (self.residual, self.patient, self.cycle, self.site, self.group)
        return [scale for kind in kinds for scale in kind if scale is not None]

    @property
    def signed(self) -> tuple[int, ...]:
        """Positions in θ of the standard deviations that are carried with a sign.

        Returns
        -------
        tuple of int
        """
        return tuple(i for i, scale in enumerate(self.scales) if scale.signed)

    @property
    def n_correlations(self) -> int:
        """Number of free correlations.

        Returns
        -------
        int
        """
        q = len(self.patient)
        return 0 if self.correlation is None else q * (q - 1) // 2

    @property
    def size(self) -> int:
        """Length of θ.

        Returns
        -------
        int
        """
        sparse = sum(block.size for block in self.shrinkage)
        return len(self.scales) + self.n_correlations + len(self.local) + sparse

    @property
    def proper(self) -> bool:
        """Whether every prior integrates to 1, so that a log evidence exists.

        Returns
        -------
        bool
        """
        flat_scale = any(isinstance(scale.prior, p.Flat) for scale in self.scales)
        return not flat_scale and not any(np.isinf(sd) for sd in self.sds)


def build(encoding: Encoding, n_patients: list[int]) -> HyperSpace:
    """Layout of θ for a learnt model.

    Parameters
    ----------
    encoding : Encoding
        Learnt columns and the specification with its priors.
    n_patients : list of int
        Patients with each tissue.

    Returns
    -------
    HyperSpace
    """
    priors, tissues = encoding.spec.priors, encoding.tissues
    width = len(encoding.patient_effects) // len(tissues)
    sparse = _shrinkage(encoding, n_patients, width)
    shared = {place for block in sparse for place in block.effects}
    patient = [
        None if k * width + j in shared else priors.resolve("patient_sd", tissue)
        for k, tissue in enumerate(tissues)
        for j in range(width)
    ]
    cycle = [
        priors.resolve("cycle_sd", t) if has else None
        for t, has in zip(tissues, encoding.cycle_effect, strict=True)
    ]
    site = [
        priors.resolve("site_sd", t) if has else None
        for t, has in zip(tissues, encoding.site_effect, strict=True)
    ]
    group = [priors.resolve("group_sd", "") for _ in encoding.group_levels]
    may_be_zero = [x for kind in (patient, cycle, site, group) for x in kind if x is not None]
    signed = len(may_be_zero) <= MAX_SIGNED

    def scales(found: list[Any]) -> tuple[Any, ...]:
        return tuple(None if prior is None else Scale(prior, signed) for prior in found)

    means, sds, local = _coefficients(encoding, sparse)
    group_of = np.full(encoding.n_coefficients, -1)
    for g, block in enumerate(encoding.group_blocks):
        group_of[block] = g
    correlated = encoding.spec.patient_correlation and len(patient) > 1
    corr = priors.resolve("patient_corr", "")
    return HyperSpace(
        residual=tuple(Scale(priors.resolve("residual_sd", t), False) for t in tissues),
        patient=scales(patient),
        cycle=scales(cycle),
        site=scales(site),
        group=scales(group),
        correlation=corr.eta if correlated and isinstance(corr, p.LKJ) else None,
        means=tuple(means),
        sds=tuple(sds),
        group_of=tuple(int(g) for g in group_of),
        local=tuple(local),
        shrinkage=tuple(sparse),
    )


def unpack(space: HyperSpace, theta: jax.Array) -> tuple[Hyper, jax.Array]:
    """Hyperparameters and log prior density at one θ, Jacobians included.

    Parameters
    ----------
    space : HyperSpace
        Layout.
    theta : jax.Array of shape (d,)
        Reals.

    Returns
    -------
    hyper : Hyper
        Standard deviations non-negative; correlations of carried signs are resolved.
    log_prior : jax.Array of shape ()
    """
    reals = iter(theta[: len(space.scales)])
    log_prior = jnp.zeros((), theta.dtype)
    values: list[jax.Array] = []
    for scale in space.scales:
        value, density = _scale(scale, next(reals))
        values.append(value)
        log_prior = log_prior + density
    drawn = iter(values)

    def take(kind: tuple[Scale | None, ...]) -> list[jax.Array]:
        return [jnp.zeros((), theta.dtype) if s is None else next(drawn) for s in kind]

    residual = jnp.stack(take(space.residual))
    patient, cycle, site, group = (
        take(kind) for kind in (space.patient, space.cycle, space.site, space.group)
    )
    at = len(space.scales)
    chol, density = _correlation(space, theta[at : at + space.n_correlations])
    log_prior = log_prior + density
    at += space.n_correlations
    # an infinite sd is a flat prior; what θ decides is written below
    prior_sd = jnp.asarray(space.sds, theta.dtype)
    for local in space.local:
        # Student-t as a scale mixture: b ~ N(m, s² λ), λ ~ InvGamma(df/2, df/2), θ = log λ
        lam = jnp.exp(theta[at])
        law = dist.InverseGamma(local.df / 2, local.df / 2)
        log_prior = log_prior + law.log_prob(lam) + theta[at]
        prior_sd = prior_sd.at[local.place].multiply(jnp.sqrt(lam))
        at += 1
    for block in space.shrinkage:
        sds, density = _shrink(block, theta[at : at + block.size], residual[block.tissue])
        log_prior = log_prior + density
        prior_sd = prior_sd.at[jnp.asarray(block.places)].set(sds[: len(block.places)])
        for place, sd in zip(block.effects, sds[len(block.places) :], strict=True):
            patient[place] = sd
        at += block.size
    for place, g in enumerate(space.group_of):
        if g >= 0:
            prior_sd = prior_sd.at[place].set(jnp.abs(group[g]))
    signs = jnp.stack([jnp.where(v < 0, -1.0, 1.0) for v in patient]) if patient else jnp.ones(0)
    hyper = Hyper(
        residual_sd=residual,
        patient_sd=_stack(patient, theta) * signs,
        patient_chol=chol * signs[:, None] * signs[None, :],
        cycle_sd=jnp.abs(_stack(cycle, theta)),
        site_sd=jnp.abs(_stack(site, theta)),
        group_sd=jnp.abs(_stack(group, theta)),
        prior_sd=prior_sd,
    )
    return hyper, log_prior


def flips(space: HyperSpace) -> np.ndarray:
    """Sign changes of θ under which its density is the same, the identity first.

    Parameters
    ----------
    space : HyperSpace
        Layout.

    Returns
    -------
    numpy.ndarray of shape (2^n_signed, d)
        Factors ±1.
    """
    signed = space.signed
    first = len(space.residual)
    carried = [i for i, scale in enumerate(space.patient) if scale is not None]
    effect_at = {first + j: effect for j, effect in enumerate(carried)}
    rows, columns = np.tril_indices(len(space.patient), -1)
    out = np.ones((2 ** len(signed), space.size))
    for row, choice in enumerate(product((1.0, -1.0), repeat=len(signed))):
        sign = np.ones(len(space.patient))
        for place, value in zip(signed, choice, strict=True):
            out[row, place] = value
            if place in effect_at:
                sign[effect_at[place]] = value
        if space.n_correlations:
            # the sign of an effect turns over its row of the correlation matrix
            at = len(space.scales)
            out[row, at : at + space.n_correlations] = sign[rows] * sign[columns]
    return out


def start(space: HyperSpace, rng: np.random.Generator) -> np.ndarray:
    """A plausible θ to begin a search: standard deviations between 0.1 and 1 of their prior.

    Parameters
    ----------
    space : HyperSpace
        Layout.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    numpy.ndarray of shape (d,)
    """
    theta = np.zeros(space.size)
    for i, scale in enumerate(space.scales):
        width = getattr(scale.prior, "sigma", None) or 1.0 / getattr(scale.prior, "rate", 1.0)
        value = width * np.exp(rng.uniform(np.log(0.1), 0.0))
        theta[i] = value if scale.signed else np.log(value)
    at = len(space.scales)
    theta[at : at + space.n_correlations] = rng.normal(0.0, 0.1, space.n_correlations)
    return theta


def _stack(values: list[jax.Array], like: jax.Array) -> jax.Array:
    return jnp.stack(values) if values else jnp.zeros(0, like.dtype)


def _scale(scale: Scale, real: jax.Array) -> tuple[jax.Array, jax.Array]:
    if scale.signed:
        # half of the folded density on either side of 0
        return real, _log_density(scale.prior, jnp.abs(real)) - jnp.log(2.0)
    value = jnp.exp(real)
    return value, _log_density(scale.prior, value) + real


def _log_density(prior: Any, value: jax.Array) -> jax.Array:
    if isinstance(prior, p.HalfNormal):
        return dist.HalfNormal(prior.sigma).log_prob(value)
    if isinstance(prior, p.StudentT):
        law = dist.StudentT(prior.df, prior.mu, prior.sigma)
        mirrored = dist.StudentT(prior.df, -prior.mu, prior.sigma)
        return jnp.logaddexp(law.log_prob(value), mirrored.log_prob(value))
    if isinstance(prior, p.Exponential):
        return dist.Exponential(prior.rate).log_prob(value)
    return jnp.zeros_like(value)


def _correlation(space: HyperSpace, reals: jax.Array) -> tuple[jax.Array, jax.Array]:
    q = len(space.patient)
    if space.correlation is None:
        return jnp.eye(q, dtype=reals.dtype), jnp.zeros((), reals.dtype)
    transform = CorrCholeskyTransform()
    chol = transform(reals)
    density = dist.LKJCholesky(q, space.correlation).log_prob(chol)
    return chol, density + transform.log_abs_det_jacobian(reals, chol)


def _shrink(
    block: Shrinkage, reals: jax.Array, residual_sd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    if isinstance(block.prior, p.RegularizedHorseshoe):
        return _horseshoe(block, reals, residual_sd)
    return _r2d2(block, reals, residual_sd)


def _horseshoe(
    block: Shrinkage, reals: jax.Array, residual_sd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    prior, d = block.prior, len(block.places)
    values = jnp.exp(reals)
    tau, slab, lam = values[0], values[1], values[2:]
    ratio = prior.expected_nonzero / (d - prior.expected_nonzero)
    scale = ratio * residual_sd / jnp.sqrt(float(block.n_patients))
    half_df = prior.slab_df / 2
    density = (
        dist.HalfCauchy(scale).log_prob(tau)
        + dist.InverseGamma(half_df, half_df * prior.slab_scale**2).log_prob(slab)
        + dist.HalfCauchy(1.0).log_prob(lam).sum()
        + reals.sum()
    )
    # λ̃² = c² λ² / (c² + τ² λ²)
    sds = tau * lam * jnp.sqrt(slab / (slab + tau**2 * lam**2))
    return sds, density


def _r2d2(
    block: Shrinkage, reals: jax.Array, residual_sd: jax.Array
) -> tuple[jax.Array, jax.Array]:
    prior = block.prior
    r2 = jax.nn.sigmoid(reals[0])
    # a Dirichlet simplex as normalised gammas, which have no corner to get stuck in
    gammas = jnp.exp(reals[1:])
    density = (
        dist.Beta(prior.mean * prior.precision, (1 - prior.mean) * prior.precision).log_prob(r2)
        + jnp.log(r2)
        + jnp.log1p(-r2)
        + (dist.Gamma(prior.concentration, 1.0).log_prob(gammas) + reals[1:]).sum()
    )
    total = r2 / (1 - r2)
    return residual_sd * jnp.sqrt(total * gammas / gammas.sum()), density


def _shrinkage(encoding: Encoding, n_patients: list[int], width: int) -> list[Shrinkage]:
    out = []
    for k, tissue in enumerate(encoding.tissues):
        prior = encoding.spec.priors.resolve("slope", tissue)
        if not isinstance(prior, p.RegularizedHorseshoe | p.R2D2):
            continue
        names, block = encoding.columns(k), encoding.blocks[k]
        places = tuple(block.start + j for j, name in enumerate(names) if name != "Intercept")
        if not places:
            continue  # an intercept alone leaves nothing to shrink
        if isinstance(prior, p.RegularizedHorseshoe) and prior.expected_nonzero >= len(places):
            raise p.PriorError(
                f"RegularizedHorseshoe for tissue {tissue!r}: expected_nonzero "
                f"{prior.expected_nonzero:g} must be below its {len(places)} slopes"
            )
        joint = encoding.spec.priors.resolve("patient_sd", tissue) == prior
        effects = tuple(range(k * width, (k + 1) * width)) if joint else ()
        out.append(Shrinkage(prior, k, places, effects, n_patients[k]))
    for k, tissue in enumerate(encoding.tissues):
        shares = isinstance(encoding.spec.priors.resolve("patient_sd", tissue), p.R2D2)
        if shares and not any(block.tissue == k and block.effects for block in out):
            raise p.PriorError(
                f"patient_sd of tissue {tissue!r} has an R2D2 prior: give slope the same one, "
                "they share it"
            )
    return out


def _coefficients(
    encoding: Encoding, sparse: list[Shrinkage]
) -> tuple[list[float], list[float], list[LocalScale]]:
    means = [0.0] * encoding.n_coefficients
    sds = [BY_THETA] * encoding.n_coefficients
    local = []
    decided = {place for block in sparse for place in block.places}
    for k, tissue in enumerate(encoding.tissues):
        for j, name in enumerate(encoding.columns(k)):
            place = encoding.blocks[k].start + j
            if place in decided:
                continue
            kind = "intercept" if name == "Intercept" else "slope"
            prior = encoding.spec.priors.resolve(kind, tissue, encoding.log_activity)
            if isinstance(prior, p.Flat):
                sds[place] = float("inf")
                continue
            assert isinstance(prior, p.Normal | p.StudentT)
            means[place], sds[place] = prior.mu, prior.sigma
            if isinstance(prior, p.StudentT):
                local.append(LocalScale(place, prior.df))
    return means, sds, local
