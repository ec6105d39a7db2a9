"""Cox's partial likelihood: time of a gradient, and of the optimum beside other packages.

    python tests/benchmarks/cox_speed.py

*Gradient*: 1 000 000 rows, 20 covariates, Efron's ties (times in whole days), in JAX with float64,
compiled once; compile and run time apart, results waited for. *Optimum*: 100 000 rows, 20
covariates, all to the same coefficients within 1e-6, in float64, in one process, after a small fit
of each to load what it loads; with times in whole days and with continuous ones. Writes
results/cox_speed.md.
"""

import time
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from results_files import markdown, write
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

from bayesdose.dose.collapsed.engine import double_precision, find_device
from bayesdose.dose.priors import Flat
from bayesdose.evaluate._outcome import as_outcome
from bayesdose.risk.cox.model import CoxModel
from bayesdose.risk.cox.partial_likelihood import log_likelihood, risk_sets

RESULTS = Path(__file__).parent / "results"
REPEATS = 3


def cohort(n: int, seed: int, whole_days: bool = True) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(rng.normal(size=(n, 20))).rename(columns=lambda j: f"x{j}")
    eta = X.to_numpy() @ rng.normal(0, 0.2, 20)
    days, end = rng.exponential(900 * np.exp(-eta)), rng.uniform(100, 2000, n)
    if whole_days:
        days, end = np.ceil(days), np.ceil(end)
    return X, pd.DataFrame({"event": days <= end, "time": np.minimum(days, end)})


def seconds(work: Callable[[], object]) -> float:
    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return float(np.median(found))


def gradient() -> tuple[float, float, float]:
    """Seconds to find the risk sets, to compile, and to run."""
    X, y = cohort(1_000_000, 1)
    begun = time.perf_counter()
    sets = risk_sets(as_outcome(y), "efron")
    sorting = time.perf_counter() - begun
    with double_precision(find_device("cpu")):
        columns = jax.numpy.asarray(X.to_numpy())
        beta = jax.numpy.full(20, 0.1)
        begun = time.perf_counter()
        slope = jax.jit(jax.grad(lambda b: log_likelihood(sets, columns @ b)))
        slope = slope.lower(beta).compile()
        compiling = time.perf_counter() - begun
        return sorting, compiling, seconds(lambda: slope(beta).block_until_ready())


def optimum(whole_days: bool) -> pd.DataFrame:
    def ours(X: pd.DataFrame, y: pd.DataFrame) -> np.ndarray:
        return CoxModel(Flat(), inference="mode", draws=100).fit(X, y).coef_

    def bare(X: pd.DataFrame, y: pd.DataFrame) -> np.ndarray:
        from bayesdose.risk.cox.mode import find_mode

        return find_mode(X.to_numpy(), risk_sets(as_outcome(y), "efron")).coefficients

    def survival(X: pd.DataFrame, y: pd.DataFrame) -> np.ndarray:
        labels = Surv.from_dataframe("event", "time", y)
        return CoxPHSurvivalAnalysis(ties="efron", tol=1e-9).fit(X, labels).coef_

    def lifelines(X: pd.DataFrame, y: pd.DataFrame) -> np.ndarray:
        table = pd.concat([X, y.astype(float)], axis=1)
        return CoxPHFitter().fit(table, "time", "event").params_.to_numpy()

    which = {
        "find_mode, the optimum alone": bare,
        "CoxModel.fit, whole": ours,
        "scikit-survival": survival,
        "lifelines": lifelines,
    }
    small, large = cohort(500, 2), cohort(100_000, 3, whole_days)
    answer, rows = bare(*large), []
    for name, fit in which.items():
        fit(*small)
        difference = float(np.abs(fit(*large) - answer).max())
        assert difference < 1e-6, (name, difference)
        took = seconds(lambda fit=fit: fit(*large))
        rows.append({"fit": name, "seconds": took, "largest difference": difference})
    table = pd.DataFrame(rows)
    table["times as long as find_mode"] = (table["seconds"] / table["seconds"].iloc[0]).round(1)
    table["seconds"] = table["seconds"].round(2)
    table["largest difference"] = [f"{value:.0e}" for value in table["largest difference"]]
    return table


def main() -> None:
    tables = {"whole days": optimum(True), "continuous times": optimum(False)}
    sorting, compiling, running = gradient()
    both = pd.concat([table.assign(times=name) for name, table in tables.items()])
    text = (
        f"{markdown(both)}\n100 000 rows, 20 covariates, Efron's ties. One gradient at 1 000 000 "
        f"rows and 20 covariates: {running:.2f} s, after {compiling:.1f} s of compiling and "
        f"{sorting:.1f} s of sorting, once.\n"
    )
    write(RESULTS / "cox_speed.md", text)
    print(text)


if __name__ == "__main__":
    main()
