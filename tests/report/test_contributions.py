import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.report import style
from bayesdose.report.contributions import (
    contributions_beeswarm_data,
    contributions_data,
    plot_contributions,
    plot_contributions_beeswarm,
)


def made(n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(6)
    values = pd.DataFrame(
        {
            "_psa $": rng.normal(size=n),
            "grade": pd.Categorical(rng.choice(["low", "high"], n), ["low", "high"], ordered=True),
            "centre": rng.choice(["b", "a", "c"], n),
            "flag": rng.random(n) < 0.5,
        },
        index=[f"P{i}" for i in range(n)],
    )
    parts = pd.DataFrame(
        {
            "_psa $": 1.5 * values["_psa $"] + rng.normal(0, 0.1, n),
            "grade": np.where(values["grade"] == "high", 0.8, -0.7),
            "centre": values["centre"].map({"a": -0.2, "b": 0.0, "c": 0.3}).astype(float),
            "flag": 0.01 * values["flag"],
        },
        index=values.index,
    )
    values.iloc[:2, 0] = np.nan
    return parts, values


def test_mean_sizes_are_sorted_and_drawn():
    parts, _ = made(30)
    data = contributions_data(parts)
    expected = {name: np.mean(np.abs(parts[name])) for name in parts}
    assert dict(zip(data["feature"], data["mean_absolute"], strict=True)) == pytest.approx(expected)
    assert data["mean_absolute"].is_monotonic_decreasing
    assert (data["n_rows"] == 30).all()
    ax = Figure().subplots()
    assert plot_contributions(data, ax=ax) is ax
    assert [bar.get_width() for bar in ax.patches] == list(data["mean_absolute"])
    assert [bar.get_y() + 0.34 for bar in ax.patches] == pytest.approx([3, 2, 1, 0])
    labels = {label.get_position()[1]: label.get_text() for label in ax.get_yticklabels()}
    assert labels[3] == r"_psa \$"
    ax.figure.draw_without_rendering()


def test_modalities_sum_before_the_size_is_taken():
    parts = pd.DataFrame({"a": [1.0, -1.0], "b": [-1.0, 1.0], "c": [0.5, 0.5]})
    data = contributions_data(parts, modalities={"a": "scan", "b": "scan", "c": "blood"})
    assert data[["feature", "mean_absolute"]].to_numpy().tolist() == [["blood", 0.5], ["scan", 0.0]]
    with pytest.raises(ConfigError, match="feature 'c' has none"):
        contributions_data(parts, modalities={"a": "scan", "b": "scan"})


@pytest.mark.parametrize("as_series", [True, False])
def test_steps_of_one_patient_lead_to_the_log_odds(as_series):
    parts, _ = made(8)
    row = parts.iloc[3] if as_series else parts.iloc[[3]]
    data = contributions_data(row, base=-0.4)
    assert data["start"].iloc[0] == -0.4
    assert data["end"].iloc[-1] == pytest.approx(-0.4 + parts.iloc[3].sum())
    np.testing.assert_allclose(data["start"] + data["contribution"], data["end"])
    np.testing.assert_array_equal(data["start"][1:], data["end"][:-1])
    assert data["contribution"].abs().is_monotonic_decreasing
    ax = plot_contributions(data)
    assert [bar.get_width() for bar in ax.patches] == pytest.approx(list(data["contribution"]))
    assert [bar.get_x() for bar in ax.patches] == list(data["start"])
    assert ax.get_xlabel() == "log odds"
    numbers = [text.get_text() for text in ax.texts[:4]]
    assert numbers == [f"{v:+.2f}".replace("-", "−") for v in data["contribution"]]
    assert plot_contributions(row).get_xlabel() == "change of the log odds"


def test_ranks_go_from_low_to_high_and_keep_gaps():
    parts, values = made(30)
    data = contributions_beeswarm_data(parts, values)
    by = {name: data[data["feature"] == name].set_index("row") for name in parts}
    for name, mine in by.items():
        pd.testing.assert_series_equal(
            mine["contribution"], parts[name], check_names=False, check_index=True
        )
    psa = by["_psa $"]["rank"]
    assert psa[:2].isna().all()
    assert psa.idxmax() == values["_psa $"].idxmax()
    assert (psa.min(), psa.max()) == (0, 1)
    assert set(by["grade"].groupby("value")["rank"].unique().str[0]["low"].ravel()) == {0.0}
    assert set(by["flag"].groupby("value")["rank"].first()) == {0.0, 1.0}
    constant = contributions_beeswarm_data(parts, values.assign(flag=1.0))
    assert (constant[constant["feature"] == "flag"]["rank"] == 0.5).all()


@pytest.mark.parametrize("dtype", [str, object, "category"])
def test_what_has_no_order_has_no_rank_and_is_grey(dtype):
    parts, values = made(30)
    values = values.assign(centre=values["centre"].astype(dtype)).drop(columns="_psa $")
    data = contributions_beeswarm_data(parts.drop(columns="_psa $"), values)
    unranked = data["rank"].isna()
    assert (unranked == (data["feature"] == "centre")).all()
    ax = plot_contributions_beeswarm(data)
    place = list(dict.fromkeys(data["feature"])).index("centre")
    assert (ax.collections[place].get_facecolors() == to_rgba(style.GREY)).all()
    assert "no order: grey" in [text.get_text() for text in ax.texts]
    ordered = pd.Categorical(values["centre"], ["b", "a", "c"], ordered=True)
    again = contributions_beeswarm_data(parts.drop(columns="_psa $"), values.assign(centre=ordered))
    ranks = again[again["feature"] == "centre"].groupby("value")["rank"].first()
    assert ranks["b"] == 0 < ranks["a"] < ranks["c"] == 1
    assert not any("grey" in text.get_text() for text in plot_contributions_beeswarm(again).texts)


@pytest.mark.parametrize("n", [1, 5, 60, 700, 2000])
def test_no_dot_covers_another(n):
    parts, values = made(n)
    data = contributions_beeswarm_data(parts, values)
    ax = plot_contributions_beeswarm(data)
    ax.figure.draw_without_rendering()
    features = list(dict.fromkeys(data["feature"]))
    labels = {label.get_position()[1]: label.get_text() for label in ax.get_yticklabels()}
    for place, (dots, name) in enumerate(zip(ax.collections, features, strict=True)):
        mine = data[data["feature"] == name]
        centre = len(features) - 1 - place
        diameter = np.sqrt(dots.get_sizes()[0]) * ax.figure.dpi / 72
        at = ax.transData.transform(dots.get_offsets())
        assert np.abs(dots.get_offsets()[:, 1] - centre).max() < 0.5
        order = np.argsort(at[:, 0])
        at = at[order]
        for i in range(len(at)):
            near = at[i + 1 : i + 1 + np.searchsorted(at[i + 1 :, 0], at[i, 0] + diameter)]
            assert (np.hypot(*(near - at[i]).T) > diameter * 0.999).all()
        if "a dot" not in labels[centre]:
            np.testing.assert_allclose(
                np.sort(dots.get_offsets()[:, 0]), np.sort(mine["contribution"]), atol=1e-12
            )
        else:
            rows = int(labels[centre].split("up to ")[1].split()[0])
            assert len(mine) > len(at) >= len(mine) / rows
            low, high = mine["contribution"].agg(["min", "max"])
            assert dots.get_offsets()[:, 0].min() >= low - 1e-9
            assert dots.get_offsets()[:, 0].max() <= high + 1e-9
    again = plot_contributions_beeswarm(parts, values)
    for one, other in zip(ax.collections, again.collections, strict=True):
        np.testing.assert_array_equal(one.get_offsets(), other.get_offsets())


def test_missing_values_are_grey_and_others_coloured_by_rank():
    parts, values = made(20)
    ax = Figure(figsize=(8, 5)).subplots()
    assert plot_contributions_beeswarm(parts, values, ax=ax) is ax
    dots = ax.collections[0]
    grey = (dots.get_facecolors() == to_rgba(style.GREY)).all(axis=1)
    assert sorted(dots.get_offsets()[grey, 0]) == pytest.approx(sorted(parts["_psa $"][:2]))
    assert "missing: grey\nno order: grey" in [text.get_text() for text in ax.texts]
    highest = np.argmin(
        np.abs(dots.get_offsets()[:, 0] - parts["_psa $"][values["_psa $"].idxmax()])
    )
    assert dots.get_facecolors()[highest] == pytest.approx(to_rgba("#E69F00"), abs=0.01)


@pytest.mark.parametrize(
    ("parts", "values", "words"),
    [
        (pd.DataFrame(), None, "no column 'feature'"),
        (pd.DataFrame({"a": []}), pd.DataFrame({"a": []}), "empty"),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"a": [1, 2]}), r"shape \(1, 1\).*got \(2, 1\)"),
        (pd.DataFrame({"a": [1.0]}), pd.DataFrame({"b": [1]}), "labels differ"),
        (pd.DataFrame({"a": [1.0]}), [[1]], "got list"),
    ],
)
def test_bad_swarms_are_named(parts, values, words):
    with pytest.raises(ConfigError, match=words):
        plot_contributions_beeswarm(parts, values)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (pd.DataFrame(), "empty"),
        ([1.0], "got list"),
        (pd.DataFrame({"a": ["x"]}), "'a' must hold numbers"),
        (pd.DataFrame({"a": [1.0, np.nan]}), "no number in row 1"),
        (pd.DataFrame({"a": [1.0, np.inf]}), "row 1 has inf of 'a'"),
        (pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]), "there twice"),
    ],
)
def test_bad_contributions_are_named(parts, words):
    with pytest.raises(ConfigError, match=words):
        plot_contributions(parts)
