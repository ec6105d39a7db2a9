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


def test_tables_refused(table):
    twice = pd.concat([table, table.iloc[:1]], ignore_index=True)
    with pytest.raises(MeasureError, match="patient A, site 1 has cycle 3 twice"):
        measure.delta_features(twice, ["suv_mean"], kind="relative")
    with pytest.raises(MeasureError, match="above 0"):
        measure.delta_features(table.assign(suv_mean=-1.0), ["suv_mean"], kind="relative")
    once = measure.delta_features(table, ["suv_mean"], kind="relative")
    with pytest.raises(MeasureError, match="has delta_suv_mean already"):
        measure.delta_features(once, ["suv_mean"], kind="relative")
