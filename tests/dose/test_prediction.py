"""What a prediction is: estimands, joint draws, targets, aggregation, labels, moments."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import bayesdose as bd
from bayesdose.dose.conditional import draw_beta
from bayesdose.dose.prediction import PredictionWarning
from bayesdose.errors import (
    ConfigError,
    NotFittedError,
    PredictionError,
    SiteTableError,
    UnknownCategoryError,
)
from bayesdose.evaluate import hdi

#: Draws of the models at fixed θ; a standard error of a mean is 0.5 % of the standard deviation.
DRAWS = 40_000


@pytest.fixture(scope="module")
def fixed(three_tissues) -> bd.DoseModel:
    """The three-tissue model at one θ: log doses are then exactly normal."""
    return at_one_theta(three_tissues)


@pytest.fixture(scope="module")
def new(cohort) -> pd.DataFrame:
    """Two patients that no model has seen, with measurement errors."""
    table = cohort[cohort["patient_id"].isin(["P5", "P8"])]
    names = {"P5": "N1", "P8": "N2"}
    return table.assign(patient_id=table["patient_id"].map(names)).reset_index(drop=True)


def at_one_theta(model: bd.DoseModel) -> bd.DoseModel:
    fitted = model._fitted
    rng = np.random.default_rng(0)
    draws = fitted.draws.take(np.zeros(DRAWS, int))
    draws = replace(draws, beta=draw_beta(draws.precision, draws.shift, rng), chains=4)
    out = bd.DoseModel(**model.get_params())
    out._fitted = replace(fitted, draws=draws)
    return out


def normal_law(model: bd.DoseModel, table: pd.DataFrame) -> dict[str, np.ndarray]:
    """Parts of mean and covariance of log dose at the model's one θ."""
    fitted, draws = model._fitted, model._fitted.draws
    rows = fitted.encoding.rows(table)
    same_patient = rows.patient[:, None] == rows.patient
    coefficients = np.linalg.inv(draws.precision[0])
    return {
        "mean": rows.x @ coefficients @ draws.shift[0] + rows.log_activity,
        "coefficients": rows.x @ coefficients @ rows.x.T,
        "patients": rows.z @ draws.patient_cov[0] @ rows.z.T * same_patient,
        "residual": np.diag(draws.residual_sd[0][rows.tissue] ** 2),
        "own": np.diag(rows.own_var),
        "shared": np.sqrt(np.outer(rows.shared_var, rows.shared_var)) * same_patient,
    }


def flat(draws) -> np.ndarray:
    """(S, n) from the public (chain, draw, site)."""
    return draws.to_numpy().reshape(-1, draws.sizes["site"])


def same_law(log_dose: np.ndarray, mean: np.ndarray, covariance: np.ndarray) -> None:
    """Every entry of mean and covariance within 5 standard errors."""
    n, sd = len(log_dose), np.sqrt(np.diag(covariance))
    assert (np.abs(log_dose.mean(0) - mean) < 5 * sd / np.sqrt(n)).all()
    # of a covariance between normals: sqrt((s_ii s_jj + s_ij²) / n)
    error = np.sqrt((np.outer(sd, sd) ** 2 + covariance**2) / n)
    assert (np.abs(np.cov(log_dose.T) - covariance) < 5 * error).all()


class TestEstimands:
    def test_new_patient(self, fixed, new):
        law = normal_law(fixed, new)
        found = np.log(flat(fixed.predict_draws(new)))
        same_law(found, law["mean"], law["coefficients"] + law["patients"] + law["residual"])

    def test_typical_patient(self, fixed, new):
        law = normal_law(fixed, new)
        found = np.log(flat(fixed.predict_draws(new, kind="typical_patient")))
        same_law(found, law["mean"], law["coefficients"] + law["residual"])

    def test_known_patient(self, fixed, cohort):
        """The rest of a trained patient, by conditioning one dense normal on all other rows."""
        own = cohort[cohort["patient_id"] == "P4"].iloc[[0, -1]]
        table = own.assign(site_id=["new_tumour", "new_kidney"])
        law = normal_law(fixed, pd.concat([cohort, table], ignore_index=True))
        prior = prior_law(fixed, pd.concat([cohort, table], ignore_index=True))
        n = len(cohort)
        covariance = prior["covariance"] + law["patients"] + law["residual"]
        gain = np.linalg.solve(covariance[:n, :n], covariance[:n, n:]).T
        y = np.log(cohort["absorbed_dose_gy"].to_numpy()) - law_log_activity(cohort)
        mean = prior["mean"][n:] + gain @ (y - prior["mean"][:n]) + law_log_activity(table)
        found = np.log(flat(fixed.predict_draws(table, kind="known_patient")))
        same_law(found, mean, covariance[n:, n:] - gain @ covariance[:n, n:])

    def test_a_known_patient_called_new_is_drawn_from_the_population(self, fixed, cohort, new):
        own = cohort[cohort["patient_id"] == "P5"].reset_index(drop=True)
        first = fixed.predict_draws(own, random_seed=1)
        second = fixed.predict_draws(new[new["patient_id"] == "N1"], random_seed=1)
        np.testing.assert_allclose(first.to_numpy(), second.to_numpy())

    def test_measured_dose_has_the_rows_own_and_shared_errors(self, cohort, cohort_error_model):
        fixed = at_one_theta(cohort_error_model)
        table = cohort[(cohort["patient_id"] == "P4") & (cohort["tissue"] == "tumour")]
        law = normal_law(fixed, table)
        true = law["coefficients"] + law["patients"] + law["residual"]
        assert law["own"].max() > 0.01
        assert law["shared"].max() > 0.001
        same_law(np.log(flat(fixed.predict_draws(table))), law["mean"], true)
        measured = np.log(flat(fixed.predict_draws(table, target="measured")))
        same_law(measured, law["mean"], true + law["own"] + law["shared"])

    def test_new_group_levels(self, centres_model, centres):
        """Two patients of one new centre share its effect; those of two new centres do not."""
        fixed = at_one_theta(centres_model)
        table = pd.concat(
            [centres.iloc[[0]].assign(patient_id=f"N{i}", centre=c) for i, c in enumerate("XXYA")],
            ignore_index=True,
        )
        law = normal_law(fixed, table)
        psi2 = fixed._fitted.draws.group_sd[0, 0] ** 2
        new = np.array([1, 1, 2, 0])
        effect = psi2 * ((new[:, None] == new) & (new > 0))
        covariance = law["coefficients"] + law["patients"] + law["residual"] + effect
        same_law(np.log(flat(fixed.predict_draws(table))), law["mean"], covariance)

    def test_given_rows_of_a_new_group_level(self, centres_model, centres, monkeypatch):
        """Measured patients of a new centre say what its effect is, for a third one there."""
        fixed = at_one_theta(centres_model)
        # with one θ there is nothing to weigh
        alike = (np.full(DRAWS, 1 / DRAWS), -np.inf)
        monkeypatch.setattr("bayesdose.dose.predict.pareto_smoothed", lambda log_ratio: alike)
        rows = [("G0", "X"), ("G1", "X"), ("G2", "X"), ("G3", "Y")]
        rows += [("N1", "X"), ("G0", "X"), ("N2", "Z")]
        table = pd.concat(
            [
                centres.iloc[[i]].assign(patient_id=p, centre=c, site_id=f"S{i}", tissue="kidney")
                for i, (p, c) in enumerate(rows)
            ],
            ignore_index=True,
        )
        law = normal_law(fixed, table)
        same_level = table["centre"].to_numpy()[:, None] == table["centre"].to_numpy()
        effect = fixed._fitted.draws.group_sd[0, 0] ** 2 * same_level
        covariance = law["coefficients"] + law["patients"] + law["residual"] + effect
        given = table.iloc[:4].assign(absorbed_dose_gy=[9.0, 8.0, 10.0, 2.0])
        y = np.log(given["absorbed_dose_gy"].to_numpy())
        gain = np.linalg.solve(covariance[:4, :4], covariance[:4, 4:]).T
        mean = law["mean"][4:] + gain @ (y - law["mean"][:4])
        found = np.log(flat(fixed.predict_draws(table.iloc[4:], given=given)))
        same_law(found, mean, covariance[4:, 4:] - gain @ covariance[:4, 4:])


def prior_law(model, table) -> dict[str, np.ndarray]:
    from bayesdose.dose.collapsed import hyper

    encoding = model._fitted.encoding
    space = hyper.build(encoding, [9] * len(encoding.tissues))
    rows = encoding.rows(table)
    return {
        "mean": rows.x @ space.means,
        "covariance": rows.x @ np.diag(np.square(space.sds)) @ rows.x.T,
    }


def law_log_activity(table) -> np.ndarray:
    return np.log(table["administered_activity_gbq"].to_numpy())


@pytest.fixture(scope="module")
def cohort_error_model(tumour_fits) -> bd.DoseModel:
    return tumour_fits["as_measured", "with_error"]


class TestTable:
    def test_moments_in_gy(self, fixed, cohort):
        """exp(mu + v/2) and its standard deviation; median exp(mu)."""
        table = cohort[cohort["tissue"] == "kidney"]
        law = normal_law(fixed, table)
        variance = np.diag(law["coefficients"] + law["patients"] + law["residual"])
        found = fixed.predict(table)
        mean = np.exp(law["mean"] + variance / 2)
        sd = mean * np.sqrt(np.expm1(variance))
        assert found["mean"].to_numpy() == pytest.approx(mean, rel=5 / np.sqrt(DRAWS))
        assert found["median"].to_numpy() == pytest.approx(np.exp(law["mean"]), rel=0.01)
        assert found["sd"].to_numpy() == pytest.approx(sd, rel=0.05)

    def test_intervals_are_the_shortest_in_gy(self, fixed, cohort):
        table = cohort[cohort["tissue"] == "kidney"]
        draws = flat(fixed.predict_draws(table))
        for prob in (0.5, 0.95):
            found = fixed.predict(table, hdi_prob=prob)
            low, high = hdi(draws, prob)
            np.testing.assert_allclose(found["lower"], low)
            np.testing.assert_allclose(found["upper"], high)
            tails = np.quantile(draws, [(1 - prob) / 2, (1 + prob) / 2], axis=0)
            assert (high - low < tails[1] - tails[0]).all()
            assert (low < tails[0]).all()

    def test_rows_and_index_are_kept(self, three_tissues, new):
        shuffled = new.sample(frac=1, random_state=3)
        shuffled.index = [f"row {i % 7}" for i in range(len(new))]  # repeated labels too
        found = predict(three_tissues, shuffled)
        assert list(found.index) == list(shuffled.index)
        labels = ["patient_id", "site_id", "tissue", "cycle"]
        assert (found[labels].to_numpy() == shuffled[labels].to_numpy()).all()
        assert list(found.columns) == [
            *labels,
            *("mean", "median", "sd", "lower", "upper", "extrapolation"),
        ]
        in_order = predict(three_tissues, new)
        again = found.reset_index(drop=True).set_index(["patient_id", "site_id"])["median"]
        expected = in_order.set_index(["patient_id", "site_id"])["median"]
        # the same rows in another order get other random numbers
        assert again.reindex(expected.index).to_numpy() == pytest.approx(expected, rel=0.1)

    def test_one_row(self, three_tissues, new):
        one = new[new["tissue"] == "kidney"].iloc[[0]]
        assert three_tissues.predict(one).shape == (1, 10)
        assert three_tissues.predict_draws(one).sizes == {"chain": 4, "draw": 1000, "site": 1}

    def test_measured_doses_in_the_table_are_not_looked_at(self, three_tissues, new):
        bare = new.drop(columns="absorbed_dose_gy")
        wrong = new.assign(absorbed_dose_gy=np.nan)
        found = [predict(three_tissues, table) for table in (new, bare, wrong)]
        pd.testing.assert_frame_equal(found[0], found[1])
        pd.testing.assert_frame_equal(found[0], found[2])

    def test_the_table_handed_in_is_not_changed(self, three_tissues, new):
        before = new.copy()
        predict(three_tissues, new)
        pd.testing.assert_frame_equal(new, before)

    def test_says_what_was_predicted(self, three_tissues, new):
        attrs = predict(three_tissues, new, target="measured", hdi_prob=0.8).attrs
        assert (attrs["kind"], attrs["target"]) == ("new_patient", "measured")
        assert (attrs["interval"], attrs["hdi_prob"], attrs["units"]) == ("hdi", 0.8, "Gy")

    def test_seeds(self, three_tissues, new):
        first, again = (predict(three_tissues, new) for _ in range(2))
        other = predict(three_tissues, new, random_seed=5)
        pd.testing.assert_frame_equal(first, again)
        assert not first["median"].equals(other["median"])
        draws = three_tissues.predict_draws(new)
        assert np.median(flat(draws), axis=0) == pytest.approx(first["median"].to_numpy())


def predict(model, table, **more) -> pd.DataFrame:
    with pytest.warns(PredictionWarning, match="sd is infinite"):
        return model.predict(table, **more)


class TestMoments:
    """Where the prior makes a moment infinite it is NaN, with a warning."""

    @pytest.mark.parametrize(
        ("residual", "patient", "mean_known", "sd_known"),
        [
            (bd.HalfNormal(0.5), bd.HalfNormal(0.5), True, True),
            (bd.HalfNormal(0.8), bd.HalfNormal(0.5), True, False),
            (bd.HalfNormal(0.3), bd.HalfNormal(0.6), True, False),
            (bd.HalfNormal(1.1), bd.HalfNormal(0.5), False, False),
            (bd.Exponential(20), bd.HalfNormal(0.5), False, False),
            (bd.HalfNormal(0.3), bd.StudentT(30, 0, 0.1), False, False),
        ],
    )
    def test_rule(self, with_priors, kidneys, residual, patient, mean_known, sd_known):
        model = with_priors(residual_sd=residual, patient_sd=patient)
        if sd_known:
            found = model.predict(kidneys)
        else:
            with pytest.warns(PredictionWarning, match="infinite under the priors"):
                found = model.predict(kidneys)
        assert found["mean"].notna().all() == mean_known
        assert found["sd"].notna().all() == sd_known
        assert found[["median", "lower", "upper"]].notna().all(axis=None)

    def test_a_typical_patient_has_no_patient_sd(self, with_priors, kidneys):
        model = with_priors(residual_sd=bd.HalfNormal(0.3), patient_sd=bd.HalfNormal(2))
        assert model.predict(kidneys, kind="typical_patient")["sd"].notna().all()

    def test_only_rows_of_that_tissue(self, three_tissues, new):
        found = predict(three_tissues, new)
        assert (found["sd"].isna() == (found["tissue"] == "tumour")).all()
        assert found["mean"].notna().all()


@pytest.fixture(scope="module")
def with_priors(centres_model, kidneys):
    """A fit to kidneys made to carry other priors: the rule looks at nothing else."""
    base = bd.DoseModel("log(suv_mean)").fit(kidneys)

    def build(**priors) -> bd.DoseModel:
        fitted = base._fitted
        spec = replace(fitted.encoding.spec, priors=bd.Priors(**priors))
        out = bd.DoseModel("log(suv_mean)", priors=spec.priors)
        out._fitted = replace(fitted, encoding=replace(fitted.encoding, spec=spec))
        return out

    return build


class TestAggregate:
    @pytest.mark.parametrize("how", ["mean", "max", "min", "mass_mean"])
    def test_over_the_sites_of_a_patient(self, three_tissues, new, how):
        draws = three_tissues.predict_draws(new)
        found = three_tissues.predict_draws(new, aggregate={"kidney": how})
        assert list(found["patient_id"].to_numpy()) == ["N1", "N2"]
        assert set(found["tissue"].to_numpy()) == {"kidney"}
        for j, patient in enumerate(["N1", "N2"]):
            mine = ((new["patient_id"] == patient) & (new["tissue"] == "kidney")).to_numpy()
            sites = flat(draws)[:, mine]
            mass = new.loc[mine, "mass_g"].to_numpy()
            expected = {
                "mean": sites.mean(1),
                "max": sites.max(1),
                "min": sites.min(1),
                "mass_mean": (sites * mass).sum(1) / mass.sum(),
            }[how]
            np.testing.assert_allclose(flat(found)[:, j], expected)

    def test_table(self, three_tissues, new):
        how = {"kidney": "mass_mean", "salivary_gland": "max"}
        found = three_tissues.predict(new, aggregate=how)
        keys = set(zip(found["patient_id"], found["tissue"], strict=True))
        assert keys == {(p, t) for p in ("N1", "N2") for t in how}
        assert (found["lower"] < found["median"]).all()
        assert found["sd"].notna().all()

    def test_by_cycle(self, cycles_model, cycles):
        found = cycles_model.predict_draws(cycles, aggregate={"kidney": "mean"})
        assert found.sizes["site"] == 10  # 5 patients in 2 cycles

    @pytest.mark.parametrize(
        ("aggregate", "error", "words"),
        [
            ({}, ConfigError, "aggregate"),
            ({"kidney": "sum"}, ConfigError, "mass_mean"),
            ({"liver": "mean"}, PredictionError, "'liver'"),
        ],
    )
    def test_refused(self, three_tissues, new, aggregate, error, words):
        with pytest.raises(error, match=words):
            three_tissues.predict(new, aggregate=aggregate)

    def test_mass_mean_needs_the_masses(self, three_tissues, new):
        with pytest.raises(PredictionError, match="mass_g"):
            three_tissues.predict(new.drop(columns="mass_g"), aggregate={"kidney": "mass_mean"})


def test_probability_above(fixed, new):
    law = normal_law(fixed, new)
    sd = np.sqrt(np.diag(law["coefficients"] + law["patients"] + law["residual"]))
    for gy in (1.0, 4.0):
        found = fixed.probability_above(new, gy)
        exact = norm.sf(np.log(gy), law["mean"], sd)
        assert list(found.index) == list(new.index)
        assert found.to_numpy() == pytest.approx(exact, abs=5 * 0.5 / np.sqrt(DRAWS))
    assert (fixed.probability_above(new, 0.0) == 1).all()
    assert len(fixed.probability_above(new, 2.0, aggregate={"kidney": "max"})) == 2


def test_prior_predictive(kidneys):
    """Log dose: mean x'm + log A, variance x'Sx + E[tau²] + E[sigma²], with no dose looked at."""
    model = bd.DoseModel("log(suv_mean)")
    bare = kidneys.drop(columns="absorbed_dose_gy")
    found = model.prior_predictive(bare, draws=DRAWS)
    assert found.sizes == {"chain": 4, "draw": DRAWS // 4, "site": 18}
    log_dose = np.log(flat(found))
    mean = -0.75 + np.log(kidneys["administered_activity_gbq"].to_numpy())
    variance = 0.4**2 + 0.5**2 * kidneys["z"].to_numpy() ** 2 + 0.5**2 + 0.3**2
    assert (np.abs(log_dose.mean(0) - mean) < 5 * np.sqrt(variance / DRAWS)).all()
    assert log_dose.var(0) == pytest.approx(variance, rel=0.05)
    # both kidneys of a patient share its effect: E[tau²] and the coefficients
    shared = np.cov(log_dose[:, 0], log_dose[:, 1])[0, 1]
    z = kidneys["z"].to_numpy()
    assert shared == pytest.approx(0.4**2 + 0.5**2 * z[0] * z[1] + 0.5**2, rel=0.05)


class TestGivenAgainstRefit:
    """Conditioning in closed form equals fitting again with the rows, standardisation frozen."""

    def test_unseen_patient(self, frozen_tumours, tumour_priors, monte_carlo):
        model = bd.DoseModel("z1 + z2", standardise=False, priors=tumour_priors)
        own = frozen_tumours["patient_id"] == "P2"
        given = frozen_tumours[own].iloc[:4]
        wanted = frozen_tumours[own].iloc[4:8]
        model.fit(frozen_tumours[~own])
        found = model.predict_draws(wanted, given=given)
        again = bd.DoseModel(**model.get_params())
        again.fit(pd.concat([frozen_tumours[~own], given]), random_seed=3)
        same_predictions(found, again.predict_draws(wanted, kind="known_patient"), monte_carlo)

    def test_second_cycle_of_a_trained_patient(self, cycles, monte_carlo):
        priors = bd.Priors(
            intercept={"tumour": bd.Normal(1.2, 0.9), "kidney": bd.Normal(-0.75, 0.4)}
        )
        model = bd.DoseModel("z", standardise=False, priors=priors)
        later = (cycles["patient_id"] == cycles["patient_id"].iloc[0]) & (cycles["cycle"] == 2)
        tumour = cycles["tissue"] == "tumour"
        given, wanted = cycles[later & tumour], cycles[later & ~tumour]
        model.fit(cycles[~later])
        found = model.predict_draws(wanted, kind="known_patient", given=given)
        again = bd.DoseModel(**model.get_params())
        again.fit(cycles[~later | tumour], random_seed=3)
        same_predictions(found, again.predict_draws(wanted, kind="known_patient"), monte_carlo)
        density = model.log_predictive_density(given, kind="known_patient")
        whole, part = again.log_evidence_, model.log_evidence_
        # the fit's draws are worth about 4000, the density's log sd over them about 1
        assert density.iloc[0] == pytest.approx(whole[0] - part[0], abs=0.1)


def same_predictions(found, again, monte_carlo) -> None:
    assert found.attrs["given_pareto_k"] < 0.7
    first, second = np.log(flat(found)), np.log(flat(again))
    ess = len(first) / 2  # of either, reweighting included
    for j in range(first.shape[1]):
        for summary in (monte_carlo.mean, monte_carlo.sd):
            monte_carlo.same(summary(first[:, j], ess), *summary(second[:, j], ess))
    error = 4 * np.sqrt(2 / ess)
    assert np.corrcoef(first.T) == pytest.approx(np.corrcoef(second.T), abs=error)


@pytest.fixture(scope="module")
def frozen_tumours(tumours) -> pd.DataFrame:
    out = tumours.copy()
    for name, column in (("z1", "suv_mean"), ("z2", "volume_ml")):
        log = np.log(tumours[column])
        out[name] = (log - log.mean()) / log.std(ddof=1)
    return out


class TestRefused:
    def test_needs_a_fit(self, new):
        with pytest.raises(NotFittedError, match=r"fit\(sites\)"):
            bd.DoseModel("1").predict(new)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"kind": "patient"}, "new_patient, known_patient, typical_patient"),
            ({"target": "observed"}, "true, measured"),
            ({"hdi_prob": 95}, "between 0 and 1"),
            ({"hdi_prob": float("nan")}, "between 0 and 1"),
        ],
    )
    def test_values(self, three_tissues, new, arguments, words):
        with pytest.raises(ConfigError, match=words):
            three_tissues.predict(new, **arguments)

    @pytest.mark.parametrize("gy", [-1.0, float("nan"), float("inf")])
    def test_thresholds(self, three_tissues, new, gy):
        with pytest.raises(ConfigError, match="0 Gy"):
            three_tissues.probability_above(new, gy)

    def test_unknown_patient(self, three_tissues, new):
        with pytest.raises(PredictionError, match="'N1' was neither in training nor in given"):
            three_tissues.predict(new, kind="known_patient")

    def test_given_rows_that_were_in_training(self, three_tissues, cohort):
        rows = cohort[cohort["patient_id"] == "P1"]
        with pytest.raises(PredictionError, match="was in training and would count twice"):
            three_tissues.predict(rows.iloc[1:], given=rows.iloc[:1])

    def test_density_of_training_rows_of_a_known_patient(self, three_tissues, cohort):
        rows = cohort[cohort["patient_id"] == "P1"]
        with pytest.raises(PredictionError, match="count twice"):
            three_tissues.log_predictive_density(rows, kind="known_patient")

    def test_typical_patient_with_measured_rows(self, three_tissues, new):
        with pytest.raises(PredictionError, match="typical_patient"):
            three_tissues.predict(new.iloc[1:], given=new.iloc[:1], kind="typical_patient")

    def test_given_rows_without_a_dose(self, three_tissues, new):
        for given in (new.iloc[:1].drop(columns="absorbed_dose_gy"), new.iloc[:0]):
            with pytest.raises(SiteTableError):
                three_tissues.predict(new.iloc[1:], given=given)

    def test_unseen_tissue(self, three_tissues, new):
        liver = new.iloc[[0]].assign(tissue="liver", site_id="liver")
        with pytest.raises(UnknownCategoryError, match=r"'liver'.*kidney"):
            three_tissues.predict(pd.concat([new, liver]))


class TestExtrapolation:
    def test_nothing_to_say_of_training_rows(self, three_tissues, cohort):
        assert (predict(three_tissues, cohort)["extrapolation"] == "").all()

    def test_covariate_range(self, three_tissues, new):
        kidney = new[new["tissue"] == "kidney"].iloc[[0]]
        found = three_tissues.predict(kidney.assign(suv_mean=500.0))["extrapolation"].iloc[0]
        assert "log(suv_mean) = 6.215 outside" in found

    def test_leverage_of_a_combination(self, kidneys):
        """Each value inside its range, together outside the cloud."""
        rng = np.random.default_rng(0)
        a = rng.normal(size=len(kidneys))
        table = kidneys.assign(a=a, b=a + 0.01 * rng.normal(size=len(kidneys)))
        model = bd.DoseModel("a + b").fit(table)
        assert (model.predict(table)["extrapolation"] == "").all()
        odd = table.iloc[[0]].assign(a=table["a"].max(), b=table["b"].min())
        assert "leverage" in model.predict(odd)["extrapolation"].iloc[0]

    @pytest.mark.parametrize("column", ["pet_tracer", "centre", "scanner", "therapy_ligand"])
    def test_unseen_protocol(self, three_tissues, new, column):
        kidney = new[new["tissue"] == "kidney"].iloc[[0]]
        found = three_tissues.predict(kidney.assign(**{column: "another"}))
        assert f"{column} another not in training" in found["extrapolation"].iloc[0]

    def test_unseen_cycle(self, three_tissues, new):
        kidney = new[new["tissue"] == "kidney"].iloc[[0]].assign(cycle=3)
        assert "cycle 3" in three_tissues.predict(kidney)["extrapolation"].iloc[0]
