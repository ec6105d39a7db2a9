import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.evaluate import decision_curve
from bayesdose.report.decision import decision_curve_data, plot_decision_curve

THRESHOLDS = np.linspace(0.05, 0.6, 12)


@pytest.fixture(scope="module")
def curves():
    rng = np.random.default_rng(2)
    risk = rng.random(80)
    y = rng.random(80) < risk
    return {
        "_ours $": decision_curve(y, risk, THRESHOLDS),
        "noise": decision_curve(y, rng.random(80), THRESHOLDS),
    }


def test_table_holds_the_curves_by_name(curves):
    data = decision_curve_data(curves)
    for name, curve in curves.items():
        mine = data[data["model"] == name].drop(columns="model").reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, curve[list(mine.columns)])
    assert (decision_curve_data(curves["noise"])["model"] == "").all()


def test_what_is_drawn_is_the_data(curves):
    data, ax = decision_curve_data(curves), Figure().subplots()
    assert plot_decision_curve(data, ax=ax) is ax
    *lines, everyone, no_one = ax.lines
    for line, band, name in zip(lines, ax.collections, curves, strict=True):
        mine = data[data["model"] == name]
        points = mine[["threshold", "net_benefit"]].to_numpy()
        np.testing.assert_array_equal(line.get_xydata(), points)
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        assert corners >= set(zip(mine["threshold"], mine["upper"], strict=True))
    once = data.drop_duplicates("threshold")
    np.testing.assert_array_equal(everyone.get_ydata(), once["treat_all"])
    np.testing.assert_array_equal(no_one.get_ydata(), 0)
    low, high = ax.get_ylim()
    assert high > data["upper"].max()
    assert -0.2 * high < low < 0
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == [r"_ours \$", "noise", "treat all", "treat none"]
    ax.figure.draw_without_rendering()
    assert ax.get_xticklabels()[0].get_text().endswith(" %")


def test_bands_end_where_no_one_is_treated():
    y, risk = np.tile([0, 1], 20), np.tile([0.1, 0.3], 20)
    curve = decision_curve(y, risk, THRESHOLDS)
    assert curve["upper"].isna().any()
    ax = plot_decision_curve(curve)
    ax.figure.draw_without_rendering()
    assert np.isfinite(ax.get_ylim()).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: {}, "empty mapping"),
        (lambda t: 3, "got int"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.iloc[:1], "two thresholds or more"),
        (lambda t: t.drop(columns="upper"), "no column 'upper'"),
        (lambda t: t.assign(net_benefit="high"), "must hold numbers"),
        (lambda t: t.assign(threshold=t["threshold"] * 100), "between 0 and 1; got 5"),
        (
            lambda t: {"a": t, "b": t.assign(treat_all=t["treat_all"] + 0.1)},
            "of different patients",
        ),
    ],
)
def test_bad_input_is_named(curves, change, words):
    with pytest.raises(ConfigError, match=words):
        plot_decision_curve(change(curves["noise"]))
