"""Time to update 1000 patients with two measured sites each, beside refits.

One process times both: the update of all patients together (``update`` on arrays, and the whole
``update_report`` with its checks of the tables and its summaries), and for a few of the patients a
refit with their rows in the training table and the prediction from it. Medians of the updated log
dose must agree with the refits within Monte-Carlo error.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from results_files import write

import bayesdose as bd
from bayesdose.dose.cycles import cycle_doses
from bayesdose.dose.measured_rows import encode_together, without_measurement
from bayesdose.dose.training import check_table
from bayesdose.dose.updating import update

RESULTS = Path(__file__).parent / "results"
FORMULAS = {"tumour": "log(suv_mean)", "salivary_gland": "log(suv_mean)", "kidney": "log(suv_mean)"}
MEASURED = ("kidney_left", "T01")
DRAWS, N_REFITS = 1000, 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000, help="patients (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    training = bd.datasets.load_reference_cohort()
    model = bd.DoseModel(
        FORMULAS, dose_cv="absorbed_dose_cv", dose_cv_shared="absorbed_dose_cv_shared"
    ).fit(training, draws=DRAWS)
    sites = bd.simulate.dose_cohort(arguments.n, generator="regression", random_seed=1)
    sites["patient_id"] = "N" + sites["patient_id"]
    given = sites[sites["site_id"].isin(MEASURED)]
    arrays = time_arrays(model, sites, given)
    began = time.perf_counter()
    bd.planning.update_report(model, sites, given)
    whole = time.perf_counter() - began
    refit, worst = refits(model, training, sites, given)
    text = (
        f"{arguments.n} patients, {len(sites)} sites, {len(given)} of them measured; {DRAWS} "
        f"draws. Update of all patients: {arrays:.2f} s; with the checks of both tables and the "
        f"summaries, `update_report`: {whole:.2f} s. A refit and prediction for one patient: "
        f"{refit:.2f} s, {refit * arguments.n / whole:.0f} times as long for all. Largest "
        f"difference of medians from a refit, of {N_REFITS} patients: {worst:.1f} standard "
        "errors.\n"
    )
    write(arguments.out / "updating.md", text)
    print(text)
    return 0 if worst < 5 else 1


def time_arrays(model: bd.DoseModel, sites: pd.DataFrame, given: pd.DataFrame) -> float:
    """Fastest of three."""
    fitted = model._state()
    spec = fitted.encoding.spec
    frame = check_table(without_measurement(sites, spec), spec, response_required=False)
    rows, role = encode_together(fitted.encoding, fitted.training, frame, given, known=False)
    seconds = []
    for seed in range(3):
        began = time.perf_counter()
        update(
            fitted.encoding,
            fitted.draws,
            rows,
            role,
            np.random.default_rng(seed),
            persistent=True,
        )
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def refits(
    model: bd.DoseModel, training: pd.DataFrame, sites: pd.DataFrame, given: pd.DataFrame
) -> tuple[float, float]:
    """Seconds a refit, compiled before, and the largest difference in standard errors."""
    seconds, worst = [], 0.0
    for number, label in enumerate(sites["patient_id"].unique()[: N_REFITS + 1]):
        mine, measured = (table[table["patient_id"] == label] for table in (sites, given))
        began = time.perf_counter()
        refit = bd.DoseModel(**model.get_params()).fit(
            pd.concat([training, measured]), draws=DRAWS, random_seed=number
        )
        expected = draws_of(refit, mine, None, "known_patient")
        if number:
            seconds.append(time.perf_counter() - began)
        found = draws_of(model, mine, measured, "new_patient")
        # median of a normal: sd sqrt(pi / 2 n) on both sides, whose draws are worth half
        error = expected.std(0) * np.sqrt(np.pi / 2 * 4 / DRAWS)
        distance = np.abs(np.median(found, axis=0) - np.median(expected, axis=0)) / error
        worst = max(worst, float(distance.max()))
    return float(np.mean(seconds)), worst


def draws_of(
    model: bd.DoseModel, sites: pd.DataFrame, given: pd.DataFrame | None, kind: str
) -> np.ndarray:
    found = cycle_doses(
        model._state(),
        sites,
        1,
        kind=kind,
        given=given,
        between_cycle="persistent",
        random_seed=None,
    )
    return np.log(found.gy_per_gbq[:, :, 0])


if __name__ == "__main__":
    sys.exit(main())
