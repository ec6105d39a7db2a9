"""Coefficients and patient effects at lme4's REML variances, under flat priors: exact in both."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose import design
from bayesdose.dose.conditional import draw_latents, patient_gram
from bayesdose.dose.posterior import Draws
from bayesdose.dose.spec import ModelSpec


@pytest.mark.parametrize("case", ["sleepstudy_random_intercept", "sleepstudy_random_slope"])
def test_lme4_given_its_standard_deviations(test_data, reference, case):
    """Flat priors and lme4's REML variances: its fixed effects and conditional modes, exactly."""
    truth = reference("lme4/lme4")["fits"][case]["reml"]
    table = pd.read_csv(test_data / "lme_reference" / "sleepstudy.csv", dtype={"Subject": str})
    # in ms, so that nothing needs rescaling: the arrays know no limits of a dose
    table["dose"] = 1.0
    spec = ModelSpec(
        "Days",
        by=None,
        patient="Subject",
        response="dose",
        activity=None,
        patient_effects="1 + Days" if case.endswith("slope") else "1",
        standardise=False,
        priors=bd.Priors(intercept=bd.Flat(), slope=bd.Flat()),
    )
    encoding, rows = design.learn(table, spec)
    rows = replace(rows, log_dose=table["Reaction"].to_numpy())
    draws = at_reml(truth, encoding)
    parts = [rows.take(rows.patient == i).compact() for i in range(18)]
    gram = sum(patient_gram(encoding, draws, one)[0] for one in parts)[0]
    beta = np.linalg.solve(gram[:2, :2], gram[:2, 2])
    fixed = truth["fixed"]
    assert beta == pytest.approx([fixed[n] for n in ("(Intercept)", "Days")], rel=1e-6)
    covariance = np.linalg.inv(gram[:2, :2])
    assert np.sqrt(np.diag(covariance)) == pytest.approx(
        [truth["fixed_se"][n] for n in ("(Intercept)", "Days")], rel=1e-5
    )
    draws = replace(draws, beta=beta[None])
    for one in parts:
        u = draw_latents(encoding, draws, one, NoNoise()).u[0]
        modes = truth["conditional_modes"]["Subject"]
        place = modes["groups"].index(one.patients[0])
        assert u == pytest.approx(modes["modes"][place], rel=1e-6, abs=1e-6)


class NoNoise:
    """In place of random numbers: every draw is the mean."""

    def standard_normal(self, shape) -> np.ndarray:
        return np.zeros(shape)


def at_reml(truth, encoding) -> Draws:
    q = len(encoding.patient_effects)
    parts = {
        (row["grp"], row.get("var1"), row.get("var2")): row["sdcor"]
        for row in truth["variance_components"]
    }
    names = ["(Intercept)", "Days"][:q]
    corr = np.eye(q)
    if q == 2:
        corr[0, 1] = corr[1, 0] = parts["Subject", "(Intercept)", "Days"]
    return Draws(
        beta=np.zeros((1, 2)),
        residual_sd=np.array([[parts["Residual", None, None]]]),
        patient_sd=np.array([[parts["Subject", name, None] for name in names]]),
        patient_corr=corr[None],
        cycle_sd=np.zeros((1, 1)),
        site_sd=np.zeros((1, 1)),
        group_sd=np.zeros((1, 0)),
        patient_effect=None,
        precision=None,
        shift=None,
        log_posterior=np.zeros(1),
    )
