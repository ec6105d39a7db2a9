import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate import auc
from bayesdose.report._models import wrapped
from bayesdose.report.roc import plot_roc, roc_data


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    y = np.repeat([1, 0], [12, 15])
    return {"_naive $Bayes$": (y, rng.normal(size=27) + y), "CAPRA": (y, rng.normal(size=27))}


@pytest.fixture(scope="module")
def data(scores):
    return roc_data(scores)


def test_numbers_are_those_of_the_evaluation(scores, data):
    from sklearn.metrics import roc_curve

    assert list(dict.fromkeys(data["model"])) == list(scores)
    for name, (y, score) in scores.items():
        mine = data[data["model"] == name]
        fpr, tpr, threshold = roc_curve(y, score, drop_intermediate=False)
        np.testing.assert_allclose(mine["false_positive_rate"], fpr)
        np.testing.assert_allclose(mine["sensitivity"], tpr)
        np.testing.assert_array_equal(mine["threshold"], threshold)
        area = auc(y, score)
        assert mine[["auc", "auc_lower", "auc_upper"]].drop_duplicates().to_numpy().tolist() == [
            [area.auc, area.lower, area.upper]
        ]
        assert (mine[["n_cases", "n_controls"]] == [12, 15]).all().all()


def test_what_is_drawn_is_the_data(scores, data):
    ax = Figure().subplots()
    assert plot_roc(data, ax=ax) is ax
    diagonal, *lines = ax.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    legend = [text.get_text() for text in ax.get_legend().get_texts()]
    for line, band, text, name in zip(lines, ax.collections, legend, scores, strict=True):
        mine = data[data["model"] == name]
        points = mine[["false_positive_rate", "sensitivity"]].to_numpy()
        np.testing.assert_array_equal(line.get_xydata(), points)
        corners = {tuple(corner) for corner in band.get_paths()[0].vertices}
        for end in ("lower", "upper"):
            assert corners >= set(zip(mine["false_positive_rate"], mine[end], strict=True))
        first = mine.iloc[0]
        assert text == (
            f"{name.replace('$', chr(92) + '$')}\nAUC {first['auc']:.2f} "
            f"({first['auc_lower']:.2f} to {first['auc_upper']:.2f})"
        )
    assert "12 cases, 15 controls; 95 %" in ax.texts[0].get_text()
    ax.figure.draw_without_rendering()


def test_one_model_patients_and_perfect_separation():
    y, patients = [0, 0, 1, 1] * 3, np.repeat(np.arange(6), 2)
    scores = np.arange(12.0)
    assert (roc_data((y, scores, patients))["model"] == "").all()
    assert (
        roc_data((y, scores))["auc_upper"].iloc[0]
        != roc_data((y, scores, patients))["auc_upper"].iloc[0]
    )
    with pytest.warns(UserWarning, match="separate cases and controls"):
        ax = plot_roc((y, y), prob=0.8)
    assert ax.get_legend().get_texts()[0].get_text() == "AUC 1.00"
    assert "80 % intervals" in ax.texts[0].get_text()


def test_of_many_models_the_first_has_a_band(scores):
    y, score = scores["CAPRA"]
    ax = plot_roc({f"m{i}": (y, score + i) for i in range(9)})
    assert len(ax.collections) == 1
    looks = {(line.get_color(), line.get_linestyle()) for line in ax.lines[1:]}
    assert len(looks) == 9
    assert "band of the first" in ax.texts[0].get_text()


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ConfigError, "empty mapping"),
        ({"a": [1, 0, 1, 1]}, ConfigError, r"model 'a': give \(labels, scores\)"),
        (pd.DataFrame({"model": ["a"]}), ConfigError, "no column 'threshold'"),
        (([1, 0, 1], [1.0, 2.0]), BayesdoseError, "2 entries"),
    ],
)
def test_bad_input_is_named(given, error, words):
    with pytest.raises(error, match=words):
        plot_roc(given)


def test_a_table_without_rows_or_with_text_is_refused(data):
    with pytest.raises(ConfigError, match="no rows"):
        plot_roc(data.iloc[:0])
    with pytest.raises(ConfigError, match="'auc' must hold numbers"):
        plot_roc(data.assign(auc="good"))


def test_long_names_take_two_lines():
    text = wrapped("share of positive cores of all the cores that were $taken$")
    first, second = text.split("\n")
    assert first == "share of positive cores"
    assert len(second) == 24
    assert second.endswith("…")
    assert wrapped("$a_b$") == r"\$a_b\$"
    assert wrapped("") == ""
