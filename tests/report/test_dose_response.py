import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError, NotFittedError
from bayesdose.report.dose_response import dose_response_data, plot_dose_response
from bayesdose.risk.dose_response.fitting import DoseResponseFit
from bayesdose.risk.dose_response.model import DoseResponse


def curve(slope: float) -> DoseResponse:
    """A model whose draws are made by hand."""
    rng = np.random.default_rng(0)
    values = {
        "intercept": rng.normal(0.2, 0.2, (2, 200)),
        "slope": rng.normal(slope, 0.3, (2, 200)),
        "patient_sd": np.abs(rng.normal(0.5, 0.2, (2, 200))),
    }
    model = DoseResponse()
    model._fit = DoseResponseFit(values, {}, "logit", 20.0, (2.0, 80.0), ("a", "b"), 9, 4)
    return model


@pytest.fixture(scope="module")
def models():
    return {"_rising $": curve(2.0), "flat": curve(0.0)}


def test_table_holds_the_curves_by_name(models):
    data = dose_response_data(models, kind="typical_patient")
    for name, model in models.items():
        mine = data[data["model"] == name].reset_index(drop=True)
        wanted = model.curve(kind="typical_patient")
        for column in ("dose_gy", "probability", "lower", "upper"):
            np.testing.assert_array_equal(mine[column], wanted[column])
        assert set(mine["kind"]) == {"typical_patient"}
        half = model.summary().loc["d50_gy"]
        for column, end in zip(
            ("d50_gy", "d50_lower", "d50_upper"), ("median", "lower", "upper"), strict=True
        ):
            np.testing.assert_array_equal(mine[column], half[end])
    assert (dose_response_data(models["flat"])["model"] == "").all()


def test_what_is_drawn_is_the_data(models):
    data, ax = dose_response_data(models), Figure().subplots()
    assert plot_dose_response(models, ax) is ax
    rising, half, flat, _ = ax.lines
    for line, band, name in zip((rising, flat), ax.collections, models, strict=True):
        mine = data[data["model"] == name]
        np.testing.assert_array_equal(
            line.get_xydata(), mine[["dose_gy", "probability"]].to_numpy()
        )
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        assert corners >= set(zip(mine["dose_gy"], mine["upper"], strict=True))
    assert half.get_xydata().tolist() == [[data["d50_gy"].iloc[0], 0.5]]
    first, second = (text.get_text() for text in ax.get_legend().get_texts())
    assert first.startswith("_rising \\$\nD50 ")
    assert second == "flat\nD50 not known"
    assert ax.get_xscale() == "log"
    ax.figure.draw_without_rendering()
    assert ax.get_yticklabels()[1].get_text().endswith(" %")


def test_a_table_can_be_drawn_again(models):
    data = dose_response_data(models)
    pd.testing.assert_frame_equal(dose_response_data(data), data)
    plot_dose_response(data).figure.draw_without_rendering()


def test_bad_input_is_named(models):
    table = dose_response_data(models)
    for given, words in (
        ({}, "empty mapping"),
        (3, "got int"),
        (table.iloc[:1], "two doses or more"),
        (table.drop(columns="upper"), "no column 'upper'"),
        (table.assign(dose_gy=-table["dose_gy"]), "above 0 Gy"),
    ):
        with pytest.raises(ConfigError, match=words):
            plot_dose_response(given)
    with pytest.raises(ConfigError, match="kind: got 'known_patient'"):
        plot_dose_response(models, kind="known_patient")
    with pytest.raises(NotFittedError, match="not fitted"):
        plot_dose_response(DoseResponse())
