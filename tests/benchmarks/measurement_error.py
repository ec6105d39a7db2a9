"""Coverage of the log hazard ratio of a dose that is measured with error, or predicted.

    python tests/benchmarks/measurement_error.py [--cohorts 200] [--seed 1] [--jobs 2]

Cohorts of 100 and of 300 men; log hazard ratio -1 per unit of the true log dose, 0.5 per unit of an
exact covariate that it depends on. *Classical*: the log dose is measured with an error as wide as
its own spread, reliability 0.5; the model knows the error (`measurement_sd`), takes the measurement
for the truth ("raw"), or replaces it by its regression on the truth ("calibrated", to compare).
*Berkson*: the dose is predicted; the truth lies about the prediction, part of the error shared by
all men; the model has the predictive draws, or takes their means for the truth ("raw").

Slopes have Normal(0, 1) priors per standard deviation. Writes results/measurement_error.md.
"""

import argparse
import sys
import time
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from results_files import markdown, write
from scipy import stats

from bayesdose.dose.priors import Normal
from bayesdose.risk.cox.model import CoxModel
from bayesdose.risk.cox.warnings import SamplingWarning

RESULTS = Path(__file__).parent / "results"
SIZES = (100, 300)
TRUE, OTHER = -1.0, 0.5
SETTINGS = {"slope": Normal(0, 1), "draws": 2000, "chains": 2, "progress": False}


def outcome(eta: np.ndarray, rng: np.random.Generator) -> pd.DataFrame:
    time_ = rng.exponential(np.exp(-eta))
    follow_up = rng.uniform(0.3, 4.0, eta.size)
    return pd.DataFrame({"event": time_ <= follow_up, "time": np.minimum(time_, follow_up)})


def classical(n: int, rng: np.random.Generator, seed: int) -> dict[str, CoxModel]:
    z = rng.normal(size=n)
    dose = 0.4 * z + rng.normal(0, 0.8, n)
    sd = float(np.hypot(0.4, 0.8))
    measured = dose + rng.normal(0, sd, n)
    y = outcome(TRUE * dose + OTHER * z, rng)
    X = pd.DataFrame({"z": z, "dose": measured})
    line = np.polyfit(z, measured, 1)
    fitted = np.polyval(line, z)
    left = np.var(measured - fitted, ddof=2)
    calibrated = fitted + (left - sd**2) / left * (measured - fitted)
    return {
        "model": CoxModel(**SETTINGS, measurement_sd={"dose": sd}, random_state=seed).fit(X, y),
        "raw": CoxModel(**SETTINGS, random_state=seed).fit(X, y),
        "calibrated": CoxModel(**SETTINGS, random_state=seed).fit(X.assign(dose=calibrated), y),
    }


def berkson(n: int, rng: np.random.Generator, seed: int) -> dict[str, CoxModel]:
    z = rng.normal(size=n)
    predicted = 0.4 * z + rng.normal(0, 0.5, n)
    dose = predicted + rng.normal(0, 0.2) + rng.normal(0, 0.7, n)
    draws = predicted + rng.normal(0, 0.2, (2000, 1)) + rng.normal(0, 0.7, (2000, n))
    y = outcome(TRUE * dose + OTHER * z, rng)
    X = pd.DataFrame({"z": z})
    return {
        "model": CoxModel(**SETTINGS, random_state=seed).fit(X, y, draws={"dose": draws}),
        "raw": CoxModel(**SETTINGS, random_state=seed).fit(X.assign(dose=predicted), y),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    begun, rows = time.perf_counter(), []
    tasks = (delayed(one_cohort)(arguments.seed, cohort) for cohort in range(arguments.cohorts))
    for found in Parallel(arguments.jobs, return_as="generator_unordered")(tasks):
        rows += found
        done = len(rows) // len(found)
        print(f"cohort {done}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        write(RESULTS / "measurement_error.md", markdown(summarise(pd.DataFrame(rows))))
    print(summarise(pd.DataFrame(rows)).to_string())


def one_cohort(seed: int, cohort: int) -> list[dict[str, object]]:
    warnings.simplefilter("ignore", SamplingWarning)  # 2000 draws are few for uncertain covariates
    rows = []
    for k, (make, n) in enumerate(product((classical, berkson), SIZES)):
        rng = np.random.default_rng([seed, k, cohort])
        for name, model in make(n, rng, cohort).items():
            found = model.summary().loc["dose"]
            covered = bool(found["lower"] <= TRUE <= found["upper"])
            labels = {"error": make.__name__, "men": n, "analysis": name}
            rows.append(labels | {"coef": found["coef"], "sd": found["sd"], "covered": covered})
    return rows


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for (error, men, analysis), part in rows.groupby(["error", "men", "analysis"]):
        covered = stats.binomtest(int(part["covered"].sum()), len(part)).proportion_ci()
        out.append(
            {
                "error": error,
                "men": men,
                "analysis": analysis,
                "cohorts": len(part),
                "true": TRUE,
                "mean_coef": part["coef"].mean(),
                "sd_of_coef": part["coef"].std(ddof=1) if len(part) > 1 else np.nan,
                "mean_sd": part["sd"].mean(),
                "coverage_95": part["covered"].mean(),
                "lower": covered.low,
                "upper": covered.high,
            }
        )
    return pd.DataFrame(out).round(3)


if __name__ == "__main__":
    main()
