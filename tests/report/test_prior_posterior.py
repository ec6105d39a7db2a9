import numpy as np
import pytest
from scipy import stats

import bayesdose as bd
from bayesdose.report import plot_prior_posterior, prior_posterior_data


def one(data, tissue, parameter):
    found = data[(data["tissue"] == tissue) & (data["parameter"] == parameter)]
    assert len(found) == 201
    return found


def test_parameters_and_their_units(fake_fit):
    data = prior_posterior_data(fake_fit())
    assert data.groupby("tissue", sort=False)["parameter"].unique().map(list).to_dict() == {
        "tumour": ["intercept", "log(suv_mean)", "patient SD", "residual SD"],
        "kidney": ["intercept", "log(suv_mean)", "patient SD", "residual SD"],
    }
    assert set(one(data, "kidney", "log(suv_mean)")["unit"]) == {"log(Gy/GBq) per SD"}


def test_prior_densities_are_the_closed_forms(fake_fit):
    priors = bd.Priors(
        intercept=bd.Normal(1.0, 0.5),
        slope=bd.StudentT(3.0, 0.1, 0.4),
        patient_sd=bd.StudentT(4.0, 0.0, 0.3),
        residual_sd=bd.Exponential(2.0),
    )
    data = prior_posterior_data(fake_fit(priors=priors))
    laws = {
        "intercept": lambda x: np.exp(-2 * (x - 1) ** 2) / (0.5 * np.sqrt(2 * np.pi)),
        "log(suv_mean)": lambda x: stats.t.pdf((x - 0.1) / 0.4, 3) / 0.4,
        "patient SD": lambda x: 2 * stats.t.pdf(x / 0.3, 4) / 0.3,
        "residual SD": lambda x: 2 * np.exp(-2 * x),
    }
    for name, law in laws.items():
        found = one(data, "tumour", name)
        np.testing.assert_allclose(found["prior"], law(found["value"].to_numpy()), rtol=1e-10)


def test_posterior_densities_hold_the_mass_of_the_draws(fake_fit):
    model = fake_fit()
    data = prior_posterior_data(model)
    found = one(data, "tumour", "intercept")
    # the draws are N(0.2, 0.1); a kernel estimate from 800 of them is near that
    np.testing.assert_allclose(
        found["posterior"], stats.norm.pdf(found["value"], 0.2, 0.1), atol=0.5
    )
    for (_, name), part in data.groupby(["tissue", "parameter"]):
        mass = np.trapezoid(part["posterior"], part["value"])
        assert mass == pytest.approx(1.0, abs=0.02), name
    assert (one(data, "kidney", "patient SD")["value"] >= 0).all()


def test_an_improper_prior_has_no_density(fake_fit):
    data = prior_posterior_data(fake_fit(priors=bd.Priors(intercept=bd.Flat())))
    assert one(data, "tumour", "intercept")["prior"].isna().all()
    axes = plot_prior_posterior(fake_fit(priors=bd.Priors(intercept=bd.Flat())))
    assert "no density" in axes[0].texts[0].get_text()


@pytest.mark.slow
def test_shrinkage_priors_are_drawn_where_the_training_rows_are_known(fake_fit):
    priors = bd.Priors(slope=bd.R2D2())
    drawn = one(prior_posterior_data(fake_fit(priors=priors)), "tumour", "log(suv_mean)")
    assert np.isfinite(drawn["prior"]).all()
    x = drawn["value"]
    assert drawn["prior"].max() == drawn["prior"][np.abs(x) < 0.1].max()
    loaded = prior_posterior_data(fake_fit(training=False, priors=priors))
    assert one(loaded, "tumour", "log(suv_mean)")["prior"].isna().all()


def test_what_is_drawn_is_the_data(fake_fit):
    model = fake_fit()
    data = prior_posterior_data(model)
    axes = plot_prior_posterior(model)
    shown = list(data.groupby(["tissue", "parameter"], sort=False))
    for ax, (_, part) in zip(axes, shown, strict=True):
        posterior, prior = ax.lines
        np.testing.assert_array_equal(posterior.get_xydata(), part[["value", "posterior"]])
        np.testing.assert_array_equal(prior.get_xydata(), part[["value", "prior"]])
