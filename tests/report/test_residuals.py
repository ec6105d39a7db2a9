import numpy as np
import pytest

from bayesdose.errors import ConfigError
from bayesdose.report import plot_residuals, residuals_data


def test_residuals_and_trend_against_the_prediction(validation):
    data = residuals_data(validation)
    table = validation.predictions.dropna()
    mine, own = data[data["tissue"] == "kidney"], table[table["tissue"] == "kidney"]
    np.testing.assert_allclose(mine["residual"], np.log(own["observed"]) - np.log(own["median"]))
    slope, intercept = np.polyfit(np.log(own["median"]), mine["residual"], 1)
    np.testing.assert_allclose(mine["slope"], slope)
    np.testing.assert_allclose(mine["trend"], intercept + slope * np.log(mine["x"]))
    assert (mine["slope_lower"] < slope).all()
    assert (mine["slope_upper"] > slope).all()


def test_rows_of_the_site_table_are_matched_by_index(validation, sites):
    shuffled = sites.sample(frac=1.0, random_state=2)
    data = residuals_data(validation, against="volume_ml", sites=shuffled)
    ready = validation.predictions["median"].notna()
    wanted = sites.loc[ready & (sites["tissue"] == "tumour"), "volume_ml"]
    np.testing.assert_array_equal(data.loc[data["tissue"] == "tumour", "x"], wanted)


def test_what_is_drawn_is_the_data(validation):
    data = residuals_data(validation)
    axes = plot_residuals(validation)
    for ax, tissue in zip(axes, ("tumour", "kidney"), strict=True):
        mine = data[data["tissue"] == tissue].sort_values("x")
        _, points, trend = ax.lines
        np.testing.assert_allclose(points.get_ydata(), np.exp(mine["residual"]))
        np.testing.assert_allclose(trend.get_ydata(), np.exp(mine["trend"]))
        assert ax.texts[0].get_text().startswith("log–log slope")


def test_equal_predictions_have_no_trend(validation):
    table = validation.predictions.assign(median=4.0)
    assert plot_residuals(table)[0].texts[0].get_text() == "no trend: all values are equal"


def test_what_cannot_be_an_axis_is_refused(validation, sites):
    with pytest.raises(ConfigError, match="the predictions have no such column; give the training"):
        residuals_data(validation, against="volume_ml")
    with pytest.raises(ConfigError, match="neither the predictions nor sites"):
        residuals_data(validation, against="mass_g", sites=sites)
    with pytest.raises(ConfigError, match="index is not that of the training table"):
        residuals_data(validation, against="volume_ml", sites=sites.reset_index(drop=True))
    bad = sites.assign(volume_ml=sites["volume_ml"].where(sites.index != 107, 0.0))
    with pytest.raises(ConfigError, match="row 107 is not a number above 0"):
        residuals_data(validation, against="volume_ml", sites=bad)
    with pytest.raises(ConfigError, match="row 100 is not a number above 0"):
        residuals_data(validation, against="site_id")
