import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, LeaveOneGroupOut, cross_val_score

from bayesdose.cohort import LeaveOnePatientOut, PatientKFold, RepeatedPatientKFold
from bayesdose.errors import ConfigError, SiteTableError

SPLITTERS = [
    LeaveOnePatientOut(),
    PatientKFold(3),
    PatientKFold(3, shuffle=True, random_state=1),
    RepeatedPatientKFold(3, n_repeats=4, random_state=1),
]


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    patients = np.repeat(["P10", "P2", "P1", "P3", "P4", "P5", "P6"], [5, 1, 3, 8, 2, 1, 4])
    rng.shuffle(patients)
    return pd.DataFrame(
        {"patient_id": patients, "x": rng.normal(size=24), "y": rng.normal(size=24)},
        index=np.arange(100, 124),
    )


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_no_patient_is_split_and_every_row_is_held_out(splitter, rows):
    held_out = np.zeros(24, dtype=int)
    folds = list(splitter.split(rows))
    assert len(folds) == splitter.get_n_splits(rows)
    for train, test in folds:
        assert not set(rows["patient_id"].iloc[train]) & set(rows["patient_id"].iloc[test])
        assert sorted([*train, *test]) == list(range(24))
        assert len(test) > 0
        held_out[test] += 1
    assert set(held_out) == {4 if isinstance(splitter, RepeatedPatientKFold) else 1}


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_groups_and_the_patient_column_say_the_same(splitter, rows):
    from_column = list(splitter.split(rows))
    from_groups = list(splitter.split(rows[["x"]].to_numpy(), groups=rows["patient_id"]))
    for one, other in zip(from_column, from_groups, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_leave_one_patient_out_is_leave_one_group_out_of_scikit_learn(rows):
    theirs = LeaveOneGroupOut().split(rows, groups=rows["patient_id"])
    for ours, other in zip(LeaveOnePatientOut().split(rows), theirs, strict=True):
        np.testing.assert_array_equal(ours[1], other[1])


def test_repeats_differ_from_each_other_and_agree_with_themselves(rows):
    splitter = RepeatedPatientKFold(3, n_repeats=3, random_state=5)
    folds = [tuple(test) for _, test in splitter.split(rows)]
    assert folds == [tuple(test) for _, test in splitter.split(rows)]
    repeats = {frozenset(folds[i : i + 3]) for i in (0, 3, 6)}
    assert len(repeats) > 1


def test_another_patient_column(rows):
    named = rows.rename(columns={"patient_id": "Subject"})
    assert LeaveOnePatientOut("Subject").get_n_splits(named) == 7
    assert PatientKFold(2, patient="Subject").get_n_splits(named) == 2


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_cross_val_score_takes_them(splitter, rows):
    scores = cross_val_score(
        LinearRegression(),
        rows[["x"]],
        rows["y"],
        groups=rows["patient_id"],
        cv=splitter,
        scoring="neg_mean_absolute_error",
    )
    assert scores.shape == (splitter.get_n_splits(groups=rows["patient_id"]),)
    assert np.isfinite(scores).all()


def test_grid_search_takes_them_and_can_be_cloned(rows):
    search = GridSearchCV(
        Ridge(), {"alpha": [0.1, 1.0]}, cv=PatientKFold(3), scoring="neg_mean_absolute_error"
    )
    clone(search).fit(rows[["x"]], rows["y"], groups=rows["patient_id"])


def test_metadata_routing_sends_them_the_groups(rows):
    with sklearn.config_context(enable_metadata_routing=True):
        scores = cross_val_score(
            LinearRegression(),
            rows[["x"]],
            rows["y"],
            params={"groups": rows["patient_id"]},
            cv=LeaveOnePatientOut(),
            scoring="neg_mean_absolute_error",
        )
    assert scores.shape == (7,)


def test_patients_may_be_numbers(rows):
    codes = rows["patient_id"].str[1:].astype(int)
    assert LeaveOnePatientOut().get_n_splits(groups=codes) == 7


@pytest.mark.parametrize("splitter", SPLITTERS, ids=repr)
def test_unknown_patients_are_refused(splitter, rows):
    with pytest.raises(SiteTableError, match="groups="):
        list(splitter.split(rows[["x"]]))
    with pytest.raises(SiteTableError, match="23 entries for 24 rows"):
        list(splitter.split(rows, groups=rows["patient_id"][1:]))
    with pytest.raises(SiteTableError, match="first at position 3"):
        list(splitter.split(rows, groups=[*"aab", None, *"c" * 20]))


def test_too_few_patients_are_refused(rows):
    with pytest.raises(SiteTableError, match="at least 2 patients, the table has 1"):
        list(LeaveOnePatientOut().split(rows[rows["patient_id"] == "P1"]))
    with pytest.raises(SiteTableError, match="at least 8 patients, the table has 7"):
        list(PatientKFold(8).split(rows))


@pytest.mark.parametrize(
    "make",
    [
        lambda: PatientKFold(1),
        lambda: PatientKFold(2.0),
        lambda: RepeatedPatientKFold(3, n_repeats=0),
        lambda: PatientKFold(3, random_state=1),
    ],
)
def test_impossible_settings_are_refused(make):
    with pytest.raises(ConfigError):
        make()
