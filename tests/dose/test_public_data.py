"""Real tables with published answers: posteriordb's reference draws, lme4 at real size."""

import json

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd


def posteriordb(folder, name: str) -> dict:
    return json.loads((folder / "posteriordb" / f"{name}.json").read_text(encoding="utf-8"))


def summaries(folder, name: str) -> pd.DataFrame:
    (path,) = (folder / "posteriordb").glob(f"{name}-*.reference_summary.csv")
    return pd.read_csv(path, index_col="parameter")


def alone(table: pd.DataFrame) -> pd.DataFrame:
    """Every row a subject of its own."""
    return table.assign(unit=[f"u{i}" for i in range(len(table))])


def regression(formula: str, priors: bd.Priors, **more) -> bd.DoseModel:
    return bd.DoseModel(
        formula,
        by=None,
        patient="unit",
        response="dose",
        activity=None,
        patient_effects=more.pop("patient_effects", "0"),
        standardise=False,
        priors=priors,
        **more,
    )


def same_row(monte_carlo, values, ess, row, factor=1.0, shift=0.0) -> None:
    """Draws against 10 000 reference draws; theirs have errors too."""
    n = row["n_draws"]
    truth = {
        "mean": (row["mean"] - shift) / factor,
        "mcse_mean": row["mcse_mean"] / factor,
        "sd": row["sd"] / factor,
        "mcse_sd": row["sd"] / factor / np.sqrt(n),  # sd / sqrt(2 n) were they normal
    }
    monte_carlo.same_summary(values, ess, truth, row.name)
    for level, name in ((0.025, "q025"), (0.5, "q50"), (0.975, "q975")):
        share = (values.reshape(-1) <= (row[name] - shift) / factor).mean()
        error = np.sqrt(level * (1 - level))
        monte_carlo.same((share, error / np.sqrt(ess)), level, error / np.sqrt(n), row.name)


def test_kidiq(test_data, monte_carlo):
    """Flat coefficients, half-Cauchy(2.5) residual; a log dose is score / 50."""
    data, scale = posteriordb(test_data, "kidiq"), 50.0
    table = alone(pd.DataFrame({"score": data["kid_score"], "mom_iq": data["mom_iq"]}))
    table["dose"] = np.exp(table["score"] / scale)
    priors = bd.Priors(
        intercept=bd.Flat(), slope=bd.Flat(), residual_sd=bd.StudentT(1, 0, 2.5 / scale)
    )
    model = regression("mom_iq", priors).fit(table)
    reference = summaries(test_data, "kidiq")
    posterior, ess = model.posterior_["posterior"], monte_carlo.draws_worth(model)
    slope = posterior["slope_all"].to_numpy()
    for j in range(2):
        same_row(monte_carlo, slope[..., j], ess, reference.loc[f"beta[{j + 1}]"], scale)
    residual = posterior["residual_sd"].to_numpy()
    same_row(monte_carlo, residual, ess, reference.loc["sigma"], scale)
    assert np.isnan(model.log_evidence_).all()


def test_mesquite(test_data, monte_carlo):
    """Everything flat, the residual too; a dose is weight / 10."""
    data = posteriordb(test_data, "mesquite")
    raw = pd.DataFrame({name: data[name] for name in data if name != "N"})
    area, height = raw["diam1"] * raw["diam2"], raw["canopy_height"]
    table = alone(
        pd.DataFrame(
            {
                "dose": raw["weight"] / 10,
                "log_volume": np.log(area * height),
                "log_area": np.log(area),
                "log_shape": np.log(raw["diam1"] / raw["diam2"]),
                "log_height": np.log(raw["total_height"]),
                "group": raw["group"],
            }
        )
    )
    priors = bd.Priors(intercept=bd.Flat(), slope=bd.Flat(), residual_sd=bd.Flat())
    formula = "log_volume + log_area + log_shape + log_height + group"
    model = regression(formula, priors).fit(table)
    reference = summaries(test_data, "mesquite")
    posterior, ess = model.posterior_["posterior"], monte_carlo.draws_worth(model)
    for j, name in enumerate(posterior["covariate_all"].to_numpy()):
        values = posterior["slope_all"].sel(covariate_all=name).to_numpy()
        shift = np.log(10) if name == "Intercept" else 0.0
        same_row(monte_carlo, values, ess, reference.loc[f"beta[{j + 1}]"], shift=shift)
    same_row(monte_carlo, posterior["residual_sd"].to_numpy(), ess, reference.loc["sigma"])


def test_sblri(test_data, monte_carlo):
    """b ~ N(0, 10), sigma ~ half-normal(10), no intercept; a log dose is y / 100."""
    data, scale = posteriordb(test_data, "sblri"), 100.0
    table = alone(pd.DataFrame(data["X"], columns=[f"x{j}" for j in range(1, 6)]))
    table["dose"] = np.exp(np.array(data["y"]) / scale)
    priors = bd.Priors(slope=bd.Normal(0, 10 / scale), residual_sd=bd.HalfNormal(10 / scale))
    model = regression("0 + x1 + x2 + x3 + x4 + x5", priors).fit(table)
    reference = summaries(test_data, "sblri")
    posterior, ess = model.posterior_["posterior"], monte_carlo.draws_worth(model)
    for j in range(5):
        values = posterior["slope_all"].to_numpy()[..., j]
        same_row(monte_carlo, values, ess, reference.loc[f"beta[{j + 1}]"], scale)
    same_row(monte_carlo, posterior["residual_sd"].to_numpy(), ess, reference.loc["sigma"], scale)


def test_eight_schools(test_data, monte_carlo):
    """Known errors are measurement errors; next to no residual. A log dose is y / 50."""
    data, scale = posteriordb(test_data, "eight_schools"), 50.0
    table = alone(pd.DataFrame({"dose": np.exp(np.array(data["y"]) / scale)}))
    # log(1 + cv²) is the variance of the log dose
    table["cv"] = np.sqrt(np.expm1((np.array(data["sigma"]) / scale) ** 2))
    priors = bd.Priors(
        intercept=bd.Normal(0, 5 / scale),
        patient_sd=bd.StudentT(1, 0, 5 / scale),
        residual_sd=bd.HalfNormal(0.05 / scale),
    )
    model = regression("1", priors, patient_effects="1", dose_cv="cv").fit(table)
    reference = summaries(test_data, "eight_schools")
    posterior, ess = model.posterior_["posterior"], monte_carlo.draws_worth(model)
    mu = posterior["slope_all"].to_numpy()[..., 0]
    same_row(monte_carlo, mu, ess, reference.loc["mu"], scale)
    same_row(monte_carlo, posterior["patient_sd"].to_numpy(), ess, reference.loc["tau"], scale)
    for j in range(8):
        theta = mu + posterior["patient_effects"].to_numpy()[:, :, j, 0]
        same_row(monte_carlo, theta, ess, reference.loc[f"theta[{j + 1}]"], scale)


@pytest.mark.slow
def test_lesions_of_333_patients(test_data):
    """8768 lesions under weak priors against lme4's REML fit."""
    table = pd.read_csv(test_data / "psma_autopet3_lesions" / "lesions.csv.gz")
    table = table[~table["section_3_9_excluded"].astype(bool)].rename(
        columns={"case_id": "unit", "suvmean": "dose"}
    )
    table["ga68"] = (table["radionuclide"] == "Ga-68").astype(float)
    table["site_id"] = [f"l{i}" for i in range(len(table))]
    wide = bd.HalfNormal(5)
    priors = bd.Priors(
        intercept=bd.Normal(0, 10), slope=bd.Normal(0, 10), patient_sd=wide, residual_sd=wide
    )
    model = regression("log(volume_ml) + sphericity + ga68", priors, patient_effects="1")
    model.fit(table[["unit", "site_id", "dose", "volume_ml", "sphericity", "ga68"]])
    posterior = model.posterior_["posterior"]
    reml = {
        "Intercept": 0.77129823,
        "log(volume_ml)": 0.17216187,
        "sphericity": 1.40950209,
        "ga68": 0.17989167,
    }
    draws = {n: posterior["slope_all"].sel(covariate_all=n).to_numpy() for n in reml}
    draws["patient_sd"] = posterior["patient_sd"].to_numpy()
    draws["residual_sd"] = posterior["residual_sd"].to_numpy()
    reml |= {"patient_sd": 0.54821126, "residual_sd": 0.44556194}
    # a restricted maximum and a mean over weak priors differ by a tenth of the posterior sd here,
    # and the mean of 4000 draws by another 1/60
    for name, value in reml.items():
        assert abs(draws[name].mean() - value) < 0.15 * draws[name].std(), name
    found = model.leave_one_patient_out().patients
    assert len(found) == 333
    assert found["elpd"].notna().all()
    assert (found["pareto_k"] < 0.7).all()
    # lme4's log likelihood is -5808.9: prediction of each patient from the others costs little
    log_dose = np.log(table["dose"]).sum()
    assert found["elpd"].sum() + log_dose == pytest.approx(-5808.9, abs=40)
