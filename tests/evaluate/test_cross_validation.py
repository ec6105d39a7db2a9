"""Cross-validation: scikit-learn and scikit-survival on the same splits, no signal, bad splits."""

from itertools import combinations

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.feature_selection import SelectKBest, f_classif
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    LeaveOneGroupOut,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
)
from sklearn.model_selection import cross_validate as sklearn_cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sksurv.linear_model import CoxPHSurvivalAnalysis, IPCRidge
from sksurv.metrics import concordance_index_censored, concordance_index_ipcw
from sksurv.util import Surv

from bayesdose.errors import BayesdoseError, ConfigError, RiskError
from bayesdose.evaluate import _folds
from bayesdose.evaluate._pipelines import as_task
from bayesdose.evaluate.cross_validation import (
    PatientSplitWarning,
    UndefinedFoldWarning,
    cross_validate,
)
from bayesdose.risk.naive_bayes import Recalibrated

PIPELINE = make_pipeline(StandardScaler(), SelectKBest(f_classif, k=3), LogisticRegression())
COX = make_pipeline(StandardScaler(), CoxPHSurvivalAnalysis(alpha=1.0))


@pytest.fixture(scope="module")
def labelled():
    """80 rows with signal in the first of 8 features."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(80, 8))
    return x, (rng.random(80) < 1 / (1 + np.exp(-x[:, 0]))).astype(int)


@pytest.fixture(scope="module")
def followed():
    """90 rows with signal in the first of 4 features, times in whole months with ties."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(90, 4))
    until, end = rng.exponential(20 * np.exp(-x[:, 0])), rng.uniform(5, 60, 90)
    return x, Surv.from_arrays(until <= end, np.ceil(np.minimum(until, end)))


@pytest.fixture(scope="module")
def lesions():
    """Patients with 1 to 5 rows whose labels differ within the patient."""
    rng = np.random.default_rng(3)
    patient = np.repeat([f"P{i}" for i in range(30)], rng.integers(1, 6, 30))
    return rng.normal(size=(patient.size, 4)), rng.integers(0, 2, patient.size), patient


def test_scores_are_those_of_scikit_learn(labelled):
    x, y = labelled
    cv = RepeatedStratifiedKFold(n_splits=4, n_repeats=3, random_state=5)
    found = cross_validate(PIPELINE, pd.DataFrame(x), pd.Series(y), cv=cv)
    scoring = ["roc_auc", "neg_brier_score"]
    expected = sklearn_cross_validate(PIPELINE, x, y, cv=cv, scoring=scoring)
    assert found.folds["auc"].to_numpy() == pytest.approx(expected["test_roc_auc"])
    assert found.folds["brier"].to_numpy() == pytest.approx(-expected["test_neg_brier_score"])
    assert found.folds[["repeat", "fold"]].to_numpy().tolist() == [
        [repeat, fold] for repeat in range(3) for fold in range(4)
    ]
    for number, (train, test) in enumerate(cv.split(x, y)):
        mine = found.predictions[
            (found.predictions["repeat"] == number // 4) & (found.predictions["fold"] == number % 4)
        ]
        assert mine["row"].to_numpy() == pytest.approx(test)
        risk = PIPELINE.fit(x[train], y[train]).predict_proba(x[test])[:, 1]
        assert mine["risk"].to_numpy() == pytest.approx(risk)


def test_nested_is_a_grid_search_in_each_training_fold(lesions):
    x, y, patient = lesions
    grid = {"selectkbest__k": [1, 2, 4], "logisticregression__C": [0.01, 1.0]}
    cv = list(StratifiedGroupKFold(3, shuffle=True, random_state=1).split(x, y, patient))
    found = cross_validate(
        PIPELINE, x, y, groups=patient, cv=cv, param_grid=grid, inner_folds=3, random_seed=4
    )
    rng, task, codes = np.random.default_rng(4), as_task(x, y), pd.factorize(patient)[0]
    chosen = found.folds.filter(like="param_")
    for number, (train, test) in enumerate(cv):
        inner = _folds.inner(task, codes, train, 3, rng)
        for fitted, tuned in inner:
            assert not set(patient[train][fitted]) & set(patient[train][tuned])
        search = GridSearchCV(PIPELINE, grid, scoring="roc_auc", cv=inner).fit(x[train], y[train])
        assert found.folds.loc[number, "auc"] == pytest.approx(search.score(x[test], y[test]))
        assert chosen.loc[number].to_dict() == {
            f"param_{name}": value for name, value in search.best_params_.items()
        }
    assert chosen.nunique().max() > 1


class OfTable(BaseEstimator):
    """Takes columns event and time."""

    def fit(self, x, y):
        self.model_ = COX.fit(x, Surv.from_dataframe("event", "time", y))
        return self

    def predict(self, x):
        # risks so near each other that scikit-survival takes them for ties
        return 1e-10 * self.model_.predict(x)


def test_concordance_is_that_of_scikit_survival(followed):
    x, y = followed
    found = cross_validate(COX, x, y, n_folds=4, n_repeats=2, horizon=30.0)
    by_default = cross_validate(COX, x, y, n_folds=4, n_repeats=2)
    assert by_default.folds["harrell_c"].equals(found.folds["harrell_c"])
    ends = []
    for number, ((_, _), mine) in enumerate(found.predictions.groupby(["repeat", "fold"])):
        test = mine["row"].to_numpy()
        train = np.setdiff1d(np.arange(90), test)
        ends.append(y["time"][train].max())
        risk = COX.fit(x[train], y[train]).predict(x[test])
        harrell = concordance_index_censored(y["event"][test], y["time"][test], risk)[0]
        assert found.folds.loc[number, "harrell_c"] == pytest.approx(harrell)
        for result, horizon in ((found, 30.0), (by_default, by_default.horizon)):
            uno = concordance_index_ipcw(y[train], y[test], risk, tau=horizon)[0]
            assert result.folds.loc[number, "uno_c"] == pytest.approx(uno)
    assert by_default.horizon == min(ends)
    table = pd.DataFrame({"event": y["event"], "time": y["time"]})
    again = cross_validate(OfTable(), x, table, n_folds=4, n_repeats=2, horizon=30.0)
    pd.testing.assert_frame_equal(again.folds, found.folds)


def test_survival_is_tuned_by_concordance(followed):
    x, y = followed
    grid = {"coxphsurvivalanalysis__alpha": [0.01, 1e6]}
    found = cross_validate(COX, x, y, n_folds=3, n_repeats=1, param_grid=grid, inner_folds=3)
    rng = np.random.default_rng(1)
    task, rows = as_task(x, y), np.arange(90)
    fold = _folds.deal(task, rows, 3, rng)
    for k in range(3):
        train = np.flatnonzero(fold != k)
        inner = _folds.inner(task, rows, train, 3, rng)
        search = GridSearchCV(COX, grid, cv=inner).fit(x[train], y[train])
        best = search.best_params_["coxphsurvivalanalysis__alpha"]
        assert found.folds.loc[k, "param_coxphsurvivalanalysis__alpha"] == best


def test_patients_stay_whole_and_kinds_are_even(lesions):
    x, y, patient = lesions
    found = cross_validate(GaussianNB(), x, y, groups=patient, n_folds=4, n_repeats=10)
    table = pd.DataFrame({"patient": patient, "y": y})
    for _, mine in found.predictions.groupby("repeat"):
        assert sorted(mine["row"]) == list(range(y.size))
        rows = table.iloc[mine["row"]].assign(fold=mine["fold"].to_numpy())
        assert (rows.groupby("patient")["fold"].nunique() == 1).all()
        for part in (rows, rows[rows["y"] == 1], rows[rows["y"] == 0]):
            counts = part.groupby("fold")["patient"].nunique()
            assert len(counts) == 4
            assert np.ptp(counts) <= 1
    assert found.folds["auc"].notna().all()
    sizes = found.folds[["n_train_patients", "n_test_patients"]].sum(axis=1)
    assert (sizes == 30).all()
    with_event = table[table["y"] == 1]["patient"].nunique()
    assert (found.folds[["n_train_events", "n_test_events"]].sum(axis=1) == with_event).all()
    repeats = [mine["fold"].to_numpy() for _, mine in found.predictions.groupby("repeat")]
    rows = [mine["row"].to_numpy() for _, mine in found.predictions.groupby("repeat")]
    assert not np.array_equal(rows[0][repeats[0] == 0], rows[1][repeats[1] == 0])


def test_interval_by_hand(lesions):
    x, y, patient = lesions
    found = cross_validate(GaussianNB(), x, y, groups=patient, n_folds=4, n_repeats=3)
    values = found.folds["auc"].to_numpy()
    pairs = []
    for _, mine in found.predictions.groupby(["repeat", "fold"]):
        test = set(patient[mine["row"]])
        train = set(patient) - test
        pairs.append({frozenset((a, b)) for a in test for b in train})
    shared = [len(a & b) / np.sqrt(len(a) * len(b)) for a, b in combinations(pairs, 2)]
    assert found.overlap[np.triu_indices(12, 1)] == pytest.approx(shared)
    sizes = found.folds["n_test_patients"] / found.folds["n_train_patients"]
    for name, extra in (
        ("no_signal", np.mean(shared) / (1 - np.mean(shared))),
        ("nadeau_bengio", sizes.mean()),
    ):
        row = found.summary(0.9, correlation=name).loc["auc"]
        se = np.sqrt((1 / 12 + extra) * values.var(ddof=1))
        half = student.ppf(0.95, 11) * se
        assert [row["mean"], row["se"]] == pytest.approx([values.mean(), se])
        assert [row["lower"], row["upper"]] == pytest.approx(
            [values.mean() - half, values.mean() + half]
        )
        assert (row["n_folds"], row["n_undefined"], row["note"]) == (12, 0, "")


def test_overlap_of_equal_folds_in_closed_form(labelled):
    """1 / (K - 1) within a deal, and 2 (K - 1) / K² between, to the share of a patient's own."""
    found = cross_validate(GaussianNB(), *labelled, n_folds=5, n_repeats=12)
    same = found.folds["repeat"].to_numpy()[:, None] == found.folds["repeat"].to_numpy()
    np.fill_diagonal(found.overlap, np.nan)
    assert found.overlap[same & np.isfinite(found.overlap)] == pytest.approx(0.25)
    # 80 patients: 2 n_test n_train / (n (n - 1)), the mean over deals within 0.005
    assert found.overlap[~same].mean() == pytest.approx(0.32 * 80 / 79, abs=0.005)


def test_no_signal_is_held_and_leaks_are_seen():
    """100 cohorts of noise.

    If intervals held 0.5 in 94 %, fewer than 85 of 100 would by luck in 1 in 1000; mean areas are
    compared with 0.5 at 4 Monte-Carlo standard errors. Selecting features on all rows, outside of
    the pipeline, must be seen by the same means.
    """
    held, inside, outside = 0, [], []
    for seed in range(100):
        rng = np.random.default_rng([7, seed])
        x, y = rng.normal(size=(40, 12)), (np.arange(40) < 16).astype(int)
        row = cross_validate(GaussianNB(), x, y, n_repeats=2, random_seed=seed).summary().loc["auc"]
        held += row["lower"] <= 0.5 <= row["upper"]
        inside.append(row["mean"])
        if seed < 30:
            chosen = SelectKBest(f_classif, k=3).fit_transform(x, y)
            leaky = cross_validate(GaussianNB(), chosen, y, n_repeats=1, random_seed=seed)
            outside.append(leaky.summary().loc["auc", "mean"])
    assert held >= 85
    assert abs(np.mean(inside) - 0.5) < 4 * np.std(inside) / 10
    assert np.mean(outside) > 0.6
    assert np.mean(outside) - 0.5 > 4 * np.std(outside) / np.sqrt(30)


def test_jobs_and_seeds(labelled):
    x, y = labelled
    first = cross_validate(PIPELINE, x, y, n_repeats=2, random_seed=3)
    with joblib.parallel_config("threading"):
        again = cross_validate(PIPELINE, x, y, n_repeats=2, random_seed=3, n_jobs=2)
    other = cross_validate(PIPELINE, x, y, n_repeats=2, random_seed=4)
    pd.testing.assert_frame_equal(first.folds, again.folds)
    assert not first.folds["auc"].equals(other.folds["auc"])


def test_decision_function_has_no_brier(labelled):
    found = cross_validate(LinearSVC(), *labelled, n_repeats=1)
    assert "brier" not in found.folds
    assert list(found.summary().index) == ["auc"]


def test_folds_without_a_score_are_counted(labelled):
    x, y = labelled
    cases, controls = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    tests = [[cases[0], cases[1]], [cases[2], *controls[:3]], [cases[3], *controls[3:6]]]
    cv = [(np.setdiff1d(np.arange(80), test), test) for test in tests]
    with pytest.warns(UndefinedFoldWarning, match="1 of 3 folds test rows of one label only"):
        found = cross_validate(GaussianNB(), x, y, cv=cv)
    assert found.folds["auc"].isna().tolist() == [True, False, False]
    row = found.summary().loc["auc"]
    assert row["mean"] == pytest.approx(found.folds["auc"][1:].mean())
    assert (row["n_folds"], row["n_undefined"]) == (2, 1)
    assert row["note"].startswith("1 of 3 folds have no score")
    assert found.summary().loc["brier", "n_folds"] == 3


def test_no_interval_where_there_is_none(labelled):
    x, y = labelled
    perfect = cross_validate(GaussianNB(), y[:, None] + 0.0 * x[:, :1], y, n_repeats=1)
    row = perfect.summary().loc["auc"]
    assert row["mean"] == 1.0
    assert np.isnan(row["lower"])
    assert row["note"] == "scores do not vary: no interval"
    halves = cross_validate(GaussianNB(), x, y, n_folds=2, n_repeats=1).summary().loc["auc"]
    assert np.isnan(halves["lower"])
    assert "same pairs" in halves["note"]


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"n_folds": 80}, RiskError, "folds of one patient.*Pooling.*largest possible `n_folds`"),
        ({"n_folds": 1}, ConfigError, "whole number from 2"),
        ({"n_repeats": 0}, ConfigError, "whole number from 1"),
        ({"cv": 5}, ConfigError, "number of folds is `n_folds`"),
        ({"cv": []}, ConfigError, "no split"),
        ({"cv": [3]}, ConfigError, "pair"),
        ({"cv": [([0, 1], [2.5])]}, ConfigError, "row numbers"),
        ({"cv": [(range(40), [50, 99])]}, ConfigError, "from 0 to 79"),
        ({"cv": [(range(40), [50])]}, RiskError, "tests one patient, 50"),
        ({"cv": [(range(40), [39, 50])]}, RiskError, "patient 39 in train and in test"),
        ({"horizon": 3.0}, ConfigError, "y holds labels"),
        ({"param_grid": {}, "inner_folds": 40}, RiskError, "`inner_folds=40`"),
        ({"groups": ["a"] * 80}, RiskError, "No cross-validation is possible"),
    ],
)
def test_settings_that_cannot_be(labelled, settings, error, said):
    with pytest.raises(error, match=said):
        cross_validate(GaussianNB(), *labelled, **settings)


def test_splits_of_patients_are_named(lesions):
    x, y, patient = lesions
    with pytest.raises(RiskError, match=r"patient P\d+ in train and in test"):
        cross_validate(GaussianNB(), x, y, groups=patient, cv=KFold(5))
    with pytest.raises(RiskError, match="tests one patient, P0"):
        cross_validate(GaussianNB(), x, y, groups=patient, cv=LeaveOneGroupOut())
    recalibrated = make_pipeline(StandardScaler(), CalibratedClassifierCV(GaussianNB(), cv=3))
    with pytest.warns(PatientSplitWarning, match="calibratedclassifiercv__cv"):
        cross_validate(recalibrated, x, y, groups=patient, n_repeats=1)
    cross_validate(recalibrated, x, y, n_repeats=1)


def test_events_set_the_number_of_folds(followed):
    x, y = followed
    few = y.copy()
    few["event"][np.flatnonzero(y["event"])[4:]] = False
    # the fewest events that there are folds for may leave a fold nothing to compare with
    with pytest.raises(RiskError, match="an event in every fold; there are enough for 4"):
        cross_validate(COX, x, few, n_folds=5)
    assert len(_folds.repeated(as_task(x, few), np.arange(90), 4, 1, np.random.default_rng(1))) == 4
    label = np.zeros(90, dtype=int)
    label[:3] = 1
    with pytest.raises(RiskError, match="label 1 in every fold; there are enough for 3"):
        cross_validate(GaussianNB(), x, label)
    with pytest.raises(RiskError, match="one label only: nothing can be learnt"):
        cross_validate(GaussianNB(), x, label, cv=[(np.arange(10, 50), np.arange(10))])


def test_outcomes_that_cannot_be(labelled, followed):
    x, y = followed
    with pytest.raises(ConfigError, match=r"`horizon` must be above 0 and at most \d+"):
        cross_validate(COX, x, y, horizon=1000.0)
    with pytest.raises(BayesdoseError, match="X has 90 rows and y 89"):
        cross_validate(COX, x, y[1:])
    pieces = pd.DataFrame({"start": 0.0, "stop": y["time"], "event": y["event"]})
    with pytest.raises(RiskError, match="follow-up from 0"):
        cross_validate(COX, x, pieces)
    with pytest.raises(BayesdoseError, match="must be 0 or 1"):
        cross_validate(GaussianNB(), labelled[0], labelled[1] + 1)
    with pytest.raises(ConfigError, match="neither `predict_proba` nor"):
        cross_validate(LinearRegression(), *labelled)
    with pytest.raises(ConfigError, match="is a time") as caught:
        cross_validate(make_pipeline(IPCRidge()), x, y)
    assert "in repeat 0, fold 0" in caught.value.__notes__
    found = cross_validate(GaussianNB(), *labelled, n_repeats=1)
    with pytest.raises(ConfigError, match="'no_signal' or"):
        found.summary(correlation="none")
    with pytest.raises(ConfigError, match="`prob`"):
        found.summary(95)


def test_other_splitters(labelled):
    """Splits that overlap are repeats of their own; strata are of events for survival too."""
    x, y = labelled
    shuffled = cross_validate(GaussianNB(), x, y, cv=ShuffleSplit(6, test_size=0.6, random_state=0))
    assert shuffled.folds["repeat"].tolist() == list(range(6))
    rng = np.random.default_rng(0)
    times = Surv.from_arrays(y == 1, rng.exponential(size=80))
    split = cross_validate(COX, x, times, cv=StratifiedKFold(4))
    assert np.ptp(split.folds["n_test_events"]) <= 1


def test_an_estimator_with_folds_of_its_own_gets_the_patients():
    """Recalibration keeps patients together; with a grid it cannot, and that is told."""
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 3)
    X = rng.normal(size=(120, 2)) + np.repeat(rng.normal(size=(40, 2)), 3, axis=0)
    y = np.repeat(np.arange(40) % 2, 3)
    model = Recalibrated(GaussianNB(), n_splits=2)
    found = cross_validate(model, X, y, groups=patients, n_folds=4, n_repeats=1)
    assert found.folds["auc"].notna().all()
    with pytest.warns(PatientSplitWarning, match="n_splits"):
        cross_validate(
            model, X, y, groups=patients, n_folds=4, n_repeats=1, param_grid={"method": ["platt"]}
        )
