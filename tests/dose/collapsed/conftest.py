"""Fits that the reference tests of engine and folds share."""

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd

SCALE = 100.0  # ms, g: what one unit of log dose stands for


@pytest.fixture(scope="session")
def sleep_intercept(test_data) -> bd.DoseModel:
    """Reaction / 100 read as a log dose; priors of the reference divided by 100."""
    table = sleepstudy(test_data)
    priors = bd.Priors(
        intercept=bd.Normal(0, 5),
        slope=bd.Normal(0, 5),
        patient_sd=bd.HalfNormal(1),
        residual_sd=bd.HalfNormal(1),
    )
    return plain_model("Days", "Subject", priors).fit(table)


@pytest.fixture(scope="session")
def sleep_slope(test_data) -> bd.DoseModel:
    priors = bd.Priors(
        intercept=bd.Normal(2.5, 1),
        slope=bd.Normal(0, 0.5),
        patient_sd=bd.HalfNormal(0.5),
        residual_sd=bd.HalfNormal(0.5),
        patient_corr=bd.LKJ(2),
    )
    model = plain_model("Days", "Subject", priors, patient_effects="1 + Days")
    return model.fit(sleepstudy(test_data))


@pytest.fixture(scope="session")
def dyestuff(test_data) -> bd.DoseModel:
    """(Yield - 1500) / 100 read as a log dose: doses stay in a range that the table accepts."""
    table = pd.read_csv(test_data / "lme_reference" / "Dyestuff.csv")
    table["dose"] = np.exp((table["Yield"] - 1500) / SCALE)
    priors = bd.Priors(
        intercept=bd.Normal(-15, 20), patient_sd=bd.HalfNormal(1), residual_sd=bd.HalfNormal(1)
    )
    return plain_model("1", "Batch", priors).fit(table)


def sleepstudy(folder) -> pd.DataFrame:
    table = pd.read_csv(folder / "lme_reference" / "sleepstudy.csv", dtype={"Subject": str})
    return table.assign(dose=np.exp(table["Reaction"] / SCALE))


def plain_model(formula: str, patient: str, priors: bd.Priors, **more) -> bd.DoseModel:
    return bd.DoseModel(
        formula,
        by=None,
        patient=patient,
        response="dose",
        activity=None,
        standardise=False,
        priors=priors,
        **more,
    )


@pytest.fixture(scope="session")
def at_theta():
    """Problem of a closed-form case, and the θ of shape (1, d) that stands for its values."""
    return problem_at


def problem_at(known):
    from numpyro.distributions.transforms import CorrCholeskyTransform

    from bayesdose.dose.collapsed import engine

    problem = engine.prepare(known.encoding, known.rows)
    theta = known.theta
    with engine.double_precision(problem.device):
        chol = np.linalg.cholesky(theta.patient_corr)
        reals = np.asarray(CorrCholeskyTransform().inv(chol))
    parts = [np.log(theta.residual_sd), theta.patient_sd, theta.cycle_sd, theta.site_sd, reals]
    assert [s.signed for s in problem.space.scales].count(False) == len(known.tissues)
    return problem, np.concatenate(parts)[None]


@pytest.fixture(scope="session")
def table():
    """Random site tables: four patients, two tissues, covariates, own measurement error."""
    return random_table


def random_table(seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(4):
        for tissue, n in (("tumour", 3), ("kidney", 2)):
            for j in range(n):
                rows.append(
                    {
                        "patient_id": f"P{i}",
                        "site_id": f"{tissue}{j}",
                        "tissue": tissue,
                        "a": rng.normal(3, 2),
                        "b": rng.normal(0, 0.1),
                        "flag": (i + j) % 2,
                        "cv": rng.uniform(0, 0.3),
                        "absorbed_dose_gy": np.exp(rng.normal(1, 0.7)),
                        "administered_activity_gbq": rng.uniform(5, 8),
                    }
                )
    return pd.DataFrame(rows)
