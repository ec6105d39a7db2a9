"""From the PET table of one new patient to a planned activity, and again after cycle 1.

A dose model is fitted to the reference cohort. A new patient has a pre-therapy PET. The script

1. reads the patient's site table, as a clinic would write it,
2. asks for the largest activity a cycle at which a limit of kidney dose holds with probability 0.95
   over six cycles, and writes the patient sheet,
3. asks which site tells most about the kidneys, should it be measured in cycle 1,
4. gives cycle 1, reads what was measured, updates, plans the five cycles that remain with what the
   kidneys have received taken off the limit, and writes the second sheet.

Cohort and patient are SIMULATED. The limit is a figure of external beams, quoted from memory and
not validated for 177Lu-PSMA: which limit to keep is a clinical decision.

    python examples/plan_a_patient.py [--out FOLDER]
"""

import argparse
import os
import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import bayesdose as bd
from bayesdose import planning, report
from bayesdose.datasets.reference import simulate_reference_cohort

FORMULAS = {
    "tumour": "log(total_lesion_uptake) + log(tumour_to_parotid)",
    "salivary_gland": "log(suv_mean)",
    "kidney": "log(suv_mean) + egfr_ml_min_1p73m2",
}
# relative standard uncertainty of each measured dose, and of what all doses of a patient share
UNCERTAINTY = {"dose_cv": "absorbed_dose_cv", "dose_cv_shared": "absorbed_dose_cv_shared"}
PET = [
    *("patient_id", "site_id", "tissue", "suv_mean", "volume_ml", "total_lesion_uptake"),
    *("tumour_to_parotid", "egfr_ml_min_1p73m2", "pet_tracer", "therapy_ligand"),
]
CYCLE_1 = ["administered_activity_gbq", "absorbed_dose_gy", *UNCERTAINTY.values()]
PRESCRIBED_GBQ, N_CYCLES = 7.4, 6
LIMIT = planning.LIMITS["kidney_23_gy"]
# what the clinic expects of a dose from three SPECT/CT (assumed)
EXPECTED_CV, EXPECTED_CALIBRATION_CV = 0.1, 0.05
SEED, PATIENT = 7, "P1"


def main(argv: Sequence[str] | None = None) -> None:
    """Fit, plan, measure, update, plan again; print, and keep the files where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder that keeps the tables and the two sheets")
    arguments = parser.parse_args(argv)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        run(arguments.out)
        print(f"\ntables (CSV) and sheets (HTML) are in {arguments.out}")
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))
    print("\nThe two patient sheets and the tables are kept with --out FOLDER.")


def run(folder: Path) -> None:
    """Everything, written to a folder."""
    cohort = bd.datasets.load_reference_cohort()
    model = bd.DoseModel(FORMULAS, **UNCERTAINTY).fit(cohort)
    simulated = new_patient()
    write(simulated[PET], folder / "pet.csv")
    sites = bd.read_sites(folder / "pet.csv")
    print(
        f"All of this is SIMULATED: the {cohort['patient_id'].nunique()} patients of the reference "
        f"cohort, and one new patient with {len(sites)} sites on PET."
    )
    before = plan(model, sites, folder / "before_cycle_1.html")
    value_of_measuring(model, sites, folder)

    kidneys = simulated["tissue"] == "kidney"
    write(simulated.loc[kidneys, PET + CYCLE_1], folder / "cycle_1.csv")
    measured = bd.read_sites(folder / "cycle_1.csv")
    update(model, sites, measured, folder)
    after = plan(model, sites, folder / "after_cycle_1.html", measured)

    plans = pd.DataFrame([row(before), row(after)], index=["before cycle 1", "after cycle 1"])
    write(plans.rename_axis("plan").reset_index(), folder / "plans.csv")
    print()
    for line in conclusions(plans, measured):
        print(textwrap.fill(f"* {line}", 98, subsequent_indent="  "))


def new_patient() -> pd.DataFrame:
    """Sites of a patient of the reference cohort's population, who is not in it."""
    others = simulate_reference_cohort(random_seed=SEED)
    mine = others[others["patient_id"] == PATIENT]
    return mine.assign(patient_id="NEW")


def plan(
    model: bd.DoseModel, sites: pd.DataFrame, sheet: Path, measured: pd.DataFrame | None = None
) -> planning.Plan:
    """Largest activity of the cycles to come, and the sheet beside the prescribed activity."""
    already: float | dict[str, float] = 0.0
    n_cycles = N_CYCLES
    if measured is not None:
        # what was measured counts towards the limit, each kidney for itself
        already = dict(zip(measured["site_id"], measured["absorbed_dose_gy"], strict=True))
        n_cycles -= 1
    limits = [LIMIT.limit(probability=0.95, already_gy=already)]
    settings = {"limits": limits, "n_cycles": n_cycles, "given": measured}
    found = planning.max_activity(model, sites, **settings)
    report.patient_sheet(model, sites, sheet, prescribed_gbq=PRESCRIBED_GBQ, **settings)
    table = found.table()
    kidneys = table[table["tissue"] == "kidney"].drop(columns="patient_id")
    print(
        f"\nLimit: {limits[0].text}\n({LIMIT.source}; {LIMIT.note}).\nLargest activity for "
        f"{n_cycles} cycles: {found.activity_gbq:.2f} GBq a cycle, Monte-Carlo error "
        f"{found.monte_carlo_error:.2f} GBq. Kidney dose then,\nGy over {n_cycles} cycles, 95 % "
        f"interval:\n{kidneys.round(1).to_string(index=False)}"
    )
    for note in found.notes:
        print(textwrap.fill(f"Note: {note}", 98, subsequent_indent="  "))
    return found


def value_of_measuring(model: bd.DoseModel, sites: pd.DataFrame, folder: Path) -> None:
    """Which site, measured in cycle 1, would tell most about the kidneys."""
    pairs = planning.value_of_information(
        model, sites, dose_cv=EXPECTED_CV, dose_cv_shared=EXPECTED_CALIBRATION_CV
    )
    keys = ["measured_site_id", "measured_tissue"]
    told = pairs.pivot_table("share", keys, "tissue", aggfunc="mean", sort=False)
    best = (
        told.sort_values("kidney", ascending=False).groupby("measured_tissue", sort=False).head(1)
    )
    write(told.reset_index(), folder / "value_of_information.csv")
    print(
        "\nShare of the variance of log dose that measuring one site in cycle 1 is expected to "
        f"take away,\nmean over the sites of each tissue; the best site of each (measured with "
        f"{EXPECTED_CV:.0%} uncertainty and {EXPECTED_CALIBRATION_CV:.0%} of calibration):\n"
        f"{best.round(2).to_string()}"
    )


def update(model: bd.DoseModel, sites: pd.DataFrame, measured: pd.DataFrame, folder: Path) -> None:
    """Prediction of the next cycle at the same activity, before and after the measurement."""
    activity = float(measured["administered_activity_gbq"].iloc[0])
    table = planning.update_report(model, sites, measured, activity_gbq=activity)
    write(table, folder / "update.csv")
    shown = table[table["measured_gy"].notna()]
    columns = ["site_id", "prior_median", "prior_lower", "prior_upper", "measured_gy"]
    columns += ["updated_median", "updated_lower", "updated_upper", "implausible"]
    print(
        f"\nCycle 1 was given with {activity:.2f} GBq and the kidneys measured. Gy a cycle of that "
        f"activity,\npredicted before and after:\n{shown[columns].round(2).to_string(index=False)}"
    )


def row(found: planning.Plan) -> dict[str, object]:
    """A plan as a row: activities in GBq, doses in Gy over the planned cycles."""
    target = found.dose[..., found.dose["tissue"].to_numpy() == "tumour"].mean("site")
    kidney = found.table().query("tissue == 'kidney'")
    return {
        "n_cycles": found.n_cycles,
        "activity_gbq": found.activity_gbq,
        "monte_carlo_error": found.monte_carlo_error,
        "binding": found.binding,
        "at_bound": found.at_bound,
        "tumour_median_gy": float(np.median(target)),
        "kidney_width": float((kidney["upper"] / kidney["lower"]).mean()),
    }


def conclusions(plans: pd.DataFrame, measured: pd.DataFrame) -> list[str]:
    """What changed, in words and with this run's figures."""
    before, after = plans.loc["before cycle 1"], plans.loc["after cycle 1"]
    return [
        f"Before therapy the kidney limit allows {before['activity_gbq']:.2f} GBq for each of "
        f"{before['n_cycles']} cycles; after cycle 1, with "
        f"{measured['absorbed_dose_gy'].max():.1f} Gy received, {after['activity_gbq']:.2f} GBq "
        f"for each of {after['n_cycles']} more.",
        "The difference is what was learnt: from end to end the 95 % interval of a kidney's dose "
        f"is a factor of {before['kidney_width']:.1f} before, {after['kidney_width']:.1f} after.",
        f"Mean tumour dose by these plans, median: {before['tumour_median_gy']:.0f} Gy over "
        f"{before['n_cycles']} cycles, {after['tumour_median_gy']:.0f} Gy over "
        f"{after['n_cycles']}.",
        "The plan takes dose per GBq as the same in every cycle, and the measured dose as what was "
        "received. Neither is known. In another patient the activity may fall after cycle 1.",
    ]


def write(table: pd.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    table.to_csv(partial, index=False)
    os.replace(partial, path)


if __name__ == "__main__":
    main()
