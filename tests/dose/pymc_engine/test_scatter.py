"""Row densities with a normal effect of the row's own, against brute-force integration."""

import numpy as np
import pytest
from scipy import stats

from bayesdose.dose.pymc_engine.scatter import Scatter, log_density


def density(likelihood, residual, censored, scale, variance, df=4.0):
    scatter = Scatter(
        likelihood,
        np.array([residual]),
        np.array([censored]),
        np.array([[scale]]),
        np.array([[variance]]),
        np.array([df]),
    )
    return log_density(scatter, np.zeros((1, 1, 1)))[0, 0, 0]


def law(likelihood, scale, df):
    """Distribution of the log dose about a mean of 0."""
    if likelihood == "lognormal":
        return stats.norm(0, scale)
    if likelihood == "student_t":
        return stats.t(df, 0, scale)
    return stats.loggamma(1 / scale**2, loc=2 * np.log(scale))


@pytest.mark.parametrize("likelihood", ["lognormal", "student_t", "gamma"])
@pytest.mark.parametrize("residual", [-1.5, 0.0, 0.4])
def test_without_an_effect_of_its_own_a_row_has_the_plain_density(likelihood, residual):
    plain = law(likelihood, 0.3, 4.0)
    found = density(likelihood, residual, False, 0.3, 0.0)
    assert found == pytest.approx(plain.logpdf(residual))
    below = density(likelihood, residual, True, 0.3, 0.0)
    assert below == pytest.approx(plain.logcdf(residual))


@pytest.mark.parametrize("likelihood", ["lognormal", "student_t", "gamma"])
@pytest.mark.parametrize("censored", [False, True])
@pytest.mark.parametrize(("scale", "sd"), [(0.03, 0.2), (0.3, 0.1), (0.1, 0.1)])
@pytest.mark.parametrize("residual", [-1.2, -0.1, 0.5])
@pytest.mark.parametrize("df", [1.5, 25.0])
def test_the_effect_of_a_row_is_integrated_over(likelihood, censored, scale, sd, residual, df):
    plain = law(likelihood, scale, df)
    near = residual + np.linspace(-8, 8, 40_001) * min(scale, sd)
    m = np.unique(np.concatenate([np.linspace(-10 * sd, 10 * sd, 40_001), near]))
    inside = plain.cdf(residual - m) if censored else plain.pdf(residual - m)
    expected = np.trapezoid(inside * stats.norm.pdf(m, 0, sd), m)
    found = density(likelihood, residual, censored, scale, sd**2, df)
    if expected > 1e-20:
        assert found == pytest.approx(np.log(expected), abs=2e-3)
    else:
        assert found < np.log(1e-19)
