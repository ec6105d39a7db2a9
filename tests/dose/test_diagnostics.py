"""The verdict follows the trouble that is put in."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose import _arviz
from bayesdose.dose import diagnostics, log_parts
from bayesdose.dose.training import Fitted


@pytest.fixture
def fitted(tumour_model: bd.DoseModel) -> Fitted:
    found = tumour_model._fitted
    assert found is not None
    return found


def failed(fitted: Fitted) -> set[str]:
    found = diagnostics.diagnose(fitted)
    return set(found.table.loc[~found.table["ok"], "check"])


def test_a_good_fit_is_trusted(tumour_model: bd.DoseModel) -> None:
    found = tumour_model.diagnose()
    assert found.verdict in ("trust", "caution")
    assert (found.table.loc[found.table["severity"] == "computation", "ok"]).all()
    assert str(found).startswith("The computation can be trusted")


def test_poor_weights_are_not_trusted(fitted: Fitted) -> None:
    poor = replace(fitted, info=fitted.info | {"pareto_k": 0.9, "weight_ess": 50.0})
    assert diagnostics.diagnose(poor).verdict == "do not trust"
    assert {"Pareto k", "weight ESS"} <= failed(poor)


def test_mcmc_trouble_is_named(fitted: Fitted) -> None:
    draws = fitted.draws
    shifted = draws.residual_sd.copy()
    shifted[: len(draws) // 4] += 1.0  # one chain somewhere else
    shape = (draws.chains, len(draws) // draws.chains)
    diverging = np.zeros(shape, bool)
    diverging[0, :3] = True
    energy = np.cumsum(np.random.default_rng(0).normal(size=shape), axis=1)
    stats = {"diverging": diverging, "energy": energy}
    ill = replace(
        fitted,
        info=fitted.info | {"sampler": "nuts"},
        draws=replace(draws, residual_sd=shifted, sample_stats=stats),
    )
    assert {"R-hat", "bulk ESS", "divergences", "E-BFMI"} <= failed(ill)
    assert diagnostics.diagnose(ill).verdict == "do not trust"


def test_wrong_units_conflict_with_the_prior(tumours: pd.DataFrame) -> None:
    # doses a hundred times too small pass a table check that is off, but not the prior
    small = tumours.assign(absorbed_dose_gy=tumours["absorbed_dose_gy"] / 40)
    clean = bd.validate_sites(small, checks={"literature_value": False, "literature_median": False})
    model = bd.DoseModel("log(suv_mean) + log(volume_ml)").fit(clean, draws=400)
    found = model.diagnose().table
    conflict = found[(found["check"] == "prior conflict") & ~found["ok"]]
    assert "beta_tumour[Intercept]" in set(conflict["what"])


def test_power_scaling_of_a_normal_mean() -> None:
    # prior N(0, 1), one observation y with sd 1: posterior N(y/2, 1/2). Scaling the prior by a
    # moves the mean to y / (1 + a), so the sensitivity grows with y and is 0 for a flat prior.
    rng = np.random.default_rng(1)
    values = {}
    for y in (0.0, 6.0):
        draws = y / 2 + np.sqrt(0.5) * rng.normal(size=20_000)
        values[y] = _arviz.power_scaling(draws, -0.5 * draws**2)
    assert values[6.0] > 5 * values[0.0] > 0


def test_log_parts_are_the_engine_prior(fitted: Fitted) -> None:
    draws = fitted.draws
    scales = log_parts.log_prior_scales(fitted.encoding, draws)
    # HalfNormal(0.8) and HalfNormal(0.5), written out
    expected = (
        np.log(2)
        - 0.5 * np.log(2 * np.pi * 0.64)
        - draws.residual_sd[:, 0] ** 2 / 1.28
        + np.log(2)
        - 0.5 * np.log(2 * np.pi * 0.25)
        - draws.patient_sd[:, 0] ** 2 / 0.5
    )
    np.testing.assert_allclose(scales, expected, rtol=1e-12)


def test_summary_reports_no_mcmc_figures_for_importance_draws(tumour_model: bd.DoseModel) -> None:
    table = tumour_model.summary(hdi_prob=0.9)
    assert "r_hat" not in table.columns
    assert table.attrs["hdi_prob"] == 0.9
    assert (table["lower"] < table["median"]).all()
    assert (table["median"] < table["upper"]).all()


def test_every_standard_deviation_is_held_against_its_prior(centres_model, cycles_model):
    found = [model.diagnose().table for model in (centres_model, cycles_model)]
    names = {n for table in found for n in table.loc[table["check"] == "prior conflict", "what"]}
    assert {"group_sd[centre]", "cycle_sd[kidney]", "site_sd[tumour]"} <= names
