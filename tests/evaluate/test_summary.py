import numpy as np
import pytest

from bayesdose import evaluate
from bayesdose.errors import BayesdoseError

N_SITES = 70


@pytest.fixture
def cohort():
    rng = np.random.default_rng(1)
    groups = np.array([f"P{g}" for g in rng.integers(0, 9, size=N_SITES)])
    tissue = np.where(rng.random(N_SITES) < 0.6, "tumour", "kidney")
    centre = rng.normal(1.5, 0.8, size=N_SITES)
    observed = np.exp(centre + rng.normal(0, 0.4, size=N_SITES))
    draws = np.exp(centre + rng.normal(0, 0.4, size=(500, N_SITES)))
    return {"observed": observed, "draws": draws, "groups": groups, "tissue": tissue}


def test_each_number_is_that_of_its_own_function(cohort):
    table = evaluate.site_scores(**cohort, folds=cohort["groups"])
    assert table[["tissue", "weights"]].apply(tuple, axis=1).nunique() == 4
    for row in table.to_dict("records"):
        at = cohort["tissue"] == row["tissue"]
        y, draws, groups = cohort["observed"][at], cohort["draws"][:, at], cohort["groups"][at]
        weights = row["weights"]
        weight = None if weights == "site" else 1 / np.array([(groups == g).sum() for g in groups])
        point = np.median(draws, axis=0)

        scores = evaluate.regression_scores(y, point, groups, weights)
        for name in ("mae_gy", "rmse_gy", "mape", "median_ape", "median_relative_error"):
            assert row[name] == pytest.approx(getattr(scores, name))
        line = evaluate.calibration_line(np.log(y), np.log(point), groups, weights=weights)
        assert row["calibration_slope_lower"] == pytest.approx(line.slope_lower)
        assert row["calibration_intercept_upper"] == pytest.approx(line.intercept_upper)
        assert (row["n_sites"], row["n_patients"]) == (at.sum(), len(set(groups)))
        for name, scale in (("r2_gy", np.asarray), ("r2_log", np.log)):
            mean = evaluate.out_of_fold_mean(scale(y), groups)
            assert row[name] == pytest.approx(
                evaluate.lopo_r2(scale(y), scale(point), mean, groups=groups, weights=weights)
            )
        assert row["crps_gy"] == pytest.approx(np.average(evaluate.crps(y, draws), weights=weight))
        for percent in (50, 80, 95):
            for kind, count, ends in (
                ("hdi", evaluate.hdi_coverage, evaluate.hdi),
                ("eti", evaluate.eti_coverage, evaluate.eti),
            ):
                expected = count(y, draws, percent / 100, groups, weights=weights)
                assert row[f"{kind}_coverage_{percent}"] == pytest.approx(expected.coverage)
                assert row[f"{kind}_coverage_{percent}_lower"] == pytest.approx(expected.lower)
                assert row[f"{kind}_coverage_{percent}_upper"] == pytest.approx(expected.upper)
                lower, upper = ends(draws, percent / 100)
                width = "width" if kind == "hdi" else "eti_width"
                assert row[f"{width}_{percent}_gy"] == pytest.approx(
                    np.average(upper - lower, weights=weight)
                )
                if weights == "site":
                    assert row[f"median_{width}_{percent}_gy"] == pytest.approx(
                        np.median(upper - lower)
                    )


def test_without_folds_r2_is_the_ordinary_one(cohort):
    from sklearn.metrics import r2_score

    table = evaluate.site_scores(**cohort)
    at = cohort["tissue"] == "tumour"
    row = table[(table["tissue"] == "tumour") & (table["weights"] == "site")].iloc[0]
    median = np.median(cohort["draws"][:, at], axis=0)
    assert row["r2_gy"] == pytest.approx(r2_score(cohort["observed"][at], median))
    assert row["r2_log"] == pytest.approx(r2_score(np.log(cohort["observed"][at]), np.log(median)))


def test_point_scores_are_the_first_columns_of_site_scores(cohort):
    table = evaluate.site_scores(**cohort, folds=cohort["groups"])
    point = np.median(cohort["draws"], axis=0)
    points = evaluate.point_scores(
        cohort["observed"], point, cohort["groups"], cohort["tissue"], folds=cohort["groups"]
    )
    assert list(points.columns) == list(table.columns[: points.shape[1]])
    np.testing.assert_allclose(
        points.select_dtypes(float), table[points.select_dtypes(float).columns], rtol=1e-12
    )


def test_the_table_does_not_depend_on_row_order_or_block_size(cohort, monkeypatch):
    table = evaluate.site_scores(**cohort, folds=cohort["groups"])
    order = np.random.default_rng(2).permutation(N_SITES)
    monkeypatch.setattr("bayesdose.evaluate._sorted_draws._BLOCK_VALUES", 3000)
    shuffled = evaluate.site_scores(
        cohort["observed"][order],
        cohort["draws"][:, order],
        cohort["groups"][order],
        cohort["tissue"][order],
        folds=cohort["groups"][order],
    )
    key = ["tissue", "weights"]
    np.testing.assert_allclose(
        shuffled.sort_values(key).drop(columns=key).to_numpy(float),
        table.sort_values(key).drop(columns=key).to_numpy(float),
        rtol=1e-9,
    )


def test_a_tissue_of_one_patient_is_scored_where_it_can_be(cohort):
    cohort["tissue"] = np.where(cohort["groups"] == "P3", "liver", cohort["tissue"])
    table = evaluate.site_scores(**cohort, folds=cohort["groups"])
    row = table[table["tissue"] == "liver"].iloc[0]
    assert row["mae_gy"] > 0
    assert row["n_patients"] == 1
    assert np.isnan([row["r2_gy"], row["r2_log"], row["calibration_slope_lower"]]).all()
    assert 0 <= row["hdi_coverage_95_lower"] < row["hdi_coverage_95_upper"] <= 1


def test_a_constant_baseline_has_no_calibration_line(cohort):
    point = np.full(N_SITES, 4.0)
    table = evaluate.point_scores(cohort["observed"], point, cohort["groups"], cohort["tissue"])
    assert table["calibration_slope"].isna().all()
    assert table["mae_gy"].notna().all()


def test_every_column_is_described(cohort):
    text = evaluate.site_scores.__doc__
    for column in evaluate.site_scores(**cohort).columns:
        stem = column.replace("_80", "_50").replace("_95", "_50")
        stem = stem.removesuffix("_lower").removesuffix("_upper")
        assert stem in text, column


def test_bad_input_is_named(cohort):
    with pytest.raises(BayesdoseError, match="`observed` must be finite and above zero; entry 0"):
        evaluate.site_scores(**(cohort | {"observed": np.zeros(N_SITES)}))
    with pytest.raises(BayesdoseError, match="`tissue` must be one label for each of the 70"):
        evaluate.site_scores(**(cohort | {"tissue": ["tumour"]}))
    with pytest.raises(BayesdoseError, match="`draws` has 500 sites on its second axis"):
        evaluate.site_scores(**(cohort | {"draws": cohort["draws"].T}))
    with pytest.raises(BayesdoseError, match="`point` must be finite and above zero"):
        evaluate.point_scores([1.0], [0.0], ["a"], ["tumour"])
