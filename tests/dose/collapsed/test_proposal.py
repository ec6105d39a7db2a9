"""The proposal's density and draws, and what its checks say of easy and hard targets."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm

from bayesdose.dose.collapsed import proposal
from bayesdose.dose.collapsed.proposal import Proposal
from bayesdose.dose.posterior import resample

ONE = Proposal(np.array([0.7]), np.array([[0.4]]), (), np.ones((1, 1)))
MIRRORED = Proposal(np.array([0.3]), np.array([[0.4]]), (0,), np.array([[1.0], [-1.0]]))
TWO = Proposal(
    np.array([0.5, -0.2]),
    np.array([[0.5, 0.0], [0.3, 0.4]]),
    (1,),
    np.array([[1.0, 1.0], [1.0, -1.0]]),
)


@pytest.mark.parametrize("law", [ONE, MIRRORED])
def test_density_integrates_to_one(law):
    whole, _ = quad(lambda t: np.exp(law.log_density(np.array([[t]]))[0]), -np.inf, np.inf)
    assert whole == pytest.approx(1, abs=1e-6)


def test_density_of_two_integrates_to_one():
    axis = np.linspace(-20, 20, 1001)
    points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    whole = np.exp(TWO.log_density(points)).sum() * (axis[1] - axis[0]) ** 2
    assert whole == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("law", [ONE, TWO])
def test_draws_follow_the_density(law):
    """Shares of draws in boxes against the density; mirrored ones are all turned positive."""
    rng = np.random.default_rng(0)
    theta = law.sample(40_000, rng)
    assert (theta[:, list(law.signed)] >= 0).all()
    width = 0.05
    for at in theta[:5]:
        near = (np.abs(theta - at) < width / 2).all(1).mean()
        density = np.exp(law.log_density(at[None])[0]) * 2 ** len(law.signed)
        expected = density * width ** len(at)
        assert abs(near - expected) < 5 * np.sqrt(expected / 40_000) + 0.1 * expected


def test_mirror_images_have_one_density():
    theta = np.array([[0.4, 0.9], [0.4, -0.9]])
    first, second = TWO.log_density(theta)
    assert first == pytest.approx(second)


def test_a_normal_target_is_weighed_right():
    """Known integral and moments of 3 exp(-(θ - m)'C⁻¹(θ - m)/2)."""
    mean, root = np.array([1.0, -2.0]), np.array([[1.0, 0.0], [0.8, 0.5]])
    law = multivariate_normal(mean, root @ root.T)

    def target(theta):
        return law.logpdf(theta) + np.log(3.0)

    poor = Proposal(np.zeros(2), 0.3 * np.eye(2), (), np.ones((1, 2)))
    found = proposal.sample(target, poor, 4000, np.random.default_rng(0))
    value, error = found.log_constant
    assert abs(value - np.log(3)) < 4 * error < 0.1
    assert found.pareto_k < proposal.threshold(len(found.weights))
    assert found.ess >= 4000
    assert abs(found.weights @ found.theta - mean) == pytest.approx(
        np.zeros(2), abs=4 / np.sqrt(found.ess)
    )


def test_error_of_the_log_constant():
    """Over repetitions, the error that is reported is the spread that is seen."""
    found = [
        proposal.weigh(lambda t: norm.logpdf(t[:, 0], 0.9, 0.5), ONE, 1000, rng).log_constant
        for rng in map(np.random.default_rng, range(200))
    ]
    values, errors = np.array(found).T
    assert values.std() == pytest.approx(np.median(errors), rel=0.25)
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(200)


def test_tails_heavier_than_the_proposal_are_seen():
    """Cauchy³ against a t with 6 degrees of freedom: weights without a variance."""

    def target(theta):
        return -0.6 * np.log1p((theta / 0.1) ** 2).sum(1)

    wide = Proposal(np.zeros(3), np.eye(3), (), np.ones((1, 3)))
    found = proposal.weigh(target, wide, 4000, np.random.default_rng(0))
    assert found.pareto_k > 0.7


def test_a_second_mode_within_reach_is_seen_or_covered():
    """Two narrow modes: at either alone the weights are poor, and adaptation covers both."""

    def target(theta):
        left, right = (norm.logpdf(theta[:, 0], m, 0.1) for m in (-1.0, 1.0))
        return np.logaddexp(left, right) - np.log(2)

    at_one = Proposal(np.array([-1.0]), np.array([[0.4]]), (), np.ones((1, 1)))
    first = proposal.weigh(target, at_one, 2000, np.random.default_rng(0))
    assert first.ess < 0.2 * 2000
    found = proposal.sample(target, at_one, 4000, np.random.default_rng(0))
    value, error = found.log_constant
    assert abs(value) < 4 * error < 0.2
    share = found.weights[found.theta[:, 0] > 0].sum()
    assert share == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(found.ess))


def test_points_without_a_density_get_no_weight():
    def target(theta):
        return np.where(theta[:, 0] > 0.7, np.nan, norm.logpdf(theta[:, 0], 0.5, 0.3))

    found = proposal.weigh(target, ONE, 2000, np.random.default_rng(0))
    assert (found.weights[found.theta[:, 0] > 0.7] == 0).all()
    assert found.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize(("n", "expected"), [(100, 0.5), (1000, 2 / 3), (4000, 0.7), (10**6, 0.7)])
def test_threshold(n, expected):
    assert proposal.threshold(n) == pytest.approx(expected, abs=0.03)


def test_around_draws():
    rng = np.random.default_rng(0)
    theta = rng.normal(size=(5000, 2)) * [0.5, 2.0] + [1.0, -1.0]
    law = proposal.around(theta, TWO)
    assert law.location == pytest.approx(theta.mean(0))
    assert law.signed == TWO.signed
    scale = law.chol @ law.chol.T
    assert scale[1, 1] / scale[0, 0] == pytest.approx(16, rel=0.1)


def test_resampling_is_stratified():
    """Each draw appears n w times, give or take one."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.full(50, 0.5))
    index = resample(weights, 1000, rng)
    counts = np.bincount(index, minlength=50)
    assert counts.sum() == 1000
    assert (np.abs(counts - 1000 * weights) < 2).all()
    assert not (np.diff(index) >= 0).all()  # random order, so that chains are alike
