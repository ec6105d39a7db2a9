"""Both engines through the public face on four tables: the same posterior."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats

import bayesdose as bd

pytestmark = pytest.mark.slow

DRAWS = 4000
#: Two engines, some 20 quantities a table: 5 standard errors fail one run in about 20 000 by luck.
N_ERRORS = 5.0


@dataclass(frozen=True)
class Case:
    table: pd.DataFrame
    model: dict


@pytest.fixture
def reference_cohort() -> Case:
    """Three tissues, correlated patients, nine of them."""
    formulas = {
        "tumour": "log(total_lesion_uptake) + log(tumour_to_parotid) + glcm_joint_entropy",
        "salivary_gland": "log(suv_mean)",
        "kidney": "log(suv_mean) + egfr_ml_min_1p73m2",
    }
    return Case(bd.datasets.load_reference_cohort(), {"formula": formulas})


@pytest.fixture
def sleepstudy(test_data) -> Case:
    """Correlated random slopes; Reaction / 100 in place of a log dose."""
    table = pd.read_csv(test_data / "lme_reference" / "sleepstudy.csv", dtype={"Subject": str})
    table["dose"] = np.exp(table["Reaction"] / 100)
    priors = bd.Priors(
        intercept=bd.Normal(2.5, 1),
        slope=bd.Normal(0, 0.5),
        patient_sd=bd.HalfNormal(0.5),
        residual_sd=bd.HalfNormal(0.5),
    )
    columns = {"by": None, "patient": "Subject", "response": "dose", "activity": None}
    return Case(
        table,
        {"formula": "Days", "patient_effects": "1 + Days", "standardise": False, "priors": priors}
        | columns,
    )


@pytest.fixture
def real_lesions(test_data) -> Case:
    """PSMA PET lesions of the first 40 patients, SUVmean in place of a dose, a patient's tracer."""
    table = pd.read_csv(test_data / "psma_autopet3_lesions" / "lesions.csv.gz")
    table = table[~table["section_3_9_excluded"].astype(bool)]
    table = table[table["case_id"].isin(table["case_id"].unique()[:40])].assign(cv=0.1)
    columns = {"by": None, "patient": "case_id", "response": "suvmean", "activity": None}
    return Case(
        table.assign(ga68=(table["radionuclide"] == "Ga-68").astype(float)),
        {"formula": "log(volume_ml) + sphericity + ga68", "dose_cv": "cv"} | columns,
    )


@pytest.fixture
def many_patients() -> Case:
    """80 patients from mechanism, tumours and kidneys, with both kinds of measurement error."""
    table = bd.simulate.dose_cohort(80, random_seed=8)
    return Case(
        table[table["tissue"].isin(["tumour", "kidney"])],
        {
            "formula": "log(suv_mean) + log(volume_ml)",
            "dose_cv": "absorbed_dose_cv",
            "dose_cv_shared": "absorbed_dose_cv_shared",
        },
    )


@pytest.mark.parametrize(
    "name", ["reference_cohort", "sleepstudy", "real_lesions", "many_patients"]
)
def test_both_engines(name, request):
    case = request.getfixturevalue(name)
    with warnings.catch_warnings():
        # doses far from the literature; divergences at the edge of a correlation matrix
        warnings.simplefilter("ignore", UserWarning)
        collapsed = bd.DoseModel(**case.model).fit(case.table, draws=20_000, random_seed=1)
        pymc = bd.DoseModel(**case.model, engine="pymc").fit(
            case.table, draws=DRAWS, random_seed=2, progress=False
        )
    ess = 1 / (1 / collapsed.fit_info_["weight_ess"] + 1 / 20_000)
    exact, sampled = scalars(collapsed), scalars(pymc)
    assert list(exact) == list(sampled)
    for what, values in sampled.items():
        # about the exact mean: squares compare spreads, not the mean once more
        centre = exact[what].mean()
        for power in (1, 2):
            here, there = (values - centre) ** power, (exact[what] - centre) ** power
            error = np.hypot(array_stats.mcse(here, method="mean"), there.std() / np.sqrt(ess))
            assert abs(here.mean() - there.mean()) < N_ERRORS * error, (what, power)


def scalars(model: bd.DoseModel) -> dict[str, np.ndarray]:
    """Every scalar of the posterior but the patients' effects, of shape (chain, draw)."""
    posterior = model.posterior_["posterior"].to_dataset()
    out = {}
    for name, values in posterior.drop_vars("patient_effects").items():
        flat = values.to_numpy().reshape(*values.shape[:2], -1)
        for j in range(flat.shape[2]):
            if flat[..., j].std() > 0:  # not the diagonal of a correlation matrix
                out[f"{name}[{j}]"] = flat[..., j]
    return out
