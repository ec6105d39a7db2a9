"""Coverage of 95 % highest-density intervals for new patients.

Cohorts of nine patients are fitted with the default priors; twenty new patients each are
predicted. Covariates come from the mechanism simulator. Three sources of the doses:

* ``prior``: parameters from the default priors, doses from the model: 0.95 is what must come out;
* five fixed settings of the parameters: no prior averages over them, so that coverage may differ;
* ``mechanism``: doses from kinetics, for which no regression is right.

Where the true parameters are known, the probability of the interval is computed in closed form
for every new site (``coverage``); true doses are drawn as well and counted (``counted``). The
standard error takes the cohort as the unit.
"""

import argparse
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from results_files import markdown, run_missing, write
from scipy.stats import norm
from truth import Truth, draw_effects, draw_log_dose, draw_truth

import bayesdose as bd
from bayesdose.dose import design
from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.fitting import fit_collapsed
from bayesdose.dose.predict import log_dose_draws
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Training
from bayesdose.evaluate import hdi

matplotlib.use("Agg")

RESULTS = Path(__file__).parent / "results"
FORMULAS = {
    "tumour": "log(suv_mean) + log(volume_ml)",
    "salivary_gland": "log(suv_mean)",
    "kidney": "log(suv_mean)",
}
N_PATIENTS, N_NEW = 9, 20
DRAWS, PROB = 4000, 0.95
SEED = 4052
COHORTS = {"prior": 1000, "setting": 100, "mechanism": 100}


@dataclass(frozen=True)
class Setting:
    """Fixed parameters by tissue in the order tumour, salivary gland, kidney."""

    meaning: str
    intercept: tuple[float, float, float]
    slopes: tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
    patient_sd: tuple[float, float, float]
    correlation: float
    residual_sd: tuple[float, float, float]


_CENTRE = (1.2, -0.9, -0.75)
_SLOPES = ((0.6, -0.1), (0.25,), (0.15,))
_TAU, _SIGMA = (0.5, 0.35, 0.25), (0.5, 0.15, 0.08)
SETTINGS = {
    "typical": Setting("spreads as published", _CENTRE, _SLOPES, _TAU, 0.3, _SIGMA),
    "alike": Setting("patients hardly differ", _CENTRE, _SLOPES, (0.05,) * 3, 0.0, _SIGMA),
    "apart": Setting("patients differ 2 prior scales", _CENTRE, _SLOPES, (1.0,) * 3, 0.3, _SIGMA),
    "bound": Setting("correlation 0.9 across tissues", _CENTRE, _SLOPES, _TAU, 0.9, _SIGMA),
    "elsewhere": Setting(
        "intercepts 2 prior sds low, slopes 2 prior sds",
        (-0.6, -2.1, -1.55),
        ((1.0, -1.0), (1.0,), (1.0,)),
        _TAU,
        0.3,
        _SIGMA,
    ),
}


def main() -> int:
    every = ["prior", *SETTINGS, "mechanism"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", choices=("all", "none", *every), default="all")
    parser.add_argument("--n", type=int, help="cohorts a source (default: 1000; others 100)")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for source in {"all": every, "none": []}.get(arguments.source, [arguments.source]):
        kind = "setting" if source in SETTINGS else source
        path = arguments.out / f"coverage_{source}.csv"
        n = arguments.n or COHORTS[kind]
        run_missing(path, n, partial(one, source), lines_each=len(FORMULAS))
    table = summarise(arguments.out, every)
    print(table.to_string(index=False))
    return 0 if table.loc[table["source"] == "prior", "within_0.01"].all() else 1


def one(source: str, number: int) -> list[dict[str, object]]:
    """One cohort: fit nine patients, predict twenty, look at the intervals of each tissue."""
    rng = np.random.default_rng([SEED, sum(map(ord, source)), number])
    seed = int(rng.integers(2**31))
    table = bd.simulate.dose_cohort(N_PATIENTS + N_NEW, random_seed=seed)
    patient = pd.factorize(table["patient_id"])[0]
    old, fresh = table[patient < N_PATIENTS], table[patient >= N_PATIENTS]
    encoding, rows = design.learn(old, ModelSpec(FORMULAS))
    new = encoding.rows(fresh)
    truth = None if source == "mechanism" else _truth(source, encoding, rng)
    if truth is None:
        log_dose = new.log_dose
    else:
        rows = replace(rows, log_dose=_doses(truth, rows, rng))
        log_dose = _doses(truth, new, rng)
    fitted = fit_collapsed(Training(old, encoding, rows, {}), DRAWS, seed, "auto", "cpu")
    draws = log_dose_draws(
        encoding, fitted.draws, new, kind="new_patient", target="true", measured={}, rng=rng
    )
    lower, upper = (np.log(end) for end in hdi(np.exp(draws), PROB))
    counted = (lower <= log_dose) & (log_dose <= upper)
    inside = counted.astype(float) * np.nan if truth is None else _mass(truth, new, lower, upper)
    return [
        {
            "cohort": number,
            "tissue": tissue,
            "coverage": inside[new.tissue == k].mean().round(6),
            "counted": counted[new.tissue == k].mean().round(6),
            "log_width": (upper - lower)[new.tissue == k].mean().round(4),
            "sampler": fitted.info["sampler"],
            "pareto_k": round(fitted.info.get("pareto_k", np.nan), 3),
        }
        for k, tissue in enumerate(encoding.tissues)
    ]


def _truth(source: str, encoding: Encoding, rng: np.random.Generator) -> Truth:
    order = list(encoding.tissues)
    if source == "prior":
        return draw_truth(order, [len(encoding.columns(k)) - 1 for k in range(len(order))], rng)
    setting = SETTINGS[source]
    place = [list(FORMULAS).index(tissue) for tissue in order]
    correlation = np.full((len(order), len(order)), setting.correlation)
    np.fill_diagonal(correlation, 1.0)
    beta = [[setting.intercept[k], *setting.slopes[k]] for k in place]
    return Truth(
        beta=np.concatenate(beta),
        patient_sd=np.array(setting.patient_sd)[place],
        patient_corr=correlation,
        residual_sd=np.array(setting.residual_sd)[place],
    )


def _doses(truth: Truth, rows: Rows, rng: np.random.Generator) -> np.ndarray:
    effects = draw_effects(truth, len(rows.patients), rng)
    y = draw_log_dose(truth, effects, rows.x, rows.patient, rows.tissue, rng)
    return y + rows.log_activity


def _mass(truth: Truth, new: Rows, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """True probability of each interval: a new patient's log dose is N(x'beta, tau² + sigma²)."""
    mean = new.x @ truth.beta + new.log_activity
    sd = np.hypot(truth.patient_sd, truth.residual_sd)[new.tissue]
    return norm.cdf(upper, mean, sd) - norm.cdf(lower, mean, sd)


def summarise(out: Path, sources: list[str]) -> pd.DataFrame:
    """Table and picture of every source that has been run."""
    lines = []
    for source in sources:
        path = out / f"coverage_{source}.csv"
        if path.exists():
            found = pd.read_csv(path)
            lines += [_line(source, found, tissue) for tissue in FORMULAS]
    table = pd.DataFrame(lines)
    write(out / "coverage_summary.csv", table.to_csv(index=False))
    write(out / "coverage_summary.md", markdown(table))
    _picture(table, out / "coverage.png")
    return table


def _line(source: str, found: pd.DataFrame, tissue: str) -> dict[str, object]:
    mine = found[found["tissue"] == tissue]
    best = mine["counted"] if mine["coverage"].isna().all() else mine["coverage"]
    return {
        "source": source,
        "meaning": SETTINGS[source].meaning if source in SETTINGS else "",
        "tissue": tissue,
        "cohorts": len(mine),
        "coverage": round(float(best.mean()), 4),
        "mc_error": round(float(best.std(ddof=1) / np.sqrt(len(best))), 4),
        "counted": round(float(mine["counted"].mean()), 4),
        "counted_mc_error": round(float(mine["counted"].std(ddof=1) / np.sqrt(len(mine))), 4),
        "cohorts_below_0.80": round(float((best < 0.80).mean()), 3),
        "fold_width": float(f"{np.exp(mine['log_width'].median()):.3g}"),
        "within_0.01": bool(abs(best.mean() - PROB) <= 0.01) if source == "prior" else None,
    }


def _picture(table: pd.DataFrame, path: Path) -> None:
    import matplotlib.pyplot as plt

    sources = list(dict.fromkeys(table["source"]))
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.axhspan(PROB - 0.01, PROB + 0.01, color="0.88", lw=0)
    axes.axhline(PROB, color="0.5", lw=0.8)
    for j, tissue in enumerate(FORMULAS):
        mine = table[table["tissue"] == tissue]
        place = np.array([sources.index(name) for name in mine["source"]]) + 0.2 * (j - 1)
        error = 2 * mine["mc_error"]
        axes.errorbar(place, mine["coverage"], error, fmt="o", label=tissue, capsize=2, ms=4)
    axes.set_xticks(range(len(sources)), sources)
    axes.set_ylabel("coverage of 95 % HDI, new patients")
    axes.set_title("Grey: 0.95 ± 0.01; bars: ± 2 Monte-Carlo errors, by cohort", fontsize=10)
    axes.legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
