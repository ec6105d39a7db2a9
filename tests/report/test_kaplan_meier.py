import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.evaluate.cut_points import cut_offs, tuned_cut_off
from bayesdose.evaluate.kaplan_meier import kaplan_meier, numbers_at_risk
from bayesdose.evaluate.risk_groups import OptimismWarning, risk_groups
from bayesdose.report import save_figure
from bayesdose.report.kaplan_meier import kaplan_meier_data, plot_kaplan_meier


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    risk = rng.normal(size=90)
    until, end = rng.exponential(20.0 * np.exp(-0.6 * risk)), rng.uniform(3.0, 60.0, 90)
    return np.ceil(np.minimum(until, end)), until <= end, risk


@pytest.fixture(scope="module")
def shown(rows):
    return risk_groups(*rows, [-0.4, 0.4])


def texts(panel) -> list[str]:
    return [text.get_text() for text in panel.texts]


def test_twin_holds_curves_medians_and_tests(shown):
    data = kaplan_meier_data(shown)
    pd.testing.assert_frame_equal(data[shown.curves.columns], shown.curves)
    for median, (_, rows) in zip(
        shown.medians.itertuples(), data.groupby("group", sort=False), strict=True
    ):
        assert (rows["median"] == median.median).all()
        assert (rows["median_upper"] == median.upper).all()
    assert (data["p_value"] == shown.log_rank.p_value).all()
    assert (data["trend_p_value"] == shown.trend.p_value).all()
    assert (data["learnt_here"] == "").all()
    assert kaplan_meier_data(data) is data


def test_what_is_drawn_is_the_data(shown):
    data = kaplan_meier_data(shown)
    (panel,) = plot_kaplan_meier(shown, unit="months")
    for k, (name, curve) in enumerate(data.groupby("group", sort=False)):
        line, censored = panel.lines[2 * k : 2 * k + 2]
        np.testing.assert_array_equal(line.get_ydata(), [1.0, *curve["survival"]])
        np.testing.assert_array_equal(line.get_xdata(), [0.0, *curve["time"]])
        assert line.get_drawstyle() == "steps-post"
        np.testing.assert_array_equal(
            censored.get_xdata(), curve.loc[curve["n_censored"] > 0, "time"]
        )
        label = panel.get_legend().get_texts()[k].get_text()
        counts = f"(n = {curve['n_at_risk'].iloc[0]}, {curve['n_events'].sum()} events): median"
        assert label.startswith(f"{name} {counts}")
    assert panel.get_xlabel() == "time (months)"
    (again,) = plot_kaplan_meier(data)
    assert texts(again) == texts(panel)


def test_numbers_at_risk_stand_below_their_ticks(rows, shown):
    (panel,) = plot_kaplan_meier(shown)
    time, event, _ = rows
    ticks = panel.get_xticks()
    wanted = numbers_at_risk(time, event, ticks, by=shown.label.array)
    drawn = {
        (text.xy[0], text.xyann[1]): text.get_text()
        for text in panel.texts
        if text.get_text().isdigit()
    }
    lines = sorted({down for _, down in drawn}, reverse=True)
    for down, (_, group) in zip(lines, wanted.groupby("group", sort=False), strict=True):
        found = [int(drawn[tick, down]) for tick in ticks]
        np.testing.assert_array_equal(found, group["n_at_risk"])
    names = [text.get_text() for text in panel.texts if text.xyann[0] == -18]
    assert names == ["at risk", "low", "intermediate", "high"]


def test_subtitle_says_what_the_p_value_is_worth(rows, shown):
    (panel,) = plot_kaplan_meier(shown)
    assert texts(panel)[0].startswith("log-rank p")
    assert "trend p" in texts(panel)[0]
    time, event, risk = rows
    with pytest.warns(OptimismWarning):
        halves = risk_groups(time, event, risk, cut_offs(risk))
    (panel,) = plot_kaplan_meier(halves)
    assert texts(panel)[0].endswith("; cut-offs learnt on these rows")
    assert "trend" not in texts(panel)[0]
    with pytest.warns(OptimismWarning):
        tuned = risk_groups(time, event, risk, tuned_cut_off(time, event, risk))
    (panel,) = plot_kaplan_meier(tuned)
    assert texts(panel)[0].startswith("cut-off tuned on these rows: curves too far apart")
    assert "p =" not in texts(panel)[0]
    assert (kaplan_meier_data(tuned)["learnt_here"] == "tuned").all()


@pytest.mark.parametrize(
    ("p", "words"),
    [(2e-7, "p < 0.001"), (0.0421, "p = 0.042"), (0.31, "p = 0.31"), (1, "p > 0.99")],
)
def test_p_values(shown, p, words):
    data = kaplan_meier_data(shown).assign(p_value=p)
    assert texts(plot_kaplan_meier(data)[0])[0].startswith(f"log-rank {words},")


def test_curves_alone_and_few_events(rows, tmp_path):
    """No test without risk groups; a median not reached; the caller's Axes; a file."""
    time, event, risk = rows
    ax = Figure().add_subplot()
    (panel,) = plot_kaplan_meier(kaplan_meier(time, event), ax=ax)
    assert panel is ax
    assert "all rows" in texts(panel)
    assert not any("log-rank" in text for text in texts(panel))
    few = kaplan_meier(time, event & (risk > 1.2), by=np.where(risk > 0, "a $b$", "c"))
    (panel,) = plot_kaplan_meier(few)
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    assert all("median not reached" in label for label in labels)
    assert labels[0].startswith(r"a \$b\$")
    save_figure(panel, tmp_path / "few.png")


def test_refused(rows):
    time, event, _ = rows
    with pytest.raises(ConfigError, match="no column 'group'"):
        plot_kaplan_meier(pd.DataFrame({"time": [1.0]}))
    with pytest.raises(ConfigError, match="9 groups cannot be told apart"):
        plot_kaplan_meier(kaplan_meier(time, event, by=np.arange(90) % 9))
