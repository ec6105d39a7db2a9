"""Leave-one-out against explicit refits without the patient (or centre), fold by fold."""

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.collapsed import folds
from bayesdose.dose.leave_one_out import FoldWarning
from bayesdose.errors import ConfigError, NotFittedError


def same_as_refits(model, table, refit, monte_carlo, by="patient_id") -> None:
    found = model.leave_one_out(by=by).patients
    for label in found.index:
        held = table[by] == label
        value, error = refit(model, table[~held], table[held])
        row = found.loc[label]
        monte_carlo.same((row["elpd"], row["mcse"]), value, error, what=f"elpd of {label}")
        assert row["n_scored"] == row["n_sites"] == held.sum()
        assert row["status"] == "ok"


@pytest.mark.slow
def test_three_tissues_standardised_anew_in_each_fold(three_tissues, cohort, refit, monte_carlo):
    same_as_refits(three_tissues, cohort, refit, monte_carlo)


@pytest.mark.slow
def test_repeated_cycles(cycles_model, cycles, refit, monte_carlo):
    same_as_refits(cycles_model, cycles, refit, monte_carlo)


def test_group_effects(centres_model, centres, refit, monte_carlo):
    """C has one patient: without it the centre is new, and its effect comes from the prior."""
    same_as_refits(centres_model, centres, refit, monte_carlo)


def test_default_intercepts_follow_the_activities_of_the_fold(kidneys, refit, monte_carlo):
    """Without P9 the median activity, and with it the prior mean, is half as high."""
    high = kidneys["patient_id"].isin([f"P{i}" for i in range(5, 10)])
    activity = kidneys["administered_activity_gbq"].where(~high, 14.8)
    table = kidneys.assign(administered_activity_gbq=activity)
    model = bd.DoseModel("z", activity=None).fit(table)
    same_as_refits(model, table, refit, monte_carlo)


def test_a_horseshoe_counts_the_patients_of_the_fold(kidneys, refit, monte_carlo):
    priors = bd.Priors(slope=bd.RegularizedHorseshoe(1, 0.5, 4))
    model = bd.DoseModel("z + log(volume_ml)", priors=priors).fit(kidneys)
    same_as_refits(model, kidneys, refit, monte_carlo)


def test_leave_one_centre_out_is_a_ratio_of_evidences(centres, monte_carlo):
    """With nothing to standardise, p(y held | y kept) = p(y) / p(y kept)."""
    priors = bd.Priors(intercept=bd.Normal(-0.75, 0.4))
    model = bd.DoseModel("z", standardise=False, group_effects=["centre"], priors=priors)
    model.fit(centres)
    found = model.leave_one_out(by="centre").patients
    assert list(found.index) == ["A", "B", "C"]
    whole, whole_error = model.log_evidence_
    for centre, row in found.iterrows():
        rest = centres[centres["centre"] != centre]
        part, part_error = bd.DoseModel(**model.get_params()).fit(rest).log_evidence_
        exact, error = whole - part, np.hypot(whole_error, part_error)
        monte_carlo.same((row["elpd"], row["mcse"]), exact, error, what=centre)


@pytest.mark.parametrize("formula", ["poly(z, 2)", "log(suv_mean) + I(center(log(suv_mean)) ** 2)"])
def test_learnt_columns_are_rebuilt_in_each_fold(kidneys, refit, monte_carlo, formula):
    model = bd.DoseModel(formula).fit(kidneys)
    same_as_refits(model, kidneys, refit, monte_carlo)


@pytest.mark.parametrize("by", ["patient_id", "centre"])
def test_learnt_columns_beside_groups_that_a_fold_loses(centres, by):
    """A polynomial of degree 1 is the column itself, and C's effect is one for all of C."""
    kwargs = {"group_effects": ["centre"], "patient_effects": "0"}
    found = [
        bd.DoseModel(formula, **kwargs).fit(centres, random_seed=1).leave_one_out(by=by)
        for formula in ("z", "poly(z, 1)")
    ]
    pd.testing.assert_frame_equal(found[0].patients, found[1].patients, rtol=1e-6, atol=1e-6)


def test_a_relearnt_fold_that_loses_the_cycles(kidneys, refit, monte_carlo):
    """P3 alone has a second cycle: without P3 the model has fewer hyperparameters."""
    rng = np.random.default_rng(0)
    mine = kidneys["patient_id"] == "P3"
    second = kidneys[mine].assign(
        cycle=2,
        z=lambda rows: rows["z"] - 0.05,
        absorbed_dose_gy=lambda rows: rows["absorbed_dose_gy"] * rng.lognormal(-0.1, 0.05, 2),
    )
    table = pd.concat([kidneys.assign(cycle=1), second], ignore_index=True)
    model = bd.DoseModel("poly(z, 2)").fit(table)
    held = table["patient_id"] == "P3"
    row = model.leave_one_patient_out().patients.loc["P3"]
    value, error = refit(model, table[~held], table[held])
    monte_carlo.same((row["elpd"], row["mcse"]), value, error)
    assert row["mcse"] < 0.1


def test_a_fold_that_a_spline_cannot_reach_is_reported(kidneys):
    """The patient with the largest z lies outside the knots that the others give."""
    model = bd.DoseModel("bs(z, df=4)").fit(kidneys)
    with pytest.warns(FoldWarning):
        found = model.leave_one_patient_out()
    lost = found.patients["elpd"].isna()
    ends = kidneys["patient_id"][kidneys["z"].isin([kidneys["z"].min(), kidneys["z"].max()])]
    assert set(found.patients.index[lost]) == set(ends)
    assert (found.patients["status"][lost] != "ok").all()
    assert (found.patients["n_scored"][lost] == 0).all()
    assert np.isfinite(found.elpd)


def test_a_fold_without_spread_is_reported(kidneys):
    """P1 alone has two kidneys that differ: nothing is left of the residual without P1."""
    own = kidneys.groupby("patient_id")["absorbed_dose_gy"]
    table = kidneys.assign(absorbed_dose_gy=own.transform("mean"))
    table.loc[table.index[0], "absorbed_dose_gy"] *= 1.05
    model = bd.DoseModel("log(suv_mean)").fit(table)
    with pytest.warns(FoldWarning, match="P1"):
        found = model.leave_one_patient_out().patients
    assert found["elpd"].isna().to_dict() == {p: p == "P1" for p in found.index}
    assert found.loc["P1", "status"] != "ok"
    assert found.loc["P1", "n_scored"] == 0


def test_a_patient_who_alone_has_a_tissue(cohort, refit, monte_carlo):
    alone = (cohort["tissue"] == "kidney") | (
        (cohort["tissue"] == "salivary_gland") & (cohort["patient_id"] == "P3")
    )
    table = cohort[alone]
    model = bd.DoseModel({"kidney": "log(suv_mean)", "salivary_gland": "1"}).fit(table)
    with pytest.warns(FoldWarning, match="no salivary_gland left to learn from"):
        found = model.leave_one_patient_out()
    row = found.patients.loc["P3"]
    assert (row["n_sites"], row["n_scored"]) == (6, 2)
    scored = found.predictions["median"].notna()
    assert scored.sum() == 18
    assert found.predictions.loc[~scored, "tissue"].unique() == ["salivary_gland"]
    # the patient's own kidneys, by a model that never heard of the glands
    kidneys = table[table["tissue"] == "kidney"]
    mine = kidneys["patient_id"] == "P3"
    one_tissue = bd.DoseModel({"kidney": "log(suv_mean)"})
    value, error = refit(one_tissue, kidneys[~mine], kidneys[mine])
    monte_carlo.same((row["elpd"], row["mcse"]), value, error)


def test_folds_that_are_sampled_anew_are_exact(tumour_model, reference, monte_carlo, monkeypatch):
    monkeypatch.setattr(folds, "MIN_ESS", np.inf)
    found = tumour_model.leave_one_patient_out().patients
    assert found["adapted"].all()
    truth = reference("quadrature/reference_cohort_tumours")["as_measured"]["without_error"]
    for patient, exact in truth["leave_one_out_relearned"]["log_density_gy"].items():
        row = found.loc[patient]
        monte_carlo.same((row["elpd"], row["mcse"]), exact, what=patient)


def test_scores_and_shapes(tumour_model, tumours):
    found = tumour_model.leave_one_patient_out(hdi_prob=0.8)
    patients = list(dict.fromkeys(tumours["patient_id"]))
    assert list(found.patients.index) == patients
    assert found.patients["n_sites"].to_dict() == tumours["patient_id"].value_counts().to_dict()
    assert found.elpd == pytest.approx(found.patients["elpd"].sum())
    assert found.elpd_se == pytest.approx(3 * found.patients["elpd"].std(ddof=1))
    table = found.predictions
    assert table.index.equals(tumours.index)
    assert table["observed"].to_numpy() == pytest.approx(tumours["absorbed_dose_gy"].to_numpy())
    inside = (found.draws > table["lower"].to_numpy()) & (found.draws < table["upper"].to_numpy())
    assert inside.mean(0) == pytest.approx(np.full(len(table), 0.8), abs=0.002)
    assert table["median"].to_numpy() == pytest.approx(np.median(found.draws, axis=0))


def test_summary_is_of_the_held_out_predictions(tumour_model):
    found = tumour_model.leave_one_patient_out()
    table, summary = found.predictions, found.summary()
    assert list(summary["weights"]) == ["site", "patient"]
    by_site, by_patient = (row for _, row in summary.iterrows())
    assert (by_site["n_sites"], by_site["n_patients"]) == (57, 9)
    error = table["median"] - table["observed"]
    assert by_site["mae_gy"] == pytest.approx(error.abs().mean())
    of_patients = error.abs().groupby(table["patient_id"]).mean()
    assert by_patient["mae_gy"] == pytest.approx(of_patients.mean())
    inside = (table["observed"] > table["lower"]) & (table["observed"] < table["upper"])
    assert by_site["hdi_coverage_95"] == pytest.approx(inside.mean())
    # the mean that R2 is measured against knows the other patients only
    total = table["observed"].sum() - table.groupby("patient_id")["observed"].transform("sum")
    others = 57 - table.groupby("patient_id")["observed"].transform("size")
    against = ((table["observed"] - total / others) ** 2).sum()
    assert by_site["r2_gy"] == pytest.approx(1 - (error**2).sum() / against)


def test_sites_of_a_patient_are_drawn_together(tumour_model, tumours):
    """Two tumours of a patient share its effect; tumours of two patients share none."""
    log_draws = np.log(tumour_model.leave_one_patient_out().draws)
    correlation = np.corrcoef(log_draws.T)
    own = tumours["patient_id"].to_numpy()
    together = (own[:, None] == own) & ~np.eye(len(own), dtype=bool)
    assert correlation[together].mean() > 0.1
    assert abs(correlation[own[:, None] != own].mean()) < 0.01


def test_arviz_takes_the_result(tumour_model):
    found = tumour_model.leave_one_patient_out()
    data = found.to_arviz()
    assert data.elpd == pytest.approx(found.elpd)
    assert data.n_data_points == 9
    assert list(data.elpd_i["patient"].to_numpy()) == list(found.patients.index)


def test_the_same_seed_gives_the_same_result(tumour_model):
    first, second = (tumour_model.leave_one_patient_out() for _ in range(2))
    pd.testing.assert_frame_equal(first.patients, second.patients)
    np.testing.assert_array_equal(first.draws, second.draws)


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("hospital", "no such column"),
        ("site_id", "several values"),
        ("scanner", "one value only"),
    ],
)
def test_what_cannot_be_left_out(tumour_model, by, words):
    with pytest.raises(ConfigError, match=words):
        tumour_model.leave_one_out(by=by)


def test_needs_a_fit():
    with pytest.raises(NotFittedError, match="fit"):
        bd.DoseModel("1").leave_one_patient_out()
