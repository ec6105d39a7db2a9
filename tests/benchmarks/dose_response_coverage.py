"""Coverage of the slope and of D50 of a dose-response curve whose doses are uncertain.

    python tests/benchmarks/dose_response_coverage.py [--cohorts 50] [--seed 1] [--jobs 1]

Cohorts of 50 patients with 4 lesions each; logit of the response 2 per unit of log dose, D50 20 Gy,
standard deviation between patients 0.7. *Measured*: true log doses spread by 0.61, and doses have a
relative uncertainty of 0.4, which the model knows (`dose_cv`). *Predicted*: true log doses lie
about predictions that spread by 0.61, with an error of 0.4 shared by a patient's lesions and one of
0.6 of each; the model has the joint draws. "Plug-in" takes the measured doses, or the medians of
the draws, for the truth.

Priors are the defaults. Writes results/dose_response_coverage.md.
"""

import argparse
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from results_files import markdown, write
from scipy import stats
from scipy.special import expit

from bayesdose.risk.cox.warnings import SamplingWarning
from bayesdose.risk.dose_response.model import DoseResponse

RESULTS = Path(__file__).parent / "results"
N_PATIENTS, N_LESIONS = 50, 4
SLOPE, D50, PATIENT_SD = 2.0, 20.0, 0.7
BETWEEN, WITHIN = 0.35, 0.5
CV, SHARED, OWN = 0.4, 0.4, 0.6
SETTINGS = {"draws": 2000, "chains": 2, "progress": False}
PATIENT = np.repeat(np.arange(N_PATIENTS), N_LESIONS)


def spread(rng: np.random.Generator, between: float, within: float, *lead: int) -> np.ndarray:
    """Normal values of lesions, a part of them common to a patient."""
    shared = rng.normal(0, between, (*lead, N_PATIENTS))[..., PATIENT]
    return shared + rng.normal(0, within, (*lead, PATIENT.size))


def response(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.random(x.size) < expit(SLOPE * x + rng.normal(0, PATIENT_SD, N_PATIENTS)[PATIENT])


def measured(rng: np.random.Generator) -> tuple[np.ndarray, dict, dict]:
    x = spread(rng, BETWEEN, WITHIN)
    gy = D50 * np.exp(x + rng.normal(0, np.sqrt(np.log1p(CV**2)), x.size))
    return response(x, rng), {"dose_gy": gy, "dose_cv": CV}, {"dose_gy": gy}


def predicted(rng: np.random.Generator) -> tuple[np.ndarray, dict, dict]:
    center = spread(rng, BETWEEN, WITHIN)
    x = center + spread(rng, SHARED, OWN)
    draws = D50 * np.exp(center + spread(rng, SHARED, OWN, 2000))
    plain = {"dose_gy": np.median(draws, axis=0)}
    return response(x, rng), {"dose_gy": None, "draws": draws}, plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    begun, rows = time.perf_counter(), []
    tasks = (delayed(one_cohort)(arguments.seed, cohort) for cohort in range(arguments.cohorts))
    for found in Parallel(arguments.jobs, return_as="generator_unordered")(tasks):
        rows += found
        done = len(rows) // len(found)
        print(f"cohort {done}: {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        write(RESULTS / "dose_response_coverage.md", markdown(summarise(pd.DataFrame(rows))))
    print(summarise(pd.DataFrame(rows)).to_string())


def one_cohort(seed: int, cohort: int) -> list[dict[str, object]]:
    warnings.simplefilter("ignore", SamplingWarning)  # 2000 draws are few for uncertain doses
    rows = []
    for k, make in enumerate((measured, predicted)):
        y, joint, plain = make(np.random.default_rng([seed, k, cohort]))
        for analysis, given in (("joint", joint), ("plug-in", plain)):
            model = DoseResponse(**SETTINGS, random_state=cohort)
            table = model.fit(y=y, patients=PATIENT, **given).summary()
            for name, true in (("slope", SLOPE), ("d50_gy", D50)):
                found = table.loc[name]
                covered = bool(found["lower"] <= true <= found["upper"])
                labels = {"dose": make.__name__, "analysis": analysis, "parameter": name}
                ends = found[["median", "lower", "upper"]].astype(float).to_dict()
                rows.append(labels | {"true": true, **ends, "covered": covered})
    return rows


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    out = []
    for labels, part in rows.groupby(["dose", "parameter", "analysis"]):
        given = part[part["median"].notna()]  # a D50 that is not known is not covered or missed
        covered = stats.binomtest(int(given["covered"].sum()), len(given)).proportion_ci()
        error = given["median"].std(ddof=1) / np.sqrt(len(given)) if len(given) > 1 else np.nan
        out.append(
            dict(zip(("dose", "parameter", "analysis"), labels, strict=True))
            | {
                "cohorts": len(part),
                "given": len(given),
                "true": part["true"].iloc[0],
                "mean_of_medians": given["median"].mean(),
                "its_error": error,
                "mean_width": (given["upper"] - given["lower"]).mean(),
                "coverage_95": given["covered"].mean(),
                "lower": covered.low,
                "upper": covered.high,
            }
        )
    return pd.DataFrame(out).round(3)


if __name__ == "__main__":
    main()
