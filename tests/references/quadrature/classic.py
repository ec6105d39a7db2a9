"""Exact posteriors and leave-one-group-out densities of sleepstudy and Dyestuff.

Usage: python classic.py FOLDER        (FOLDER holds sleepstudy.csv and Dyestuff.csv)
Writes sleepstudy_random_intercept.json and dyestuff.json beside this file.
"""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import scipy
from exact import (
    Problem,
    dense_log_joint,
    largest_difference,
    log_evidence,
    log_joint,
    posterior,
    summarise,
)

GRIDS = (60, 90)


def columns(path: Path) -> dict[str, np.ndarray]:
    with path.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def sleepstudy(folder: Path) -> tuple[Problem, list[str], list[str], str]:
    data = columns(folder / "sleepstudy.csv")
    names, group = np.unique(data["Subject"], return_inverse=True)
    y, days = data["Reaction"].astype(float), data["Days"].astype(float)
    x = np.column_stack([np.ones_like(days), days])
    zero = np.zeros(len(y))
    problem = Problem(y, x, group, np.zeros(2), np.full(2, 500.0), 100.0, 100.0, zero, zero)
    model = "Reaction ~ N(b0 + b1 Days + u[Subject], sigma^2); b ~ N(0, 500^2)"
    return problem, ["Intercept", "Days"], list(names), model


def dyestuff(folder: Path) -> tuple[Problem, list[str], list[str], str]:
    data = columns(folder / "Dyestuff.csv")
    names, group = np.unique(data["Batch"], return_inverse=True)
    y = data["Yield"].astype(float)
    zero = np.zeros(len(y))
    problem = Problem(
        y, np.ones((len(y), 1)), group, np.zeros(1), np.array([2000.0]), 100.0, 100.0, zero, zero
    )
    return (
        problem,
        ["Intercept"],
        list(names),
        "Yield ~ N(b0 + u[Batch], sigma^2); b0 ~ N(0, 2000^2)",
    )


def results(problem: Problem, b_names: list[str], groups: list[str], k: int) -> dict:
    """Posterior, and log p(y_i | y_-i) as a ratio of two evidences."""
    out = summarise(posterior(problem, k), b_names, groups)
    out["leave_one_out"] = {}
    for i, name in enumerate(groups):
        keep = problem.group != i
        rest = problem.rows(keep)
        rest = Problem(**{**vars(rest), "group": np.unique(rest.group, return_inverse=True)[1]})
        out["leave_one_out"][name] = out["log_evidence"] - log_evidence(rest, k)
    out["leave_one_out_total"] = sum(out["leave_one_out"].values())
    return out


def main(folder: Path) -> None:
    cases = {"sleepstudy_random_intercept": sleepstudy, "dyestuff": dyestuff}
    for case, load in cases.items():
        problem, b_names, groups, model = load(folder)
        at = (0.7 * problem.y.std(), 0.6 * problem.y.std())
        check = abs(
            log_joint(problem, np.array([at[0]]), np.array([at[1]]))[0]
            - dense_log_joint(problem, *at)
        )
        coarse, fine = (results(problem, b_names, groups, k) for k in GRIDS)
        made = {
            "model": model,
            "priors": {"tau": "HalfNormal(100)", "sigma": "HalfNormal(100)"},
            "density_of": "the response as it stands in the table",
            "made_with": {"numpy": np.__version__, "scipy": scipy.__version__},
            "grids": list(GRIDS),
            "largest_difference_between_grids": largest_difference(coarse, fine),
            "difference_from_dense_covariance": check,
            "result": fine,
        }
        path = Path(__file__).with_name(f"{case}.json")
        path.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
