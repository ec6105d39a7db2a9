"""Cox's partial likelihood: R's estimates on real tables, brute force, bad input."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayesdose.errors import RiskError
from bayesdose.evaluate._outcome import as_outcome
from bayesdose.risk.cox.mode import find_mode
from bayesdose.risk.cox.partial_likelihood import derivatives, log_likelihood, risk_sets

REFERENCES = json.loads(
    (Path(__file__).parents[1] / "references" / "survival" / "cox.json").read_text()
)


def cut_up(table: pd.DataFrame, cuts: tuple[float, ...]) -> pd.DataFrame:
    """Follow-up in pieces, as R's survSplit."""
    parts = []
    ends = (*cuts, np.inf)
    for part, (begin, end) in enumerate(zip((0.0, *cuts), ends, strict=True), start=1):
        mine = table[table["time"] > begin].copy()
        mine["event"] = mine["status"] * (mine["time"] <= end)
        mine["start"], mine["stop"] = begin, np.minimum(mine["time"], end)
        parts.append(mine.assign(part=part))
    return pd.concat(parts, ignore_index=True)


def read(folder: Path, name: str) -> tuple[np.ndarray, pd.DataFrame, np.ndarray | None]:
    """Columns, outcome and strata of a reference."""
    classics = folder / "survival_classics"
    if name.startswith("veteran"):
        table = pd.read_csv(classics / "veteran.csv")
        strata = pd.factorize(table["celltype"])[0] if "strata" in name else None
        if "counting" in name:
            table = cut_up(table, (60.0, 180.0))
            table["karno_late"] = table["karno"] * (table["part"] > 1)
            table["trt_late"] = table["trt"] * (table["part"] > 2)
            wanted = ["trt", "trt_late", "karno", "karno_late"]
            if "strata" in name:
                wanted, strata = ["trt", "karno", "karno_late"], pd.factorize(table["celltype"])[0]
            return table[wanted].to_numpy(float), table[["start", "stop", "event"]], strata
        wanted = ["trt", "karno", "age"] if "strata" in name else None
        wanted = wanted or ["trt", "karno", "diagtime", "age", "prior"]
        y = table[["status", "time"]].set_axis(["event", "time"], axis=1)
        return table[wanted].to_numpy(float), y, strata
    if name == "gbsg2":
        table = pd.read_csv(classics / "gbsg2.csv")
        logs = np.log1p(table[["progrec", "estrec"]])
        columns = pd.concat([table[["age", "pnodes", "tsize"]], logs], axis=1)
        return (
            columns.to_numpy(float),
            table[["cens", "time"]].set_axis(["event", "time"], axis=1),
            None,
        )
    table = pd.read_csv(classics / "lung.csv").dropna(subset=["age", "sex", "ph.ecog", "wt.loss"])
    y = table[["status", "time"]].set_axis(["event", "time"], axis=1)
    columns = table[["age", "ph.ecog", "wt.loss"]].to_numpy(float)
    return columns, y, pd.factorize(table["sex"])[0]


@pytest.mark.parametrize("reference", REFERENCES, ids=lambda one: f"{one['name']} {one['ties']}")
def test_flat_mode_is_coxph(test_data, reference):
    columns, y, strata = read(test_data, reference["name"])
    mode = find_mode(columns, risk_sets(as_outcome(y), reference["ties"], strata))
    np.testing.assert_allclose(mode.coefficients, reference["coef"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(mode.covariance)), reference["se"], rtol=1e-6)
    assert mode.log_likelihood == pytest.approx(reference["loglik"], rel=1e-9)


def brute(eta, outcome, ties, strata) -> float:
    start = np.zeros(eta.size) if outcome.start is None else outcome.start
    total = 0.0
    for code in np.unique(strata):
        mine = strata == code
        for time in np.unique(outcome.stop[mine & outcome.event]):
            events = mine & outcome.event & (outcome.stop == time)
            at_risk = np.exp(eta[mine & (start < time) & (outcome.stop >= time)]).sum()
            d = int(events.sum())
            total += eta[events].sum()
            for part in range(d):
                removed = part / d * np.exp(eta[events]).sum() if ties == "efron" else 0.0
                total -= np.log(at_risk - removed)
    return total


@pytest.mark.parametrize("ties", ["efron", "breslow"])
@pytest.mark.parametrize("late", [False, True])
def test_brute_force(ties, late):
    """Many ties, five strata of which one has no event, late entry."""
    import jax

    rng = np.random.default_rng(7)
    n = 120
    y = pd.DataFrame({"event": rng.random(n) < 0.6, "stop": rng.integers(2, 9, n) / 2.0})
    y["start"] = np.where(rng.random(n) < 0.5, y["stop"] * rng.random(n) * 0.9, 0.0)
    strata = rng.integers(0, 5, n)
    y.loc[strata == 4, "event"] = False
    if not late:
        y = y[["event", "stop"]].set_axis(["event", "time"], axis=1)
    outcome = as_outcome(y)
    eta = rng.normal(size=n) * 2 + 700  # exp of it would overflow
    with jax.enable_x64(True):
        found = float(log_likelihood(risk_sets(outcome, ties, strata), jax.numpy.asarray(eta)))
    assert found == pytest.approx(brute(eta - 700, outcome, ties, strata), rel=1e-10)


def test_both_writings_agree_with_their_derivatives():
    """NumPy's formulas against JAX's automatic derivatives, with late entry and strata."""
    import jax

    rng = np.random.default_rng(11)
    n = 80
    y = pd.DataFrame({"event": rng.random(n) < 0.6, "stop": rng.integers(2, 9, n) / 2.0})
    y["start"] = np.where(rng.random(n) < 0.4, y["stop"] * rng.random(n) * 0.9, 0.0)
    columns, beta = rng.normal(size=(n, 3)), np.array([0.5, -1.0, 0.2])
    sets = risk_sets(as_outcome(y), "efron", rng.integers(0, 3, n))
    value, gradient, hessian = derivatives(sets, columns, columns @ beta)
    with jax.enable_x64(True):

        def density(b):
            return log_likelihood(sets, jax.numpy.asarray(columns) @ b)

        assert value == pytest.approx(float(density(beta)), rel=1e-12)
        np.testing.assert_allclose(gradient, jax.grad(density)(beta), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(hessian, jax.hessian(density)(beta), rtol=1e-8, atol=1e-8)


def test_a_prior_pulls_the_mode(test_data):
    columns, y, _ = read(test_data, "veteran")
    sets = risk_sets(as_outcome(y), "efron")
    flat, p = find_mode(columns, sets), columns.shape[1]
    found = find_mode(columns, sets, np.full(p, 400.0))
    assert (np.abs(found.coefficients) < np.abs(flat.coefficients)).any()
    gradient = derivatives(sets, columns, columns @ found.coefficients)[1]
    np.testing.assert_allclose(gradient, 400.0 * found.coefficients, rtol=1e-5, atol=1e-6)
    weak = find_mode(columns, sets, np.full(p, 1e-10))
    np.testing.assert_allclose(weak.coefficients, flat.coefficients, rtol=1e-7)


def test_one_outcome_in_every_form():
    event, time = np.array([True, False, True]), np.array([1.0, 2.5, 4.0])
    structured = np.array(list(zip(event, time, strict=True)), dtype=[("died", bool), ("t", float)])
    frame = pd.DataFrame({"time": time, "event": event.astype(int)})
    for y in (structured, frame, np.column_stack([event, time])):
        outcome = as_outcome(y)
        np.testing.assert_array_equal(outcome.event, event)
        np.testing.assert_array_equal(outcome.stop, time)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"event": [0, 0, 0]}, "none of the 3 rows has an event"),
        ({"event": [1, 2, 1]}, "row 1 has 2. Codes such as 1 and 2"),
        ({"event": ["dead", "alive", "dead"]}, "Which word is the event"),
        ({"time": [1.0, 0.0, 2.0]}, "above 0; row 1 has 0"),
        ({"time": [1.0, -2.0, 2.0]}, "row 1 has -2"),
        ({"time": [1.0, np.nan, 2.0]}, "row 1 has nan"),
        ({"start": [0.0, 3.0, 1.0], "stop": [1.0, 2.0, 2.0]}, "row 1 is at risk from 3 to 2"),
        ({"time": None}, "wanted are event and time"),
    ],
)
def test_outcomes_refused(change, words):
    y = pd.DataFrame({"event": [1, 0, 1], "time": [1.0, 2.0, 3.0]}).assign(**change)
    if change.get("time", 0) is None:
        y = y.drop(columns="time")
    with pytest.raises(RiskError, match=words):
        as_outcome(y)


def test_columns_refused():
    rng = np.random.default_rng(1)
    y = as_outcome(pd.DataFrame({"event": rng.random(40) < 0.7, "time": rng.exponential(size=40)}))
    sets = risk_sets(y, "efron")
    one = rng.normal(size=40)
    with pytest.raises(RiskError, match="dose is the same in every row"):
        find_mode(np.column_stack([one, np.ones(40)]), sets, names=["age", "dose"])
    with pytest.raises(RiskError, match="say nothing of a combination of age, twice"):
        find_mode(np.column_stack([one, 2 * one]), sets, names=["age", "twice"])
    with pytest.raises(RiskError, match="separated"):
        find_mode(-y.stop[:, None], sets, names=["time"])
    with pytest.raises(RiskError, match="allowed are efron, breslow"):
        risk_sets(y, "exact")
