"""The PyMC engine against the collapsed one: same specification, same answer."""

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats

from bayesdose.dose import design
from bayesdose.dose.collapsed import engine
from bayesdose.dose.collapsed.draws import posterior_draws
from bayesdose.dose.posterior import Draws
from bayesdose.dose.priors import HalfNormal, Normal, Priors
from bayesdose.dose.pymc_engine import FoldTask, refit, sample, sampling
from bayesdose.dose.spec import ModelSpec

pytestmark = pytest.mark.slow

SPEC = ModelSpec(
    "day",
    by=None,
    activity=None,
    standardise=False,
    engine="pymc",
    patient_effects="1 + day",
    priors=Priors(
        intercept=Normal(0, 3),
        slope=Normal(0, 1),
        patient_sd=HalfNormal(0.5),
        residual_sd=HalfNormal(0.5),
    ),
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    """Ten patients, six rows each, with slopes of their own."""
    rng = np.random.default_rng(20)
    rows = []
    for i in range(10):
        level, slope = rng.normal(1.0, 0.4), rng.normal(0.1, 0.1)
        for day in range(6):
            dose = np.exp(level + slope * day + rng.normal(0, 0.2))
            rows.append({"patient_id": f"P{i}", "day": day / 2.0, "absorbed_dose_gy": dose})
    return pd.DataFrame(rows)


def collapsed(encoding, rows, draws: int, seed: int) -> Draws:
    problem = engine.prepare(encoding, rows)
    rng = np.random.default_rng(seed)
    found = engine.explore(problem, problem.whole, draws, rng)
    hyper, gram = engine.totals(problem, found.theta, problem.whole.keep)
    identity = np.eye(encoding.n_coefficients)
    mean = np.asarray(problem.space.means)
    return posterior_draws(hyper, gram, identity, mean, found.log_posterior, rng)


def scalars(draws: Draws) -> dict[str, np.ndarray]:
    return {
        "intercept": draws.beta[:, 0],
        "slope": draws.beta[:, 1],
        "residual_sd": draws.residual_sd[:, 0],
        "intercept_sd": draws.patient_sd[:, 0],
        "slope_sd": draws.patient_sd[:, 1],
        "correlation": draws.patient_corr[:, 0, 1],
    }


def error(values: np.ndarray) -> float:
    return float(array_stats.mcse(values.reshape(4, -1), method="mean"))


@pytest.fixture(scope="module")
def tasks(table) -> list[FoldTask]:
    out = []
    for patient in ("P0", "P1", "P2"):
        held = table.patient_id == patient
        encoding, rows = design.learn(table[~held].reset_index(drop=True), SPEC)
        out.append(FoldTask(patient, encoding, rows, encoding.rows(table[held])))
    return out


@pytest.fixture(scope="module")
def by_nutpie(tasks):
    # the first fold, so that the refits below find its shape compiled
    return sample(tasks[0].encoding, tasks[0].rows, draws=4000, random_seed=1, progress=False)


def test_nutpie_equals_the_collapsed_engine(tasks, by_nutpie):
    exact = scalars(collapsed(tasks[0].encoding, tasks[0].rows, draws=20_000, seed=2))
    for name, values in scalars(by_nutpie.draws).items():
        # squares too, so that spreads are compared as well as means
        for power in (1, 2):
            here, there = values**power, exact[name] ** power
            limit = 4 * np.hypot(error(here), there.std() / np.sqrt(20_000 / 2))
            assert here.mean() == pytest.approx(there.mean(), abs=limit), (name, power)
    assert by_nutpie.draws.sample_stats["diverging"].shape == (4, 1000)
    assert by_nutpie.draws.patient_effect.shape == (4000, 9, 2)


def test_numpyro_gives_the_answer_of_nutpie(tasks, by_nutpie):
    found = sample(
        tasks[0].encoding,
        tasks[0].rows,
        draws=2000,
        random_seed=3,
        sampler="numpyro",
        progress=False,
    )
    first = scalars(by_nutpie.draws)
    for name, values in scalars(found.draws).items():
        limit = 4 * np.hypot(error(values), error(first[name]))
        assert values.mean() == pytest.approx(first[name].mean(), abs=limit), name
    # the log posterior has the same sign and constant
    lp = found.draws.log_posterior, by_nutpie.draws.log_posterior
    assert lp[0].mean() == pytest.approx(lp[1].mean(), abs=4 * (error(lp[0]) + error(lp[1])))


def test_refits_of_one_shape_compile_once_and_score_what_was_left_out(table, tasks, by_nutpie):
    before = len(sampling._COMPILED)
    found = refit(tasks, draws=2000, random_seed=4, progress=False)
    assert len(sampling._COMPILED) == before
    encoding, rows = design.learn(table, SPEC)
    problem = engine.prepare(encoding, rows)
    rng = np.random.default_rng(5)
    whole = engine.explore(problem, problem.whole, 4000, rng).weighted.log_constant
    for task, result in zip(tasks, found, strict=True):
        assert result.error is None
        assert result.rhat < 1.05
        # log p(y_i | rest) = log p(y) - log p(y without i)
        fold = _without(problem, rows, task.label)
        rest = engine.explore(problem, fold, 4000, rng).weighted.log_constant
        exact = whole[0] - rest[0] - task.held_out.log_dose.sum()
        limit = 4 * np.hypot(result.mcse, np.hypot(whole[1], rest[1]))
        assert result.elpd == pytest.approx(exact, abs=limit), task.label


def _without(problem, rows, label: str):
    keep = np.ones(len(rows.patients))
    keep[rows.patients.index(label)] = 0.0
    return problem.whole._replace(keep=keep)
