"""Hyperparameters: densities that integrate to 1, sampled as they are evaluated, and mirrored."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy.integrate import quad

import bayesdose as bd
from bayesdose.dose import design
from bayesdose.dose.collapsed import hyper
from bayesdose.dose.collapsed.engine import double_precision, find_device, prepare
from bayesdose.dose.collapsed.hyper import HyperSpace, Scale
from bayesdose.dose.collapsed.prior import prior_draws, sample_theta
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import PriorError

PRIORS = [
    bd.HalfNormal(0.5),
    bd.StudentT(3, 0, 0.4),
    bd.StudentT(4, 0.3, 0.2),
    bd.Exponential(2.0),
]
unpacked = jax.jit(lambda space, theta: hyper.unpack(space, theta), static_argnums=0)


def layout(**changes) -> HyperSpace:
    empty = {
        "residual": (Scale(bd.HalfNormal(1), False),),
        "patient": (),
        "cycle": (None,),
        "site": (None,),
        "group": (),
        "correlation": None,
        "means": (0.0,),
        "sds": (1.0,),
        "group_of": (-1,),
        "local": (),
        "shrinkage": (),
    }
    return HyperSpace(**{**empty, **changes})


def log_prior(space, theta) -> float:
    with double_precision(find_device("cpu")):
        return float(unpacked(space, np.asarray(theta, float))[1])


def log_priors(space, thetas) -> np.ndarray:
    with double_precision(find_device("cpu")):
        many = jax.jit(jax.vmap(lambda t: hyper.unpack(space, t)[1]))
        return np.asarray(many(np.asarray(thetas)))


@pytest.mark.parametrize("prior", PRIORS, ids=repr)
@pytest.mark.parametrize("signed", [False, True])
def test_a_standard_deviation_has_a_proper_density(prior, signed):
    """Over the logarithm, or over the reals with a sign; folded at 0 where its mean is not 0."""
    space = layout(residual=(Scale(prior, signed),))

    def density(real: float) -> float:
        return np.exp(log_prior(space, [real]))

    if signed:
        half, _ = quad(density, 1e-9, np.inf, limit=200, epsabs=1e-6)
        assert half == pytest.approx(0.5, abs=1e-5)
        assert density(0.37) == pytest.approx(density(-0.37))
    else:
        whole, _ = quad(density, -30, 12, limit=200, points=[-2, 0, 1], epsabs=1e-6)
        assert whole == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("eta", [1.0, 2.0, 5.0])
def test_a_correlation_has_a_proper_density(eta):
    space = layout(patient=(Scale(bd.HalfNormal(1), True),) * 2, correlation=eta)
    rest = log_prior(layout(patient=space.patient), [0.0, 0.3, 0.4])

    def density(real: float) -> float:
        return np.exp(log_prior(space, [0.0, 0.3, 0.4, real]) - rest)

    total, _ = quad(density, -12, 12, limit=100, epsabs=1e-7)
    assert total == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("eta", [1.0, 2.0, 5.0])
def test_lkj_of_two_effects_is_a_scaled_beta(eta):
    """p(rho) ∝ (1 - rho²)^(eta - 1): (rho + 1) / 2 ~ Beta(eta, eta)."""
    space = layout(patient=(Scale(bd.HalfNormal(1), True),) * 2, correlation=eta)
    theta = sample_theta(space, 20_000, np.random.default_rng(1))
    with double_precision(find_device("cpu")):
        find = jax.jit(jax.vmap(lambda t: hyper.unpack(space, t)[0].patient_chol[1, 0]))
        rho = np.asarray(find(theta))
    assert rho.mean() == pytest.approx(0, abs=4 / np.sqrt(20_000))
    assert rho.var() == pytest.approx(1 / (2 * eta + 1), rel=0.05)


SPACES = {
    "scales of every prior": layout(
        residual=tuple(Scale(p, False) for p in PRIORS[:2]),
        patient=tuple(Scale(p, True) for p in PRIORS[2:]),
        cycle=(Scale(bd.HalfNormal(0.3), True), None),
        correlation=2.0,
    ),
    "three correlated effects": layout(
        patient=(Scale(bd.HalfNormal(0.5), True),) * 3, correlation=2.0
    ),
    "student slopes": layout(
        local=(hyper.LocalScale(0, 4.0), hyper.LocalScale(1, 7.0)),
        means=(0.0, 0.0),
        sds=(1.0, 1.0),
        group_of=(-1, -1),
    ),
    "horseshoe": layout(
        shrinkage=(hyper.Shrinkage(bd.RegularizedHorseshoe(1), 0, (0, 1), (), 9),),
        means=(0.0, 0.0),
        sds=(1.0, 1.0),
        group_of=(-1, -1),
    ),
    "r2d2": layout(
        shrinkage=(hyper.Shrinkage(bd.R2D2(0.4, 3.0, 0.8), 0, (0, 1), (0,), 9),),
        patient=(None,),
        means=(0.0, 0.0),
        sds=(1.0, 1.0),
        group_of=(-1, -1),
    ),
}


@pytest.mark.parametrize("name", SPACES)
def test_draws_follow_the_density(name):
    """E[q(θ) / p(θ)] = 1 over draws of the prior p, for a normalised q inside it.

    Fails when the density is not normalised as much as when the draws are of another law.
    """
    space = SPACES[name]
    n = 40_000
    theta = sample_theta(space, n, np.random.default_rng(3))
    assert theta.shape == (n, space.size)
    # q: independent uniforms between the deciles of each real, so never beyond p
    low, high = np.quantile(theta, [0.1, 0.9], axis=0)
    inside = ((theta > low) & (theta < high)).all(1)
    log_q = -np.log(high - low).sum()
    # draws of a carried standard deviation are positive, where half of its density lies
    log_p = log_priors(space, theta) + len(space.signed) * np.log(2)
    ratio = np.where(inside, np.exp(log_q - log_p), 0.0)
    error = ratio.std() / np.sqrt(n)
    assert error < 0.1
    assert abs(ratio.mean() - 1) < 4 * error


def test_mirror_images_have_the_same_density(table):
    """Sign changes of carried standard deviations, with the rows of the correlation matrix."""
    frame = table(0).assign(cycle=1, centre="A")
    frame.loc[frame["patient_id"] > "P1", "centre"] = "B"
    spec = ModelSpec("a", patient_effects="1 + b", group_effects=("centre",))
    encoding, rows = design.learn(frame, spec)
    problem = prepare(encoding, rows)
    flips = hyper.flips(problem.space)
    assert len(flips) == 2 ** len(problem.space.signed) == 32
    assert (flips[0] == 1).all()
    theta = np.random.default_rng(0).normal(0, 0.4, problem.space.size)
    theta[: len(problem.space.scales)] += 0.5
    values = problem.target(problem.whole)(theta * flips)
    assert values == pytest.approx(np.full(32, values[0]), abs=1e-9)


def test_carried_signs_leave_covariances_alone():
    """Negative standard deviations come back positive, their correlations with the sign."""
    space = layout(patient=(Scale(bd.HalfNormal(1), True),) * 2, correlation=2.0)
    with double_precision(find_device("cpu")):
        plus, minus = (
            unpacked(space, np.array([0.0, 0.4, sign * 0.7, 0.9]))[0] for sign in (1.0, -1.0)
        )
    for found in (plus, minus):
        assert (np.asarray(found.patient_sd) > 0).all()
    chols = [np.asarray(found.patient_chol) for found in (plus, minus)]
    rho = [(chol @ chol.T)[1, 0] for chol in chols]
    assert rho[0] == pytest.approx(-rho[1])


def test_many_scales_are_carried_by_their_logarithm(table):
    frame = table(0).assign(tissue=[f"t{i % 9}" for i in range(20)])
    frame["site_id"] = range(20)
    encoding, _ = design.learn(frame, ModelSpec("1", patient_correlation=False))
    space = hyper.build(encoding, [4] * 9)
    assert space.signed == ()
    assert len(hyper.flips(space)) == 1
    theta = sample_theta(space, 5000, np.random.default_rng(0))
    assert np.exp(theta[:, 9]).mean() == pytest.approx(0.5 * np.sqrt(2 / np.pi), rel=0.05)


def test_positions_of_the_priors(table):
    """Each tissue's own priors, defaults where nothing is stated, and who shares a group's sd."""
    frame = table(0).assign(centre=["A", "B"] * 10)
    priors = bd.Priors(
        intercept={"kidney": bd.Normal(-3, 0.1)},
        slope=bd.StudentT(5, 0, 0.2),
        residual_sd=bd.Exponential(3),
        patient_corr=bd.LKJ(4),
    )
    spec = ModelSpec("a", group_effects=("centre",), priors=priors)
    space = hyper.build(design.learn(frame, spec)[0], [4, 4])
    assert space.means == (1.2, 0.0, -3, 0.0, 0.0, 0.0, 0.0, 0.0)
    assert space.sds[:4] == (0.9, 0.2, 0.1, 0.2)
    assert space.group_of == (-1, -1, -1, -1, 0, 0, 0, 0)
    assert [local.place for local in space.local] == [1, 3]
    assert [s.prior for s in space.residual] == [bd.Exponential(3)] * 2
    assert [s.prior for s in space.patient] == [bd.HalfNormal(0.5)] * 2
    assert space.correlation == 4
    assert space.proper


def test_a_space_equals_itself_built_again(table):
    """It keys the compiled functions: otherwise every fit would compile anew."""
    frame = table(0).assign(centre=["A", "B"] * 10)
    for more in (
        {"group_effects": ("centre",)},
        {"priors": bd.Priors(slope=bd.RegularizedHorseshoe(1.0))},
        {"priors": bd.Priors(slope=bd.R2D2())},
    ):
        spec = ModelSpec("a + b", **more)
        first, second = (hyper.build(design.learn(frame, spec)[0], [4, 4]) for _ in range(2))
        assert first == second
        assert hash(first) == hash(second)


def test_prior_draws_of_the_coefficients(table):
    frame = table(0).assign(centre=["A", "B"] * 10)
    priors = bd.Priors(slope=bd.StudentT(8, 0, 0.2), group_sd=bd.HalfNormal(0.6))
    spec = ModelSpec("a", group_effects=("centre",), priors=priors)
    encoding, _ = design.learn(frame, spec)
    draws = prior_draws(encoding, [4, 4], 20_000, np.random.default_rng(2))
    beta = draws.beta
    near = partial(pytest.approx, abs=5 / np.sqrt(20_000))
    assert beta[:, 0].mean() == near(1.2)
    assert beta[:, 0].std() == pytest.approx(0.9, rel=0.03)
    assert beta[:, 1].std() == pytest.approx(0.2 * np.sqrt(8 / 6), rel=0.05)
    # E[psi²] = 0.6²: the levels of a group have that variance over the prior
    assert beta[:, 4:].var(0) == pytest.approx(np.full(4, 0.36), rel=0.06)
    assert (draws.group_sd**2).mean() == pytest.approx(0.36, rel=0.05)
    assert draws.residual_sd.mean(0) == pytest.approx(
        np.array([0.8, 0.3]) * np.sqrt(2 / np.pi), rel=0.03
    )


def test_flat_priors_are_not_proper_and_have_no_draws(table):
    encoding, _ = design.learn(table(0), ModelSpec("a", priors=bd.Priors(slope=bd.Flat())))
    space = hyper.build(encoding, [4, 4])
    assert not space.proper
    with pytest.raises(PriorError, match="flat"):
        prior_draws(encoding, [4, 4], 100, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("priors", "words"),
    [
        (bd.Priors(slope=bd.RegularizedHorseshoe(2.0)), "expected_nonzero 2 must be below its 2"),
        (bd.Priors(patient_sd=bd.R2D2()), "give slope the same one"),
    ],
)
def test_priors_that_do_not_fit(table, priors, words):
    encoding, _ = design.learn(table(0), ModelSpec("a + b", priors=priors))
    with pytest.raises(PriorError, match=words):
        hyper.build(encoding, [4, 4])
