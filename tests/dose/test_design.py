"""From a table to arrays: columns, scales, effects and codes."""

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose import design
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.standardise import standardisation_of
from bayesdose.errors import FormulaError, MissingCovariateError, UnknownCategoryError


def learn(table: pd.DataFrame, formula="x", **more):
    return design.learn(table, ModelSpec(formula, **more))


@pytest.fixture
def table() -> pd.DataFrame:
    """Two patients, two tissues, two sites each."""
    rng = np.random.default_rng(0)
    index = pd.MultiIndex.from_product([["P1", "P2"], ["tumour", "kidney"], ["a", "b"]])
    out = index.to_frame(index=False, name=["patient_id", "tissue", "site_id"])
    return out.assign(
        site_id=out["tissue"] + out["site_id"],
        x=rng.normal(5, 2, 8),
        flag=[0, 1, 1, 0, 0, 0, 1, 1],
        kind=list("uvuvuvvu"),
        cv=0.1,
        cv_shared=0.05,
        absorbed_dose_gy=rng.uniform(1, 9, 8),
        administered_activity_gbq=rng.uniform(6, 8, 8),
    )


def test_columns_are_scaled_inside_their_tissue(table):
    encoding, rows = learn(table, "x + flag")
    for k, tissue in enumerate(encoding.tissues):
        mine = rows.tissue == k
        x = table.loc[table["tissue"] == tissue, "x"]
        block = rows.x[mine, encoding.blocks[k]]
        expected = [np.ones(4), (x - x.mean()) / x.std(ddof=1)]
        np.testing.assert_allclose(block[:, :2].T, expected)
        # an indicator keeps its meaning
        np.testing.assert_array_equal(block[:, 2], table.loc[table["tissue"] == tissue, "flag"])
    outside = np.ones_like(rows.x, bool)
    for k, block in enumerate(encoding.blocks):
        outside[np.ix_(rows.tissue == k, np.arange(block.start, block.stop))] = False
    assert (rows.x[outside] == 0).all()


@pytest.mark.parametrize(
    ("more", "center", "scale"),
    [
        ({}, True, True),
        ({"standardise": False}, True, False),
        ({"standardise": False, "priors": bd.Priors(intercept=bd.Normal(0, 1))}, False, False),
        ({"priors": bd.Priors(intercept=bd.Normal(0, 1))}, True, True),
    ],
)
def test_what_is_centred_and_scaled(table, more, center, scale):
    """An intercept prior that is stated applies to the raw intercept when not standardising."""
    encoding, _ = learn(table, **more)
    x = table.loc[table["tissue"] == "tumour", "x"]
    assert encoding.standardisation.center[1] == (x.mean() if center else 0)
    assert encoding.standardisation.scale[1] == (pytest.approx(x.std(ddof=1)) if scale else 1)


def test_a_later_table_is_encoded_with_what_was_learnt(table):
    encoding, rows = learn(table, "x + kind")
    part = encoding.rows(table.iloc[[6, 1]])
    np.testing.assert_allclose(part.x, rows.x[[6, 1]])
    np.testing.assert_array_equal(part.tissue, rows.tissue[[6, 1]])
    assert part.patients == ("P2", "P1")


def test_log_dose_per_activity_and_errors(table):
    _, rows = learn(table, dose_cv="cv", dose_cv_shared="cv_shared")
    ratio = table["absorbed_dose_gy"] / table["administered_activity_gbq"]
    np.testing.assert_allclose(rows.y, np.log(ratio))
    np.testing.assert_allclose(rows.own_var, np.log(1.01))
    np.testing.assert_allclose(rows.shared_var, np.log(1.0025))
    _, without = learn(table, activity=None)
    np.testing.assert_allclose(without.y, np.log(table["absorbed_dose_gy"]))


def test_default_intercepts_without_activity(table):
    """Centres in log Gy/GBq are moved by the median activity, or by the label's 7.4 GBq."""
    encoding, _ = learn(table, activity=None)
    median = table["administered_activity_gbq"].median()
    assert encoding.log_activity == pytest.approx(np.log(median))
    bare, _ = learn(table.drop(columns="administered_activity_gbq"), activity=None)
    assert bare.log_activity == pytest.approx(np.log(7.4))
    with_activity, _ = learn(table)
    assert with_activity.log_activity == 0


def test_patient_effects(table):
    encoding, rows = learn(table, patient_effects="1 + x")
    assert encoding.patient_effects == [
        f"{t}:{c}" for t in ("tumour", "kidney") for c in ("Intercept", "x")
    ]
    tumour = (table["tissue"] == "tumour").to_numpy()
    np.testing.assert_allclose(rows.z[tumour, 1], table.loc[tumour, "x"])  # on its own scale
    assert (rows.z[tumour, 2:] == 0).all()
    assert learn(table, patient_effects="0")[0].patient_effects == []


def test_effects_of_cycles_and_sites_where_they_repeat(table):
    once, _ = learn(table)
    assert (once.cycle_effect, once.site_effect, once.cycle_trend) == ((False,) * 2,) * 3
    second = table[table["tissue"] == "tumour"].assign(cycle=2)
    both = pd.concat([table.assign(cycle=1), second], ignore_index=True)
    encoding, rows = learn(both)
    assert encoding.cycle_effect == encoding.site_effect == encoding.cycle_trend == (True, False)
    assert encoding.columns(0) == ["Intercept", "x", "cycle"]
    assert encoding.columns(1) == ["Intercept", "x"]
    assert len(set(rows.site)) == 8
    assert len(set(rows.cycle)) == 4
    # other sites in the second cycle: nothing repeats within a site
    other, _ = learn(both.assign(site_id=both["site_id"] + both["cycle"].astype(str)))
    assert (other.cycle_effect, other.site_effect) == ((True, False), (False, False))
    # a formula that has its own term for the cycle gets no second one
    own, _ = learn(both, {"tumour": "x + C(cycle)", "kidney": "x"})
    assert own.cycle_trend == (False, False)


def test_group_levels(table):
    table["centre"] = ["B", "A"] * 4
    encoding, rows = learn(table, group_effects=("centre",))
    assert encoding.group_levels == (("A", "B"),)
    block = encoding.group_blocks[0]
    np.testing.assert_array_equal(rows.x[:, block].sum(1), 1)
    np.testing.assert_array_equal(rows.x[0, block], [0, 1, 0, 0])  # tumour, B
    np.testing.assert_array_equal(rows.x[3, block], [0, 0, 1, 0])  # kidney, A
    new = encoding.rows(table.assign(centre=list("CCDDAABB")))
    assert (new.x[:4, block] == 0).all()
    assert list(new.groups[:, 0]) == [-1, -1, -2, -2, 0, 0, 1, 1]


def test_standardisations_are_linear_maps_of_each_other(table):
    encoding, rows = learn(table, "x + flag")
    part = standardisation_of(rows.raw[:6], rows.tissue[:6], encoding)
    from bayesdose.dose.standardise import between, standardised

    mapping = between(encoding, encoding.standardisation, part)
    expected = standardised(rows.raw, rows.tissue, encoding, part)
    np.testing.assert_allclose(rows.x @ mapping, expected, atol=1e-12)


def test_formula_of_one_tissue_each(table):
    encoding, _ = learn(table, {"kidney": "1", "tumour": "x"})
    assert encoding.tissues == ("kidney", "tumour")
    assert [encoding.columns(k) for k in (0, 1)] == [["Intercept"], ["Intercept", "x"]]


def test_no_tissue_column(table):
    encoding, rows = learn(table, by=None)
    assert encoding.tissues == ("all",)
    assert set(rows.tissue) == {0}


def test_a_missing_covariate_matters_only_where_it_is_used(table):
    table.loc[table["tissue"] == "kidney", "x"] = np.nan
    encoding, _ = learn(table, {"kidney": "1", "tumour": "x"})
    assert encoding.tissues == ("kidney", "tumour")
    with pytest.raises(MissingCovariateError, match="x: 4 rows of patients P1, P2"):
        learn(table)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"group_effects": ("hospital",)}, "hospital"),
        ({"dose_cv": "sd"}, "'sd'"),
        ({"formula": "x + I(2 * x)"}, "combination of .*x"),
        ({"formula": "x + one"}, "'one'.*is 1 in every row.*leave it out"),
        ({"formula": "1 + C(kind) + C(other)"}, "combination"),
    ],
)
def test_refused(table, more, words):
    formula = more.pop("formula", "x")
    other = np.where(table["kind"] == "u", "s", "t")
    with pytest.raises(FormulaError, match=words):
        learn(table.assign(one=1.0, other=other), formula, **more)


def test_a_collinear_column_is_refused_although_fewer_rows_than_columns_are_not():
    """With a proper prior a wide table is fine."""
    rng = np.random.default_rng(1)
    wide = pd.DataFrame(rng.normal(size=(4, 6)), columns=list("abcdef")).assign(
        patient_id=list("ppqq"),
        site_id=list("1234"),
        tissue="tumour",
        absorbed_dose_gy=2.0,
        administered_activity_gbq=7.0,
    )
    encoding, _ = learn(wide, "a + b + c + d + e + f")
    assert encoding.n_coefficients == 7


def test_unseen_tissue(table):
    encoding, _ = learn(table)
    with pytest.raises(UnknownCategoryError, match="'spleen'"):
        encoding.rows(table.assign(tissue="spleen"))
