"""A small check that limits hold as often as stated; tests/benchmarks/planning.py is the full one.

Truth and doses are drawn here, in NumPy, from the priors given to the model.
"""

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.planning import DoseLimit, max_activity

N_FITS, N_PATIENTS, N_SITES, N_LIKE_IT = 50, 6, 2, 2000
PRIORS = bd.Priors(
    intercept=bd.Normal(-0.7, 0.3),
    slope=bd.Normal(0.0, 0.3),
    patient_sd=bd.HalfNormal(0.4),
    residual_sd=bd.HalfNormal(0.3),
)


def cohort(n_patients: int, rng: np.random.Generator) -> pd.DataFrame:
    n = n_patients * N_SITES
    return pd.DataFrame(
        {
            "patient_id": np.repeat([f"P{i}" for i in range(n_patients)], N_SITES),
            "site_id": [f"K{i}" for i in range(n)],
            "tissue": "organ",  # no doses in the literature to be far from
            "suv_mean": rng.lognormal(3.0, 0.4, n),
            "administered_activity_gbq": 7.4,
        }
    )


def exceeded(number: int) -> float:
    """Probability, at the true parameters, that patients like the new one exceed the limit."""
    rng = np.random.default_rng([23, number])
    intercept, slope = rng.normal(-0.7, 0.3), rng.normal(0.0, 0.3)
    patient_sd, residual_sd = abs(rng.normal(0, 0.4)), abs(rng.normal(0, 0.3))
    sites = cohort(N_PATIENTS, rng)
    covariate = np.log(sites["suv_mean"])

    def log_dose(table: pd.DataFrame, times: int = 1) -> np.ndarray:
        x = (np.log(table["suv_mean"].to_numpy()) - covariate.mean()) / covariate.std(ddof=1)
        u = patient_sd * rng.standard_normal((times, len(table) // N_SITES))
        e = residual_sd * rng.standard_normal((times, len(table)))
        return intercept + slope * x + np.repeat(u, N_SITES, axis=1) + e

    sites["absorbed_dose_gy"] = 7.4 * np.exp(log_dose(sites)[0])
    model = bd.DoseModel("log(suv_mean)", priors=PRIORS).fit(sites, random_seed=number, draws=2000)
    new = cohort(1, rng)
    plan = max_activity(model, new, [DoseLimit("organ", gy=23.0)], 6, (1e-4, 1e4))
    gy = 6 * plan.activity_gbq * np.exp(log_dose(new, N_LIKE_IT))
    return float((gy.max(1) > 23.0).mean())


@pytest.mark.slow
def test_limits_are_exceeded_as_often_as_stated() -> None:
    found = np.array([exceeded(number) for number in range(N_FITS)])
    error = found.std(ddof=1) / np.sqrt(N_FITS)
    assert abs(found.mean() - 0.05) < 4 * error
    # the check is worth something: error well below what it is to find
    assert error < 0.0125
