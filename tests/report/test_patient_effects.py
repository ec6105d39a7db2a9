import numpy as np
import pytest
from matplotlib.figure import Figure

from bayesdose.errors import PredictionError
from bayesdose.evaluate import hdi
from bayesdose.report import patient_effects_data, plot_patient_effects


def test_effects_are_factors_of_the_draws(fake_fit):
    model = fake_fit()
    data = patient_effects_data(model, hdi_prob=0.9)
    assert len(data) == 16
    draws = model._fitted.draws.patient_effect[:, 5, 1]
    lower, upper = hdi(draws[:, None], 0.9)
    row = data[(data["effect"] == "kidney:Intercept") & (data["patient_id"] == "P5")].iloc[0]
    assert row["median"] == pytest.approx(np.exp(np.median(draws)))
    assert (row["lower"], row["upper"]) == pytest.approx((np.exp(lower[0]), np.exp(upper[0])))
    assert row["lower"] < row["lower_50"] < row["median"] < row["upper_50"] < row["upper"]


def test_patients_keep_one_order_over_the_panels(fake_fit):
    model = fake_fit()
    data = patient_effects_data(model).set_index(["effect", "patient_id"])
    axes = plot_patient_effects(model)
    patients = [label.get_text() for label in axes[0].get_yticklabels()]
    assert sorted(patients) == [f"P{i}" for i in range(8)]
    medians = axes[0].lines[-1].get_xdata()
    assert sorted(medians) == medians.tolist()
    wanted = [data.loc[("kidney:Intercept", patient), "median"] for patient in patients]
    np.testing.assert_array_equal(axes[1].lines[-1].get_xdata(), wanted)


def test_callers_axes_are_returned(fake_fit):
    given = Figure().subplots(1, 2)
    assert list(plot_patient_effects(fake_fit(), ax=given)) == list(given)


@pytest.mark.parametrize("arguments", [{"patient_effects": "0"}, {"training": False}])
def test_a_model_without_them_says_why(fake_fit, arguments):
    with pytest.raises(PredictionError, match="no patient effects to draw"):
        patient_effects_data(fake_fit(**arguments))
