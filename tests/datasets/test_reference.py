import numpy as np
import pandas as pd
import pytest

from bayesdose.cohort import validate_sites
from bayesdose.datasets import load_reference_cohort
from bayesdose.datasets.reference import simulate_reference_cohort
from bayesdose.simulate.columns import COLUMN_UNITS


@pytest.fixture
def cohort() -> pd.DataFrame:
    return load_reference_cohort()


def test_numbers_of_patients_and_sites_are_the_published(cohort: pd.DataFrame) -> None:
    counts = cohort["tissue"].value_counts().to_dict()
    assert counts == {"tumour": 57, "salivary_gland": 36, "kidney": 18}
    sites = cohort.groupby(["patient_id", "tissue"]).size().unstack()
    assert len(sites) == 9
    assert set(sites["salivary_gland"]) == {4}
    assert set(sites["kidney"]) == {2}
    assert sites["tumour"].min() == 1
    assert sites["tumour"].max() == 15


@pytest.mark.parametrize(
    ("tissue", "published_gy", "tolerance_gy"),
    [("tumour", 11.0, 0.2), ("salivary_gland", 1.8, 0.05), ("kidney", 3.9, 0.05)],
)
def test_mean_doses_are_the_published(
    cohort: pd.DataFrame, tissue: str, published_gy: float, tolerance_gy: float
) -> None:
    doses = cohort.loc[cohort["tissue"] == tissue, "absorbed_dose_gy"]
    assert abs(doses.mean() - published_gy) < tolerance_gy


def test_the_shipped_table_is_the_generator_s(cohort: pd.DataFrame) -> None:
    regenerated = simulate_reference_cohort()
    assert list(cohort.columns) == list(regenerated.columns)
    numbers = regenerated.select_dtypes("number").columns
    np.testing.assert_allclose(cohort[numbers], regenerated[numbers], rtol=1e-5)
    labels = regenerated.columns.difference(numbers)
    pd.testing.assert_frame_equal(cohort[labels], regenerated[labels], check_flags=False)


def test_every_column_is_complete_and_valid(cohort: pd.DataFrame) -> None:
    assert list(cohort.columns) == list(COLUMN_UNITS)
    assert not cohort.isna().any(axis=None)
    assert len(validate_sites(cohort)) == 111


def test_left_and_right_kidney_differ_by_less_than_15_percent(cohort: pd.DataFrame) -> None:
    kidney = cohort[cohort["tissue"] == "kidney"]
    doses = kidney.pivot_table(index="patient_id", columns="site_id", values="absorbed_dose_gy")
    assert (doses.max(axis=1) / doses.min(axis=1)).max() < 1.15


def test_metadata_say_what_the_cohort_is(cohort: pd.DataFrame) -> None:
    assert all(isinstance(value, str) for value in cohort.attrs.values())
    assert cohort.attrs["source"].startswith("simulated")
    assert cohort.attrs["licence"].startswith("Apache-2.0")
    assert "seed" in cohort.attrs["selection"]
    assert cohort.attrs["units"] == simulate_reference_cohort().attrs["units"]
    assert cohort.attrs["random_seed"] == simulate_reference_cohort().attrs["random_seed"]
