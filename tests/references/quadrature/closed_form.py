"""Every Gaussian quantity of the dose model at fixed hyperparameters, by dense matrices.

All rows (measured and new) get one joint normal distribution, written from the model's
definition entry by entry; what is asked for follows by the conditioning formula. For rows a, b
with log dose per activity (k: tissue, z: patient-effect design, x: fixed design)

    cov(a, b) = x_a' diag(b_sd^2) x_b                              coefficients
              + [same patient] z_a' Sigma z_b                      patient effects u
              + [same patient, cycle, tissue] omega_k^2            patient-by-cycle effect w
              + [same patient, site] kappa_k^2                     site effect v
              + [same row] sigma_k^2                               residual e
    measured: + [same row] log(1 + cv^2)                           own error m
              + [same patient, cycle] log(1 + cv_shared^2)         shared error s

Usage: python closed_form.py      (writes closed_form.json beside this file)
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import scipy
from scipy.stats import multivariate_normal

ACTIVITY_GBQ = {
    "p1": {1: 7.4, 2: 6.9},
    "p2": {1: 7.1, 2: 6.8},
    "p3": {1: 7.6, 2: 7.2},
    "p4": {1: 7.0, 2: 6.4},
}

# patient, site, cycle, tissue, covariates (x1, x2), dose in Gy, cv, cv_shared
ONE_TISSUE = {
    "x_columns": ["Intercept", "x1", "cycle_2"],
    "z_columns": ["Intercept", "x1"],
    "b_mean": [1.2, 0.0, 0.0],
    "b_sd": [0.9, 0.5, 0.5],
    "patient_sd": [0.45, 0.30],
    "patient_corr": [[1.0, -0.35], [-0.35, 1.0]],
    "residual_sd": {"tumour": 0.40},
    "site_sd": {"tumour": 0.25},
    "cycle_sd": {"tumour": 0.15},
    "rows": [
        ("p1", "s1", 1, "tumour", 0.8, 21.0, 0.20, 0.05),
        ("p1", "s1", 2, "tumour", 0.6, 14.5, 0.25, 0.06),
        ("p1", "s2", 1, "tumour", -0.4, 9.2, 0.15, 0.05),
        ("p2", "s1", 1, "tumour", 1.3, 33.0, 0.30, 0.08),
        ("p2", "s2", 1, "tumour", -1.1, 2.7, 0.10, 0.08),
        ("p3", "s1", 1, "tumour", 0.1, 6.4, 0.22, 0.04),
        ("p3", "s1", 2, "tumour", -0.2, 4.1, 0.18, 0.07),
    ],
    "new_rows_known_patient": [  # a new site, a measured site and both again in known cycles
        ("p1", "s3", 1, "tumour", 0.5, None, 0.20, 0.05),
        ("p1", "s2", 2, "tumour", -0.5, None, 0.20, 0.06),
        ("p1", "s3", 2, "tumour", 0.3, None, 0.30, 0.06),
    ],
    "given_rows_new_patient": [
        ("p4", "s1", 1, "tumour", 0.9, 12.0, 0.20, 0.05),
        ("p4", "s2", 1, "tumour", -0.7, 8.0, 0.25, 0.05),
    ],
    "new_rows_new_patient": [
        ("p4", "s3", 1, "tumour", 0.2, None, 0.20, 0.05),
        ("p4", "s1", 2, "tumour", 0.7, None, 0.20, 0.10),
        ("p4", "s4", 2, "tumour", -1.4, None, 0.15, 0.10),
    ],
}

TWO_TISSUES = {
    "x_columns": [
        "tumour:Intercept",
        "tumour:x1",
        "tumour:cycle_2",
        "kidney:Intercept",
        "kidney:x1",
        "kidney:cycle_2",
    ],
    "z_columns": ["tumour:Intercept", "tumour:x1", "kidney:Intercept"],
    "b_mean": [1.2, 0.0, 0.0, -0.6, 0.0, 0.0],
    "b_sd": [0.9, 0.5, 0.5, 0.4, 0.5, 0.5],
    "patient_sd": [0.45, 0.30, 0.25],
    "patient_corr": [[1.0, -0.35, 0.4], [-0.35, 1.0, 0.1], [0.4, 0.1, 1.0]],
    "residual_sd": {"tumour": 0.40, "kidney": 0.12},
    "site_sd": {"tumour": 0.25, "kidney": 0.08},
    "cycle_sd": {"tumour": 0.15, "kidney": 0.10},
    "rows": [
        ("p1", "s1", 1, "tumour", 0.8, 21.0, 0.20, 0.05),
        ("p1", "s1", 2, "tumour", 0.6, 14.5, 0.25, 0.06),
        ("p1", "k1", 1, "kidney", 0.5, 4.4, 0.12, 0.05),
        ("p1", "k2", 1, "kidney", 0.4, 4.1, 0.13, 0.05),
        ("p1", "k1", 2, "kidney", 0.3, 3.9, 0.12, 0.06),
        ("p2", "s1", 1, "tumour", 1.3, 33.0, 0.30, 0.08),
        ("p2", "k1", 1, "kidney", -0.9, 2.6, 0.15, 0.08),
        ("p3", "k1", 1, "kidney", 0.2, 3.5, 0.10, 0.04),
        ("p3", "k2", 2, "kidney", -0.1, 3.2, 0.11, 0.07),
    ],
    "new_rows_known_patient": [
        ("p2", "s2", 1, "tumour", -0.5, None, 0.20, 0.08),
        ("p2", "k1", 2, "kidney", -0.8, None, 0.12, 0.06),
        ("p2", "k2", 1, "kidney", -1.0, None, 0.12, 0.08),
    ],
    "given_rows_new_patient": [
        ("p4", "s1", 1, "tumour", 0.9, 12.0, 0.20, 0.05),
        ("p4", "k1", 1, "kidney", -0.7, 3.0, 0.14, 0.05),
    ],
    "new_rows_new_patient": [
        ("p4", "s2", 1, "tumour", 0.2, None, 0.20, 0.05),
        ("p4", "k1", 2, "kidney", -0.6, None, 0.12, 0.10),
        ("p4", "k2", 1, "kidney", -0.9, None, 0.12, 0.05),
    ],
}
FIELDS = ("patient_id", "site_id", "cycle", "tissue", "x1", "absorbed_dose_gy")
FIELDS += ("absorbed_dose_cv", "absorbed_dose_cv_shared")


def as_rows(raw: list[tuple]) -> list[dict]:
    rows = [dict(zip(FIELDS, values, strict=True)) for values in raw]
    for row in rows:
        row["administered_activity_gbq"] = ACTIVITY_GBQ[row["patient_id"]][row["cycle"]]
    return rows


def column(row: dict, name: str) -> float:
    """Value of a design column such as "x1" or, for one tissue only, "tumour:x1"."""
    tissue, _, name = name.rpartition(":")
    if tissue and tissue != row["tissue"]:
        return 0.0
    return {"Intercept": 1.0, "x1": row["x1"], "cycle_2": float(row["cycle"] == 2)}[name]


def design(rows: list[dict], names: list[str]) -> np.ndarray:
    return np.array([[column(row, name) for name in names] for row in rows])


def log_ratio(rows: list[dict]) -> np.ndarray:
    return np.log([r["absorbed_dose_gy"] / r["administered_activity_gbq"] for r in rows])


def u_covariance(case: dict) -> np.ndarray:
    sd = np.array(case["patient_sd"])
    return np.outer(sd, sd) * np.array(case["patient_corr"])


def covariance(case: dict, rows: list[dict], measured: list[bool]) -> np.ndarray:
    """(n, n) covariance of all rows; `measured` says which rows carry measurement error."""
    n = len(rows)
    x, z = design(rows, case["x_columns"]), design(rows, case["z_columns"])
    b_cov, u_cov = np.diag(np.square(case["b_sd"])), u_covariance(case)
    out = np.zeros((n, n))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            k = a["tissue"]
            out[i, j] = x[i] @ b_cov @ x[j]
            if a["patient_id"] != b["patient_id"]:
                continue
            out[i, j] += z[i] @ u_cov @ z[j]
            same_cycle = a["cycle"] == b["cycle"]
            if same_cycle and k == b["tissue"]:
                out[i, j] += case["cycle_sd"][k] ** 2
            if a["site_id"] == b["site_id"]:
                out[i, j] += case["site_sd"][k] ** 2
            if i == j:
                out[i, j] += case["residual_sd"][k] ** 2
            if measured[i] and measured[j]:
                if i == j:
                    out[i, j] += np.log1p(a["absorbed_dose_cv"] ** 2)
                if same_cycle:
                    out[i, j] += np.log1p(a["absorbed_dose_cv_shared"] ** 2)
    return out


def conditioned(case: dict, seen: list[dict], new: list[dict], measured_new: bool):
    """Mean and covariance of the new rows' log dose per activity given the seen rows."""
    rows = seen + new
    n = len(seen)
    cov = covariance(case, rows, [True] * n + [measured_new] * len(new))
    mean = design(rows, case["x_columns"]) @ case["b_mean"]
    gain = np.linalg.solve(cov[:n, :n], cov[:n, n:]).T
    return (
        mean[n:] + gain @ (log_ratio(seen) - mean[:n]),
        cov[n:, n:] - gain @ cov[:n, n:],
    )


def log_density(case: dict, rows: list[dict], given: list[dict]) -> float:
    """Joint log density of the rows' measured log dose per activity, given other rows."""
    if not given:
        cov = covariance(case, rows, [True] * len(rows))
        return float(
            multivariate_normal.logpdf(
                log_ratio(rows), design(rows, case["x_columns"]) @ case["b_mean"], cov
            )
        )
    return float(multivariate_normal.logpdf(log_ratio(rows), *conditioned(case, given, rows, True)))


def solve(case: dict) -> dict:
    rows = as_rows(case["rows"])
    patients = sorted({row["patient_id"] for row in rows})
    x, z = design(rows, case["x_columns"]), design(rows, case["z_columns"])
    y = log_ratio(rows)
    b_mean, b_cov = np.array(case["b_mean"]), np.diag(np.square(case["b_sd"]))
    cov = covariance(case, rows, [True] * len(rows))
    weight = np.linalg.inv(cov)
    innovation = weight @ (y - x @ b_mean)
    b_gain = b_cov @ x.T
    out = {
        "beta": {
            "mean": b_mean + b_gain @ innovation,
            "covariance": b_cov - b_gain @ weight @ b_gain.T,
        },
        "u": {},
        "log_marginal_likelihood": log_density(case, rows, []),
        "leave_one_patient_out": {},
    }
    out["log_marginal_likelihood_gy"] = out["log_marginal_likelihood"] - log_dose_sum(rows)
    for patient in patients:
        own = np.array([row["patient_id"] == patient for row in rows])
        u_gain = u_covariance(case) @ (z * own[:, None]).T
        out["u"][patient] = {
            "mean": u_gain @ innovation,
            "covariance": u_covariance(case) - u_gain @ weight @ u_gain.T,
            "covariance_with_beta": -u_gain @ weight @ b_gain.T,
        }
        held = [row for row in rows if row["patient_id"] == patient]
        rest = [row for row in rows if row["patient_id"] != patient]
        density = log_density(case, held, rest)
        out["leave_one_patient_out"][patient] = {
            "log_density": density,
            "log_density_gy": density - log_dose_sum(held),
        }
    known, given, new = (
        as_rows(case[name])
        for name in ("new_rows_known_patient", "given_rows_new_patient", "new_rows_new_patient")
    )
    out["known_patient"] = both_targets(case, rows, known)
    out["new_patient"] = both_targets(case, rows, new)
    out["new_patient_given"] = both_targets(case, rows + given, new)
    density = log_density(case, given, rows)
    out["given_rows_log_density"] = density
    out["given_rows_log_density_gy"] = density - log_dose_sum(given)
    return out


def both_targets(case: dict, seen: list[dict], new: list[dict]) -> dict:
    targets = {"true": False, "measured": True}
    out = {}
    for target, with_error in targets.items():
        mean, cov = conditioned(case, seen, new, with_error)
        out[target] = {"mean": mean, "covariance": cov}
    return out


def log_dose_sum(rows: list[dict]) -> float:
    return float(np.log([row["absorbed_dose_gy"] for row in rows]).sum())


def inputs(case: dict) -> dict:
    """Everything a test needs: the rows, and the designs, theta and measurement variances."""
    tables = {name: as_rows(value) for name, value in case.items() if "rows" in name}
    theta = {
        k: case[k] for k in ("patient_sd", "patient_corr", "residual_sd", "site_sd", "cycle_sd")
    }
    prior = {"mean": case["b_mean"], "sd": case["b_sd"]}
    designs = {}
    for name, rows in tables.items():
        designs[name] = {
            "X": design(rows, case["x_columns"]),
            "Z": design(rows, case["z_columns"]),
            "own_var": np.log1p([r["absorbed_dose_cv"] ** 2 for r in rows]),
            "shared_var": np.log1p([r["absorbed_dose_cv_shared"] ** 2 for r in rows]),
        }
        if all(r["absorbed_dose_gy"] is not None for r in rows):
            designs[name]["y"] = log_ratio(rows)
    rows = tables["rows"]
    designs["rows"]["V_conditional_on_beta"] = covariance(
        case | {"b_sd": [0.0] * len(case["b_sd"])}, rows, [True] * len(rows)
    )
    return {
        "x_columns": case["x_columns"],
        "z_columns": case["z_columns"],
        "beta_prior": prior,
        "theta": theta,
        "tables": tables,
        "designs": designs,
    }


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def main() -> None:
    out = {
        "scale": "log(dose in Gy / activity in GBq); names ending in _gy: density of the dose",
        "made_with": {"numpy": np.__version__, "scipy": scipy.__version__},
    }
    for name, case in {"one_tissue": ONE_TISSUE, "two_tissues": TWO_TISSUES}.items():
        out[name] = plain({"inputs": inputs(case), "result": solve(case)})
    Path(__file__).with_name("closed_form.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
