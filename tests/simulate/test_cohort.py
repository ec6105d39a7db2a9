import numpy as np
import pandas as pd
import pytest

from bayesdose.cohort import validate_sites
from bayesdose.cohort.schema import column_of
from bayesdose.errors import ConfigError
from bayesdose.simulate import RegressionParameters, dose_cohort
from bayesdose.simulate.columns import COLUMN_UNITS


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return dose_cohort(300, random_seed=1)


def test_every_column_of_the_contract_is_there_and_complete(cohort: pd.DataFrame) -> None:
    assert list(cohort.columns) == list(COLUMN_UNITS)
    assert not cohort.isna().any(axis=None)


@pytest.mark.parametrize("generator", ["mechanism", "regression"])
def test_the_site_table_is_valid(generator: str) -> None:
    frame = dose_cohort(100, random_seed=2, generator=generator, n_cycles=2)
    # Among 2400 rows a few lesions are as extreme as real ones, which is a warning.
    assert len(validate_sites(frame, checks={"literature_value": False})) == len(frame)


def test_units_agree_with_the_schema() -> None:
    for name, unit in COLUMN_UNITS.items():
        column = column_of(name)
        assert column is not None, name
        if column.unit:
            assert column.unit == unit


def test_attributes_are_plain_text_and_say_simulated(cohort: pd.DataFrame) -> None:
    assert all(isinstance(value, str) for value in cohort.attrs.values())
    assert cohort.attrs["source"].startswith("simulated")
    assert "absorbed_dose_gy [Gy]" in cohort.attrs["units"]


def test_patients_have_their_organs_and_one_to_fifteen_lesions(cohort: pd.DataFrame) -> None:
    sites = cohort.groupby(["patient_id", "tissue"]).size().unstack()
    assert set(sites["salivary_gland"]) == {4}
    assert set(sites["kidney"]) == {2}
    assert sites["tumour"].between(1, 15).all()
    assert not cohort.duplicated(["patient_id", "site_id", "cycle"]).any()


def test_uptake_features_fit_one_another(cohort: pd.DataFrame) -> None:
    assert (cohort["suv_max"] > cohort["suv_mean"]).all()
    assert (cohort["suv_max"] > cohort["suv_peak"]).all()
    np.testing.assert_allclose(
        cohort["total_lesion_uptake"], cohort["suv_mean"] * cohort["volume_ml"]
    )
    measured = cohort[cohort["tissue"] == "tumour"].groupby("patient_id")["volume_ml"].sum()
    assert (cohort.groupby("patient_id")["psma_tv_ml"].first() > measured).all()
    parotid = cohort[cohort["site_id"].str.startswith("parotid")].groupby("patient_id")
    np.testing.assert_allclose(parotid["tumour_to_parotid"].mean(), 1.0)


def test_the_same_seed_gives_the_same_table_and_another_does_not(cohort: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(cohort, dose_cohort(300, random_seed=1))
    other = dose_cohort(300, random_seed=2)
    assert not np.isin(other["absorbed_dose_gy"], cohort["absorbed_dose_gy"]).any()


def test_lesion_counts_are_obeyed_down_to_none() -> None:
    frame = dose_cohort(3, random_seed=1, lesion_counts=[0, 20, 1])
    lesions = frame[frame["tissue"] == "tumour"].groupby("patient_id").size()
    assert lesions.to_dict() == {"P2": 20, "P3": 1}
    assert len(frame) == 21 + 18


def test_rows_are_ordered_by_patient_and_cycle() -> None:
    frame = dose_cohort(12, random_seed=1, n_cycles=3)
    keys = frame[["patient_id", "cycle"]].drop_duplicates()
    assert keys.to_numpy().tolist() == keys.sort_values(list(keys)).to_numpy().tolist()
    assert len(keys) == 36


def test_truth_is_added_only_on_request(cohort: pd.DataFrame) -> None:
    with_truth = dose_cohort(300, random_seed=1, truth=True)
    pd.testing.assert_frame_equal(with_truth[cohort.columns], cohort, check_flags=False)
    assert (with_truth["true_absorbed_dose_gy"] > 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_patients": 0}, "n_patients is 0"),
        ({"n_cycles": 0}, "n_cycles is 0"),
        ({"generator": "copula"}, "allowed are mechanism, regression"),
        ({"lesion_counts": [1, 2]}, "2 entries for 3 patients"),
        ({"lesion_counts": [1, 2, -1]}, "lesion_counts holds -1"),
        ({"lesion_counts": [1, 2, 1.5]}, "lesion_counts holds 1.5"),
        ({"regression": RegressionParameters()}, "generator is 'mechanism'"),
    ],
)
def test_impossible_arguments_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        dose_cohort(**{"n_patients": 3, "random_seed": 1} | arguments)
