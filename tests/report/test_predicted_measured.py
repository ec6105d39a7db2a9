import numpy as np
import pytest

from bayesdose.errors import ConfigError
from bayesdose.report import plot_predicted_measured, predicted_measured_data


def test_data_are_the_predictions_of_the_sites_that_have_one(validation):
    data = predicted_measured_data(validation)
    table = validation.predictions.dropna()
    assert len(data) == 39
    for name in ("patient_id", "site_id", "tissue", "cycle", "observed", "median", "lower"):
        assert data[name].tolist() == table[name].tolist()
    holds = (table["lower"] <= table["observed"]) & (table["observed"] <= table["upper"])
    assert data["inside"].tolist() == holds.tolist()
    assert 0 < data["inside"].sum() < len(data)


def test_what_is_drawn_is_the_data(validation):
    data = predicted_measured_data(validation)
    axes = plot_predicted_measured(validation)
    assert [ax.get_title(loc="left") for ax in axes] == ["tumour", "kidney"]
    for ax, tissue in zip(axes, ("tumour", "kidney"), strict=True):
        mine = data[data["tissue"] == tissue]
        _, *points = ax.lines
        drawn = np.concatenate([line.get_xydata() for line in points])
        wanted = mine[["observed", "median"]].to_numpy()
        assert sorted(map(tuple, drawn)) == sorted(map(tuple, wanted))
        (intervals,) = ax.collections
        ends = np.array([segment[:, 1] for segment in intervals.get_segments()])
        np.testing.assert_array_equal(ends, mine[["lower", "upper"]])
        note = f"80 % HDI holds {mine['inside'].sum()} of {len(mine)} sites, 8 patients"
        assert note in [text.get_text() for text in ax.texts]


def test_a_plain_table_does_too_and_a_lacking_column_is_named(validation):
    table = validation.predictions
    assert plot_predicted_measured(table)[0].texts[0].get_text().startswith("the interval holds")
    with pytest.raises(ConfigError, match="no column 'upper'"):
        predicted_measured_data(table.drop(columns="upper"))
    with pytest.raises(ConfigError, match="got dict; give the result of leave_one_patient_out"):
        predicted_measured_data({})
    with pytest.raises(ConfigError, match="nothing to draw"):
        predicted_measured_data(table.assign(median=np.nan))
