import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.report.hazard_ratios import hazard_ratios_data, plot_hazard_ratios


@pytest.fixture
def table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "term": ["age", "_$PSA$", "x"],
            "hazard_ratio": [1.5, 0.45, 12.34],
            "lower": [1.1, 0.001, 6.0],
            "upper": [2.0, 200.0, 25.0],
            "unit": ["10 years", None, ""],
            "prob": 0.9,
            "prob_above_1": [0.99, 0.4, np.nan],
        }
    )


def test_table_has_one_form(table):
    data = hazard_ratios_data(table)
    assert list(data["unit"]) == ["10 years", "", ""]
    pd.testing.assert_frame_equal(
        data[["term", "lower", "upper"]], table[["term", "lower", "upper"]]
    )
    assert (data["model"] == "").all()
    pd.testing.assert_frame_equal(hazard_ratios_data(data), data)
    plain = hazard_ratios_data(table[["term", "hazard_ratio", "lower", "upper"]])
    assert plain[["prob", "prob_above_1"]].isna().all().all()


def test_the_summary_of_a_cox_model_is_accepted(table):
    summary = pd.DataFrame(
        {
            "coef": np.log(table["hazard_ratio"]),
            "lower": np.log(table["lower"]),
            "upper": np.log(table["upper"]),
            "hazard_ratio": table["hazard_ratio"],
            "hazard_ratio_lower": table["lower"],
            "hazard_ratio_upper": table["upper"],
            "prob_above_0": table["prob_above_1"],
            "per": "1 SD",
        }
    ).set_index(pd.Index(table["term"], name="covariate"))
    summary.attrs = {"prob": 0.9}
    found = hazard_ratios_data(summary)
    pd.testing.assert_frame_equal(
        found.drop(columns="unit"), hazard_ratios_data(table).drop(columns="unit")
    )
    assert (found["unit"] == "1 SD").all()
    # tails of Wald's intervals are no probabilities
    summary.attrs = {"prob": 0.9, "interval": "wald"}
    wald = hazard_ratios_data(summary)
    assert wald["prob_above_1"].isna().all()
    pd.testing.assert_frame_equal(
        wald.drop(columns="prob_above_1"), found.drop(columns="prob_above_1")
    )
    headings = [text.get_text() for text in plot_hazard_ratios(summary).texts]
    assert "HR (90 % interval)" in headings
    assert "P(HR > 1)" not in headings


def test_what_is_drawn_is_the_data(table):
    other = table.iloc[[2, 0]].assign(hazard_ratio=[8.0, 1.2], prob_above_1=0.9)
    models = {"_Bayes $": table, "flat": other}
    data, ax = hazard_ratios_data(models), Figure(figsize=(8, 5)).subplots()
    assert plot_hazard_ratios(data, ax=ax) is ax
    squares = [line for line in ax.lines if line.get_marker() == "s"]
    segments = [part for one in ax.collections for part in one.get_segments()]
    rows = {
        label.get_text().split("\n")[0]: label.get_position()[1] for label in ax.get_yticklabels()
    }
    assert list(rows) == ["age", r"_\$PSA\$", "x"]
    low, high = ax.get_xlim()
    drawn = [point for square in squares for point in square.get_xydata()]
    for row, (x, y), segment in zip(data.to_dict("records"), drawn, segments, strict=True):
        assert x == row["hazard_ratio"]
        assert round(y) == rows[row["term"].replace("$", r"\$")]
        ends = (max(row["lower"], low), min(row["upper"], high))
        assert tuple(segment[:, 0]) == ends
        assert (segment[:, 1] == y).all()
    assert len({round(y, 6) for _, y in drawn}) == 5
    arrows = [line for line in ax.lines if line.get_marker() in ("<", ">")]
    assert [arrow.get_xdata()[0] for arrow in arrows] == [low, high]
    assert low < 0.45 < 1 < 12.34 < high
    shown = [text.get_text() for text in ax.texts]
    for text in ("1.50 (1.10 to 2.00)", "0.45 (0.001 to 200)", "12.3 (6.00 to 25.0)", "0.99"):
        assert text in shown
    assert "HR (90 % interval)" in shown
    names = [text.get_text() for text in ax.get_legend().get_texts()]
    assert names == [r"_Bayes \$", "flat"]
    ax.figure.draw_without_rendering()


@pytest.mark.parametrize(
    ("ratio", "lower", "upper", "text"),
    [
        (1.0002, 0.9999, 1.0004, "1.0002 (0.9999 to 1.0004)"),
        (1.012, 1.006, 1.018, "1.012 (1.006 to 1.018)"),
        (1.004, 0.996, 1.02, "1.004 (0.996 to 1.020)"),
        (1.00001, 1.0, 1.00002, "1.0000 (1.0000 to 1.0000)"),
        (1.0, 0.9, 1.1, "1.00 (0.90 to 1.10)"),
        (12.04, 12.01, 12.09, "12.04 (12.01 to 12.09)"),
        (0.01001, 0.01, 0.0101, "0.01001 (0.01 to 0.0101)"),
    ],
)
def test_decimals_tell_a_ratio_from_its_ends(ratio, lower, upper, text):
    table = pd.DataFrame(
        {"term": ["age"], "hazard_ratio": ratio, "lower": [lower], "upper": [upper]}
    )
    assert text in [one.get_text() for one in plot_hazard_ratios(table).texts]


@pytest.mark.parametrize(
    ("probability", "text"),
    [(0.0, "<0.01"), (0.0099, "<0.01"), (0.01, "0.01"), (0.99, "0.99"), (1.0, ">0.99")],
)
def test_no_probability_is_0_or_1(table, probability, text):
    ax = plot_hazard_ratios(table.iloc[[0]].assign(prob_above_1=probability))
    assert text in [one.get_text() for one in ax.texts]


def test_nothing_overlaps_in_a_new_figure(table):
    long = "a covariate whose name is much longer than one would wish for in a picture"
    ax = plot_hazard_ratios(table.assign(term=[long, "b", "c"]))
    ax.figure.draw_without_rendering()
    labels = [label.get_window_extent() for label in ax.get_yticklabels()]
    texts = [text.get_window_extent() for text in ax.texts[1:]]
    for boxes in (labels, texts):
        for i, one in enumerate(boxes):
            assert one.x0 >= 0
            assert one.x1 <= ax.figure.bbox.width
            assert not any(one.overlaps(other) for other in boxes[:i])
    assert ax.get_legend() is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: {}, "empty mapping"),
        (lambda t: [1], "got list"),
        (lambda t: t.iloc[:0], "no rows"),
        (lambda t: t.drop(columns="lower"), "no column 'lower'"),
        (lambda t: t.assign(upper="wide"), "'upper' must hold numbers"),
        (lambda t: t.assign(lower=np.log(t["lower"])), "lower of '_.PSA.' is -6.9"),
        (lambda t: t.assign(upper=0.3), "between lower 1.1 and upper 0.3"),
        (lambda t: t.assign(upper=np.inf), "finite and above 0"),
        (lambda t: t.assign(term="age"), "there twice"),
        (lambda t: {"a": t, "b": t.assign(unit="year")}, "different changes"),
    ],
)
def test_bad_input_is_named(table, change, words):
    with pytest.raises(ConfigError, match=words):
        plot_hazard_ratios(change(table))
