"""Integrals of `PopulationKinetics` for new patients: coverage and errors, against formulas.

Each cohort: 20 patients with two to four tumours, two kidneys and two salivary glands are scanned
at 4, 24, 72 and 168 h, and fitted. Twelve new patients of that population are then integrated from
four scans, from two (24 h and 72, 120 or 168 h) and from one (24, 48, 72, 96, 120 or 168 h), all
times ± 10 %. Hänscheid's and Madsen's formulas see the same scans of the same regions, Madsen's
with the half-life learnt from the training patients and with the population's true one.

Truth and scans are NumPy alone, written out below; levels are log-normal. Three populations:

* ``prior``: parameters of every cohort drawn from the model's priors: 0.95 is what must come out.
  Where a region's scans differ by more than a factor of 1e9, which the model refuses, the cohort
  is drawn anew, or the new patient left out; seen in the data, this leaves the posterior right;
* ``typical``: one population as published: no prior averages over it;
* ``mechanism``: spreads of the package's simulator, each tissue its own patient effect, which the
  model does not know: it has one effect for all regions of a patient.

The standard error takes the cohort as the unit. A finished cohort is a file in ``--store``, so
that a run that was interrupted goes on where it stopped:

    python tests/benchmarks/kinetics.py --cohorts prior=24 typical=16 mechanism=8
    python tests/benchmarks/kinetics.py --quick  # one cohort of each, results in the store
"""

import argparse
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from results_files import markdown, write

from bayesdose import measure
from bayesdose.errors import MeasureError

RESULTS = Path(__file__).parent / "results"
TISSUES = ("kidney", "salivary_gland", "tumour")
N_TRAIN, N_NEW = 20, 12
FOUR = (4.0, 24.0, 72.0, 168.0)
TWO = ((24.0, 72.0), (24.0, 120.0), (24.0, 168.0))
ONE = (24.0, 48.0, 72.0, 96.0, 120.0, 168.0)
PHYSICAL_H = 159.528
WIDEST = 1e9
PROB, MARGIN = 0.95, 0.02
SEED = 1812


@dataclass(frozen=True)
class Population:
    """True parameters, by tissue in the order of `TISSUES`: means of log h, standard deviations.

    Parameters
    ----------
    half_life, half_life_sd, uptake, uptake_sd : numpy.ndarray of shape (3,)
    patient_sd : numpy.ndarray of shape (3,)
    shared : bool
        Whether the patient's effect is one for all tissues.
    noise : float
        Standard deviation of a log activity.
    """

    half_life: np.ndarray
    half_life_sd: np.ndarray
    uptake: np.ndarray
    uptake_sd: np.ndarray
    patient_sd: np.ndarray
    shared: bool
    noise: float


def from_prior(rng: np.random.Generator) -> Population:
    """The model's priors, written out once more."""
    return Population(
        half_life=rng.normal(np.log(45.0), 0.5, 3),
        half_life_sd=np.abs(rng.normal(0.0, 0.4, 3)),
        uptake=rng.normal(np.log(2.0), 1.0, 3),
        uptake_sd=np.abs(rng.normal(0.0, 0.5, 3)),
        patient_sd=np.full(3, abs(rng.normal(0.0, 0.3))),
        shared=True,
        noise=abs(rng.normal(0.0, 0.1)),
    )


def typical(rng: np.random.Generator) -> Population:
    """Published half-lives, uptake of one to three hours, scans of 5 %."""
    return Population(
        half_life=np.log([37.0, 30.0, 52.0]),
        half_life_sd=np.array([0.06, 0.06, 0.2]),
        uptake=np.log([1.0, 1.5, 3.0]),
        uptake_sd=np.array([0.3, 0.3, 0.4]),
        patient_sd=np.full(3, 0.15),
        shared=True,
        noise=0.05,
    )


def mechanism(rng: np.random.Generator) -> Population:
    """Half-lives and spreads of `bayesdose.simulate`; uptake at its plasma half-life of 1.3 h."""
    return Population(
        half_life=np.log([37.0, 29.0, 52.0]),
        half_life_sd=np.array([0.01, 0.03, 0.15]),
        uptake=np.log([1.3, 1.3, 1.3]),
        uptake_sd=np.array([0.25, 0.25, 0.25]),
        patient_sd=np.array([0.08, 0.18, 0.18]),
        shared=False,
        noise=0.05,
    )


SOURCES: dict[str, Callable[[np.random.Generator], Population]] = {
    "prior": from_prior,
    "typical": typical,
    "mechanism": mechanism,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", nargs="*", default=[], metavar="SOURCE=N")
    parser.add_argument("--quick", action="store_true", help="one cohort of each source")
    parser.add_argument("--store", type=Path, required=True, help="folder of finished cohorts")
    parser.add_argument("--out", type=Path, help="folder of the results")
    arguments = parser.parse_args()
    wanted = {name: int(n) for name, n in (text.split("=") for text in arguments.cohorts)}
    if arguments.quick:
        wanted = dict.fromkeys(SOURCES, 1)
    for source, n in wanted.items():
        run(source, n, arguments.store)
    found = {source: _read(source, arguments.store) for source in SOURCES}
    text, holds = summarise({source: rows for source, rows in found.items() if len(rows)})
    print(text)
    out = arguments.out or (arguments.store if arguments.quick else RESULTS)
    write(out / "kinetics_coverage.md", text)
    return 0 if holds else 1


def run(source: str, n: int, store: Path) -> None:
    """Fit and score the cohorts that are missing."""
    for number in range(n):
        path = store / f"{source}_{number:03d}.csv"
        if not path.exists():
            began = time.perf_counter()
            rows = one(source, number)
            write(path, rows.to_csv(index=False))
            print(f"{source} {number}: {time.perf_counter() - began:.0f} s", flush=True)


def one(source: str, number: int) -> pd.DataFrame:
    """One cohort: fit, and a row an integral."""
    rng = np.random.default_rng([SEED, list(SOURCES).index(source), number])
    refused = True
    while refused:
        population = SOURCES[source](rng)
        train, _ = simulate(population, N_TRAIN, FOUR, rng)
        refused = bool(_too_wide(train).any())
    new, truth = simulate(population, N_NEW, tuple(sorted({*FOUR, *ONE})), rng)
    model = measure.PopulationKinetics(decay_corrected=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of R-hat and divergences: both are written down
        model.fit(train, random_seed=number + 1, progress=False)
    place = new["patient_id"].str[1:].astype(int)
    schemes = {
        4: new["planned_h"].isin(FOUR),
        2: [t in TWO[i % len(TWO)] for t, i in zip(new["planned_h"], place, strict=True)],
        1: [t == ONE[i % len(ONE)] for t, i in zip(new["planned_h"], place, strict=True)],
    }
    rows = []
    for n_scans, kept in schemes.items():
        seen = new[kept]
        seen = seen[~seen["patient_id"].isin(seen.loc[_too_wide(seen), "patient_id"])]
        rows.append(_by_population(model, seen, truth, n_scans))
    rows += _by_formulas(new[new["planned_h"].isin(ONE)], truth, schemes[1], population, train)
    return pd.concat(rows).assign(
        cohort=number,
        noise=population.noise,
        r_hat=model.population_.r_hat,
        divergences=model.population_.divergences,
    )


def simulate(
    population: Population, n: int, times: tuple[float, ...], rng: np.random.Generator
) -> tuple[pd.DataFrame, pd.Series]:
    """Scans of n patients, and the true time-integrated activity of each region (MBq h)."""
    rows, truth = [], {}
    for i in range(n):
        at = np.array(times) * rng.uniform(0.9, 1.1, len(times))
        z = rng.standard_normal() if population.shared else rng.standard_normal(3)
        effect = population.patient_sd * z
        for k, tissue in enumerate(TISSUES):
            for j in range(int(rng.integers(2, 5)) if tissue == "tumour" else 2):
                patient, site = f"P{i}", f"{tissue}{j}"
                centre = population.half_life[k] + effect[k]
                slow = _clearance(rng.normal(centre, population.half_life_sd[k]))
                uptake = rng.normal(population.uptake[k], population.uptake_sd[k])
                fast = slow + np.log(2.0) * np.exp(-uptake)
                level = np.exp(rng.normal(3.0, 1.0))
                activity = level * (np.exp(-slow * at) - np.exp(-fast * at))
                activity *= np.exp(rng.normal(0.0, population.noise, len(at)))
                truth[patient, site] = level * (1 / slow - 1 / fast)
                rows += [
                    (patient, site, tissue, *scan) for scan in zip(times, at, activity, strict=True)
                ]
    names = ["patient_id", "site_id", "tissue", "planned_h", "time_h", "activity_mbq"]
    return pd.DataFrame(rows, columns=names), pd.Series(truth).rename_axis(names[:2])


def _too_wide(scans: pd.DataFrame) -> pd.Series:
    by_region = scans.groupby(["patient_id", "site_id"])["activity_mbq"]
    return by_region.transform("max") > WIDEST * by_region.transform("min")


def _clearance(log_half_life: float) -> float:
    """Effective rate (1/h), bent as the model's so that it stays above physical decay."""
    free, decay = np.log(2.0) * np.exp(-log_half_life), np.log(2.0) / PHYSICAL_H
    return float((free**8 + decay**8) ** (1 / 8))


def _by_population(
    model: measure.PopulationKinetics, new: pd.DataFrame, truth: pd.Series, n_scans: int
) -> pd.DataFrame:
    found = model.tia(new, prob=PROB).set_index(["patient_id", "site_id"])
    true = truth.loc[found.index]
    planned = new.groupby(["patient_id", "site_id"])["planned_h"].max().loc[found.index]
    return pd.DataFrame(
        {
            "method": f"population, {n_scans}",
            "planned_h": planned if n_scans < 4 else np.nan,
            "same_scan": n_scans == 1,
            "error": found["tia_mbq_h"] / true - 1,
            "covered": ((found["lower"] < true) & (true < found["upper"])).astype(float),
            "fold_width": found["upper"] / found["lower"],
        }
    ).reset_index()


def _by_formulas(
    new: pd.DataFrame,
    truth: pd.Series,
    single: list[bool],
    population: Population,
    train: pd.DataFrame,
) -> list[pd.DataFrame]:
    """Every formula at every scan; ``same_scan`` marks those that the population sees as well."""
    true_half_life = {
        tissue: np.log(2.0) / _clearance(mean)
        for tissue, mean in zip(TISSUES, population.half_life, strict=True)
    }
    half_lives = {"learnt": _learnt_half_life(train), "true": true_half_life}
    keys = pd.MultiIndex.from_frame(new[["patient_id", "site_id"]])
    true = truth.loc[keys].to_numpy()
    chosen = pd.Series(single).to_numpy()[new.index]
    found = {"Hänscheid": [_hanscheid(scan) for scan in new.itertuples()]}
    for name, half_life in half_lives.items():
        found[f"Madsen, {name}"] = [_madsen(scan, half_life) for scan in new.itertuples()]
    columns = new[["patient_id", "site_id", "planned_h"]]
    return [
        columns.assign(method=name, same_scan=chosen, error=np.array(tia) / true - 1)
        for name, tia in found.items()
    ]


def _hanscheid(scan: tuple) -> float:
    return measure.hanscheid(scan.time_h, scan.activity_mbq, decay_corrected=False).tia_mbq_h


def _madsen(scan: tuple, half_life: dict[str, float]) -> float:
    return measure.madsen(
        scan.time_h, scan.activity_mbq, half_life[scan.tissue], decay_corrected=False
    ).tia_mbq_h


def _learnt_half_life(train: pd.DataFrame) -> dict[str, float]:
    """Geometric mean over the training regions of each tissue, by curves of their own."""
    found: dict[str, list[float]] = {tissue: [] for tissue in TISSUES}
    for _, mine in train.groupby(["patient_id", "site_id"]):
        try:
            curve = measure.fit_time_activity(
                mine["time_h"], mine["activity_mbq"], decay_corrected=False
            )
        except MeasureError:  # rises at the end
            continue
        found[mine["tissue"].iloc[0]].append(np.log(curve.effective_half_life_h))
    return {tissue: float(np.exp(np.mean(values))) for tissue, values in found.items()}


def _read(source: str, store: Path) -> pd.DataFrame:
    paths = sorted(store.glob(f"{source}_*.csv"))
    return pd.concat([pd.read_csv(path) for path in paths]) if paths else pd.DataFrame()


def summarise(found: dict[str, pd.DataFrame]) -> tuple[str, bool]:
    """Two tables in Markdown, and whether all that is wanted holds."""
    coverage = pd.DataFrame(
        [_coverage(source, rows, n) for source, rows in found.items() for n in (4, 2, 1)]
    )
    methods = ("Hänscheid", "Madsen, learnt", "Madsen, true")
    formulas = pd.DataFrame(
        [_formula(source, rows, name) for source, rows in found.items() for name in methods]
    )
    holds = pd.concat([coverage["holds"], formulas["4 better"], formulas["2 better"]]).all()
    cohorts = ", ".join(f"{source} {rows['cohort'].nunique()}" for source, rows in found.items())
    fits = pd.concat([rows.drop_duplicates("cohort").assign(s=s) for s, rows in found.items()])
    text = f"""# Integrals of new patients by `PopulationKinetics`

Written by `tests/benchmarks/kinetics.py`, which states the populations. Cohorts: {cohorts}; each
{N_TRAIN} patients fitted with four scans, {N_NEW} new ones with four, two and one. Noise of a log
activity 0.05 (typical, mechanism), {_range(found)} in prior. ±: standard error
by cohort. R-hat above 1.05 in {int((fits["r_hat"] > 1.05).sum())} of {len(fits)} fits, more than
10 divergences of 2000 in {int((fits["divergences"] > 10).sum())}.

95 % intervals, wanted 0.95 ± 0.02:

{markdown(coverage)}
Formulas on the same regions. Median error at the formula's best scan time of 24 to 168 h, wanted
above those of four and of two scans; mean |log error| at the very scans that the population of one
scan sees, with the population's minus the formula's, wanted below 2 standard errors:

{markdown(formulas)}"""
    return text, bool(holds and formulas["1 not worse"].all())


def _range(found: dict[str, pd.DataFrame]) -> str:
    if "prior" not in found:
        return "none"
    noise = found["prior"].drop_duplicates("cohort")["noise"]
    return f"{noise.min():.3f} to {noise.max():.3f} (median {noise.median():.3f})"


def _coverage(source: str, rows: pd.DataFrame, n: int) -> dict[str, object]:
    mine = rows[rows["method"] == f"population, {n}"]
    mean, error = _by_cohort(mine, mine["covered"])
    return {
        "population": source,
        "scans": n,
        "regions": len(mine),
        "coverage": f"{mean:.3f} ± {error:.3f}",
        "median abs error %": f"{100 * mine['error'].abs().median():.2f}",
        "mean abs log error": f"{_log_error(mine).mean():.4f}",
        "fold width": f"{mine['fold_width'].median():.3f}",
        "holds": bool(abs(mean - PROB) <= MARGIN),
    }


def _formula(source: str, rows: pd.DataFrame, name: str) -> dict[str, object]:
    mine = rows[rows["method"] == name]
    at_time = mine["error"].abs().groupby(mine["planned_h"]).median()
    four, two, ours = (rows[rows["method"] == f"population, {n}"] for n in (4, 2, 1))
    same = mine[mine["same_scan"].astype(bool)]
    keys = ["cohort", "patient_id", "site_id"]
    pair = ours.merge(same, on=keys, suffixes=("", "_formula"), validate="one_to_one")
    theirs = np.log1p(pair["error_formula"]).abs()
    difference, error = _by_cohort(pair, _log_error(pair) - theirs)
    return {
        "population": source,
        "formula": name,
        "best at h": f"{at_time.idxmin():g}",
        "median abs error %": f"{100 * at_time.min():.2f}",
        "4 better": bool(four["error"].abs().median() < at_time.min()),
        "2 better": bool(two["error"].abs().median() < at_time.min()),
        "mean abs log error": f"{theirs.mean():.4f}",
        "population minus formula": f"{difference:+.4f} ± {error:.4f}",
        "1 not worse": bool(difference <= 2 * error),
    }


def _log_error(rows: pd.DataFrame) -> pd.Series:
    return np.log1p(rows["error"]).abs()


def _by_cohort(rows: pd.DataFrame, values: pd.Series) -> tuple[float, float]:
    """Mean, and its standard error with the cohort as the unit."""
    means = values.groupby(rows["cohort"]).mean()
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


if __name__ == "__main__":
    sys.exit(main())
