"""Posteriors of dose-response models by PyMC, with densities written out plainly.

    python pymc_posteriors.py > pymc_posteriors.json

The cohort is simulated here, and stored with the figures. True log doses behind measurements are
parameters of their own and the measurement a likelihood; predicted log doses are multivariate
normal with the mean and covariance stored, of which the test makes draws. Nothing of it is shared
with the package.
"""

import json

import arviz as az
import numpy as np
import pymc as pm
import pytensor.tensor as pt
from scipy.optimize import brentq
from scipy.stats import norm

SETTINGS = {"draws": 4000, "tune": 2000, "chains": 4, "random_seed": 7, "target_accept": 0.95}
N_PATIENTS, N_ROWS, CV = 24, 4, 0.4
SHARED_SD, OWN_SD = 0.3, 0.4


def cohort() -> dict[str, list]:
    rng = np.random.default_rng(11)
    patient = np.repeat(np.arange(N_PATIENTS), N_ROWS)
    x = rng.normal(0, 0.5, N_PATIENTS)[patient] + rng.normal(0, 0.7, patient.size)
    effect = rng.normal(0, 0.8, N_PATIENTS)[patient]
    y = rng.random(patient.size) < 1 / (1 + np.exp(-(0.3 + 1.5 * x + effect)))
    measured = x + rng.normal(0, np.sqrt(np.log1p(CV**2)), patient.size)
    shared = rng.normal(0, SHARED_SD, N_PATIENTS)[patient]
    predicted = x - shared - rng.normal(0, OWN_SD, patient.size)
    to_gy = {"dose_gy": x, "measured_gy": measured, "predicted_gy": predicted}
    table = {name: (20 * np.exp(value)).round(4).tolist() for name, value in to_gy.items()}
    return {"patient": patient.tolist(), "y": y.astype(int).tolist()} | table


def priors() -> tuple[object, object, object]:
    return (
        pm.Normal("intercept", 0, 1.5),
        pm.Normal("slope", 0, 2.5),
        pm.HalfNormal("patient_sd", 1.0),
    )


def likelihood(x: object, y: np.ndarray, patient: np.ndarray, link: str) -> None:
    intercept, slope, sd = priors()
    effect = sd * pm.Normal("z", 0, 1, shape=N_PATIENTS)
    eta = intercept + slope * x + effect[patient]
    p = pm.math.sigmoid(eta) if link == "logit" else 0.5 * pt.erfc(-eta / np.sqrt(2.0))
    pm.Bernoulli("y", p=p, observed=y)


def figures(trace: object) -> dict[str, dict[str, float]]:
    out = {}
    for name in trace["posterior"].data_vars:
        draws = trace["posterior"][name].values
        if draws.ndim > 2:
            continue
        out[name] = {
            "mean": float(draws.mean()),
            "sd": float(draws.std(ddof=1)),
            "mcse_mean": float(az.mcse(draws, method="mean")),
            "mcse_sd": float(az.mcse(draws, method="sd")),
            "r_hat": float(az.rhat(draws)),
        }
    return out


def main() -> None:
    table = cohort()
    y, patient = np.array(table["y"]), np.array(table["patient"])
    gy, measured, predicted = (
        np.array(table[name]) for name in ("dose_gy", "measured_gy", "predicted_gy")
    )
    out = {}
    for link in ("logit", "probit"):
        with pm.Model():
            likelihood(np.log(gy / np.median(gy)), y, patient, link)
            out[f"exact {link}"] = figures(pm.sample(**SETTINGS, progressbar=False))
    w, error = np.log(measured / np.median(measured)), np.sqrt(np.log(1 + CV**2))
    with pm.Model():
        mean = pm.Normal("exposure_mean", 0, 5)
        between = pm.HalfNormal("exposure_patient_sd", 2)
        within = pm.HalfNormal("exposure_sd", 2)
        center = mean + between * pm.Normal("u", 0, 1, shape=N_PATIENTS)
        x = center[patient] + within * pm.Normal("v", 0, 1, shape=y.size)
        pm.Normal("w", x, error, observed=w)
        likelihood(x, y, patient, "logit")
        out["measured logit"] = figures(pm.sample(**SETTINGS, progressbar=False))
    same = patient[:, None] == patient[None]
    covariance = SHARED_SD**2 * same + OWN_SD**2 * np.eye(y.size)
    # the reference dose is the median over all predicted laws together
    spread = np.hypot(SHARED_SD, OWN_SD)
    reference = float(
        np.exp(brentq(lambda at: norm.cdf(at, np.log(predicted), spread).mean() - 0.5, -3, 9))
    )
    with pm.Model():
        root = np.linalg.cholesky(covariance)
        x = np.log(predicted / reference) + pt.dot(root, pm.Normal("e", 0, 1, shape=y.size))
        likelihood(x, y, patient, "logit")
        out["drawn logit"] = figures(pm.sample(**SETTINGS, progressbar=False))
    settings = {"cv": CV, "shared_sd": SHARED_SD, "own_sd": OWN_SD, "reference_gy": reference}
    versions = {"pymc": pm.__version__, "numpy": np.__version__}
    print(
        json.dumps({"table": table, **settings, "posteriors": out, "versions": versions}, indent=1)
    )


if __name__ == "__main__":
    main()
