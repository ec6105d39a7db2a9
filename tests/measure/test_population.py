"""Regions under a known population against weighted prior draws; a learnt one on new patients."""

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError, NotFittedError
from bayesdose.measure.kinetics import regions
from bayesdose.measure.kinetics.population import PopulationKinetics

DECAY = np.log(2) / 159.528
TRUTH = {
    "half_life": np.log([38.0, 52.0]),
    "half_life_sd": np.array([0.12, 0.25]),
    "uptake": np.log([1.0, 3.0]),
    "uptake_sd": np.array([0.3, 0.3]),
    "patient_sd": 0.15,
    "noise": 0.05,
}
TISSUES = ("kidney", "tumour")


def simulated(n: int, times: list[float], seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Patients with two kidneys and three tumours, and the true TIA of each region (MBq h)."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for i in range(n):
        p = rng.normal(0, TRUTH["patient_sd"])
        for k, count in ((0, 2), (1, 3)):
            for j in range(count):
                half_life = TRUTH["half_life"][k] + p + rng.normal(0, TRUTH["half_life_sd"][k])
                slow = max(np.log(2) * np.exp(-half_life), DECAY)
                up = TRUTH["uptake"][k] + rng.normal(0, TRUTH["uptake_sd"][k])
                fast = slow + np.log(2) * np.exp(-up)
                level = np.exp(rng.normal(3, 1))
                truth.append(level * (1 / slow - 1 / fast))
                for t in times:
                    curve = level * (np.exp(-slow * t) - np.exp(-fast * t))
                    rows.append(
                        {
                            "patient_id": f"P{i}",
                            "site_id": f"{TISSUES[k]}{j}",
                            "tissue": TISSUES[k],
                            "time_h": t,
                            "activity_mbq": curve * np.exp(rng.normal(0, TRUTH["noise"])),
                        }
                    )
    return pd.DataFrame(rows), np.array(truth)


def known_population() -> PopulationKinetics:
    """At the true parameters, every draw the same."""
    from bayesdose.measure.kinetics.hierarchy import Population

    model = PopulationKinetics(decay_corrected=False)
    draws = {
        name: np.broadcast_to(value, (regions.DRAWS, *np.shape(value))).copy()
        for name, value in TRUTH.items()
    }
    model.population_ = Population(draws, 1.0, 0)
    model.tissues_ = list(TISSUES)
    return model


@pytest.mark.parametrize("times", [[24.0], [4.0, 72.0], [2.0, 24.0, 72.0, 168.0]])
def test_regions_of_a_patient_under_a_known_population(times, monkeypatch):
    """Weights of prior draws of all regions at once, with the flat level integrated out."""
    monkeypatch.setattr(regions, "DRAWS", 4000)
    table, _ = simulated(1, times, seed=4)
    table = table[table["site_id"].isin(["kidney0", "tumour1"])]
    found = np.log(known_population().tia_draws(table).to_numpy())
    rng = np.random.default_rng(1)
    n = 2_000_000
    p = rng.normal(0, TRUTH["patient_sd"], n)
    log_weight = np.zeros(n)
    log_tia = np.empty((n, 2))
    for s, (site, mine) in enumerate(table.groupby("site_id", sort=False)):
        k = TISSUES.index(mine["tissue"].iloc[0])
        half_life = rng.normal(TRUTH["half_life"][k] + p, TRUTH["half_life_sd"][k])
        free = np.log(2) * np.exp(-half_life)
        slow = (DECAY**8 + free**8) ** (1 / 8)  # the bend at physical decay
        fast = slow + np.log(2) * np.exp(-rng.normal(TRUTH["uptake"][k], TRUTH["uptake_sd"][k], n))
        t, a = mine["time_h"].to_numpy()[:, None], mine["activity_mbq"].to_numpy()[:, None]
        left = np.log(a) - np.log(np.exp(-slow * t) - np.exp(-fast * t))
        level = left.mean(0)
        log_weight -= ((left - level) ** 2).sum(0) / (2 * TRUTH["noise"] ** 2)
        level = level + rng.normal(0, TRUTH["noise"] / np.sqrt(len(t)), n)
        log_tia[:, s] = level + np.log(1 / slow - 1 / fast)
        assert site in table["site_id"].to_numpy()
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    ess = 1 / (weight**2).sum()
    mean = weight @ log_tia
    sd = np.sqrt(weight @ (log_tia - mean) ** 2)
    assert ess > 1000
    error = sd * np.sqrt(1 / ess + 1 / 4000)
    assert (np.abs(found.mean(0) - mean) < 4.5 * error).all()
    assert found.std(0) == pytest.approx(sd, rel=4.5 * np.sqrt((1 / ess + 1 / 4000) / 2) + 0.01)
    covariance = weight @ np.prod(log_tia - mean, axis=1)
    spread = np.prod(sd) * np.sqrt(1 / ess + 1 / 4000)
    assert np.cov(found.T)[0, 1] == pytest.approx(covariance, abs=4.5 * spread)


@pytest.mark.parametrize("times", [[24.0], [24.0, 120.0], [4.0, 24.0, 72.0, 168.0]])
def test_intervals_cover_under_the_true_population(times):
    new, truth = simulated(25, times, seed=9)
    found = known_population().tia(new)
    covered = (found["lower"] < truth) & (truth < found["upper"])
    # 125 regions, correlated within 25 patients
    assert covered.mean() == pytest.approx(0.95, abs=0.06)


@pytest.fixture(scope="module")
def learnt() -> PopulationKinetics:
    table, _ = simulated(10, [4.0, 24.0, 72.0, 168.0], seed=2)
    return PopulationKinetics(decay_corrected=False).fit(table)


@pytest.mark.slow
def test_a_learnt_population_beats_formulas_of_one_scan(learnt):
    assert learnt.population_.r_hat < 1.05
    for times, below in (([4.0, 24.0, 72.0, 168.0], 0.04), ([24.0, 120.0], 0.05)):
        new, truth = simulated(12, times, seed=5)
        error = np.abs(np.log(learnt.tia(new)["tia_mbq_h"] / truth))
        assert error.median() < below
    errors, formula, population = [], [], []
    for t in (24.0, 72.0, 168.0):
        new, truth = simulated(15, [t], seed=6)
        errors.append(np.abs(np.log(learnt.tia(new)["tia_mbq_h"] / truth)))
        half_life = new["tissue"].map({"kidney": 38.0, "tumour": 52.0})
        for row, true, half in zip(new.itertuples(), truth, half_life, strict=True):
            scan = (row.time_h, row.activity_mbq)
            one = measure.hanscheid(*scan, decay_corrected=False).tia_mbq_h
            two = measure.madsen(*scan, half, decay_corrected=False).tia_mbq_h
            formula.append(abs(np.log(one / true)))
            population.append(abs(np.log(two / true)))
    # madsen is given the true half-life of the population; ours is learnt from ten patients
    assert np.mean(errors) < min(np.mean(formula), 1.03 * np.mean(population))


@pytest.mark.slow
def test_tables_and_what_they_say(learnt):
    new, _ = simulated(2, [24.0], seed=5)
    found = learnt.tia(new.assign(cycle=2))
    assert list(found["site_id"]) == list(new["site_id"])
    assert (found["cycle"] == 2).all()
    assert (found["n_scans"] == 1).all()
    assert ((found["lower"] < found["tia_mbq_h"]) & (found["tia_mbq_h"] < found["upper"])).all()
    pd.testing.assert_frame_equal(found, learnt.tia(new.assign(cycle=2)))
    # twice the activity is twice the integral
    twice = learnt.tia(new.assign(activity_mbq=2 * new["activity_mbq"]))
    assert twice["tia_mbq_h"].to_numpy() == pytest.approx(2 * found["tia_mbq_h"].to_numpy())
    with pytest.raises(MeasureError, match="'liver' was not in the population"):
        learnt.tia(new.assign(tissue="liver"))


@pytest.mark.parametrize("curves", [[24.0], [4.0, 72.0]])
def test_a_column_of_uncertainties_that_nobody_knew(curves):
    table, _ = simulated(1, curves, seed=4)
    model = known_population()
    without = model.tia(table)
    pd.testing.assert_frame_equal(model.tia(table.assign(activity_cv=np.nan)), without)
    one = table.assign(activity_cv=np.where(table.index == 0, 0.05, np.nan))
    with pytest.raises(MeasureError, match="activity_cv"):
        model.tia(one)


def test_bad_tables():
    table, _ = simulated(2, [4.0, 24.0], seed=1)
    model = PopulationKinetics(decay_corrected=False)
    with pytest.raises(NotFittedError):
        model.tia(table)
    with pytest.raises(MeasureError, match="three scans"):
        model.fit(table)
    with pytest.raises(MeasureError, match="lacks time_h"):
        model.fit(table.drop(columns="time_h"))
    with pytest.raises(MeasureError, match="kidney0"):
        model.fit(table.assign(activity_mbq=table["activity_mbq"].where(table.index != 0, -1.0)))
    with pytest.raises(MeasureError, match="more than one tissue"):
        model.fit(table.assign(tissue=["kidney", "tumour"] * 10))
    with pytest.raises(MeasureError, match="allowed is uptake_clearance"):
        PopulationKinetics(curve="mono")
    with (
        pytest.warns(UserWarning, match="decay_corrected is not stated"),
        pytest.raises(MeasureError),
    ):
        PopulationKinetics().fit(table)
