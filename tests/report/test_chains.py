import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import rankdata

from bayesdose.errors import ConfigError
from bayesdose.report import plot_rank, plot_trace, rank_data, trace_data

NAMES = ["beta_tumour[log(suv_mean)]", "residual_sd[kidney]"]


@pytest.fixture(scope="module")
def model(fake_fit):
    return fake_fit()


def draws_of(model) -> np.ndarray:
    return model._fitted.draws.residual_sd[:, 1].reshape(4, 200)


def test_all_parameters_but_slopes_are_chosen(model):
    names = set(trace_data(model)["parameter"])
    assert {*NAMES, "patient_sd[tumour:Intercept]"} <= names
    assert not [name for name in names if name.startswith("slope_")]


def test_trace_data_are_the_draws(model):
    data = trace_data(model, parameters=NAMES)
    mine = data[data["parameter"] == "residual_sd[kidney]"]
    found = mine.pivot(index="chain", columns="draw", values="value").to_numpy()
    np.testing.assert_array_equal(found, draws_of(model))


def test_trace_is_drawn_by_chain(model):
    axes = plot_trace(model, parameters=NAMES)
    assert [ax.get_title(loc="left") for ax in axes] == NAMES
    drawn = np.array([line.get_ydata() for line in axes[1].lines])
    np.testing.assert_array_equal(drawn, draws_of(model))
    assert axes[0].figure.get_suptitle() == "Trace of four chains"


def test_divergent_transitions_are_marked(fake_fit):
    model = fake_fit()
    diverging = np.zeros((4, 200), bool)
    diverging[1, [3, 50]] = True
    model._fitted.draws.sample_stats["diverging"] = diverging
    data = trace_data(model, parameters=NAMES)
    assert data[data["diverging"]][["chain", "draw"]].to_numpy().tolist() == [[1, 3], [1, 50]] * 2
    ax = plot_trace(model, parameters=NAMES)[0]
    marks = [line for line in ax.lines if len(line.get_xdata()) < 200] + list(ax.collections)
    assert marks


def test_ranks_are_those_among_all_draws(model):
    data = rank_data(model, parameters=NAMES)
    mine = data[(data["parameter"] == "residual_sd[kidney]") & (data["chain"] == 2)]
    values = draws_of(model)
    share = rankdata(values).reshape(values.shape)[2] / values.size
    ecdf = np.array([(share <= x).mean() for x in mine["x"]])
    # ArviZ shifts ranks by up to one place before it divides
    np.testing.assert_allclose(mine["difference"], ecdf - mine["x"], atol=2.5 / values.shape[1])
    line = plot_rank(model, parameters=NAMES)[1].lines[2]
    np.testing.assert_array_equal(line.get_xydata(), mine[["x", "difference"]])


def test_importance_draws_are_said_to_be_no_chains(fake_fit):
    model = fake_fit(sampler="importance")
    for plot in (plot_trace, plot_rank):
        figure = plot(model, parameters=NAMES)[0].figure
        assert "checks nothing" in figure.get_suptitle()


def test_callers_axes_and_unknown_names(model):
    given = Figure().subplots(1, 2)
    assert list(plot_rank(model, parameters=NAMES, ax=given)) == list(given)
    with pytest.raises(ConfigError, match="'tau' is not one of the model's: beta_tumour"):
        trace_data(model, parameters=["tau"])
