"""Credible intervals of `MultimodalNaiveBayes.risk_interval`: how often they hold the true risk.

A cohort is drawn from a naive Bayes model with known parameters and fitted; the true risk of new
rows is the risk under those parameters. Where a class has fewer than two rows, parameters and
cohort are drawn anew; this depends on the data alone and leaves the posterior right. Populations:

* ``prior``: parameters from the model's own priors (`PRIOR` below), two gaussian, one lognormal,
  one categorical and one bernoulli column, and the prevalence. New rows are of *another* draw of
  the parameters, so that they say nothing of the ones to be covered: 0.95 is what must come out.
* ``prior, own rows``: the same with new rows of the same population, as in practice. Rows without
  labels tell of the parameters too, which the interval does not use: close to 0.95, not exact.
* ``typical``: one plausible population, prior="weak", all likelihoods but kde; own rows.
* ``typical, kde``: the same, its gaussian columns as kde: the smoothing bias is left out.
* ``correlated``: as typical, its two gaussian columns correlated 0.8 within a class, truth by the
  bivariate density: what naive Bayes does not know, its interval does not cover.

Truth and rows are NumPy and SciPy alone. The standard error takes the cohort as the unit.

    python tests/benchmarks/naive_bayes_coverage.py --cohorts 400
"""

import argparse
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from results_files import markdown, write
from scipy.special import expit
from scipy.stats import multivariate_normal, norm

from bayesdose.risk.naive_bayes import MultimodalNaiveBayes, NaiveBayesPrior

RESULTS = Path(__file__).parent / "results"
LIKELIHOODS = {
    "uptake": "gaussian",
    "score": "gaussian",
    "psa": "lognormal",
    "stage": "categorical",
    "node": "bernoulli",
}
NUMBERS = ("uptake", "score", "psa")
# Tighter than the default, under which most risks are 0 or 1 to machine precision.
PRIOR = NaiveBayesPrior(mean_weight=1.0, variance_df=8.0, centre=0.0, scale=1.0)
PROBS, N_NEW, SEED = (0.5, 0.8, 0.95), 40, 1763


def prior_truth(rng: np.random.Generator) -> dict:
    """The model's priors, written out once more."""
    sd = np.sqrt(PRIOR.variance_df / rng.chisquare(PRIOR.variance_df, (2, 3)))
    return {
        "risk": rng.beta(1, 1),
        "sd": sd,
        "mean": sd / np.sqrt(PRIOR.mean_weight) * rng.normal(size=(2, 3)),
        "stage": rng.dirichlet(np.ones(4), 2),
        "node": rng.dirichlet(np.ones(2), 2),
        "grade": None,
        "correlation": 0.0,
    }


def typical_truth(correlation: float = 0.0) -> dict:
    """Modest separation; log PSA about 8 and 15 ng/mL; grade groups 1 to 5."""
    return {
        "risk": 0.4,
        "sd": np.array([[1.0, 1.0, 0.8], [1.3, 1.0, 1.0]]),
        "mean": np.array([[0.0, 0.0, np.log(8)], [0.8, 0.5, np.log(15)]]),
        "stage": np.array([[0.5, 0.3, 0.15, 0.05], [0.3, 0.3, 0.2, 0.2]]),
        "node": np.array([[0.9, 0.1], [0.7, 0.3]]),
        "grade": np.array([[0.25, 0.35, 0.2, 0.12, 0.08], [0.08, 0.2, 0.25, 0.25, 0.22]]),
        "correlation": correlation,
    }


def draw_truth(population: str, rng: np.random.Generator) -> dict:
    if population.startswith("prior"):
        return prior_truth(rng)
    return typical_truth(0.8 if population == "correlated" else 0.0)


def rows(truth: dict, n: int, rng: np.random.Generator) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of a population, with their classes."""
    y = (rng.random(n) < truth["risk"]).astype(int)
    z = rng.normal(size=(n, 3))
    r = truth["correlation"]
    z[:, 1] = r * z[:, 0] + np.sqrt(1 - r**2) * z[:, 1]
    values = truth["mean"][y] + truth["sd"][y] * z
    values[:, 2] = np.exp(values[:, 2])
    table = pd.DataFrame(values, columns=NUMBERS)
    for name in ("stage", "node", "grade"):
        if truth[name] is not None:
            share = truth[name][y].cumsum(1)
            level = (rng.random(n)[:, None] > share[:, :-1]).sum(1)
            every = range(truth[name].shape[1])
            table[name] = pd.Categorical(level, every, ordered=True) if name != "node" else level
    return table, y


def true_risk(truth: dict, table: pd.DataFrame) -> np.ndarray:
    """Risk of each row under the parameters."""
    x = table[list(NUMBERS)].to_numpy().copy()
    x[:, 2] = np.log(x[:, 2])
    logs = []
    for c, share in enumerate((1 - truth["risk"], truth["risk"])):
        mean, sd = truth["mean"][c], truth["sd"][c]
        pair = sd[0] * sd[1] * truth["correlation"]
        log = np.log(share) + norm.logpdf(x[:, 2], mean[2], sd[2])
        covariance = [[sd[0] ** 2, pair], [pair, sd[1] ** 2]]
        log += multivariate_normal.logpdf(x[:, :2], mean[:2], covariance)
        for name in ("stage", "node", "grade"):
            if truth[name] is not None:
                log += np.log(truth[name][c][table[name].to_numpy(dtype=int)])
        logs.append(log)
    return expit(logs[1] - logs[0])


def one_cohort(population: str, n: int, rng: np.random.Generator) -> dict[str, float]:
    """Shares of new rows whose true risk lies in their intervals, and how wide those are."""
    likelihoods, prior = dict(LIKELIHOODS), "weak"
    if population.startswith("prior"):
        prior = PRIOR
    else:
        likelihoods["grade"] = "ordinal"
    if population.endswith("kde"):
        likelihoods |= {"uptake": "kde", "score": "kde"}
    fewest = 0
    while fewest < 2:
        truth = draw_truth(population, rng)
        table, y = rows(truth, n, rng)
        fewest = np.bincount(y, minlength=2).min()
    elsewhere = draw_truth(population, rng) if population == "prior" else truth
    new, _ = rows(elsewhere, N_NEW, rng)
    model = MultimodalNaiveBayes(likelihoods, prior=prior).fit(table, y)
    risk, out = true_risk(truth, new), {}
    for prob in PROBS:
        found = model.risk_interval(new, prob, draws=2000, random_seed=int(rng.integers(2**31)))
        inside = (found["lower"] <= risk) & (risk <= found["upper"])
        out[f"{prob:g}"] = float(inside.mean())
    out["width"] = float((found["upper"] - found["lower"]).mean())
    return out


def main() -> None:
    """Run the simulation and write the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cohorts", type=int, default=400)
    cohorts = parser.parse_args().cohorts
    warnings.filterwarnings("ignore", message=".*kernel densities")
    begun, lines = time.perf_counter(), []
    for population in ("prior", "prior, own rows", "typical", "typical, kde", "correlated"):
        for n in (24, 96, 400) if "prior" not in population else (24, 96):
            seed = np.random.SeedSequence([SEED, n, *population.encode()])
            rng = np.random.default_rng(seed)
            found = pd.DataFrame([one_cohort(population, n, rng) for _ in range(cohorts)])
            mean, se = found.mean(), found.std() / np.sqrt(cohorts)
            line = {"population": population, "training rows": n}
            line |= {f"{p:g}": f"{mean[f'{p:g}']:.3f} ± {se[f'{p:g}']:.3f}" for p in PROBS}
            lines.append(line | {"width of 95 %": f"{mean['width']:.2f}"})
            print(line, flush=True)
    text = (
        "# Risk intervals of `MultimodalNaiveBayes`\n\nWritten by "
        "`tests/benchmarks/naive_bayes_coverage.py`, which states the populations. "
        f"{cohorts} cohorts each, {N_NEW} new rows a cohort. Share of new rows whose true risk "
        "lies in the interval of probability 0.5, 0.8 and 0.95; ±: standard error by cohort.\n\n"
    )
    write(RESULTS / "naive_bayes_coverage.md", text + markdown(pd.DataFrame(lines)))
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
