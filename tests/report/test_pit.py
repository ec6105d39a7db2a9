import numpy as np
import pytest

from bayesdose.errors import ConfigError
from bayesdose.evaluate import pit_ecdf_band_joint
from bayesdose.report import pit_data, plot_pit


@pytest.fixture(scope="module")
def data(validation):
    return pit_data(validation)


def test_panels_are_the_tissues_and_all_of_them(data):
    assert list(dict.fromkeys(data["tissue"])) == ["tumour", "kidney", "all"]
    assert data.groupby("tissue")["n_sites"].first().to_dict() == {
        "tumour": 23,
        "kidney": 16,
        "all": 39,
    }


def test_difference_and_band_are_counted_from_the_draws(validation, data):
    table, mine = validation.predictions, validation.predictions["tissue"] == "kidney"
    draws, y = validation.draws[:, mine], table["observed"][mine].to_numpy()
    share = ((draws < y).sum(axis=0) + 0.5) / (len(draws) + 1)
    found = data[data["tissue"] == "kidney"]
    ecdf = [(share <= z).mean() for z in found["z"]]
    np.testing.assert_allclose(found["difference"], ecdf - found["z"])
    band = pit_ecdf_band_joint(draws, table["patient_id"][mine].to_numpy(), 0.95)
    np.testing.assert_allclose(found["lower"] + found["z"], band.lower)
    np.testing.assert_allclose(found["upper"] + found["z"], band.upper)


def test_what_is_drawn_is_the_data(data):
    axes = plot_pit(data)
    for ax, label in zip(axes, ("tumour", "kidney", "all"), strict=True):
        mine = data[data["tissue"] == label]
        line = ax.lines[-1]
        np.testing.assert_array_equal(line.get_xdata()[1:-1], mine["z"])
        np.testing.assert_array_equal(line.get_ydata()[1:-1], mine["difference"])
        assert f"{mine['n_sites'].iloc[0]} sites: inside the band" in ax.texts[0].get_text()


def test_predictions_that_are_too_low_leave_the_band(validation):
    import copy

    low = copy.copy(validation)
    low.draws = validation.draws * 0.5
    found = pit_data(low)
    assert not found["inside"].all()
    assert (found.loc[~found["inside"], "difference"] < 0).all()
    assert "outside at" in plot_pit(found)[-1].texts[0].get_text()


def test_a_table_without_draws_is_refused(validation):
    with pytest.raises(ConfigError, match="the picture needs tissue, n_sites, z"):
        pit_data(validation.predictions)
    with pytest.raises(ConfigError, match="needs joint draws"):
        pit_data("lopo")
