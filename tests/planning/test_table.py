import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.planning import DoseLimit, activity_table, max_activity

KIDNEY = DoseLimit("kidney", gy=23.0)


@pytest.fixture(scope="module")
def new(cohort: pd.DataFrame) -> pd.DataFrame:
    some = cohort[cohort["patient_id"].isin(["P2", "P3", "P4"])]
    return some.assign(patient_id="N" + some["patient_id"])


@pytest.fixture(scope="module")
def table(model, new) -> pd.DataFrame:
    return activity_table(model, new, [KIDNEY], activity_range_gbq=(0.01, 100))


def test_one_row_a_patient_as_planned_alone(model, new, table) -> None:
    assert list(table["patient_id"]) == ["NP2", "NP3", "NP4"]
    for row in table.itertuples():
        mine = new[new["patient_id"] == row.patient_id]
        alone = max_activity(model, mine, [KIDNEY], activity_range_gbq=(0.01, 100))
        error = np.hypot(row.monte_carlo_error, alone.monte_carlo_error)
        assert abs(row.activity_gbq - alone.activity_gbq) < 4 * error
        assert row.binding == "kidney"


def test_tumour_dose_stands_beside_that_of_the_fixed_activity(table) -> None:
    ratio = table["planned_median"] / table["fixed_median"]
    np.testing.assert_allclose(ratio, table["activity_gbq"] / 7.4)
    assert (table["planned_lower"] < table["planned_median"]).all()
    more = table["activity_gbq"] > 7.4
    assert ((table["fixed_within"] > 0.95) == more).all()
    assert table.attrs["fixed_gbq"] == 7.4


def test_patient_without_a_plan_has_the_reason(model, new) -> None:
    lacking = new[(new["patient_id"] != "NP3") | (new["tissue"] != "kidney")]
    found = activity_table(model, lacking, [KIDNEY]).set_index("patient_id")
    assert "no site of tissue 'kidney'" in found.loc["NP3", "problem"]
    assert np.isnan(found.loc["NP3", "activity_gbq"])
    assert found.loc["NP3", "fixed_median"] > 0
    assert found.loc["NP2", "problem"] == ""


def test_limits_that_nobody_meets(model, new) -> None:
    found = activity_table(model, new, [DoseLimit("kidney", gy=0.5)])
    assert found["problem"].str.contains("no activity from 1 to 12 GBq").all()
    assert found["fixed_within"].eq(0.0).all()


def test_patient_without_the_target(model, new) -> None:
    organs = new[new["tissue"] != "tumour"]
    found = activity_table(model, organs, [KIDNEY], activity_range_gbq=(0.01, 100))
    assert found["planned_median"].isna().all()
    assert found["activity_gbq"].notna().all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fixed_gbq": 0}, "fixed_gbq"),
        ({"fixed_gbq": 7400}, "is it MBq"),
        ({"fixed_gbq": True}, "fixed_gbq"),
        ({"hdi_prob": "x"}, "hdi_prob"),
        ({"hdi_prob": 2}, "hdi_prob"),
        ({"target": "liver"}, "target"),
    ],
    ids=str,
)
def test_bad_arguments(model, new, arguments, message) -> None:
    with pytest.raises(bd.BayesdoseError, match=message):
        activity_table(model, new, [KIDNEY], **arguments)
