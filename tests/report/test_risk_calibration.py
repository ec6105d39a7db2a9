from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate.risk_calibration import risk_calibration
from bayesdose.report.risk_calibration import plot_risk_calibration, risk_calibration_data


def numbers(most: float) -> SimpleNamespace:
    """What a `RiskCalibration` shows, made from numbers."""
    predicted = np.linspace(0.01 * most, most, 20)
    observed = 0.8 * predicted
    return SimpleNamespace(
        slope=0.8,
        slope_lower=0.5,
        slope_upper=1.1,
        observed_expected=0.81,
        observed_expected_lower=0.6,
        observed_expected_upper=np.nan,
        ici=0.0234,
        n=200,
        n_events=31,
        curve=pd.DataFrame(
            {
                "predicted": predicted,
                "observed": observed,
                "lower": 0.9 * observed,
                "upper": 1.2 * observed,
            }
        ),
    )


def test_table_holds_curve_histogram_and_summary():
    risk = np.random.default_rng(3).uniform(0, 0.3, 500)
    data = risk_calibration_data({"a": numbers(0.3), "b": numbers(0.9)}, probability={"a": risk})
    curve = data[(data["model"] == "a") & (data["part"] == "curve")]
    for column in ("predicted", "observed", "lower", "upper"):
        np.testing.assert_array_equal(curve[column], numbers(0.3).curve[column])
    bins = data[data["part"] == "histogram"]
    assert set(bins["model"]) == {"a"}
    assert bins["count"].sum() == 500
    half = np.diff(bins["predicted"]).min() / 2
    middle = bins.iloc[3]
    inside = (risk >= middle["predicted"] - half) & (risk < middle["predicted"] + half)
    assert middle["count"] == inside.sum()
    assert (data["slope"] == 0.8).all()
    assert (data["n_events"] == 31).all()


def test_what_is_drawn_is_the_data():
    risk = np.random.default_rng(4).uniform(0, 0.3, 500)
    models = {"low $_": numbers(0.3), "wide": numbers(1.0)}
    data, given = (
        risk_calibration_data(models, probability={"low $_": risk}),
        Figure().subplots(1, 2),
    )
    axes = plot_risk_calibration(data, ax=given)
    assert list(axes) == list(given)
    for ax, name in zip(axes, models, strict=True):
        curve = data[(data["model"] == name) & (data["part"] == "curve")]
        points = curve[["predicted", "observed"]].to_numpy()
        np.testing.assert_array_equal(ax.lines[1].get_xydata(), points)
        corners = {tuple(corner) for corner in ax.collections[0].get_paths()[0].vertices}
        assert corners >= set(zip(curve["predicted"], curve["upper"], strict=True))
        note, text = (one.get_text() for one in ax.texts)
        assert note == "31 events in 200"
        assert text == "slope 0.80 (0.50 to 1.10)\nO/E 0.81\nICI 0.023"
    assert axes[0].get_title(loc="left") == r"low \$_"
    assert axes[0].get_xlim()[1] < 0.5
    bins = data[data["part"] == "histogram"]
    bars = np.array([bar.get_height() for bar in axes[0].patches])
    np.testing.assert_allclose(bars / bars.max(), bins["count"] / bins["count"].max())
    middles = [bar.get_x() + bar.get_width() / 2 for bar in axes[0].patches]
    np.testing.assert_allclose(middles, bins["predicted"])
    assert not axes[1].patches


def test_the_result_of_the_evaluation_is_drawn():
    rng = np.random.default_rng(5)
    risk = rng.uniform(0.05, 0.95, 200)
    found = risk_calibration(rng.random(200) < risk, risk)
    (ax,) = plot_risk_calibration(found, probability=risk)
    np.testing.assert_array_equal(ax.lines[1].get_ydata(), found.curve["observed"])
    assert f"slope {found.slope:.2f}" in ax.texts[1].get_text()
    assert ax.get_title(loc="left") == "Calibration"
    ax.figure.draw_without_rendering()


def test_text_leaves_a_wide_band_alone():
    above = numbers(0.9)
    above.curve["upper"] = 1.0
    left, right = (plot_risk_calibration(one)[0].texts[1] for one in (numbers(0.9), above))
    assert (left.get_ha(), right.get_ha()) == ("left", "right")


@pytest.mark.parametrize(
    ("calibration", "probability", "error", "words"),
    [
        ({}, None, ConfigError, "empty mapping"),
        (3.0, None, ConfigError, "got float without 'slope'"),
        ({"a": numbers(0.5)}, {"b": [0.2]}, ConfigError, "risks of 'b'.*'a'"),
        (numbers(0.5), [0.2, 1.2], BayesdoseError, "entry 1 is 1.2"),
        (numbers(0.5).curve, None, ConfigError, "no column 'model'"),
    ],
)
def test_bad_input_is_named(calibration, probability, error, words):
    with pytest.raises(error, match=words):
        plot_risk_calibration(calibration, probability=probability)


def test_an_empty_curve_is_refused():
    empty = numbers(0.5)
    empty.curve = empty.curve.iloc[:0]
    with pytest.raises(ConfigError, match="no rows"):
        plot_risk_calibration(empty)
