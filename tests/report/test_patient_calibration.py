import numpy as np
import pandas as pd
import pytest

from bayesdose.report import patient_calibration_data, plot_patient_calibration


def test_reference_interval_is_the_published_one():
    # chi-squared quantiles at 0.025 and 0.975 with 1 and 10 degrees of freedom, from tables
    found = patient_calibration_data(
        pd.DataFrame({"patient_id": ["a", "b"], "n_sites": [1, 10], "chi2": 3.0, "p_value": 0.5})
    )
    np.testing.assert_allclose(found["lower"], [0.000982, 0.3247], rtol=1e-3)
    np.testing.assert_allclose(found["upper"], [5.0239, 2.0483], rtol=1e-4)
    np.testing.assert_allclose(found["chi2_per_site"], [3.0, 0.3])


def test_chi_squared_is_that_of_the_log_draws(validation):
    found = patient_calibration_data(validation).set_index("patient_id")
    mine = validation.predictions["patient_id"] == "P3"
    draws = np.log(validation.draws[:, mine])
    away = np.log(validation.predictions["observed"][mine].to_numpy()) - draws.mean(axis=0)
    chi2 = away @ np.linalg.inv(np.cov(draws, rowvar=False)) @ away
    assert found.loc["P3", "chi2"] == pytest.approx(chi2)
    assert found.loc["P0", "n_sites"] == 4  # the site without a prediction is not counted


def test_what_is_drawn_is_the_data(validation):
    data = patient_calibration_data(validation).reset_index(drop=True)
    data["p_value"] = np.where(data.index == 2, 0.01, 0.5)
    ax = plot_patient_calibration(data)
    drawn = np.concatenate([line.get_xydata() for line in ax.lines[1:]])
    by_height = {y: x for x, y in drawn}
    assert [by_height[y] for y in range(7, -1, -1)] == data["chi2_per_site"].tolist()
    hollow = ax.lines[-1]
    assert hollow.get_markerfacecolor() == "white"
    assert hollow.get_xdata().tolist() == [data["chi2_per_site"][2]]
    assert "p = 0.01" in [text.get_text() for text in ax.texts]
    assert ax.get_yticklabels()[0].get_text() == "P0  (4 sites)"
