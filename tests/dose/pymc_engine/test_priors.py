"""Every prior value as PyMC variables, against scipy and against the collapsed engine."""

import jax
import jax.numpy as jnp
import numpy as np
import pymc as pm
import pytest
from scipy import special, stats

from bayesdose.dose import design
from bayesdose.dose.collapsed import hyper
from bayesdose.dose.design import patients_per_tissue
from bayesdose.dose.priors import (
    LKJ,
    R2D2,
    Exponential,
    Flat,
    HalfNormal,
    Normal,
    Priors,
    RegularizedHorseshoe,
    StudentT,
)
from bayesdose.dose.pymc_engine import priors
from bayesdose.dose.pymc_engine.build import build_model
from bayesdose.dose.spec import ModelSpec

FORMULA = {"tumour": "uptake + volume", "kidney": "uptake"}


def model_with(sites, given: Priors):
    once = sites[sites.cycle == 1].reset_index(drop=True)
    encoding, rows = design.learn(once, ModelSpec(FORMULA, engine="pymc", priors=given))
    return build_model(encoding, rows), encoding, rows


def folded(df: float, mu: float, sigma: float, at: np.ndarray) -> np.ndarray:
    """|x| of a Student-t x, by the difference of its distribution function."""
    law, h = stats.t(df, mu, sigma), 1e-5
    inside = law.cdf(at + h) - law.cdf(-at - h) - law.cdf(at - h) + law.cdf(-at + h)
    return np.log(inside / (2 * h))


SD = np.array([0.3, 0.9])


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (HalfNormal(0.5), stats.halfnorm(scale=0.5).logpdf(SD)),
        (Exponential(2.0), stats.expon(scale=0.5).logpdf(SD)),
        (StudentT(3.0, 0.0, 0.4), folded(3.0, 0.0, 0.4, SD)),
        (StudentT(3.0, 0.5, 0.4), folded(3.0, 0.5, 0.4, SD)),
        (Flat(), np.zeros(2)),
    ],
)
def test_a_standard_deviation_has_its_prior(sites, plain, law, expected):
    model, *_ = model_with(sites, Priors(residual_sd=law))
    values = plain.random_values(model, np.random.default_rng(0)) | {"residual_sd": SD}
    assert plain.log_density(model, values, ["residual_sd"]) == pytest.approx(
        expected.sum(), abs=1e-7
    )


def test_tissues_may_have_priors_of_different_kinds(sites, plain):
    given = Priors(residual_sd={"tumour": Exponential(2.0), "kidney": HalfNormal(0.3)})
    model, encoding, _ = model_with(sites, given)
    values = plain.random_values(model, np.random.default_rng(0))
    values |= {"residual_sd_tumour": SD[:1], "residual_sd_kidney": SD[1:]}
    by_tissue = dict(
        zip(encoding.tissues, plain.value_of(model, "residual_sd", values), strict=True)
    )
    assert by_tissue == {"tumour": 0.3, "kidney": 0.9}
    laws = {"tumour": stats.expon(scale=0.5), "kidney": stats.halfnorm(scale=0.3)}
    for tissue, law in laws.items():
        found = plain.log_density(model, values, [f"residual_sd_{tissue}"])
        assert found == pytest.approx(law.logpdf(by_tissue[tissue]))


def test_coefficients_keep_their_order_when_their_priors_differ(sites, plain):
    given = Priors(intercept=Flat(), slope={"tumour": StudentT(4.0, 0.1, 0.5)})
    model, *_ = model_with(sites, given)
    values = plain.random_values(model, np.random.default_rng(0))
    values |= {"beta_tumour_flat": np.array([3.0]), "beta_tumour_student_t": np.array([1.0, 2.0])}
    np.testing.assert_array_equal(plain.value_of(model, "beta_tumour", values), [3.0, 1.0, 2.0])
    assert plain.log_density(model, values, ["beta_tumour_flat"]) == 0.0
    assert plain.log_density(model, values, ["beta_tumour_student_t"]) == pytest.approx(
        stats.t(4.0, 0.1, 0.5).logpdf([1.0, 2.0]).sum()
    )


@pytest.mark.parametrize("eta", [0.7, 1.0, 3.0])
def test_partial_correlations_make_lkj(eta):
    """p(Ω) = p(partials) / |dΩ / dpartials| must be c det(Ω)^(η-1), c from LKJ 2009, eq. 16."""
    names = ["a", "b", "c"]
    with pm.Model() as model:
        chol = pm.Deterministic("chol", priors.correlation_factor(eta, names))
    compiled = model.compile_fn(model.replace_rvs_by_values([chol])[0])
    log_p = model.compile_logp(jacobian=False)
    rng = np.random.default_rng(4)
    log_c = -_lkj_log_volume(eta, 3)
    for _ in range(5):
        unit = rng.uniform(0.1, 0.9, 3)
        point = {"patient_partial_corr_unit_logodds__": np.log(unit / (1 - unit))}
        found = compiled(point)
        correlation = found @ found.T
        np.testing.assert_allclose(np.diag(correlation), 1.0)
        first, second, _ = 2 * unit - 1  # pairs (b, a), (c, a), (c, b)
        np.testing.assert_allclose(correlation[0, 1:], [first, second])
        # each correlation is 2 u - 1; the last is also squeezed by the first two
        log_jacobian = 3 * np.log(2) + 0.5 * np.log((1 - first**2) * (1 - second**2))
        expected = log_c + (eta - 1) * np.linalg.slogdet(correlation)[1]
        assert float(log_p(point)) - log_jacobian == pytest.approx(expected, abs=1e-10)


def _lkj_log_volume(eta: float, q: int) -> float:
    """Log of ∫ det(Ω)^(η-1) dΩ."""
    total = 0.0
    for k in range(1, q):
        b = eta + (q - 1 - k) / 2
        total += (2 * eta - 2 + q - k) * (q - k) * np.log(2) + (q - k) * special.betaln(b, b)
    return total


SHRINKAGE = {
    "horseshoe": Priors(slope={"tumour": RegularizedHorseshoe(0.8, 1.3, 5.0)}),
    "R2D2": Priors(slope={"tumour": R2D2(0.4, 3.0, 0.7)}),
    "R2D2M2": Priors(
        slope={"tumour": R2D2(0.4, 3.0, 0.7)}, patient_sd={"tumour": R2D2(0.4, 3.0, 0.7)}
    ),
}


@pytest.mark.parametrize("name", SHRINKAGE)
def test_shrinkage_gives_what_the_collapsed_engine_gives(sites, plain, name):
    given = SHRINKAGE[name]
    model, encoding, rows = model_with(sites, given)
    values = plain.random_values(model, np.random.default_rng(2))
    tumour = encoding.tissues.index("tumour")
    values["beta_tumour_shrunken_z"] = np.ones(2)
    if name == "horseshoe":
        hidden = ["horseshoe_global_tumour", "horseshoe_slab_tumour", "horseshoe_local_tumour"]
        reals = [np.log(np.atleast_1d(values[h])) for h in hidden]
    else:
        hidden = ["r2_tumour", "r2_weight_tumour"]
        r2 = np.atleast_1d(values["r2_tumour"])
        reals = [np.log(r2 / (1 - r2)), np.log(values["r2_weight_tumour"])]
    block = hyper.build(encoding, patients_per_tissue(encoding, rows)).shrinkage[0]
    with jax.enable_x64(True):
        residual_sd = values["residual_sd"][tumour]
        sds, density = hyper._shrink(block, jnp.concatenate(reals), residual_sd)
        jacobian = _log_jacobian(block, jnp.concatenate(reals))
    slopes = plain.value_of(model, "beta_tumour", values)[1:]
    np.testing.assert_allclose(slopes, sds[:2], rtol=1e-12)
    if name == "R2D2M2":
        effects = plain.value_of(model, "patient_sd", values)
        np.testing.assert_allclose(effects[block.effects[0]], sds[2], rtol=1e-12)
    found = plain.log_density(model, values, hidden)
    assert found == pytest.approx(float(density) - float(jacobian), abs=1e-7)


def _log_jacobian(block: hyper.Shrinkage, reals: np.ndarray) -> float:
    """From the variables' own scales to the reals that the collapsed engine works on."""
    if isinstance(block.prior, RegularizedHorseshoe):
        return reals.sum()
    r2 = 1 / (1 + np.exp(-reals[0]))
    return np.log(r2 * (1 - r2)) + reals[1:].sum()


def test_horseshoe_scale_counts_patients():
    """tau0 = p0 / (d - p0) σ / √n of Piironen & Vehtari 2017, eq. 3.12, n the patients."""
    block = hyper.Shrinkage(RegularizedHorseshoe(1.0), 0, (1, 2, 3, 4, 5), (), 9)
    with pm.Model() as model:
        priors.shrunken_scales(block, "tumour", pm.math.constant(0.6))
    tau = model["horseshoe_global_tumour"]
    at = 0.05
    found = pm.logp(tau, at).eval()
    assert found == pytest.approx(stats.halfcauchy(scale=1 / 4 * 0.6 / 3).logpdf(at))


def test_all_normal_coefficients_are_one_variable(sites):
    model, *_ = model_with(
        sites, Priors(intercept=Normal(1, 2), slope=Normal(0, 1), patient_corr=LKJ(1))
    )
    assert model["beta_tumour"] in model.free_RVs
