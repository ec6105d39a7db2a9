"""Time fit plus leave-one-patient-out: this package against PyMC with nutpie (`make bench`).

The 57 tumours of the reference cohort, log SUVmean and log volume, the same priors, the same
standardisation, learnt again in every fold:

(a) bayesdose, collapsed engine;
(b) nutpie compiled once and fed each fold's rows;
(c) PyMC called for each fold as users write it: a new model, `pm.sample()` with its defaults.

Each gives 4000 posterior draws of the whole table and the joint log predictive density of every
patient given the others, checked against exact quadrature. All in this process, one after the
other, three times; every figure is the median of three. Results become NumPy arrays inside the
timed part, which is what synchronises JAX.
"""

import argparse
import json
import os
import platform
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import nutpie
import pandas as pd
import plain_pymc
import pymc as pm
from results_files import write

import bayesdose as bd
from bayesdose.dose.pymc_engine.convergence import log_mean_exp

HERE = Path(__file__).parent
EXACT = HERE.parent / "references" / "quadrature" / "reference_cohort_tumours.json"
COLUMNS = ("suv_mean", "volume_ml")
CHAINS, PER_CHAIN = 4, 1000
REPEATS = 3
WANTED = {"b": 3.0, "c": 20.0}
NAMES = {
    "a": "bayesdose, collapsed engine",
    "b": "nutpie, compiled once, fed each fold's rows",
    "c": "PyMC called for each fold, default settings",
}


@dataclass(frozen=True)
class Timed:
    """Times in seconds, and patient → (elpd in 1/Gy, Monte-Carlo standard error)."""

    compile_s: float
    run_s: float
    elpd: dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Fold:
    """Rows trained on, rows held out, standardised with the former; patient "" holds out none."""

    patient: str
    x: np.ndarray
    who: np.ndarray
    y: np.ndarray
    x_held: np.ndarray
    y_held: np.ndarray
    log_dose_held: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--out", type=Path, default=HERE / "results" / "bench.md")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # PyMC's remarks on linking and on chains run one by one
    sites = bd.datasets.load_reference_cohort()
    sites = sites[sites["tissue"] == "tumour"]
    compiled, compile_b = _compile(sites)
    arms: dict[str, Callable[[int], Timed]] = {
        "a": lambda seed: with_bayesdose(sites, seed),
        "b": lambda seed: with_nutpie(sites, compiled, seed),
        "c": lambda seed: with_pymc(sites, seed),
    }
    runs: dict[str, list[Timed]] = {arm: [] for arm in arms}
    cold = {}
    for arm, run in arms.items():
        print(f"first run of {NAMES[arm]}", flush=True)
        cold[arm] = run(0)
    for seed in range(1, arguments.repeats + 1):
        for arm, run in arms.items():
            runs[arm].append(run(seed))
            print(f"({arm}) run {seed}: {_total(runs[arm][-1]):.2f} s", flush=True)
    text, passed = report(runs, cold, compile_b, sites)
    print(text)
    write(arguments.out, text)
    return 0 if passed else 1


def with_bayesdose(sites: pd.DataFrame, seed: int) -> Timed:
    """Arm a; compilation is what the first call takes longer than the others."""
    priors = bd.Priors(
        intercept=bd.Normal(1.2, 0.9),
        slope=bd.Normal(0, 0.5),
        patient_sd=bd.HalfNormal(0.5),
        residual_sd=bd.HalfNormal(0.8),
    )
    begin = time.perf_counter()
    model = bd.DoseModel("log(suv_mean) + log(volume_ml)", priors=priors)
    model.fit(sites, draws=CHAINS * PER_CHAIN, random_seed=seed)
    table = model.leave_one_patient_out().patients
    found = dict(zip(table.index, zip(table["elpd"], table["mcse"], strict=True), strict=True))
    return Timed(0.0, time.perf_counter() - begin, found)


def with_nutpie(sites: pd.DataFrame, compiled: object, seed: int) -> Timed:
    """Arm b; nutpie's own defaults but for the number of draws."""
    begin = time.perf_counter()
    densities = {}
    for number, fold in enumerate(folds(sites)):
        tree = nutpie.sample(
            compiled.with_data(x=fold.x, patient=fold.who, y=fold.y),
            draws=PER_CHAIN,
            chains=CHAINS,
            seed=1000 * seed + number,
            progress_bar=False,
            save_warmup=False,
        )
        if fold.patient:
            densities[fold.patient] = plain_pymc.log_density(tree, fold.x_held, fold.y_held)
    return Timed(0.0, time.perf_counter() - begin, _elpd(sites, densities))


def with_pymc(sites: pd.DataFrame, seed: int) -> Timed:
    """Arm c; PyMC says how long it sampled, the rest is building and compiling."""
    begin, sampling = time.perf_counter(), 0.0
    densities = {}
    n_patients = sites["patient_id"].nunique()
    for number, fold in enumerate(folds(sites)):
        with plain_pymc.build_model(fold.x, fold.who, fold.y, n_patients):
            tree = pm.sample(random_seed=1000 * seed + number, progressbar=False, quiet=True)
        sampling += float(tree["posterior"].attrs["sampling_time"])
        if fold.patient:
            densities[fold.patient] = plain_pymc.log_density(tree, fold.x_held, fold.y_held)
    total = time.perf_counter() - begin
    return Timed(total - sampling, sampling, _elpd(sites, densities))


def folds(sites: pd.DataFrame) -> Iterator[Fold]:
    """The whole table, then the table without each patient."""
    raw = np.log(sites[list(COLUMNS)].to_numpy())
    log_dose = np.log(sites["absorbed_dose_gy"].to_numpy())
    y = log_dose - np.log(sites["administered_activity_gbq"].to_numpy())
    who, labels = pd.factorize(sites["patient_id"])
    for code, patient in enumerate(["", *labels], start=-1):
        kept = who != code
        x = (raw - raw[kept].mean(0)) / raw[kept].std(0, ddof=1)
        held = ~kept
        yield Fold(
            patient, x[kept], who[kept], y[kept], x[held], y[held], float(log_dose[held].sum())
        )


def report(
    runs: dict[str, list[Timed]],
    cold: dict[str, Timed],
    compile_b: float,
    sites: pd.DataFrame,
) -> tuple[str, bool]:
    """Markdown of the result, and whether speed and agreement are what they should be."""
    typical = {arm: float(np.median([_total(run) for run in runs[arm]])) for arm in runs}
    sampling = {arm: float(np.median([run.run_s for run in runs[arm]])) for arm in runs}
    first = {
        "a": _total(cold["a"]) - typical["a"],
        "b": compile_b,
        "c": float(np.median([run.compile_s for run in runs["c"]])),
    }
    lines = [
        "# Fit and leave one patient out: 57 tumours of 9 patients",
        "",
        f"{_machine()}; {_versions()}. Median of {len(runs['a'])}, warm.",
        "",
        "| | seconds, warm | of which compiling | compiling, once | bayesdose is faster by |",
        "|---|---|---|---|---|",
    ]
    ratios = {arm: typical[arm] / typical["a"] for arm in WANTED}
    for arm in runs:
        inside = typical[arm] - sampling[arm]
        once = "in every fold" if arm == "c" else f"{first[arm]:.1f}"
        ratio = f"{ratios[arm]:.1f} (wanted: {WANTED[arm]:.0f})" if arm in ratios else ""
        lines.append(
            f"| ({arm}) {NAMES[arm]} | {typical[arm]:.2f} | {inside:.1f} | {once} | {ratio} |"
        )
    agreement, agree = _agreement(runs, sites)
    lines += ["", *agreement]
    passed = agree and all(ratios[arm] >= wanted for arm, wanted in WANTED.items())
    return "\n".join(lines) + "\n", passed


def _agreement(runs: dict[str, list[Timed]], sites: pd.DataFrame) -> tuple[list[str], bool]:
    """Joint elpd of each patient in the last run beside the exact one."""
    truth = json.loads(EXACT.read_text())["as_measured"]["without_error"]
    exact = truth["leave_one_out_relearned"]["log_density_gy"]
    last = {arm: runs[arm][-1].elpd for arm in runs}
    lines = [
        "Joint log predictive density of each patient's doses (1/Gy a site) given the other",
        "patients, with its Monte-Carlo standard error; exact: quadrature.",
        "",
        "| patient | exact | (a) | (b) | (c) |",
        "|---|---|---|---|---|",
    ]
    worst = 0.0
    for patient in last["a"]:
        cells = []
        for arm in last:
            value, error = last[arm][patient]
            # half a unit of the last digit of the exact values is far below any of these errors
            worst = max(worst, abs(value - exact[patient]) / error)
            cells.append(f"{value:.3f} ± {error:.3f}")
        lines.append(f"| {patient} | {exact[patient]:.3f} | {' | '.join(cells)} |")
    sums = [sum(value for value, _ in last[arm].values()) for arm in last]
    total = sum(exact[patient] for patient in last["a"])
    lines.append(f"| sum | {total:.3f} | {' | '.join(f'{value:.3f}' for value in sums)} |")
    lines += ["", f"Largest difference from exact: {worst:.1f} standard errors (wanted: below 4)."]
    return lines, worst < 4


def _elpd(sites: pd.DataFrame, densities: dict[str, np.ndarray]) -> dict[str, tuple[float, float]]:
    log_dose = np.log(sites["absorbed_dose_gy"]).groupby(sites["patient_id"]).sum()
    out = {}
    for patient, values in densities.items():
        value, error = log_mean_exp(values, CHAINS)
        out[patient] = value - float(log_dose[patient]), error
    return out


def _compile(sites: pd.DataFrame) -> tuple[object, float]:
    whole = next(folds(sites))
    begin = time.perf_counter()
    model = plain_pymc.build_model(whole.x, whole.who, whole.y, sites["patient_id"].nunique())
    return nutpie.compile_pymc_model(model), time.perf_counter() - begin


def _total(run: Timed) -> float:
    return run.compile_s + run.run_s


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def _versions() -> str:
    return ", ".join(f"{name} {version(name)}" for name in ("jax", "pymc", "nutpie", "numpy"))


if __name__ == "__main__":
    sys.exit(main())
