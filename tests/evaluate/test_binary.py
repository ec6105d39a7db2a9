"""Scores at a threshold: scikit-learn's values, SciPy's bootstrap, patients, coverage."""

import numpy as np
import pytest
from scipy.special import expit, ndtr
from scipy.stats import bootstrap
from scipy.stats import t as student
from sklearn import metrics

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.binary import binary_scores


def rows_of_patients(rng: np.random.Generator, n_patients: int, mean_more: float = 4.0):
    """Labels, probabilities and patients, whose cases go together more than the model knows."""
    patient = np.repeat(np.arange(n_patients), 1 + rng.poisson(mean_more, n_patients))
    effect, off = rng.normal(size=n_patients)[patient], 0.5 * rng.normal(size=n_patients)[patient]
    known = 1.5 * rng.normal(size=patient.size) - 0.5
    return rng.random(patient.size) < expit(known + effect), expit(known + off), patient


@pytest.fixture(scope="module")
def rows():
    return rows_of_patients(np.random.default_rng(3), 30)


def test_values_as_scikit_learn(rows):
    y, risk, patient = rows
    table = binary_scores(y, risk, threshold=0.4, groups=patient, n_boot=100)
    called = risk >= 0.4
    expected = {
        "sensitivity": metrics.recall_score(y, called),
        "specificity": metrics.recall_score(~y, ~called),
        "precision": metrics.precision_score(y, called),
        "npv": metrics.precision_score(~y, ~called),
        "f_score": metrics.f1_score(y, called),
        "mcc": metrics.matthews_corrcoef(y, called),
        "accuracy": metrics.accuracy_score(y, called),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, called),
        "brier": metrics.brier_score_loss(y, risk),
    }
    assert list(table.index) == list(expected)
    assert table["value"].to_dict() == pytest.approx(expected, abs=1e-12)
    counted = [y.sum(), (~y).sum(), called.sum(), (~called).sum(), (y | called).sum()]
    assert list(table["n"]) == [*counted, *[y.size] * 4]
    assert table.loc["precision", "n_patients"] == len(set(patient[called]))
    assert (table["undefined"] == 0).all()
    assert ((table["lower"] < table["value"]) & (table["value"] < table["upper"])).all()


def test_a_row_at_the_threshold_is_positive():
    table = binary_scores([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9], threshold=0.5, n_boot=100)
    assert table.loc["sensitivity", "value"] == 1.0
    assert table.loc["specificity", "value"] == 0.5


def test_intervals_as_scipy_bca():
    """Thirty rows with skewed errors and tied resamples, at the level that is widened for them."""
    rng = np.random.default_rng(6)
    y = rng.random(30) < 0.4
    risk = expit(4.0 * y - 2.0 + 1.7 * rng.normal(size=30))
    found = binary_scores(y, risk, threshold=0.5, n_boot=40_000)
    widened = ndtr(student.ppf(0.975, 29) * np.sqrt(30 / 29))
    statistics = {
        "accuracy": lambda y, z, axis: np.mean(y == (z >= 0.5), axis),
        "balanced_accuracy": lambda y, z, axis: (
            0.5 * (y * (z >= 0.5)).sum(axis) / y.sum(axis)
            + 0.5 * ((1 - y) * (z < 0.5)).sum(axis) / (1 - y).sum(axis)
        ),
        "brier": lambda y, z, axis: np.mean((z - y) ** 2, axis),
    }
    for name, statistic in statistics.items():
        expected = bootstrap(
            (y.astype(float), risk),
            statistic,
            paired=True,
            n_resamples=40_000,
            confidence_level=2 * widened - 1,
            batch=2000,
            rng=rng,
        ).confidence_interval
        ends = found.loc[name, ["lower", "upper"]].to_numpy(dtype=float)
        assert ends == pytest.approx(list(expected), abs=0.02 * (expected.high - expected.low))


def test_rows_of_one_patient_are_not_independent(rows):
    """Each row three times over: as uncertain as before, if the patient is known."""
    y, risk, _ = rows
    thrice = np.tile(y, 3), np.tile(risk, 3)
    once = binary_scores(y, risk, threshold=0.5)
    known = binary_scores(*thrice, threshold=0.5, groups=np.tile(np.arange(y.size), 3))
    blind = binary_scores(*thrice, threshold=0.5)
    ends = ["value", "lower", "upper", "n_patients"]
    assert known[ends].to_numpy() == pytest.approx(once[ends].to_numpy(), rel=1e-9)
    width, too_narrow = (t["upper"] - t["lower"] for t in (once, blind))
    assert (too_narrow < 0.7 * width).all()


def test_many_rows_as_the_normal_approximation():
    """Ten thousand rows, which take several blocks of resamples."""
    rng = np.random.default_rng(6)
    y = rng.random(10_000) < 0.3
    risk = np.clip(0.3 + 0.2 * y + 0.2 * rng.normal(size=y.size), 0.0, 1.0)
    table = binary_scores(y, risk, threshold=0.4)
    for name in ("sensitivity", "specificity", "precision", "npv", "accuracy"):
        p, n, low, high = table.loc[name, ["value", "n", "lower", "upper"]]
        assert high - low == pytest.approx(2 * 1.96 * np.sqrt(p * (1 - p) / n), rel=0.06)
    squares = (risk - y) ** 2
    width = table.loc["brier", "upper"] - table.loc["brier", "lower"]
    assert width == pytest.approx(2 * 1.96 * squares.std() / 100, rel=0.06)


def test_the_seed_alone_decides(rows):
    y, risk, patient = rows
    first = binary_scores(y, risk, threshold=0.5, groups=patient, n_boot=200)
    named = [f"patient {i}" for i in patient]
    assert first.equals(binary_scores(y, risk, threshold=0.5, groups=named, n_boot=200))
    other = binary_scores(y, risk, threshold=0.5, groups=patient, n_boot=200, random_seed=2)
    assert not first["lower"].equals(other["lower"])


def test_nothing_called_positive():
    table = binary_scores([0, 0, 1, 1], [0.1, 0.2, 0.3, 0.4], threshold=0.5, n_boot=200)
    for name in ("precision", "mcc"):
        assert np.isnan(table.loc[name, ["value", "lower", "upper"]].to_numpy(dtype=float)).all()
        assert table.loc[name, "undefined"] == 200
    assert table.loc["precision", "n"] == 0
    assert table.loc["f_score", "value"] == 0.0
    assert table.loc["npv", "value"] == 0.5


def test_undefined_resamples_are_counted():
    """One of 20 rows is called positive; a resample misses it with probability (19/20)^20."""
    y = np.tile([0, 1], 10)
    risk = np.where(np.arange(20) == 1, 0.9, 0.1)
    table = binary_scores(y, risk, threshold=0.5)
    assert table.loc["precision", "undefined"] == pytest.approx(2000 * 0.95**20, abs=4 * 21)
    assert table.loc["precision", "value"] == 1.0
    assert table.loc["sensitivity", "undefined"] == 0
    # one row proves little: Wilson's interval of one in one
    assert table.loc["precision", "lower"] == pytest.approx(1 / (1 + 1.959964**2), rel=1e-6)


def test_perfect_calls_of_few_patients():
    """Resamples of perfect calls are perfect; Wilson's interval counts patients, not rows."""
    y = np.tile([0, 1], 30)
    table = binary_scores(y, 0.2 + 0.6 * y, threshold=0.5, groups=np.repeat(np.arange(6), 10))
    lower = 6 / (6 + 1.959964**2)
    for name in ("sensitivity", "specificity", "precision", "npv", "accuracy"):
        ends = table.loc[name, ["lower", "upper"]].to_numpy(dtype=float)
        assert ends == pytest.approx([lower, 1.0], rel=1e-6)
    for name in ("f_score", "mcc", "balanced_accuracy"):
        assert table.loc[name, "value"] == 1.0
        assert np.isnan(table.loc[name, "lower"])
    wrong = binary_scores(1 - y, 0.2 + 0.6 * y, threshold=0.5, groups=np.repeat(np.arange(6), 10))
    ends = wrong.loc["accuracy", ["lower", "upper"]].to_numpy(dtype=float)
    assert ends == pytest.approx([0.0, 1 - lower], rel=1e-6)


@pytest.mark.slow
def test_intervals_cover():
    """Twenty patients, 400 times: a standard error of 0.011 around 0.95, four are allowed."""
    rng = np.random.default_rng(11)
    y, risk, _ = rows_of_patients(rng, 200_000)
    called = risk >= 0.5
    truth = {
        "sensitivity": called[y].mean(),
        "specificity": (~called)[~y].mean(),
        "precision": y[called].mean(),
        "npv": (~y)[~called].mean(),
        "f_score": metrics.f1_score(y, called),
        "mcc": np.corrcoef(y, called)[0, 1],
        "accuracy": (y == called).mean(),
        "balanced_accuracy": metrics.balanced_accuracy_score(y, called),
        "brier": np.mean((risk - y) ** 2),
    }
    inside, blind = np.zeros(9), np.zeros(9)
    for seed in range(400):
        y, risk, patient = rows_of_patients(rng, 20)
        for counts, groups in ((inside, patient), (blind, None)):
            table = binary_scores(
                y, risk, threshold=0.5, groups=groups, n_boot=400, random_seed=seed
            )
            value = np.array([truth[name] for name in table.index])
            counts += ((table["lower"] <= value) & (value <= table["upper"])).to_numpy()
    assert inside / 400 == pytest.approx(0.95, abs=0.044)
    # without the patients the calls' intervals are too narrow
    assert (blind[:2] < inside[:2]).all()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"y_true": [1, 1, 1]}, BayesdoseError, "all 3 rows are cases"),
        ({"y_true": [0, 2, 1]}, BayesdoseError, "entry 1 is 2"),
        ({"y_true": ["a", "b", "c"]}, BayesdoseError, "must be 0 or 1"),
        ({"y_true": [0, 1, np.nan]}, BayesdoseError, "entry 2 is nan"),
        ({"y_true": []}, BayesdoseError, r"shape \(0,\)"),
        ({"y_true": [0, 1]}, BayesdoseError, "one for each of the 2"),
        ({"probability": [0.1, 20, 0.3]}, BayesdoseError, "entry 1 is 20.0 .* percentages"),
        ({"probability": [0.1, np.nan, 0.3]}, BayesdoseError, "must be finite"),
        ({"groups": ["a", "a", "a"]}, BayesdoseError, "all 3 rows are of one patient"),
        ({"groups": ["a", "b"]}, BayesdoseError, "each of the 3"),
        ({"threshold": 0.0}, ConfigError, "`threshold` must lie strictly between"),
        ({"threshold": 50}, ConfigError, "got 50"),
        ({"prob": 95}, ConfigError, "`prob`"),
        ({"n_boot": 10}, ConfigError, "at least 100; got 10"),
    ],
)
def test_refused(given, error, words):
    good = {"y_true": [0, 1, 1], "probability": [0.1, 0.2, 0.9], "threshold": 0.5}
    with pytest.raises(error, match=words):
        binary_scores(**(good | given))
