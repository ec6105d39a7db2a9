"""The priors of a dose model as PyMC variables: the same laws that `collapsed.hyper` evaluates.

Where labels of one parameter share a kind of prior there is one vector variable; where they do
not, one variable a label, stacked under the parameter's name.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesdose.dose import priors as p
from bayesdose.dose.collapsed.hyper import BY_THETA, HyperSpace, Shrinkage

Tensor = Any


def standard_deviations(name: str, laws: Sequence[Any], labels: Sequence[str], dim: str) -> Tensor:
    """Standard deviations of one kind.

    Parameters
    ----------
    name : str
        Name of the variable.
    laws : sequence of prior value or tensor
        Prior of each label; a tensor where another prior decides the value.
    labels : sequence of str
        Coordinates of ``dim``.
    dim : str
        Dimension.

    Returns
    -------
    tensor of shape (len(labels),), log scale
    """
    kinds = {type(law) for law in laws}
    if len(kinds) == 1 and not isinstance(laws[0], pt.TensorVariable):
        return _positive(name, laws, dims=dim)
    parts = [
        law if isinstance(law, pt.TensorVariable) else _positive(f"{name}_{label}", [law])[0]
        for law, label in zip(laws, labels, strict=True)
    ]
    return pm.Deterministic(name, pt.stack(parts), dims=dim)


def correlation_factor(eta: float, effects: Sequence[str]) -> Tensor:
    """Cholesky factor of an LKJ correlation matrix, from independent partial correlations.

    Parameters
    ----------
    eta : float
        LKJ's shape.
    effects : sequence of str
        Labels of the q patient effects.

    Returns
    -------
    tensor of shape (q, q)

    Notes
    -----
    Lewandowski, Kurowicka & Joe 2009 (doi 10.1016/j.jmva.2009.04.008), C-vine: the partial
    correlation of effects i > j given those before j is 2 B - 1, B ~ Beta(b, b) with
    b = eta + (q - 2 - j) / 2, j from 0; L_ij = r_ij Π_{m<j} √(1 - r_im²). PyMC's own LKJ variables
    are not used because what they return has changed between its releases.
    """
    q = len(effects)
    pairs = [(i, j) for i in range(q) for j in range(i)]
    model = pm.modelcontext(None)
    model.add_coord("effect_pair", [f"{effects[i]} ~ {effects[j]}" for i, j in pairs])
    shape = np.array([eta + (q - 2 - j) / 2 for _, j in pairs])
    unit = pm.Beta("patient_partial_corr_unit", alpha=shape, beta=shape, dims="effect_pair")
    partial = dict(zip(pairs, (2 * unit[k] - 1 for k in range(len(pairs))), strict=True))
    rows = []
    for i in range(q):
        left: Tensor = pt.constant(1.0)
        entries = []
        for j in range(i):
            entries.append(partial[i, j] * left)
            left = left * pt.sqrt(1 - partial[i, j] ** 2)
        rows.append(pt.stack([*entries, left, *[pt.constant(0.0)] * (q - i - 1)]))
    return pt.stack(rows)


def shrunken_scales(block: Shrinkage, tissue: str, residual_sd: Tensor) -> Tensor:
    """Prior standard deviations that a horseshoe or R2D2 prior gives its terms.

    Parameters
    ----------
    block : Shrinkage
        Prior and the terms that it covers: slopes, then patient effects.
    tissue : str
        Tissue label.
    residual_sd : tensor
        Of the tissue.

    Returns
    -------
    tensor of shape (slopes + effects,)
    """
    if isinstance(block.prior, p.RegularizedHorseshoe):
        return _horseshoe(block, tissue, residual_sd)
    return _r2d2(block, tissue, residual_sd)


def coefficients(
    space: HyperSpace, columns: slice, tissue: str, names: Sequence[str], shrunken: Tensor | None
) -> Tensor:
    """Coefficients of a tissue's covariates, on the standardised scale.

    Parameters
    ----------
    space : HyperSpace
        Priors by place.
    columns : slice
        Places of the tissue's coefficients.
    tissue : str
        Tissue label.
    names : sequence of str
        Covariate names.
    shrunken : tensor or None
        Prior standard deviations of the slopes under a horseshoe or R2D2 prior.

    Returns
    -------
    tensor of shape (len(names),)
    """
    places = range(columns.start, columns.stop)
    tail = {local.place: local.df for local in space.local}
    kinds = [_kind(space, place, tail) for place in places]
    whole, dim = f"beta_{tissue}", f"covariate_{tissue}"
    present = list(dict.fromkeys(kinds))
    parts = []
    for kind in present:
        chosen = [i for i, found in enumerate(kinds) if found == kind]
        if len(present) == 1 and kind != "shrunken":
            name, chosen_dim = whole, dim
        else:
            name, chosen_dim = f"{whole}_{kind}", f"{dim}_{kind}"
            pm.modelcontext(None).add_coord(chosen_dim, [names[i] for i in chosen])
        at = [columns.start + i for i in chosen]
        mean, sd = np.array(space.means)[at], np.array(space.sds)[at]
        if kind == "normal":
            parts.append(pm.Normal(name, mu=mean, sigma=sd, dims=chosen_dim))
        elif kind == "student_t":
            df = np.array([tail[place] for place in at])
            parts.append(pm.StudentT(name, nu=df, mu=mean, sigma=sd, dims=chosen_dim))
        elif kind == "flat":
            parts.append(pm.Flat(name, dims=chosen_dim))
        else:
            parts.append(pm.Normal(f"{name}_z", 0.0, 1.0, dims=chosen_dim) * shrunken)
    if present == ["shrunken"] or len(present) > 1:
        order = np.argsort([i for kind in present for i, k in enumerate(kinds) if k == kind])
        return pm.Deterministic(whole, pt.concatenate(parts)[order], dims=dim)
    return parts[0]


def _kind(space: HyperSpace, place: int, tail: dict[int, float]) -> str:
    if place in tail:
        return "student_t"
    if space.sds[place] == BY_THETA:
        return "shrunken"
    return "flat" if np.isinf(space.sds[place]) else "normal"


def _positive(name: str, laws: Sequence[Any], dims: str | None = None) -> Tensor:
    where: dict[str, Any] = {"dims": dims} if dims else {"shape": len(laws)}

    def each(parameter: str) -> np.ndarray:
        return np.array([getattr(law, parameter) for law in laws])

    if isinstance(laws[0], p.HalfNormal):
        return pm.HalfNormal(name, sigma=each("sigma"), **where)
    if isinstance(laws[0], p.Exponential):
        return pm.Exponential(name, lam=each("rate"), **where)
    if isinstance(laws[0], p.Flat):
        return pm.HalfFlat(name, **where)
    if not each("mu").any():
        return pm.HalfStudentT(name, nu=each("df"), sigma=each("sigma"), **where)
    return pm.CustomDist(
        name,
        each("df"),
        each("mu"),
        each("sigma"),
        dist=_folded_student_t,
        transform=pm.distributions.transforms.log,
        **where,
    )


def _folded_student_t(df: Tensor, mu: Tensor, sigma: Tensor, size: Tensor) -> Tensor:
    return pt.abs(pm.StudentT.dist(nu=df, mu=mu, sigma=sigma, size=size))


def _horseshoe(block: Shrinkage, tissue: str, residual_sd: Tensor) -> Tensor:
    # Piironen & Vehtari 2017 (doi 10.1214/17-EJS1337SI): tau0 = p0 / (d - p0) * sigma / √n,
    # with n the patients, not the rows; λ̃² = c² λ² / (c² + τ² λ²)
    prior, d = block.prior, len(block.places)
    ratio = prior.expected_nonzero / (d - prior.expected_nonzero)
    scale = ratio * residual_sd / np.sqrt(block.n_patients)
    tau = pm.HalfCauchy(f"horseshoe_global_{tissue}", beta=scale)
    half_df = prior.slab_df / 2
    slab = pm.InverseGamma(
        f"horseshoe_slab_{tissue}", alpha=half_df, beta=half_df * prior.slab_scale**2
    )
    local = pm.HalfCauchy(f"horseshoe_local_{tissue}", beta=1.0, shape=d)
    return tau * local * pt.sqrt(slab / (slab + tau**2 * local**2))


def _r2d2(block: Shrinkage, tissue: str, residual_sd: Tensor) -> Tensor:
    # Zhang 2022; effects in the split make it R2D2M2 (Aguilar & Bürkner 2023,
    # doi 10.1214/23-EJS2136)
    prior, terms = block.prior, len(block.places) + len(block.effects)
    r2 = pm.Beta(
        f"r2_{tissue}", alpha=prior.mean * prior.precision, beta=(1 - prior.mean) * prior.precision
    )
    # a Dirichlet simplex as normalised gammas, which have no corner to get stuck in
    weight = pm.Gamma(f"r2_weight_{tissue}", alpha=prior.concentration, beta=1.0, shape=terms)
    return residual_sd * pt.sqrt(r2 / (1 - r2) * weight / weight.sum())
