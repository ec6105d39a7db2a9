"""Areas under the ROC curve: pROC's values, ties by brute force, patients, published p-values."""

import numpy as np
import pandas as pd
import pytest

from bayesdose import evaluate
from bayesdose.errors import BayesdoseError


@pytest.fixture(scope="module")
def tied() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    y = rng.random(60) < 0.4
    return y, rng.integers(0, 5, 60) + 2 * y * (rng.random(60) < 0.3)


def test_as_proc_on_its_own_data(test_data):
    """Values of pROC's tests: tests/testthat/test-auc.R and test-roc.test.R."""
    table = pd.read_csv(test_data / "roc_asah" / "aSAH.csv")
    poor = (table["outcome"] == "Poor").to_numpy()
    for name, area, se, lower, upper in (
        ("wfns", 0.823678861788618, 0.0383394667, 0.7485348872, 0.8988228364),
        ("s100b", 0.7313685637, 0.0516592921, 0.6301182110, 0.8326189164),
        ("ndka", 0.611957994579946, 0.0564872601, 0.5012449984, 0.7226709908),
    ):
        found = evaluate.auc(poor, table[name])
        assert found.auc == pytest.approx(area, abs=1e-10)
        assert found.se == pytest.approx(se, abs=1e-10)
        assert found.wald == pytest.approx((lower, upper), abs=1e-8)
    for a, b, z, p in (
        ("wfns", "s100b", 2.20898359144091, 0.0271757822291882),
        ("wfns", "ndka", 2.79777591868904, 0.00514557970691098),
        ("ndka", "s100b", -1.39077002573558, 0.164295175223054),
    ):
        found = evaluate.compare_auc(poor, table[a], table[b])
        assert found.z == pytest.approx(z, rel=1e-9)
        assert found.p_value == pytest.approx(p, rel=1e-9)
    found = evaluate.compare_auc(poor, table["wfns"], table["s100b"])
    ends = (0.0104061769564846, 0.174214419249478)
    assert (found.lower, found.upper) == pytest.approx(ends, abs=1e-10)


def test_ties_by_brute_force(tied):
    y, score = tied
    cases, controls = score[y].astype(float), score[~y].astype(float)
    won = (cases[:, None] > controls) + 0.5 * (cases[:, None] == controls)
    by_case, by_control = won.mean(1), won.mean(0)
    variance = by_case.var(ddof=1) / len(cases) + by_control.var(ddof=1) / len(controls)
    found = evaluate.auc(y, score)
    assert found.auc == pytest.approx(won.mean())
    assert found.se == pytest.approx(np.sqrt(variance))
    assert (found.n_cases, found.n_controls) == (len(cases), len(controls))


def test_mann_whitney_with_ties_as_scipy(tied):
    from scipy.stats import mannwhitneyu

    y, score = tied
    expected = mannwhitneyu(score[y], score[~y], method="asymptotic", use_continuity=False)
    assert evaluate.auc(y, score).p_value == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(
    ("won", "area", "printed"),
    [(109, 0.839, 0.0064), (94, 0.723, 0.072), (96.5, 0.742, 0.051), (88, 0.677, 0.1538)],
)
def test_published_p_values_are_mann_whitney(won, area, printed):
    """Ten and thirteen men (PLoS One e0349825): the printed p-values are not DeLong's."""
    y = np.repeat([True, False], [10, 13])
    score = scores_that_win(won)
    found = evaluate.auc(y, score)
    assert found.auc == pytest.approx(area, abs=6e-4)
    # the one with a tie is corrected for it here; the printed one is not, by 0.0001
    assert found.p_value == pytest.approx(printed, abs=4e-4)


def scores_that_win(won: float) -> np.ndarray:
    """Ten cases among controls at 1 to 13 with so many won comparisons, a half one being a tie."""
    beaten = np.full(10, int(won) // 10)
    beaten[: int(won) % 10] += 1
    cases = beaten + 0.5 + 0.01 * np.arange(10)
    if won % 1:
        cases[-1] = beaten[-1] + 1.0
    return np.concatenate([cases, np.arange(1.0, 14.0)])


def test_intervals_stay_inside_and_perfect_separation_has_none():
    y = np.repeat([0, 1], [13, 10])
    score = np.arange(23.0)
    score[[12, 13]] = score[[13, 12]]
    found = evaluate.auc(y, score)
    assert 0 < found.lower < found.auc < found.upper < 1
    assert found.wald[1] == 1.0
    with pytest.warns(UserWarning, match="separate cases and controls"):
        perfect = evaluate.auc(y, np.arange(23.0))
    assert perfect.auc == 1
    assert np.isnan([perfect.lower, perfect.upper]).all()


def test_rows_of_one_patient_are_not_independent():
    """Each patient's rows doubled: an estimate as uncertain as before."""
    rng = np.random.default_rng(2)
    y = rng.random(80) < 0.5
    first, second = y + rng.normal(size=(2, 80))
    once = evaluate.auc(y, first)
    patients = np.tile(np.arange(80), 2)
    twice = evaluate.auc(np.tile(y, 2), np.tile(first, 2), groups=patients)
    assert twice.auc == pytest.approx(once.auc)
    assert twice.se == pytest.approx(once.se, rel=1e-9)
    assert np.isnan(twice.p_value)
    assert evaluate.auc(np.tile(y, 2), np.tile(first, 2)).se < 0.75 * once.se
    paired = evaluate.compare_auc(y, first, second)
    again = evaluate.compare_auc(
        np.tile(y, 2), np.tile(first, 2), np.tile(second, 2), groups=patients
    )
    assert again.z == pytest.approx(paired.z, rel=1e-9)


def test_clustered_error_as_the_bootstrap_of_patients():
    """Both kinds within patients; 400 bootstrap samples leave an error of about 4 %."""
    rng = np.random.default_rng(8)
    patient = np.repeat(np.arange(100), 4)
    effect = np.repeat(rng.normal(size=100), 4)
    y = rng.random(400) < 1 / (1 + np.exp(-effect))
    score = effect + 0.5 * y + rng.normal(size=400)
    rows = [np.flatnonzero(patient == i) for i in range(100)]
    drawn = []
    for _ in range(400):
        chosen = np.concatenate([rows[i] for i in rng.integers(100, size=100)])
        drawn.append(evaluate.auc(y[chosen], score[chosen]).auc)
    found = evaluate.auc(y, score, groups=patient)
    assert found.se == pytest.approx(np.std(drawn), rel=0.12)


def test_scores_that_order_alike_and_unpaired(tied):
    y, score = tied
    same = evaluate.compare_auc(y, score, np.exp(score))
    assert (same.difference, same.z, same.p_value) == (0, 0, 1)
    a = evaluate.auc(y, score)
    apart = evaluate.compare_auc_unpaired(a, a)
    assert apart.se == pytest.approx(np.sqrt(2) * a.se)


@pytest.mark.parametrize(
    ("y", "score", "words"),
    [
        ([1, 1, 1], [1, 2, 3], "all 3 rows are cases"),
        ([0, 2, 1], [1, 2, 3], "entry 1 is 2"),
        (["a", "b"], [1, 2], "must be 0 or 1"),
        ([0, 1], [1, np.nan], "must be finite"),
        ([0, 1, 1], [1, 2], "3"),
        ([0, 1, 1], [1, 2, 3], "two cases and two controls"),
    ],
)
def test_refused(y, score, words):
    with pytest.raises(BayesdoseError, match=words):
        evaluate.auc(y, score)
