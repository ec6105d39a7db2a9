"""Two tables from elsewhere: real PSMA-PET lesions, and lesions of 177Lu-DOTATATE patients.

The first is 8768 real lesions of 333 patients (autoPET III, CC BY 4.0). It has uptake but no dose:
the model is put to log SUVmean, and stands beside R's lme4 on the same rows. The second has dose;
its 75 lesions of 18 patients are synthetic rows that were made from a real cohort, and are used
for their shape: what the model says of lesions that it has seen, and of patients that it has not.

The tables are not part of bayesdose. Name their folder by --data, or by BAYESDOSE_TEST_DATA.

    python examples/real_tables.py --data FOLDER
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import bayesdose as bd
from bayesdose.dose.baselines import beside

# lme4 1.1-31, REML: log suvmean ~ log volume + sphericity + Ga68 + (1 | patient)
LME4 = {
    "Intercept": 0.77129823,
    "log(volume_ml)": 0.17216187,
    "sphericity": 1.40950209,
    "radionuclide Ga-68": 0.17989167,
    "patient sd": 0.54821126,
    "residual sd": 0.44556194,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Read the tables, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("BAYESDOSE_TEST_DATA"))
    parser.add_argument("--draws", type=int, default=4000)
    arguments = parser.parse_args(argv)
    if arguments.data is None:
        sys.exit("name the folder of tables: --data FOLDER, or BAYESDOSE_TEST_DATA=FOLDER")
    folder = Path(arguments.data)
    lesions = pd.read_csv(folder / "psma_autopet3_lesions" / "lesions.csv.gz")
    print(beside_lme4(lesions[~lesions["section_3_9_excluded"]], arguments.draws))
    table = pd.read_csv(folder / "prrt_cohort_benchmark" / "synthetic_lesions_18patients.csv")
    print(seen_and_unseen(table, arguments.draws))


def beside_lme4(lesions: pd.DataFrame, draws: int) -> str:
    """Uptake of real lesions within patients: posterior means beside REML estimates."""
    model = bd.DoseModel(
        "log(volume_ml) + sphericity + radionuclide",
        by=None,
        patient="case_id",
        response="suvmean",
        activity=None,
        # nearly flat, as REML is
        priors=bd.Priors(
            intercept=bd.Normal(0, 10),
            slope=bd.Normal(0, 10),
            patient_sd=bd.HalfNormal(5),
            residual_sd=bd.HalfNormal(5),
        ),
    ).fit(lesions, draws=draws)
    posterior = model.posterior_["posterior"]
    means = [
        *posterior["slope_all"].mean(("chain", "draw")).values,
        float(posterior["patient_sd"].mean()),
        float(posterior["residual_sd"].mean()),
    ]
    table = pd.DataFrame({"lme4 (REML)": LME4, "bayesdose": dict(zip(LME4, means, strict=True))})
    lopo = model.leave_one_patient_out()
    return "\n".join(
        [
            f"log SUVmean of {len(lesions)} real lesions of {len(lopo.patients)} patients",
            table.round(4).to_string(),
            f"exact leave-one-patient-out: elpd {lopo.elpd:.1f}, standard error "
            f"{lopo.elpd_se:.1f}; theta sampled anew for {int(lopo.patients['adapted'].sum())} "
            "patients",
            "",
        ]
    )


def seen_and_unseen(table: pd.DataFrame, draws: int) -> str:
    """Dose of lesions within patients: in-sample, left out, and simple models left out."""
    sites = pd.DataFrame(
        {
            "patient_id": table["patient_id"],
            "site_id": "L" + table["lesion"].astype(str),
            "cycle": 1,
            "tissue": "tumour",
            "absorbed_dose_gy": table["dose_gy"],
            "administered_activity_gbq": table["activity_gbq"],
            "suv_mean": table["suv_mean"],
            "volume_ml": table["volume_ml"],
        }
    )
    model = bd.DoseModel("log(suv_mean) + log(volume_ml)").fit(sites, draws=draws)
    scores = beside(model, model.leave_one_patient_out())
    shown = scores[scores["weights"] == "site"].set_index("model")
    n_patients = sites["patient_id"].nunique()
    return "\n".join(
        [
            f"absorbed dose of {len(sites)} synthetic lesions of {n_patients} patients",
            shown[["mae_gy", "median_ape", "r2_gy", "r2_log"]].round(2).to_string(),
            "The first row has seen the lesions that it is scored on; only the others say what to "
            "expect of a new patient.",
        ]
    )


if __name__ == "__main__":
    main()
