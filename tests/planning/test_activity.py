"""Plans against brute force over the draws, and what must not be planned."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.prediction import PredictionWarning
from bayesdose.measure import bed
from bayesdose.planning import LIMITS, DoseLimit, max_activity

FORMULAS = {"tumour": "log(suv_mean)", "salivary_gland": "log(suv_mean)", "kidney": "log(suv_mean)"}

WIDE = (1e-3, 1e3)
KIDNEY = DoseLimit("kidney", gy=23.0)
GLAND = DoseLimit("salivary_gland", gy=9.0)
BED = {"alpha_beta_gy": 2.6, "repair_half_time_h": 2.8, "effective_half_life_h": 40.0}


def highest(dose: Any, tissue: str) -> np.ndarray:
    """Largest dose of a tissue's sites in each draw."""
    here = dose.to_numpy()[..., dose["tissue"].to_numpy() == tissue]
    return here.max(-1).ravel()


def test_share_of_joint_draws_is_the_stated_probability(model, sites) -> None:
    plan = max_activity(model, sites, [KIDNEY, GLAND], activity_range_gbq=WIDE)
    within = (highest(plan.dose, "kidney") <= 23.0) & (highest(plan.dose, "salivary_gland") <= 9.0)
    assert within.mean() == pytest.approx(0.95, abs=1 / len(within))
    assert plan.within["all limits"] == within.mean()
    # together is less than alone
    assert plan.within["kidney"] > 0.95
    assert plan.within["salivary_gland"] > 0.95


def test_no_larger_activity_keeps_the_limits(model, sites) -> None:
    plan = max_activity(model, sites, [KIDNEY, GLAND], activity_range_gbq=WIDE)
    more = 1.001 * plan.dose
    within = (highest(more, "kidney") <= 23.0) & (highest(more, "salivary_gland") <= 9.0)
    assert within.mean() < 0.95


def test_dose_is_that_of_predict(model, sites) -> None:
    plan = max_activity(model, sites, [KIDNEY], n_cycles=4, activity_range_gbq=WIDE)
    table = sites.assign(administered_activity_gbq=4 * plan.activity_gbq)
    expected = model.predict_draws(table).median(("chain", "draw"))
    found = plan.table()
    assert list(found["site_id"]) == list(sites["site_id"])
    np.testing.assert_allclose(found["median"], expected, rtol=0.05)
    assert plan.dose.attrs["units"] == "Gy"


def test_activity_is_proportional_to_the_limit(model, sites) -> None:
    one = max_activity(model, sites, [KIDNEY], activity_range_gbq=WIDE)
    two = max_activity(model, sites, [DoseLimit("kidney", gy=46.0)], activity_range_gbq=WIDE)
    assert two.activity_gbq == pytest.approx(2 * one.activity_gbq, rel=1e-12)
    half = max_activity(model, sites, [KIDNEY], n_cycles=3, activity_range_gbq=WIDE)
    assert half.activity_gbq == pytest.approx(2 * one.activity_gbq, rel=1e-12)


def test_already_received_is_taken_off(model, sites) -> None:
    names = sites.loc[sites["tissue"] == "kidney", "site_id"]
    less = max_activity(model, sites, [DoseLimit("kidney", gy=17.0)], activity_range_gbq=WIDE)
    for already in (6.0, dict.fromkeys(names, 6.0)):
        limit = DoseLimit("kidney", gy=23.0, already_gy=already)
        found = max_activity(model, sites, [limit], activity_range_gbq=WIDE)
        assert found.activity_gbq == pytest.approx(less.activity_gbq, rel=1e-12)
    uneven = DoseLimit("kidney", gy=23.0, already_gy={names.iloc[0]: 22.0, names.iloc[1]: 0.0})
    one_site = sites[(sites["tissue"] != "kidney") | (sites["site_id"] == names.iloc[0])]
    found = max_activity(model, sites, [uneven], activity_range_gbq=WIDE)
    alone = max_activity(model, one_site, [DoseLimit("kidney", gy=1.0)], activity_range_gbq=WIDE)
    assert found.activity_gbq == pytest.approx(alone.activity_gbq, rel=0.03)


def test_bed_limit_equals_bed_of_every_draw(model, sites) -> None:
    limit = DoseLimit("kidney", bed_gy=30.0, already_gy=4.0, **BED)
    plan = max_activity(model, sites, [limit], n_cycles=5, activity_range_gbq=WIDE)
    here = plan.dose.to_numpy()[..., plan.dose["tissue"].to_numpy() == "kidney"]
    of_cycle = bed(here / 5, 40.0, 2.6, 2.8)
    within = (4.0 + 5 * of_cycle.max(-1)) <= 30.0 + 1e-9
    assert within.mean() == pytest.approx(0.95, abs=1 / within.size)


def test_mean_over_sites(model, sites) -> None:
    mean = max_activity(
        model, sites, [DoseLimit("kidney", gy=23.0, sites="mean")], activity_range_gbq=WIDE
    )
    here = mean.dose.to_numpy()[..., mean.dose["tissue"].to_numpy() == "kidney"]
    assert (here.mean(-1) <= 23.0).mean() == pytest.approx(0.95, abs=1 / 4000)
    mass = sites["mass_g"].to_numpy()[(sites["tissue"] == "kidney").to_numpy()]
    by_mass = max_activity(
        model, sites, [DoseLimit("kidney", gy=23.0, sites="mass_mean")], activity_range_gbq=WIDE
    )
    here = by_mass.dose.to_numpy()[..., by_mass.dose["tissue"].to_numpy() == "kidney"]
    assert (here @ mass / mass.sum() <= 23.0).mean() == pytest.approx(0.95, abs=1 / 4000)
    with pytest.raises(bd.PredictionError, match="mass_g"):
        max_activity(
            model,
            sites.drop(columns="mass_g"),
            [DoseLimit("kidney", gy=23.0, sites="mass_mean")],
        )


def test_different_probabilities_hold_each_on_its_own(model, sites) -> None:
    limits = [DoseLimit("kidney", gy=23.0, probability=0.9), GLAND]
    both = max_activity(model, sites, limits, activity_range_gbq=WIDE)
    alone = [max_activity(model, sites, [one], activity_range_gbq=WIDE) for one in limits]
    assert both.activity_gbq == min(plan.activity_gbq for plan in alone)
    assert both.binding == min(alone, key=lambda plan: plan.activity_gbq).binding


def test_two_limits_of_one_tissue_are_told_apart(model, sites) -> None:
    limits = [KIDNEY, DoseLimit("kidney", bed_gy=500.0, **BED)]
    plan = max_activity(model, sites, limits, activity_range_gbq=WIDE)
    assert plan.binding == KIDNEY.text
    assert set(plan.within) == {limit.text for limit in limits} | {"all limits"}


def test_range_and_training_activities(model, sites) -> None:
    free = max_activity(model, sites, [KIDNEY], activity_range_gbq=WIDE)
    bound = max_activity(model, sites, [KIDNEY], activity_range_gbq=(1.0, 2.0))
    assert (bound.activity_gbq, bound.at_bound, bound.binding) == (2.0, True, None)
    assert bound.monte_carlo_error == 0.0
    assert bound.within["kidney"] > 0.95
    assert not free.at_bound
    assert free.extrapolates
    assert any("activities of the training table" in note for note in free.notes)
    n_cycles = 6 * free.activity_gbq / 7.4
    inside = DoseLimit("kidney", gy=23.0 * 6 * 7.4 / (6 * free.activity_gbq))
    assert n_cycles > 0
    assert not max_activity(model, sites, [inside], activity_range_gbq=WIDE).extrapolates


def test_reproducible_with_a_seed(model, sites) -> None:
    one, two = (max_activity(model, sites, [KIDNEY], random_seed=3) for _ in range(2))
    assert one.activity_gbq == two.activity_gbq
    assert max_activity(model, sites, [KIDNEY], random_seed=4).activity_gbq != one.activity_gbq


@pytest.mark.slow
def test_monte_carlo_error_is_the_spread_between_fits(model, training, sites) -> None:
    found, errors = [], []
    for seed in range(24):
        again = bd.DoseModel(**model.get_params()).fit(training, draws=1000, random_seed=seed)
        plan = max_activity(again, sites, [KIDNEY])
        found.append(plan.activity_gbq)
        errors.append(plan.monte_carlo_error)
    # sd of 24 values: relative standard error 0.15
    assert np.std(found, ddof=1) / np.mean(errors) == pytest.approx(1.0, abs=0.45)


def test_mcmc_draws_bring_their_own_effective_size(training, sites) -> None:
    table = training[training["tissue"] == "kidney"]
    chains = bd.DoseModel("log(suv_mean)").fit(table, draws=1000, sampler="nuts")
    plan = max_activity(chains, sites[sites["tissue"] == "kidney"], [KIDNEY])
    assert 0 < plan.monte_carlo_error < plan.activity_gbq


def test_fitted_cycles_are_those_of_predict(cycles_model, repeated) -> None:
    new = repeated[(repeated["patient_id"] == "P11") & (repeated["cycle"] == 1)]
    limit = DoseLimit("kidney", gy=12.0)
    plan = max_activity(cycles_model, new, [limit], 3, WIDE, between_cycle="fitted", random_seed=1)
    rows = repeated[repeated["patient_id"] == "P11"].copy()
    for name in ("suv_mean",):
        of_first = new.set_index("site_id")[name]
        rows[name] = rows["site_id"].map(of_first)
    rows["administered_activity_gbq"] = plan.activity_gbq
    draws = cycles_model.predict_draws(rows)
    gy = draws.to_numpy().reshape(-1, len(rows))
    summed = {
        site: gy[:, (rows["site_id"] == site).to_numpy()].sum(1)
        for site in new.loc[new["tissue"] == "kidney", "site_id"]
    }
    within = np.max(list(summed.values()), axis=0) <= 12.0
    assert within.mean() == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 1500))


def test_fresh_cycles_spread_less_than_a_persistent_residual(cycles_model, repeated) -> None:
    new = repeated[(repeated["patient_id"] == "P11") & (repeated["cycle"] == 1)]
    limit = DoseLimit("tumour", gy=500.0)
    sd = {}
    for between in ("persistent", "fitted"):
        plan = max_activity(cycles_model, new, [limit], 3, WIDE, between_cycle=between)
        sd[between] = np.log(plan.dose.to_numpy()).std((0, 1)).mean()
    assert sd["fitted"] < sd["persistent"]


def test_cycle_trend_moves_doses_whatever_persists(cycles_model, repeated) -> None:
    """The first cycle's draws times exp(trend), cycle by cycle."""
    new = repeated[(repeated["patient_id"] == "P11") & (repeated["cycle"] == 1)]
    limit = DoseLimit("kidney", gy=12.0)
    one, three = (max_activity(cycles_model, new, [limit], n, WIDE) for n in (1, 3))
    columns = [
        str(name) for name in cycles_model.posterior_["posterior"]["covariate_kidney"].values
    ]
    slopes = cycles_model.posterior_["posterior"]["slope_kidney"].to_numpy()
    trend = slopes[..., columns.index("cycle")].ravel()
    here = one.dose["tissue"].to_numpy() == "kidney"
    per_gbq = one.dose.to_numpy().reshape(-1, len(new))[:, here] / one.activity_gbq
    total = per_gbq * (1 + np.exp(trend) + np.exp(2 * trend))[:, None]
    found = three.dose.to_numpy().reshape(-1, len(new))[:, here] / three.activity_gbq
    np.testing.assert_allclose(found, total, rtol=1e-9)


class TestMeasured:
    def test_measured_site_keeps_its_dose(self, training, patient, sites) -> None:
        """Without dose_cv a persistent residual makes the next cycle that of the first."""
        table = training[training["tissue"] != "tumour"]
        exact = bd.DoseModel("log(suv_mean)").fit(table)
        organs = patient[patient["tissue"] != "tumour"]
        kidneys = organs[organs["tissue"] == "kidney"]
        with pytest.warns(PredictionWarning, match="taken as exact"):
            plan = max_activity(exact, organs, [KIDNEY], 5, WIDE, given=kidneys)
        per_gbq = kidneys["absorbed_dose_gy"] / kidneys["administered_activity_gbq"]
        assert plan.activity_gbq == pytest.approx(23.0 / 5 / per_gbq.max(), rel=1e-6)
        assert any("taken as exact" in note for note in plan.notes)

    def test_known_patient_is_the_same_as_given(self, model, training, patient, sites) -> None:
        kidneys = patient[patient["tissue"] == "kidney"]
        given = max_activity(model, sites, [KIDNEY], 5, WIDE, given=kidneys)
        refit = bd.DoseModel(**model.get_params()).fit(pd.concat([training, kidneys]))
        known = max_activity(refit, sites, [KIDNEY], 5, WIDE, kind="known_patient")
        error = np.hypot(given.monte_carlo_error, known.monte_carlo_error)
        assert abs(given.activity_gbq - known.activity_gbq) < 4 * error

    def test_fitted_cycles_given_the_first(self, cycles_model, repeated) -> None:
        mine = repeated[repeated["patient_id"] == "P11"]
        first, second = mine[mine["cycle"] == 1], mine[mine["cycle"] == 2]
        limit = DoseLimit("kidney", gy=10.0)
        arguments = {"n_cycles": 2, "activity_range_gbq": WIDE, "between_cycle": "fitted"}
        given = max_activity(cycles_model, second, [limit], given=first, **arguments)
        table = pd.concat([repeated[repeated["patient_id"] != "P11"], first])
        refit = bd.DoseModel(**cycles_model.get_params()).fit(table)
        known = max_activity(refit, second, [limit], kind="known_patient", **arguments)
        error = np.hypot(given.monte_carlo_error, known.monte_carlo_error)
        assert abs(given.activity_gbq - known.activity_gbq) < 4 * error
        without = max_activity(cycles_model, second, [limit], **arguments)
        assert np.log(given.dose).std() < np.log(without.dose).std()

    def test_contradiction_is_told_and_used(self, model, patient, sites) -> None:
        kidneys = patient[patient["tissue"] == "kidney"]
        wrong = kidneys.assign(absorbed_dose_gy=5 * kidneys["absorbed_dose_gy"])
        with pytest.warns(PredictionWarning, match="kidney_left"):
            plan = max_activity(model, sites, [KIDNEY], 5, WIDE, given=wrong)
        right = max_activity(model, sites, [KIDNEY], 5, WIDE, given=kidneys)
        assert any("check units and region" in note for note in plan.notes)
        assert plan.activity_gbq < right.activity_gbq / 3

    def test_labels_are_the_same_as_numbers_and_as_text(self, model, patient, sites) -> None:
        kidneys = patient[patient["tissue"] == "kidney"]
        text = max_activity(
            model,
            sites.assign(patient_id="12"),
            [KIDNEY],
            5,
            WIDE,
            given=kidneys.assign(patient_id="12"),
        )
        mixed = max_activity(
            model,
            sites.assign(patient_id="12"),
            [KIDNEY],
            5,
            WIDE,
            given=kidneys.assign(patient_id=12),
        )
        assert mixed.activity_gbq == text.activity_gbq

    def test_saved_model_says_what_it_cannot_check(self, model, patient, sites, tmp_path) -> None:
        model.save(tmp_path / "dose.nc")
        loaded = bd.DoseModel.load(tmp_path / "dose.nc")
        kidneys = patient[patient["tissue"] == "kidney"]
        plan = max_activity(loaded, sites, [KIDNEY], 5, WIDE, given=kidneys)
        assert any("saved without its rows" in note for note in plan.notes)
        assert not any("saved" in note for note in max_activity(loaded, sites, [KIDNEY]).notes)

    @pytest.mark.slow
    def test_monte_carlo_error_after_measurement(self, training, patient, sites) -> None:
        """Measurements that move the posterior leave few draws in the tail."""
        some = patient[patient["site_id"].isin(["kidney_left", "parotid_left"])]
        some = some.assign(absorbed_dose_gy=1.3 * some["absorbed_dose_gy"])
        found, errors = [], []
        for seed in range(24):
            again = bd.DoseModel(FORMULAS).fit(training, draws=1000, random_seed=seed)
            with pytest.warns(PredictionWarning, match="taken as exact"):
                plan = max_activity(again, sites, [GLAND], 5, WIDE, given=some)
            found.append(plan.activity_gbq)
            errors.append(plan.monte_carlo_error)
        assert np.std(found, ddof=1) / np.mean(errors) == pytest.approx(1.0, abs=0.5)


class TestBadInput:
    def test_next_cycle_was_measured(self, cycles_model, repeated) -> None:
        mine = repeated[repeated["patient_id"] == "P11"]
        first = mine[mine["cycle"] == 1]
        for sites in (first, first.drop(columns="cycle")):
            with pytest.raises(bd.PredictionError, match=r"cycle 1 was measured.*2 or later"):
                max_activity(cycles_model, sites, [KIDNEY], given=first, between_cycle="fitted")

    def test_measured_rows_of_nobody(self, model, patient, sites) -> None:
        other = patient.assign(patient_id="012")
        with pytest.raises(bd.PredictionError, match="'012', who is not among"):
            max_activity(model, sites, [KIDNEY], given=other)

    def test_what_is_wrong_with_measured_rows(self, model, patient, sites) -> None:
        with pytest.raises(bd.SiteTableError, match=r"^given, the measured rows"):
            max_activity(model, sites, [KIDNEY], given=patient.drop(columns="absorbed_dose_gy"))

    def test_measured_rows_without_site(self, model, patient, sites) -> None:
        with pytest.raises(bd.PredictionError, match="no column site_id"):
            max_activity(model, sites, [KIDNEY], given=patient.drop(columns="site_id"))

    def test_sites_that_do_not_recur(self, repeated) -> None:
        table = repeated[repeated["tissue"] == "kidney"]
        renamed = table.assign(site_id=table["site_id"] + table["cycle"].astype(str))
        model = bd.DoseModel("log(suv_mean)").fit(renamed, draws=400)
        new = table[table["cycle"] == 1].assign(patient_id="N")
        one = new.drop_duplicates("site_id")
        with pytest.raises(bd.PredictionError, match="no site_id that recurs"):
            max_activity(model, one, [KIDNEY], between_cycle="fitted")

    def test_tissue_not_in_the_model(self, model, sites) -> None:
        with pytest.raises(bd.PredictionError, match="no such tissue; it has tumour"):
            max_activity(model, sites, [DoseLimit("liver", gy=30.0)])

    def test_patient_without_the_tissue(self, model, sites) -> None:
        with pytest.raises(bd.PredictionError, match="'P1' has no site of tissue 'kidney'"):
            max_activity(model, sites[sites["tissue"] != "kidney"], [KIDNEY])

    def test_limits_that_no_activity_meets(self, model, sites) -> None:
        limits = [DoseLimit("kidney", gy=1.0), GLAND]
        with pytest.raises(bd.PredictionError, match="no activity from 1 to 12 GBq") as err:
            max_activity(model, sites, limits)
        assert "kidney: every site at most 1 Gy" in str(err.value)
        assert "salivary" not in str(err.value)

    def test_limit_reached_before(self, model, sites) -> None:
        limit = DoseLimit("kidney", gy=23.0, already_gy=23.0)
        with pytest.raises(bd.PredictionError, match="reached before"):
            max_activity(model, sites, [limit])

    @pytest.mark.parametrize("already", [{"kidney_left": 1.0}, {"liver": 1.0}])
    def test_already_of_other_sites(self, model, sites, already) -> None:
        with pytest.raises(bd.PredictionError, match="already_gy"):
            max_activity(model, sites, [DoseLimit("kidney", gy=23.0, already_gy=already)])

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"limits": []}, "none is stated"),
            ({"limits": [23.0]}, "DoseLimit"),
            ({"limits": None}, "DoseLimit"),
            ({"limits": 23.0}, "DoseLimit"),
            ({"limits": LIMITS["kidney_23_gy"]}, r"call its .limit"),
            ({"limits": [DoseLimit("kidney", gy=23.0, probability=0.99999)]}, "cannot tell"),
            ({"given": "x"}, "given is a str"),
            ({"activity_range_gbq": (True, 5)}, "smallest and the largest"),
            ({"activity_range_gbq": ("1", "12")}, "smallest and the largest"),
            ({"limits": [KIDNEY, KIDNEY]}, "given twice"),
            ({"n_cycles": 0}, "whole number"),
            ({"n_cycles": 2.5}, "whole number"),
            ({"n_cycles": True}, "whole number"),
            ({"activity_range_gbq": (5, 1)}, "smallest and the largest"),
            ({"activity_range_gbq": 7.4}, "smallest and the largest"),
            ({"activity_range_gbq": (0, 12)}, "smallest and the largest"),
            ({"kind": "typical_patient"}, "no person to plan for"),
            ({"between_cycle": "independent"}, "persistent, fitted"),
        ],
        ids=str,
    )
    def test_arguments(self, model, sites, arguments, message) -> None:
        with pytest.raises(bd.ConfigError, match=message):
            max_activity(model, sites, **({"limits": [KIDNEY]} | arguments))

    def test_several_patients(self, model, cohort) -> None:
        with pytest.raises(bd.ConfigError, match="activity_table"):
            max_activity(model, cohort, [KIDNEY])

    def test_several_rows_of_a_site(self, model, sites) -> None:
        twice = pd.concat([sites, sites.assign(cycle=2)])
        with pytest.raises(bd.PredictionError, match="one row a site"):
            max_activity(model, twice, [KIDNEY])

    def test_model_without_activity(self, training, sites) -> None:
        table = training[training["tissue"] == "kidney"]
        plain = bd.DoseModel("log(suv_mean)", activity=None).fit(table, draws=400)
        with pytest.raises(bd.PredictionError, match="activity=None"):
            max_activity(plain, sites, [KIDNEY])

    def test_activity_as_a_covariate(self, training, sites) -> None:
        table = training[training["tissue"] == "kidney"]
        odd = bd.DoseModel("administered_activity_gbq").fit(table, draws=400)
        with pytest.raises(bd.PredictionError, match="not proportional"):
            max_activity(odd, sites, [KIDNEY])

    def test_fitted_needs_repeated_cycles(self, model, sites) -> None:
        with pytest.raises(bd.PredictionError, match="several cycles"):
            max_activity(model, sites, [KIDNEY], between_cycle="fitted")

    def test_repeated_cycles_with_measured_rows_are_not_persistent(
        self, cycles_model, repeated
    ) -> None:
        mine = repeated[repeated["patient_id"] == "P11"]
        first, second = mine[mine["cycle"] == 1], mine[mine["cycle"] == 2]
        with pytest.raises(bd.PredictionError, match="between_cycle='fitted'"):
            max_activity(cycles_model, second, [KIDNEY], given=first)

    def test_site_measured_in_two_cycles(self, model, patient, sites) -> None:
        kidneys = patient[patient["tissue"] == "kidney"]
        twice = pd.concat([kidneys, kidneys.assign(cycle=2)])
        with pytest.raises(bd.PredictionError, match="several cycles"):
            max_activity(model, sites.assign(cycle=3), [KIDNEY], given=twice)

    def test_unfitted_model(self, sites) -> None:
        with pytest.raises(bd.NotFittedError):
            max_activity(bd.DoseModel("log(suv_mean)"), sites, [KIDNEY])
