"""Cross-validation where there is nothing to find: how often do the intervals hold 0.5?

Outcomes are drawn without regard to the features. For every pipeline and scheme the share of 95 %
intervals that hold 0.5 must be at least 0.90, by the correlation of folds that `summary` takes
and, for comparison, by Nadeau and Bengio's own. Intervals that are not given count as failing.

That the simulation can fail is shown by what must not hold 0.5: selection outside the fold, rows of
a patient on both sides, pooled predictions, Harrell's bootstrap. With signal, the mean score of the
pipeline on other patients must be held.
"""

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from results_files import markdown, write
from scipy import special
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, LeaveOneOut, cross_val_predict
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sksurv.linear_model import CoxnetSurvivalAnalysis, CoxPHSurvivalAnalysis
from sksurv.util import Surv

from bayesdose.evaluate._pipelines import area
from bayesdose.evaluate.cross_validation import CrossValidation, cross_validate
from bayesdose.evaluate.optimism import optimism_corrected

RESULTS = Path(__file__).parent / "results"
SEED = 71203
N, N_FEATURES, N_PATIENTS = 60, 20, 40
SIMULATIONS, FEWER = 500, 200

PIPELINES: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "best 3 features, logistic": (
        make_pipeline(StandardScaler(), SelectKBest(f_classif, k=3), LogisticRegression()),
        {"selectkbest__k": [2, 8]},
    ),
    "naive Bayes": (GaussianNB(), {"var_smoothing": [1e-9, 1.0]}),
    "5 neighbours": (
        make_pipeline(StandardScaler(), KNeighborsClassifier(5)),
        {"kneighborsclassifier__n_neighbors": [3, 9]},
    ),
    "Cox, ridge": (
        make_pipeline(StandardScaler(), CoxPHSurvivalAnalysis(alpha=1.0)),
        {"coxphsurvivalanalysis__alpha": [0.1, 10.0]},
    ),
    "Cox, elastic net": (
        make_pipeline(StandardScaler(), CoxnetSurvivalAnalysis(l1_ratio=0.2, alphas=[0.1])),
        {"coxnetsurvivalanalysis__alphas": [[0.1], [0.4]]},
    ),
}
SCHEMES: dict[str, dict[str, Any]] = {
    "5 folds, 4 times": {"n_repeats": 4},
    "5 folds, 10 times": {"n_repeats": 10},
    "3 folds": {"n_folds": 3, "n_repeats": 1},
    "5 folds, not stratified": {},
    "3 folds, tuned in 2": {"n_folds": 3, "n_repeats": 1, "inner_folds": 2},
    "5 folds of patients with 1 to 4 rows": {"n_repeats": 1},
}
# The default is ten times; it takes a quarter of an hour for those that are not the quickest.
TEN_TIMES = ("naive Bayes",)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=SIMULATIONS, help="simulations of each cell")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    began = time.perf_counter()
    partial = arguments.out / "no_signal.partial.jsonl"
    lines = _read(partial)
    done = {(line["pipeline"], line["scheme"]) for line in lines}
    for pipeline in PIPELINES:
        for scheme in SCHEMES:
            if "10 times" in scheme and pipeline not in TEN_TIMES:
                continue
            if (pipeline, scheme) in done:
                continue
            cell = _cell(pipeline, scheme, arguments.n, arguments.jobs)
            with partial.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in cell)
            lines += cell
            print(f"{time.perf_counter() - began:.0f} s: {pipeline}, {scheme}", flush=True)
    table = pd.DataFrame(lines)
    fewer = min(arguments.n, FEWER)
    others = pd.DataFrame(list(_others(fewer, arguments.jobs)))
    text = (
        f"{N} rows, or {N_PATIENTS} patients, {N_FEATURES} features, 4 in 10 with label 1, 6 in 10 "
        f"with an event; {arguments.n} simulations each. `held`: share of 95 % intervals that hold "
        "0.5 (wanted: 0.90), with its binomial error; `held_nb`: of those with Nadeau and Bengio's "
        "own correlation; `sd`: of the mean score between simulations; `se`: its mean estimate.\n\n"
        f"{markdown(table)}\n"
        f"What must miss 0.5, what corrects it, and signal; {fewer} simulations each:\n\n"
        f"{markdown(others)}"
    )
    write(arguments.out / "no_signal.md", text)
    partial.unlink()
    print(text)
    return 0 if table["wanted"].all() else 1


def _read(partial: Path) -> list[dict[str, Any]]:
    """Lines of an earlier run that was cut off."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    return [json.loads(line) for line in partial.open()] if partial.exists() else []


def cohort(rng: np.random.Generator, patients: bool) -> tuple[np.ndarray, np.ndarray, Any, Any]:
    """Features, labels, times and events, and patients, all without signal."""
    patient = np.arange(N)
    if patients:
        patient = np.repeat(np.arange(N_PATIENTS), rng.integers(1, 5, N_PATIENTS))
    n = patient.max() + 1
    x = rng.normal(size=(n, N_FEATURES))[patient]
    if patients:
        x = x + 0.5 * rng.normal(size=x.shape)
    until, end = rng.exponential(30.0, n), rng.exponential(45.0, n)
    y = Surv.from_arrays((until <= end)[patient], np.ceil(np.minimum(until, end))[patient])
    return x, (rng.random(n) < 0.4)[patient].astype(int), y, patient


def one(pipeline: str, scheme: str, number: int) -> pd.DataFrame:
    rng = np.random.default_rng([SEED, number])
    x, labels, survival, patient = cohort(rng, "patients" in scheme)
    estimator, grid = PIPELINES[pipeline]
    settings = dict(SCHEMES[scheme], random_seed=number)
    if "tuned" in scheme:
        settings["param_grid"] = grid
    if "not stratified" in scheme:
        settings["cv"] = KFold(5, shuffle=True, random_state=number)
    if "patients" in scheme:
        settings["groups"] = patient
    with warnings.catch_warnings():
        # folds without a score are counted; all coefficients 0 is what no signal can give
        warnings.simplefilter("ignore")
        found = cross_validate(estimator, x, survival if "Cox" in pipeline else labels, **settings)
    parts = [_held(scheme, found)]
    if "4 times" in scheme:
        # the first of the four deals is a cross-validation of its own
        first = found.folds["repeat"].to_numpy() == 0
        once = replace(found, folds=found.folds[first], overlap=found.overlap[np.ix_(first, first)])
        parts.append(_held("5 folds", once))
    return pd.concat(parts)


def _held(scheme: str, found: CrossValidation) -> pd.DataFrame:
    table = found.summary().drop(index="brier", errors="ignore")
    plain = found.summary(correlation="nadeau_bengio")
    return table.assign(
        scheme=scheme,
        held=(table["lower"] <= 0.5) & (table["upper"] >= 0.5),
        held_nb=(plain["lower"] <= 0.5) & (plain["upper"] >= 0.5),
    )


def _cell(pipeline: str, scheme: str, n: int, jobs: int) -> list[dict[str, Any]]:
    found = pd.concat(_many(one, n, jobs, pipeline, scheme)).reset_index()
    return [
        {
            "pipeline": pipeline,
            "scheme": name,
            "score": score,
            "mean": f"{mine['mean'].mean():.3f}",
            "sd": f"{mine['mean'].std():.3f}",
            "se": f"{mine['se'].mean():.3f}",
            "held": _share(mine["held"]),
            "held_nb": _share(mine["held_nb"]),
            "no_interval": int(mine["lower"].isna().sum()),
            "folds_without_score": int(mine["n_undefined"].sum()),
            "wanted": bool(mine["held"].mean() >= 0.9),
        }
        for (name, score), mine in found.groupby(["scheme", "score"])
    ]


def _others(n: int, jobs: int) -> Iterator[dict[str, Any]]:
    for what, work in (
        ("best 3 features chosen on all rows, 5 folds", leaky),
        ("5 neighbours, rows of a patient in several folds", split_patients),
        ("logistic, strong penalty, area of pooled leave-one-out predictions", pooled),
    ):
        yield _other(what, "0.5", np.array(_many(work, n, jobs)), 0.5)
    found = np.array(_many(bootstrap, n, jobs))
    for k, what in enumerate(("apparent", "Harrell's bootstrap", ".632+ bootstrap")):
        yield _other(f"naive Bayes, {what}", "0.5", found[:, k], 0.5)
    truth = float(np.mean(_many(true_score, 10 * n, jobs)))
    found = np.array(_many(with_signal, n, jobs))
    yield _other("naive Bayes with signal, 5 folds, 10 times", f"{truth:.3f}", found, truth)


def _other(what: str, target: str, found: np.ndarray, truth: float) -> dict[str, Any]:
    held = (found[:, 1] <= truth) & (found[:, 2] >= truth)
    return {
        "what": what,
        "truth": target,
        "mean": f"{found[:, 0].mean():.3f}",
        "sd": f"{found[:, 0].std():.3f}",
        "held": "" if np.isnan(found[:, 1]).all() else _share(held),
    }


def leaky(number: int) -> list[float]:
    x, y, _, _ = cohort(np.random.default_rng([SEED, number]), patients=False)
    chosen = SelectKBest(f_classif, k=3).fit_transform(x, y)
    return _auc(cross_validate(LogisticRegression(), chosen, y, n_repeats=1))


def split_patients(number: int) -> list[float]:
    x, y, _, _ = cohort(np.random.default_rng([SEED, number]), patients=True)
    return _auc(cross_validate(PIPELINES["5 neighbours"][0], x, y, n_repeats=1))


def pooled(number: int) -> list[float]:
    x, y, _, _ = cohort(np.random.default_rng([SEED, number]), patients=False)
    model = LogisticRegression(C=0.001)
    risk = cross_val_predict(model, x, y, cv=LeaveOneOut(), method="predict_proba")
    return [area(y == 1, risk[:, 1]), np.nan, np.nan]


def bootstrap(number: int) -> list[list[float]]:
    x, y, _, _ = cohort(np.random.default_rng([SEED, number]), patients=False)
    found = optimism_corrected(GaussianNB(), x, y, n_boot=100).summary().loc["auc"]
    return [
        [found["apparent"], np.nan, np.nan],
        [found["harrell"], np.nan, np.nan],
        [found["corrected"], found["lower"], found["upper"]],
    ]


def signal(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    x = rng.normal(size=(n, N_FEATURES))
    return x, (rng.random(n) < special.expit(1.5 * x[:, 0] + x[:, 1] - 0.5)).astype(int)


def with_signal(number: int) -> list[float]:
    x, y = signal(np.random.default_rng([SEED, 1, number]), N)
    return _auc(cross_validate(GaussianNB(), x, y))


def true_score(number: int) -> float:
    """Area on other patients of the pipeline trained on as many as in five folds."""
    rng = np.random.default_rng([SEED, 2, number])
    model = GaussianNB().fit(*signal(rng, N * 4 // 5))
    x, y = signal(rng, 500)
    return area(y == 1, model.predict_proba(x)[:, 1])


def _auc(found: Any) -> list[float]:
    return list(found.summary().loc["auc", ["mean", "lower", "upper"]])


def _many(work: Callable[..., Any], n: int, jobs: int, *fixed: Any) -> list[Any]:
    return Parallel(n_jobs=jobs)(delayed(work)(*fixed, number) for number in range(n))


def _share(held: Any) -> str:
    share = float(np.mean(held))
    return f"{share:.3f} ± {np.sqrt(share * (1.0 - share) / len(held)):.3f}"


if __name__ == "__main__":
    sys.exit(main())
