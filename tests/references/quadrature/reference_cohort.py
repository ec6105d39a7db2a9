"""Exact answers for the tumours of the reference cohort: one tissue, random patient intercept.

    y = log(absorbed_dose_gy / administered_activity_gbq)
    x = 1, log(suv_mean), log(volume_ml), the last two standardised (ddof 1)
    Intercept ~ N(1.2, 0.9^2), slopes ~ N(0, 0.5^2), tau ~ HalfNormal(0.5), sigma ~ HalfNormal(0.8)

for the cohort as it is and with one patient's tumour doses multiplied by four; without
measurement error and with the columns absorbed_dose_cv and absorbed_dose_cv_shared. The columns
are standardised either once with all rows ("frozen") or in each fold with its training rows
("relearned"). A held-out patient's joint density is a ratio of two evidences,
p(y_i | y_-i) = p(y) / p(y_-i), both under the constants of that fold.

Usage: python reference_cohort.py TABLE.csv                  (TABLE.csv: the whole site table)
       python reference_cohort.py TABLE.csv --export OUT.csv (patient, y, x1, x2 for brms)
Writes reference_cohort_tumours.json and reference_cohort_tumours_predictions.csv beside this
file.
"""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy
from classic import columns
from exact import (
    NormalMixture,
    Posterior,
    Problem,
    dense_log_joint,
    largest_difference,
    log_evidence,
    log_joint,
    new_group_row,
    posterior,
    summarise,
)

GRIDS = (60, 90)
B_NAMES = ["Intercept", "log(suv_mean)", "log(volume_ml)"]
INFLATION = 4.0
N_GIVEN = 2


@dataclass(frozen=True)
class Tumours:
    """The tumour rows in table order."""

    patients: list[str]  # in order of first appearance
    group: np.ndarray  # (n,) index into patients
    site: np.ndarray  # (n,)
    log_dose: np.ndarray  # (n,) Gy
    log_activity: np.ndarray  # (n,) GBq
    raw: np.ndarray  # (n, 2) log covariates
    own_var: np.ndarray  # (n,) log(1 + cv^2)
    shared_var: np.ndarray  # (n,)


def read(path: Path) -> Tumours:
    data = columns(path)
    own = data["tissue"] == "tumour"
    number = {
        name: data[name][own].astype(float)
        for name in (
            "absorbed_dose_gy",
            "administered_activity_gbq",
            "suv_mean",
            "volume_ml",
            "absorbed_dose_cv",
            "absorbed_dose_cv_shared",
        )
    }
    labels = [str(v) for v in data["patient_id"][own]]
    patients = list(dict.fromkeys(labels))
    if set(data["cycle"][own]) != {"1"}:
        raise ValueError("the shared error is per patient here, so one cycle a patient is needed")
    return Tumours(
        patients,
        np.array([patients.index(v) for v in labels]),
        data["site_id"][own],
        np.log(number["absorbed_dose_gy"]),
        np.log(number["administered_activity_gbq"]),
        np.log(np.column_stack([number["suv_mean"], number["volume_ml"]])),
        np.log1p(number["absorbed_dose_cv"] ** 2),
        np.log1p(number["absorbed_dose_cv_shared"] ** 2),
    )


def problem(rows: Tumours, training: np.ndarray, error: bool) -> Problem:
    """All rows, covariates standardised with the constants of the training rows."""
    centre = rows.raw[training].mean(0)
    scale = rows.raw[training].std(0, ddof=1)
    n = len(rows.log_dose)
    return Problem(
        rows.log_dose - rows.log_activity,
        np.column_stack([np.ones(n), (rows.raw - centre) / scale]),
        rows.group,
        np.array([1.2, 0.0, 0.0]),
        np.array([0.9, 0.5, 0.5]),
        0.5,
        0.8,
        rows.own_var * error,
        rows.shared_var * error,
    )


def subset(full: Problem, keep: np.ndarray) -> Problem:
    """Some of the rows, the groups among them renumbered from zero."""
    part = full.rows(keep)
    return replace(part, group=np.unique(part.group, return_inverse=True)[1])


def known_group_row(post: Posterior, x, g: int, own_var: float, error: bool) -> NormalMixture:
    """One further row of a group in the training rows, true (no error) or measured."""
    p, sigma2 = len(x), np.tile(post.sigma**2, len(post.tau))
    a = np.zeros(post.coefficient_mean.shape[1])
    a[:p], a[p + g] = x, 1.0
    a[p + post.n_groups + g] = float(error)
    mean = post.coefficient_mean @ a
    var = np.einsum("i,gij,j->g", a, post.coefficient_cov, a) + sigma2 + own_var * error
    return NormalMixture(post.weight.ravel(), mean, var)


def in_gy(mixture: NormalMixture, log_activity: float) -> dict:
    """Median and intervals of the dose: activity times the exponential of the mixture."""
    activity = np.exp(log_activity)
    lower, upper = mixture.exp_highest_density_interval(0.95)
    return {
        "log_mean": mixture.mean + log_activity,
        "log_sd": mixture.sd,
        "median_gy": float(activity * np.exp(mixture.quantile(0.5))),
        "hdi95_lower_gy": float(activity * lower),
        "hdi95_upper_gy": float(activity * upper),
        "eti95_lower_gy": float(activity * np.exp(mixture.quantile(0.025))),
        "eti95_upper_gy": float(activity * np.exp(mixture.quantile(0.975))),
    }


def leave_one_out(rows: Tumours, error: bool, relearn: bool, k: int) -> dict:
    everyone = np.ones(len(rows.group), bool)
    all_evidence = None if relearn else log_evidence(problem(rows, everyone, error), k)
    out = {"log_density": {}, "log_density_gy": {}}
    for i, name in enumerate(rows.patients):
        training = rows.group != i
        full = problem(rows, training if relearn else everyone, error)
        whole = log_evidence(full, k) if relearn else all_evidence
        value = whole - log_evidence(subset(full, training), k)
        out["log_density"][name] = value
        out["log_density_gy"][name] = float(value - rows.log_dose[~training].sum())
    return out | {"total_gy": sum(out["log_density_gy"].values())}


def fold_predictions(rows: Tumours, error: bool, k: int) -> list[dict]:
    """Each row predicted from the other patients, columns standardised by the training rows."""
    out = []
    for i, name in enumerate(rows.patients):
        training = rows.group != i
        full = problem(rows, training, error)
        post = posterior(subset(full, training), k)
        for j in np.flatnonzero(~training):
            mixture = new_group_row(post, full.x[j], full.own_var[j], full.shared_var[j])
            density = mixture.log_density(full.y[j])
            row = {"patient_id": name, "site_id": str(rows.site[j])}
            row |= in_gy(mixture, rows.log_activity[j])
            row["log_density_gy"] = density - rows.log_dose[j]
            out.append(row)
    return out


def given_first_rows(rows: Tumours, patient: int, error: bool, k: int) -> dict:
    """A patient outside the training rows, predicted given its first measured tumours."""
    training = rows.group != patient
    full = problem(rows, training, error)
    own = np.flatnonzero(~training)
    seen = training.copy()
    seen[own[:N_GIVEN]] = True
    part = subset(full, seen)
    post = posterior(part, k)
    g = part.group[np.flatnonzero(np.flatnonzero(seen) == own[0])[0]]
    value = log_evidence(full, k) - post.log_evidence
    predictions = {}
    for j in own[N_GIVEN:]:
        predictions[str(rows.site[j])] = {
            target: in_gy(
                known_group_row(post, full.x[j], int(g), full.own_var[j], target == "measured"),
                rows.log_activity[j],
            )
            for target in ("true", "measured")
        }
    return {
        "patient": rows.patients[patient],
        "given_sites": [str(s) for s in rows.site[own[:N_GIVEN]]],
        "log_density_of_the_rest": value,
        "log_density_of_the_rest_gy": float(value - rows.log_dose[own[N_GIVEN:]].sum()),
        "predictions": predictions,
    }


def results(rows: Tumours, error: bool, k: int) -> dict:
    everyone = np.ones(len(rows.group), bool)
    full = problem(rows, everyone, error)
    most = int(np.argmax(np.bincount(rows.group)))
    out = summarise(posterior(full, k), B_NAMES, rows.patients)
    return {
        "posterior": out,
        "log_evidence_gy": float(out["log_evidence"] - rows.log_dose.sum()),
        "leave_one_out_frozen": leave_one_out(rows, error, False, k),
        "leave_one_out_relearned": leave_one_out(rows, error, True, k),
        "given": given_first_rows(rows, most, error, k),
    }


def inflated(rows: Tumours) -> Tumours:
    log_dose = rows.log_dose + np.log(INFLATION) * (rows.group == 0)
    return replace(rows, log_dose=log_dose)


def fingerprint(rows: Tumours) -> dict:
    """Sums by which a test sees that the cohort is still the one these answers belong to."""
    return {
        "n_patients": len(rows.patients),
        "n_rows": len(rows.group),
        "sum_log_dose": float(rows.log_dose.sum()),
        "sum_log_activity": float(rows.log_activity.sum()),
        "sum_log_suv_mean": float(rows.raw[:, 0].sum()),
        "sum_log_volume_ml": float(rows.raw[:, 1].sum()),
        "sum_own_var": float(rows.own_var.sum()),
        "sum_shared_var": float(rows.shared_var.sum()),
    }


def write_predictions(path: Path, table: list[dict]) -> None:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(table[0]), lineterminator="\n")
        writer.writeheader()
        for row in table:
            writer.writerow({k: f"{v:.12g}" if isinstance(v, float) else v for k, v in row.items()})


def export(rows: Tumours, path: Path) -> None:
    full = problem(rows, np.ones(len(rows.group), bool), False)
    labels = [rows.patients[g] for g in rows.group]
    table = [
        {"patient": p, "y": repr(float(y)), "x1": repr(float(a)), "x2": repr(float(b))}
        for p, y, (_, a, b) in zip(labels, full.y, full.x, strict=True)
    ]
    write_predictions(path, table)


def main(table: Path) -> None:
    rows = read(table)
    made = {
        "model": __doc__.split("for the cohort")[0].split("\n\n", 1)[1],
        "density_of": "y; names ending in _gy: of the dose in Gy",
        "inflated_patient": rows.patients[0],
        "inflation": INFLATION,
        "made_with": {"numpy": np.__version__, "scipy": scipy.__version__},
        "grids": list(GRIDS),
        "fingerprint": fingerprint(rows),
        "standardisation": {
            "centre": rows.raw.mean(0).tolist(),
            "scale": rows.raw.std(0, ddof=1).tolist(),
        },
    }
    predictions, difference, dense = [], 0.0, 0.0
    for cohort, data in {"as_measured": rows, "one_patient_times_four": inflated(rows)}.items():
        made[cohort] = {}
        for name, error in {"without_error": False, "with_error": True}.items():
            coarse, fine = (results(data, error, k) for k in GRIDS)
            made[cohort][name] = fine
            difference = max(difference, largest_difference(coarse, fine))
            check = problem(data, np.ones(len(data.group), bool), error)
            direct = dense_log_joint(check, 0.4, 0.5)
            dense = max(dense, abs(direct - log_joint(check, np.array([0.4]), np.array([0.5]))[0]))
            for row in fold_predictions(data, error, GRIDS[-1]):
                predictions.append({"cohort": cohort, "error": name} | row)
    made["largest_difference_between_grids"] = difference
    made["difference_from_dense_covariance"] = float(dense)
    here = Path(__file__).parent
    text = json.dumps(made, indent=1) + "\n"
    (here / "reference_cohort_tumours.json").write_text(text)
    write_predictions(here / "reference_cohort_tumours_predictions.csv", predictions)


if __name__ == "__main__":
    if "--export" in sys.argv:
        export(read(Path(sys.argv[1])), Path(sys.argv[3]))
    else:
        main(Path(sys.argv[1]))
