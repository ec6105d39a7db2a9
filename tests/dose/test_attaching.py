"""A model that was saved without rows takes back its own table, and no other."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.attaching import attach
from bayesdose.dose.training import Fitted
from bayesdose.errors import PredictionError

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sites() -> pd.DataFrame:
    """Six patients of two centres, three columns of measurement error and effects each."""
    frame = bd.datasets.load_reference_cohort().query("tissue != 'tumour'").reset_index(drop=True)
    frame = frame[frame["patient_id"].isin(["P1", "P2", "P3", "P4", "P5", "P6"])]
    first = frame["patient_id"].isin(["P1", "P2", "P3"])
    return frame.assign(centre=np.where(first, "A", "B"))


@pytest.fixture(scope="module")
def saved(sites: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Fitted:
    model = bd.DoseModel(
        "log(suv_mean)",
        dose_cv="absorbed_dose_cv",
        dose_cv_shared="absorbed_dose_cv_shared",
        group_effects=["centre"],
    ).fit(sites, draws=400, random_seed=4)
    path: Path = tmp_path_factory.mktemp("fit") / "dose.nc"
    model.save(path)
    return bd.DoseModel.load(path)._state()


def test_its_own_table_is_taken_in_any_order(saved: Fitted, sites: pd.DataFrame) -> None:
    found = attach(saved, sites)
    assert found.training is not None
    assert len(found.training.frame) == len(sites)
    assert attach(saved, sites.sample(frac=1.0, random_state=1)).training is not None
    with pytest.raises(PredictionError, match="needs no table"):
        attach(found, sites)


@pytest.mark.parametrize(
    ("what", "column", "change"),
    [
        ("doses", "absorbed_dose_gy", lambda x: x * np.where(np.arange(len(x)) == 7, 1.001, 1)),
        # the sum of the log doses of the two kidneys of a patient stays
        (
            "doses",
            "absorbed_dose_gy",
            lambda x: x * np.array([1.01, 1 / 1.01] + [1] * (len(x) - 2)),
        ),
        ("covariates", "suv_mean", lambda x: x * np.where(np.arange(len(x)) == 3, 1.001, 1)),
        ("activities", "administered_activity_gbq", lambda x: x * 1.001),
        ("measurement errors", "absorbed_dose_cv", lambda x: x * 1.01),
        ("levels", "centre", lambda x: x.replace("B", "C")),
    ],
)
def test_a_table_with_one_change_is_refused(
    saved: Fitted, sites: pd.DataFrame, what: str, column: str, change: Callable
) -> None:
    other = sites.assign(**{column: change(sites[column])})
    with pytest.raises(PredictionError, match="not the one that this model was fitted to") as err:
        attach(saved, other)
    # activities and their like change the doses per activity first
    assert what in str(err.value) or "its doses differ" in str(err.value)


def test_a_table_with_other_rows_is_refused(saved: Fitted, sites: pd.DataFrame) -> None:
    with pytest.raises(PredictionError, match="numbers of sites and patients"):
        attach(saved, sites.iloc[1:])
    with pytest.raises(PredictionError, match="its tissues"):
        attach(saved, sites[sites["tissue"] == "kidney"])


def test_models_whose_doses_cannot_be_checked_are_refused(
    saved: Fitted, sites: pd.DataFrame
) -> None:
    spec = saved.encoding.spec
    for changed in (
        {"engine": "pymc"},
        {"priors": bd.Priors(slope=bd.StudentT(4, 0, 1))},
        {"priors": bd.Priors(slope=bd.R2D2(0.5, 2, 0.5))},
    ):
        other = replace(saved, encoding=replace(saved.encoding, spec=replace(spec, **changed)))
        with pytest.raises(PredictionError, match="include_patients=True"):
            attach(other, sites)
