"""Posteriors and log evidence against exact quadrature, and against Stan with the same priors."""

import numpy as np
import pytest

import bayesdose as bd

SCALE = 100.0  # ms, g: what one unit of log dose stands for

CASES = ["as_measured", "one_patient_times_four"]


def scaled(truth: dict, factor: float, shift: float = 0.0) -> dict:
    """A summary in the units of the table as one in units of log dose."""
    out = {name: value / factor for name, value in truth.items() if "quantiles" not in name}
    out["mean"] = (truth["mean"] - shift) / factor
    for name in ("mcse_quantiles", "quantiles"):
        moved = shift if name == "quantiles" else 0.0
        if name in truth:
            out[name] = {k: (v - moved) / factor for k, v in truth[name].items()}
    return out


def log_dose_total(model: bd.DoseModel) -> float:
    dose = model.posterior_["observed_data"]["absorbed_dose"].to_numpy()
    return float(np.log(dose).sum())


def test_random_intercepts_have_the_exact_posterior(sleep_intercept, reference, monte_carlo):
    truth = reference("quadrature/sleepstudy_random_intercept")["result"]
    posterior = sleep_intercept.posterior_["posterior"]
    ess = monte_carlo.draws_worth(sleep_intercept)
    for name, exact in truth["b"].items():
        values = posterior["slope_all"].sel(covariate_all=name).to_numpy()
        monte_carlo.same_summary(values, ess, scaled(exact, SCALE), name)
    monte_carlo.same_summary(posterior["patient_sd"].to_numpy(), ess, scaled(truth["tau"], SCALE))
    monte_carlo.same_summary(
        posterior["residual_sd"].to_numpy(), ess, scaled(truth["sigma"], SCALE)
    )
    for subject, exact in truth["u"].items():
        values = posterior["patient_effects"].sel(patient=subject).to_numpy()
        monte_carlo.same_summary(values, ess, scaled(exact, SCALE), f"u of {subject}")


def test_random_intercepts_have_the_exact_log_evidence(sleep_intercept, reference, monte_carlo):
    truth = reference("quadrature/sleepstudy_random_intercept")["result"]
    value, error = sleep_intercept.log_evidence_
    # density of the dose -> of its logarithm -> of Reaction in ms
    in_ms = value + log_dose_total(sleep_intercept) - 180 * np.log(SCALE)
    monte_carlo.same((in_ms, error), truth["log_evidence"])
    assert error < 0.05


def test_correlated_slopes_have_the_exact_posterior(sleep_slope, reference, monte_carlo):
    truth = reference("quadrature/sleepstudy_random_slope")["result"]
    posterior = sleep_slope.posterior_["posterior"]
    ess = monte_carlo.draws_worth(sleep_slope)
    hyper = truth["hyperparameters"]
    for name in ("Intercept", "Days"):
        values = posterior["slope_all"].sel(covariate_all=name).to_numpy()
        monte_carlo.same_summary(values, ess, truth["b"][name], name)
        values = posterior["patient_sd"].sel(patient_effect=f"all:{name}").to_numpy()
        monte_carlo.same_summary(values, ess, hyper[f"sd_{name}"], f"sd_{name}")
    rho = posterior["patient_corr"].to_numpy()[..., 0, 1]
    monte_carlo.same_summary(rho, ess, hyper["rho"], "rho")
    monte_carlo.same_summary(posterior["residual_sd"].to_numpy(), ess, hyper["sigma"], "sigma")
    for subject, by_column in truth["u"].items():
        for name, exact in by_column.items():
            place = {"patient": subject, "patient_effect": f"all:{name}"}
            values = posterior["patient_effects"].sel(place).to_numpy()
            monte_carlo.same_summary(values, ess, exact, f"u of {subject}, {name}")


def test_correlated_slopes_have_the_exact_log_evidence(sleep_slope, reference, monte_carlo):
    truth = reference("quadrature/sleepstudy_random_slope")["result"]
    value, error = sleep_slope.log_evidence_
    monte_carlo.same((value + log_dose_total(sleep_slope), error), truth["log_evidence"])


def test_dyestuff_has_the_exact_posterior_and_log_evidence(dyestuff, reference, monte_carlo):
    truth = reference("quadrature/dyestuff")["result"]
    posterior = dyestuff.posterior_["posterior"]
    ess = monte_carlo.draws_worth(dyestuff)
    intercept = scaled(truth["b"]["Intercept"], SCALE, shift=1500.0)
    monte_carlo.same_summary(posterior["slope_all"].to_numpy(), ess, intercept, "Intercept")
    monte_carlo.same_summary(posterior["patient_sd"].to_numpy(), ess, scaled(truth["tau"], SCALE))
    monte_carlo.same_summary(
        posterior["residual_sd"].to_numpy(), ess, scaled(truth["sigma"], SCALE)
    )
    for batch, exact in truth["u"].items():
        values = posterior["patient_effects"].sel(patient=batch).to_numpy()
        monte_carlo.same_summary(values, ess, scaled(exact, SCALE), f"u of {batch}")
    value, error = dyestuff.log_evidence_
    in_g = value + log_dose_total(dyestuff) - 30 * np.log(SCALE)
    monte_carlo.same((in_g, error), truth["log_evidence"])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("error", ["without_error", "with_error"])
def test_tumours_have_the_exact_posterior_and_log_evidence(
    tumour_fits, reference, monte_carlo, case, error
):
    truth = reference("quadrature/reference_cohort_tumours")[case][error]
    model = tumour_fits[case, error]
    posterior = model.posterior_["posterior"]
    ess = monte_carlo.draws_worth(model)
    exact = truth["posterior"]
    for name, summary in exact["b"].items():
        values = posterior["beta_tumour"].sel(covariate_tumour=name).to_numpy()
        monte_carlo.same_summary(values, ess, summary, name)
    monte_carlo.same_summary(posterior["patient_sd"].to_numpy(), ess, exact["tau"], "tau")
    monte_carlo.same_summary(posterior["residual_sd"].to_numpy(), ess, exact["sigma"], "sigma")
    for patient, summary in exact["u"].items():
        values = posterior["patient_effects"].sel(patient=patient).to_numpy()
        monte_carlo.same_summary(values, ess, summary, f"u of {patient}")
    monte_carlo.same(model.log_evidence_, truth["log_evidence_gy"], what="log evidence")


def test_reference_answers_belong_to_this_cohort(tumours, reference):
    expected = reference("quadrature/reference_cohort_tumours")["fingerprint"]
    got = {
        "n_patients": tumours["patient_id"].nunique(),
        "n_rows": len(tumours),
        "sum_log_dose": np.log(tumours["absorbed_dose_gy"]).sum(),
        "sum_log_activity": np.log(tumours["administered_activity_gbq"]).sum(),
        "sum_log_suv_mean": np.log(tumours["suv_mean"]).sum(),
        "sum_log_volume_ml": np.log(tumours["volume_ml"]).sum(),
        "sum_own_var": np.log1p(tumours["absorbed_dose_cv"] ** 2).sum(),
        "sum_shared_var": np.log1p(tumours["absorbed_dose_cv_shared"] ** 2).sum(),
    }
    assert got == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(
    ("case", "factor", "names"),
    [
        (
            "sleepstudy_random_intercept",
            SCALE,
            {
                "b_Intercept": ("slope_all", 0),
                "b_Days": ("slope_all", 1),
                "sd_Subject__Intercept": ("patient_sd", 0),
                "sigma": ("residual_sd", 0),
            },
        ),
        (
            "sleepstudy_random_slope",
            1.0,
            {
                "b_Intercept": ("slope_all", 0),
                "b_Days": ("slope_all", 1),
                "sd_Subject__Intercept": ("patient_sd", 0),
                "sd_Subject__Days": ("patient_sd", 1),
                "cor_Subject__Intercept__Days": ("patient_corr", 1),
                "sigma": ("residual_sd", 0),
            },
        ),
        (
            "reference_cohort_tumours",
            1.0,
            {
                "b_Intercept": ("beta_tumour", 0),
                "b_x1": ("beta_tumour", 1),
                "b_x2": ("beta_tumour", 2),
                "sd_patient__Intercept": ("patient_sd", 0),
                "sigma": ("residual_sd", 0),
            },
        ),
    ],
)
def test_stan_gives_the_same_posterior(request, reference, monte_carlo, case, factor, names):
    fixture = {
        "sleepstudy_random_intercept": "sleep_intercept",
        "sleepstudy_random_slope": "sleep_slope",
        "reference_cohort_tumours": "tumour_model",
    }[case]
    model = request.getfixturevalue(fixture)
    posterior, ess = model.posterior_["posterior"], monte_carlo.draws_worth(model)
    stan = reference(f"brms/{case}")["parameters"]
    for name, (variable, place) in names.items():
        values = posterior[variable].to_numpy().reshape(model.fit_info_["draws"], -1)[:, place]
        truth = {k: v for k, v in stan[name].items() if k not in ("ess_bulk", "ess_tail", "rhat")}
        monte_carlo.same_summary(values, ess, scaled(truth, factor), f"{case}: {name}")
    for name, truth in stan.items():
        if not name.startswith("r_"):
            continue
        patient, column = name.split("[")[1].rstrip("]").split(",")
        tissue = "tumour" if fixture == "tumour_model" else "all"
        place = {"patient": patient, "patient_effect": f"{tissue}:{column}"}
        values = posterior["patient_effects"].sel(place).to_numpy()
        truth = {"mean": truth["mean"] / factor, "sd": truth["sd"] / factor} | {
            key: truth[key] / factor for key in ("mcse_mean", "mcse_sd")
        }
        monte_carlo.same_summary(values, ess, truth, f"{case}: {name}")


def test_importance_sampling_says_how_good_it_is(tumour_model, sleep_intercept):
    for model in (tumour_model, sleep_intercept):
        info = model.fit_info_
        assert info["sampler"] == "importance"
        assert info["pareto_k"] < 0.7
        assert info["weight_ess"] >= info["draws"] / 2
