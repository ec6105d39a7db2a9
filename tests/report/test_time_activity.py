import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import ConfigError
from bayesdose.measure import TimeActivityFit, fit_time_activity
from bayesdose.report import plot_time_activity, save_figure, time_activity_data

TIMES = np.array([4.0, 24.0, 72.0, 144.0])
ODD = "T1 <b>$x$"


def rows(site: str, tissue: str, activity: np.ndarray, cv: float, times=TIMES) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "patient_id": "P$1$",
            "site_id": site,
            "tissue": tissue,
            "cycle": 2,
            "time_h": times,
            "activity_mbq": activity,
            "activity_cv": cv,
        }
    )


@pytest.fixture(scope="module")
def points() -> pd.DataFrame:
    """Half-lives of 45 h, and of 170 h, which is beyond physical decay; and a single scan."""
    return pd.concat(
        [
            rows("kidney_l", "kidney", 120 * 2 ** (-TIMES / 45), 0.1),
            rows(ODD, "tumour", 3 * 2 ** (-TIMES / 170), np.nan),
            rows("T2", "tumour", np.array([2.0]), 0.2, TIMES[1:2]),
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def fits(points) -> dict[str, TimeActivityFit]:
    return {
        site: fit_time_activity(mine["time_h"], mine["activity_mbq"], decay_corrected=False)
        for site, mine in points.groupby("site_id")
        if len(mine) > 1
    }


def text_of(panel) -> str:
    return "\n".join(text.get_text() for text in panel.texts)


def test_scans_keep_their_numbers_and_get_one_standard_uncertainty(points, fits):
    data = time_activity_data(points, fits)
    scans = data[data["kind"] == "scan"]
    for name in ("site_id", "time_h", "activity_mbq"):
        assert scans[name].tolist() == points[name].tolist()
    kidney = scans[scans["site_id"] == "kidney_l"]
    # a log-normal of relative standard deviation 0.1
    sd = np.sqrt(np.log(1.01))
    np.testing.assert_allclose(np.log(kidney["upper"] / kidney["activity_mbq"]), sd)
    np.testing.assert_allclose(np.log(kidney["lower"] / kidney["activity_mbq"]), -sd)
    assert scans.loc[scans["site_id"] == ODD, ["lower", "upper"]].isna().all(axis=None)


def test_the_curve_is_the_fit_and_says_where_no_scan_stands_behind_it(points, fits):
    data = time_activity_data(points, fits, until_h=300.0)
    mine = data[(data["site_id"] == "kidney_l") & (data["kind"] != "scan")]
    np.testing.assert_allclose(mine["activity_mbq"], 120 * 2 ** (-mine["time_h"] / 45), rtol=1e-5)
    assert mine["time_h"].agg(["min", "max"]).tolist() == [0.0, 300.0]
    between = mine["time_h"].between(4, 144, inclusive="neither")
    assert (mine.loc[between, "kind"] == "curve").all()
    outside = (mine["time_h"] < 4) | (mine["time_h"] > 144)
    assert (mine.loc[outside, "kind"] == "extrapolated").all()
    assert set(data.loc[data["site_id"] == "T2", "kind"]) == {"scan"}


def test_curves_end_at_one_and_a_half_times_the_last_scan(points, fits):
    assert time_activity_data(points, fits)["time_h"].max() == 216.0


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_what_is_drawn_is_the_data(points, fits, scale):
    data = time_activity_data(points, fits)
    axes = plot_time_activity(points, fits, scale=scale)
    assert [ax.get_yscale() for ax in axes] == [scale] * 3
    mine = data[data["site_id"] == "kidney_l"]
    before, after, curve, scans = (line.get_xydata() for line in axes[0].lines)
    both = mine.loc[mine["kind"] == "extrapolated", ["time_h", "activity_mbq"]]
    np.testing.assert_array_equal(np.concatenate([before, after]), both)
    for drawn, kind in ((curve, "curve"), (scans, "scan")):
        wanted = mine.loc[mine["kind"] == kind, ["time_h", "activity_mbq"]]
        np.testing.assert_array_equal(drawn, wanted)
    assert [line.get_linestyle() for line in axes[0].lines] == ["--", "--", "-", "None"]
    (bars,) = axes[0].collections
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_array_equal(ends, mine.loc[mine["kind"] == "scan", ["lower", "upper"]])
    low, high = axes[0].get_ylim()
    assert low < mine.loc[mine["kind"] == "scan", "lower"].min()
    assert high > mine["activity_mbq"].max()


def test_integral_half_life_and_tail_are_written(points, fits):
    kidney, tumour, single = plot_time_activity(points, fits)
    text = text_of(kidney)
    # 120 MBq at 45 h: 120 * 45 / ln 2; of which 2^(-144 / 45) lies beyond 144 h
    assert "TIA 7791 MBq h" in text
    assert "11 % of it beyond the last scan" in text
    assert "effective half-life 45 h" in text
    assert "physical decay" not in text
    assert "uptake and clearance" in text
    assert f"TIA {fits['kidney_l'].alternatives['uptake_clearance']:.0f} (" in text
    assert "! tail held at physical decay" in text_of(tumour)
    assert text_of(single) == "tumour, no curve fitted"


def test_the_uncertainty_of_the_integral_is_written_where_it_is_known(points):
    mine = points[points["site_id"] == "kidney_l"]
    found = {}
    for cv in (0.1, None):
        fit = fit_time_activity(TIMES[:2], mine["activity_mbq"][:2], decay_corrected=False,
                                activity_cv=cv)  # fmt: skip
        found[cv] = text_of(plot_time_activity(mine, {"kidney_l": fit})[0]).split("\n")[0]
        assert np.isnan(fit.tia_cv) == (cv is None)
    assert found[0.1].endswith(" %")
    assert found[None].endswith("MBq h")


def test_text_does_not_lie_on_the_curve(points, fits):
    for scale in ("log", "linear"):
        for panel in plot_time_activity(points, fits, scale=scale)[:2]:
            panel.figure.draw_without_rendering()
            drawn = np.concatenate([line.get_xydata() for line in panel.lines])
            at = panel.transData.transform(drawn[drawn[:, 1] > 0])
            for text in panel.texts[:-1]:
                box = text.get_window_extent()
                assert not box.count_contains(at), text.get_text()


def test_names_are_shown_literally(points, fits, tmp_path):
    axes = plot_time_activity(points, fits)
    assert axes[1].get_title(loc="left") == r"T1 <b>\$x\$"
    assert axes[0].figure.get_suptitle() == r"Patient P\$1\$, cycle 2: activity over time"
    save_figure(axes, tmp_path / "a.png")


def test_the_callers_axes_are_used(points, fits):
    given = Figure().subplots(1, 3)
    assert list(plot_time_activity(points, fits, ax=given)) == list(given)
    assert given[0].figure.get_suptitle() == ""
    with pytest.raises(ConfigError, match="got 2 Axes and the picture has 3 panels"):
        plot_time_activity(points, fits, ax=given[:2])


def test_site_ids_may_be_numbers(points, fits):
    mine = points[points["site_id"] == "kidney_l"].assign(site_id=7)
    data = time_activity_data(mine, {7: fits["kidney_l"]})
    assert set(data["kind"]) == {"scan", "curve", "extrapolated"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cycle": [1] * 4 + [2] * 5}, r"2 patients and cycles, such as P\$1\$ cycle 1, P\$1\$ c"),
        ({"time_h": -1.0}, "time_h of site kidney_l is -1"),
        ({"activity_mbq": 0.0}, "activity_mbq of site kidney_l is 0; allowed .* above 0"),
        ({"activity_cv": -0.1}, "activity_cv of site kidney_l is -0.1"),
        ({"activity_cv": "ten"}, "activity_cv of site kidney_l is nan"),
    ],
)
def test_wrong_points_are_refused(points, fits, change, message):
    with pytest.raises(ConfigError, match=message):
        time_activity_data(points.assign(**change), fits)


def test_what_is_no_input_of_this_picture_is_refused(points, fits):
    with pytest.raises(ConfigError, match="got list; give a table as build_time_activity"):
        time_activity_data([], fits)
    with pytest.raises(ConfigError, match="rows of 0 patients and cycles; the picture is of one"):
        time_activity_data(points[:0], {})
    with pytest.raises(ConfigError, match="no column 'cycle'"):
        time_activity_data(points.drop(columns="cycle"), fits)
    with pytest.raises(ConfigError, match="give a mapping of site_id"):
        time_activity_data(points, list(fits.values()))
    with pytest.raises(ConfigError, match="'T9' is no site of the points; there are kidney_l"):
        time_activity_data(points, {"T9": fits["kidney_l"]})
    with pytest.raises(ConfigError, match="'kidney_l' has a float"):
        time_activity_data(points, {"kidney_l": 3.0})
    with pytest.raises(ConfigError, match="got 100 h; the last scan is at 144 h"):
        time_activity_data(points, fits, until_h=100.0)
    with pytest.raises(ConfigError, match="scale: got 'symlog'; allowed are log, linear"):
        plot_time_activity(points, fits, scale="symlog")
