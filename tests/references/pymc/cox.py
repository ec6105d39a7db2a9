"""Posteriors of Cox models by PyMC, with densities written out plainly.

    python cox.py FOLDER > cox.json

FOLDER holds survival_classics. Risk sets are dense tables of who is at risk at which time, ties are
spelt out event by event, and the piecewise hazard is summed interval by interval: slow, and nothing
of it is shared with the package. Figures are written, no rows.
"""

import json
import sys
from pathlib import Path

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm
import pytensor.tensor as pt

SETTINGS = {"draws": 5000, "tune": 2000, "chains": 4, "random_seed": 7, "target_accept": 0.95}


def standardised(table: pd.DataFrame) -> np.ndarray:
    return ((table - table.mean()) / table.std(ddof=1)).to_numpy(float)


def partial(eta: pt.TensorVariable, time: np.ndarray, event: np.ndarray, ties: str) -> object:
    total = 0.0
    for t in np.unique(time[event]):
        who = np.flatnonzero(event & (time == t))
        at_risk, tied = pt.exp(eta[np.flatnonzero(time >= t)]).sum(), pt.exp(eta[who]).sum()
        for k in range(who.size):
            share = k / who.size if ties == "efron" else 0.0
            total += eta[who[k]] - pt.log(at_risk - share * tied)
    return total


def figures(trace: az.InferenceData, names: list[str]) -> dict[str, list]:
    out = {}
    for name in names:
        draws = trace["posterior"][name].values
        draws = draws.reshape(*draws.shape[:2], -1)
        out[name] = [
            {
                "mean": float(one.mean()),
                "sd": float(one.std(ddof=1)),
                "mcse_mean": float(az.mcse(one, method="mean")),
                "mcse_sd": float(az.mcse(one, method="sd")),
                "r_hat": float(az.rhat(one)),
            }
            for one in np.moveaxis(draws, -1, 0)
        ]
    return out


def main() -> None:
    folder = Path(sys.argv[1]) / "survival_classics"
    veteran = pd.read_csv(folder / "veteran.csv")
    lung = pd.read_csv(folder / "lung.csv")
    lung = lung.dropna(subset=["age", "sex", "ph.ecog", "inst"])
    names = ["trt", "karno", "diagtime", "age", "prior"]
    x, time = standardised(veteran[names]), veteran["time"].to_numpy(float)
    event = veteran["status"].to_numpy(bool)
    out = {}
    for ties in ("efron", "breslow"):
        with pm.Model():
            beta = pm.Normal("beta", 0, 0.5, shape=5)
            pm.Potential("partial", partial(pt.dot(x, beta), time, event, ties))
            trace = pm.sample(**SETTINGS, progressbar=False)
        out[f"veteran {ties}"] = figures(trace, ["beta"])
    z = standardised(lung[["age", "ph.ecog"]])
    centre = pd.factorize(lung["inst"], sort=True)[0]
    with pm.Model():
        beta = pm.Normal("beta", 0, 0.5, shape=2)
        sd = pm.HalfNormal("frailty_sd", 0.5)
        effect = sd * pm.Normal("z", 0, 1, shape=int(centre.max()) + 1)
        eta = pt.dot(z, beta) + effect[centre]
        pm.Potential(
            "partial",
            partial(eta, lung["time"].to_numpy(float), lung["status"].eq(1).to_numpy(), "efron"),
        )
        trace = pm.sample(**SETTINGS, progressbar=False)
    out["lung frailty"] = figures(trace, ["beta", "frailty_sd"])
    cuts = np.concatenate([[0.0], np.quantile(time[event], [0.25, 0.5, 0.75]), [time.max()]])
    exposure = np.clip(np.minimum(time[:, None], cuts[1:]) - cuts[:-1], 0, None)
    piece = np.clip(np.searchsorted(cuts, time, side="left") - 1, 0, 3)
    with pm.Model():
        beta = pm.Normal("beta", 0, 0.5, shape=5)
        level = pm.Normal("log_total_hazard", 0, 2)
        weights = pm.Dirichlet("baseline_weights", np.ones(4))
        rate = pt.exp(level) * weights / np.diff(cuts)
        eta = pt.dot(x, beta)
        each = event * (pt.log(rate[piece]) + eta) - pt.dot(exposure, rate) * pt.exp(eta)
        pm.Potential("full", each.sum())
        trace = pm.sample(**SETTINGS, progressbar=False)
    out["veteran piecewise"] = figures(trace, ["beta", "log_total_hazard", "baseline_weights"])
    print(json.dumps(out, indent=1))


if __name__ == "__main__":
    main()
