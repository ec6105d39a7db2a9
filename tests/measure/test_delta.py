"""Changes of features between time points, by hand."""

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError


@pytest.fixture
def table() -> pd.DataFrame:
    """Two sites with three cycles out of order, one with one."""
    return pd.DataFrame(
        {
            "patient_id": ["A"] * 6 + ["B"],
            "site_id": ["1", "1", "1", "2", "2", "2", "1"],
            "cycle": [3, 1, 2, 1, 2, 3, 1],
            "suv_mean": [3.0, 12.0, 6.0, np.nan, 5.0, 10.0, 7.0],
        },
        index=list("abcdefg"),
    )


@pytest.mark.parametrize(
    ("kind", "since", "expected"),
    [
        ("difference", "first", [-9, np.nan, -6, np.nan, np.nan, np.nan, np.nan]),
        ("difference", "previous", [-3, np.nan, -6, np.nan, np.nan, 5, np.nan]),
        ("relative", "previous", [-0.5, np.nan, -0.5, np.nan, np.nan, 1.0, np.nan]),
        ("log_ratio", "first", [np.log(0.25), np.nan, np.log(0.5)] + [np.nan] * 4),
    ],
)
def test_by_hand(table, kind, since, expected):
    found = measure.delta_features(table, ["suv_mean"], kind=kind, since=since)
    np.testing.assert_allclose(found["delta_suv_mean"], expected)
    pd.testing.assert_frame_equal(found[list(table)], table)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "ratio"}, "difference, relative, log_ratio"),
        ({"since": "last"}, "first, previous"),
        ({"features": ["suv_max"]}, "lacks suv_max"),
        ({"time": "date"}, "lacks date"),
    ],
)
def test_refused(table, change, words):
    with pytest.raises(MeasureError, match=words):
        measure.delta_features(table, **({"features": ["suv_mean"], "kind": "relative"} | change))


@pytest.mark.parametrize(
    "values",
    [
        pd.to_datetime(["2024-03-01", "2024-01-01", "2024-02-01"]),
        [pd.Timestamp(2024, 3, 1).date(), pd.Timestamp(2024, 1, 1).date(), pd.Timestamp.max.date()],
        pd.array([10, 1, 12], dtype="Int64"),
    ],
)
def test_times_that_have_an_order(table, values):
    one = table.iloc[:3].assign(when=values)
    found = measure.delta_features(one, ["suv_mean"], kind="difference", time="when")
    np.testing.assert_allclose(found["delta_suv_mean"], [-9, np.nan, -6])


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_times_as_text(table, dtype):
    """As text, 10 comes before 2."""
    words = table.iloc[:3].assign(cycle=pd.Series(["10", "1", "2"], list("abc"), dtype=dtype))
    with pytest.raises(MeasureError, match="cycle: '10' is neither a number nor a datetime"):
        measure.delta_features(words, ["suv_mean"], kind="relative")


def test_tables_refused(table):
    twice = pd.concat([table, table.iloc[:1]], ignore_index=True)
    with pytest.raises(MeasureError, match="patient A, site 1 has cycle 3 twice"):
        measure.delta_features(twice, ["suv_mean"], kind="relative")
    with pytest.raises(MeasureError, match="above 0"):
        measure.delta_features(table.assign(suv_mean=-1.0), ["suv_mean"], kind="relative")
    once = measure.delta_features(table, ["suv_mean"], kind="relative")
    with pytest.raises(MeasureError, match="has delta_suv_mean already"):
        measure.delta_features(once, ["suv_mean"], kind="relative")
