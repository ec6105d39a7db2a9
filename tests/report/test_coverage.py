import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.report import coverage_data, plot_coverage


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = []
    for tissue, low in (("tumour", 0.2), ("kidney", 0.1)):
        for weights, more in (("site", 0.0), ("patient", 0.05)):
            row = {"tissue": tissue, "weights": weights, "n_sites": 20, "n_patients": 7}
            for kind, shift in (("hdi", 0.0), ("eti", 0.01)):
                for nominal in (50, 80, 95):
                    value = nominal / 100 - low + more + shift
                    row[f"{kind}_coverage_{nominal}"] = value
                    row[f"{kind}_coverage_{nominal}_lower"] = value - 0.1
                    row[f"{kind}_coverage_{nominal}_upper"] = value + 0.1
            rows.append(row)
    return pd.DataFrame(rows)


def test_data_pick_kind_and_weights(scores):
    data = coverage_data(scores, kind="eti", weights="patient")
    assert data["nominal"].tolist() == [0.5, 0.8, 0.95] * 2
    np.testing.assert_allclose(data["coverage"], [0.36, 0.66, 0.81, 0.46, 0.76, 0.91])
    np.testing.assert_allclose(data["upper"] - data["lower"], 0.2)


def test_data_of_a_validation_are_those_of_its_summary(validation):
    summary = validation.summary()
    data = coverage_data(validation)
    first = summary[summary["weights"] == "site"].iloc[0]
    assert data.iloc[2]["coverage"] == first["hdi_coverage_95"]
    assert data.iloc[2]["lower"] == first["hdi_coverage_95_lower"]


def test_what_is_drawn_is_the_data(scores):
    ax = Figure().add_subplot()
    assert plot_coverage(scores, ax=ax) is ax
    data = coverage_data(scores)
    _, *points = ax.lines
    for line, tissue in zip(points, ("tumour", "kidney"), strict=True):
        mine = data[data["tissue"] == tissue]
        np.testing.assert_array_equal(line.get_ydata(), mine["coverage"])
        assert np.abs(line.get_xdata() - mine["nominal"]).max() < 0.05
    ends = [c.get_segments() for c in ax.collections]
    assert ends[1][0][:, 1].tolist() == pytest.approx([0.3, 0.5])


@pytest.mark.parametrize("wrong", [{"kind": "qi"}, {"weights": "lesion"}])
def test_unknown_choices_are_refused(scores, wrong):
    with pytest.raises(ConfigError, match="allowed are"):
        coverage_data(scores, **wrong)


def test_another_table_is_refused(validation):
    with pytest.raises(ConfigError, match="no column 'weights'"):
        coverage_data(validation.predictions)
