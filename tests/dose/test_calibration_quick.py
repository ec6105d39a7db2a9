"""A small simulation-based calibration; tests/benchmarks/sbc.py is the full one.

Truth and data are drawn here, in NumPy, from the priors given to the model. Seeds are fixed, so
that the outcome is the same in every run of the same versions.
"""

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import bayesdose as bd
from bayesdose.evaluate import EcdfBand, hdi, pit_ecdf, sbc_rank_band

N_FITS, N_RANKS, PROB = 60, 100, 0.99
N_PATIENTS, N_SITES, N_NEW = 6, 3, 10
PRIORS = bd.Priors(
    intercept=bd.Normal(1.2, 0.3),
    slope=bd.Normal(0.0, 0.3),
    patient_sd=bd.HalfNormal(0.4),
    residual_sd=bd.HalfNormal(0.4),
)
QUANTITIES = ["intercept", "slope", "patient_sd", "residual_sd", "new_patient"]


def cohort(n_patients: int, rng: np.random.Generator) -> pd.DataFrame:
    n = n_patients * N_SITES
    return pd.DataFrame(
        {
            "patient_id": np.repeat([f"P{i}" for i in range(n_patients)], N_SITES),
            "site_id": [f"T{i}" for i in range(n)],
            "tissue": "lesion",  # no doses in the literature to be far from
            "suv_mean": rng.lognormal(2.0, 0.5, n),
            "administered_activity_gbq": 7.4,
        }
    )


def one_fit(number: int) -> tuple[dict[str, np.ndarray], dict[str, float], float]:
    """Thinned posterior draws, the truth, and the true mass of the 95 % intervals."""
    rng = np.random.default_rng([11, number])
    true = {
        "intercept": rng.normal(1.2, 0.3),
        "slope": rng.normal(0.0, 0.3),
        "patient_sd": abs(rng.normal(0.0, 0.4)),
        "residual_sd": abs(rng.normal(0.0, 0.4)),
    }
    sites, new = cohort(N_PATIENTS, rng), cohort(N_NEW, rng)
    covariate = np.log(sites["suv_mean"])

    def mean(table: pd.DataFrame) -> np.ndarray:
        x = (np.log(table["suv_mean"]) - covariate.mean()) / covariate.std(ddof=1)
        return (np.log(7.4) + true["intercept"] + true["slope"] * x).to_numpy()

    def log_dose(table: pd.DataFrame) -> np.ndarray:
        u = true["patient_sd"] * rng.standard_normal(len(table) // N_SITES)
        e = true["residual_sd"] * rng.standard_normal(len(table))
        return mean(table) + np.repeat(u, N_SITES) + e

    sites["absorbed_dose_gy"] = np.exp(log_dose(sites))
    true["new_patient"] = float(log_dose(new)[0])
    model = bd.DoseModel("log(suv_mean)", priors=PRIORS).fit(sites, draws=2000, random_seed=number)
    found = model.posterior_["posterior"]
    predicted = model.predict_draws(new).to_numpy().reshape(2000, -1)
    draws = {
        "intercept": found["beta_lesion"].to_numpy()[..., 0],
        "slope": found["beta_lesion"].to_numpy()[..., 1],
        "patient_sd": found["patient_sd"].to_numpy()[..., 0],
        "residual_sd": found["residual_sd"].to_numpy()[..., 0],
        "new_patient": np.log(predicted[:, 0]),
    }
    thinned = {name: values.reshape(-1)[:: 2000 // N_RANKS][1:] for name, values in draws.items()}
    lower, upper = (np.log(end) for end in hdi(predicted, 0.95))
    sd = np.hypot(true["patient_sd"], true["residual_sd"])
    mass = norm.cdf(upper, mean(new), sd) - norm.cdf(lower, mean(new), sd)
    return thinned, true, float(mass.mean())


@pytest.fixture(scope="module")
def fits() -> list[tuple[dict[str, np.ndarray], dict[str, float], float]]:
    return [one_fit(number) for number in range(N_FITS)]


@cache
def band() -> EcdfBand:
    return sbc_rank_band(N_FITS, N_RANKS, PROB)


def is_uniform(ranks: list[int]) -> bool:
    return bool(pit_ecdf((np.array(ranks) + 0.5) / N_RANKS, band())["inside"].all())


@pytest.mark.parametrize("name", QUANTITIES)
def test_the_truth_ranks_uniformly_among_posterior_draws(fits, name):
    assert is_uniform([int((draws[name] < true[name]).sum()) for draws, true, _ in fits])


@pytest.mark.parametrize("name", QUANTITIES)
def test_draws_with_half_the_spread_would_be_noticed(fits, name):
    ranks = []
    for draws, true, _ in fits:
        middle = np.median(draws[name])
        ranks.append(int((middle + 0.5 * (draws[name] - middle) < true[name]).sum()))
    assert not is_uniform(ranks)


def test_intervals_for_new_patients_cover_what_they_claim(fits):
    mass = np.array([share for _, _, share in fits])
    error = mass.std(ddof=1) / np.sqrt(N_FITS)
    assert error < 0.015
    # the narrowest interval of 2000 draws holds about 0.003 less than it claims
    assert abs(mass.mean() - 0.947) < 3 * error
