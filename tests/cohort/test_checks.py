import warnings

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.cohort import CHECKS, SiteTableWarning, validate_sites
from bayesdose.errors import ConfigError, SiteTableError


def problems_of(frame, *args, **settings):
    """Problems as {(row, column): value}, after checking that nothing was changed."""
    before = frame.copy(deep=True)
    with pytest.raises(SiteTableError) as caught:
        validate_sites(frame, *args, **settings)
    pd.testing.assert_frame_equal(frame, before)
    assert all(set(one) == {"row", "column", "value", "allowed"} for one in caught.value.problems)
    return {(one["row"], one["column"]): one["value"] for one in caught.value.problems}


def changed(frame, row, column, value):
    edited = frame.copy()
    if isinstance(value, str) or value is None:
        edited[column] = edited[column].astype(object)
    edited.at[row, column] = value
    return edited


def test_a_good_table_comes_back_equal_and_as_a_copy(sites):
    before = sites.copy(deep=True)
    clean = validate_sites(sites)
    pd.testing.assert_frame_equal(clean, sites)
    clean.loc[10, "absorbed_dose_gy"] = 1.0
    clean.attrs["mine"] = 1
    pd.testing.assert_frame_equal(sites, before)
    assert sites.attrs == {}


def test_cycle_is_one_in_a_last_column_where_it_is_absent(sites):
    clean = validate_sites(sites.query("cycle == 1").drop(columns="cycle"))
    assert list(clean.columns)[-1] == "cycle"
    assert clean["cycle"].tolist() == [1] * 5


def test_numbers_kept_as_objects_become_plain_and_labels_stay_as_given(sites):
    sites["absorbed_dose_gy"] = sites["absorbed_dose_gy"].astype(object)
    sites["suv_mean"] = sites["suv_mean"].convert_dtypes()
    sites["cycle"] = sites["cycle"].astype(float)
    sites["tissue"] = sites["tissue"].astype("category")
    clean = validate_sites(sites)
    assert clean["absorbed_dose_gy"].dtype == np.float64
    assert clean["suv_mean"].dtype == np.float64
    assert clean["cycle"].dtype == np.int64
    assert clean["tissue"].dtype == sites["tissue"].dtype
    assert clean["patient_id"].tolist() == sites["patient_id"].tolist()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("absorbed_dose_gy", -1.0),
        ("absorbed_dose_gy", 0.0),
        ("absorbed_dose_gy", np.inf),
        ("absorbed_dose_gy", -np.inf),
        ("absorbed_dose_gy", np.nan),
        ("absorbed_dose_gy", None),
        ("absorbed_dose_gy", "12 Gy"),
        ("absorbed_dose_gy", "12.5"),
        ("absorbed_dose_gy", 3900.0),
        ("absorbed_dose_cv", -0.1),
        ("absorbed_dose_cv", 12.0),
        ("suv_mean", 0.0),
        ("suv_mean", np.inf),
        ("suv_mean", "n/a"),
        ("volume_ml", -3.0),
        ("egfr_ml_min_1p73m2", 0.0),
        ("egfr_ml_min_1p73m2", 1.2),
        ("egfr_ml_min_1p73m2", 801.0),
        ("administered_activity_gbq", 0.0),
        ("administered_activity_gbq", np.nan),
        ("administered_activity_gbq", 7400.0),
        ("cycle", 0),
        ("cycle", 1.5),
        ("cycle", np.nan),
        ("patient_id", None),
        ("patient_id", ""),
        ("patient_id", " 007"),
        ("site_id", None),
        ("tissue", None),
        ("tissue", "kidney "),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_row_and_column(sites, column, value):
    sites["cycle"] = sites["cycle"].astype(float)
    found = problems_of(changed(sites, 10, column, value))
    assert (10, column) in found
    shown = found[10, column]
    missing = value is None or (isinstance(value, float) and np.isnan(value))
    assert shown == "missing" if missing else shown == value


def test_every_problem_is_listed_at_once_with_place_value_and_way_out(sites):
    sites["administered_activity_gbq"] *= 1000
    sites = changed(sites, 12, "absorbed_dose_gy", -4.1)
    sites = changed(sites, 20, "suv_mean", "30 g/mL")
    with pytest.raises(SiteTableError) as caught:
        validate_sites(sites.drop(columns="tissue"))
    message = str(caught.value)
    assert len(caught.value.problems) == 10
    assert "10 problems" in message
    assert "tissue: no such column" in message
    assert "row 12 (patient_id 007, site_id K2): absorbed_dose_gy: -4.1" in message
    assert "suv_mean: '30 g/mL'" in message
    assert "MBq?" in message
    assert "checks={'activity_range': False}" in message


def test_the_message_stops_at_twenty_lines_and_problems_do_not(sites):
    many = pd.concat([sites] * 5, ignore_index=True)
    many["site_id"] = [f"S{number}" for number in range(len(many))]
    many["absorbed_dose_gy"] = -1.0
    with pytest.raises(SiteTableError) as caught:
        validate_sites(many)
    assert len(caught.value.problems) == 35
    assert "… and 15 more" in str(caught.value)
    assert str(caught.value).count("\n") == 21


def test_mgy_for_gy(sites):
    sites["absorbed_dose_gy"] *= 1000
    found = problems_of(sites)
    assert found[11, "absorbed_dose_gy"] == 3900.0
    with pytest.raises(SiteTableError, match=r"mGy\? divide by 1000"):
        validate_sites(sites)


def test_mgy_for_gy_below_the_range_is_seen_by_the_median_of_the_tissue(sites):
    kidneys = sites[sites["tissue"] == "kidney"].copy()
    kidneys["absorbed_dose_gy"] = [400.0, 410.0, 420.0, 430.0]
    found = problems_of(kidneys)
    assert list(found) == [(None, "absorbed_dose_gy")]
    assert "kidney" in found[None, "absorbed_dose_gy"]


@pytest.mark.parametrize(("factor", "wrong"), [(49.0, False), (51.0, True)])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_median_is_refused_from_fifty_times_the_literature(sites, factor, wrong, direction):
    kidneys = sites[sites["tissue"] == "kidney"].copy()
    published = np.median([0.49, 0.82, 0.53, 0.54, 0.28])
    kidneys["absorbed_dose_gy"] = (
        published * factor**direction * kidneys["administered_activity_gbq"]
    )
    if wrong:
        assert (None, "absorbed_dose_gy") in problems_of(kidneys)
    else:
        with pytest.warns(SiteTableWarning, match="4 doses"):
            validate_sites(kidneys)


def test_a_single_value_twenty_times_off_is_one_listed_warning(sites):
    sites.loc[10, "absorbed_dose_gy"] = 0.03 * 7.4
    with pytest.warns(SiteTableWarning) as caught:
        clean = validate_sites(sites)
    assert len(caught) == 1
    assert "row 10" in str(caught[0].message)
    assert caught[0].filename == __file__
    pd.testing.assert_frame_equal(clean, sites)


def test_duplicate_keys_name_both_rows(sites):
    sites.loc[12, "site_id"] = "K1"
    assert problems_of(sites) == {(12, "site_id"): "K1"}
    with pytest.raises(SiteTableError, match="row 11 has the same"):
        validate_sites(sites)


def test_repeated_cycles_without_a_cycle_column_are_duplicates(sites):
    found = problems_of(sites.drop(columns="cycle"))
    assert {(30, "site_id"), (31, "site_id")} <= set(found)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("egfr_ml_min_1p73m2", 79.0),
        ("administered_activity_gbq", 7.3),
        ("psa_ng_ml", 12.0),
        ("psma_tv_ml", 100.0),
        ("absorbed_dose_cv_shared", 0.2),
        ("pet_tracer", "68Ga-PSMA-11"),
    ],
)
def test_a_biomarker_that_varies_within_patient_and_cycle(sites, column, value):
    if column not in sites:
        sites[column] = 0.1 if column.startswith("absorbed") else 55.0
    found = problems_of(changed(sites, 12, column, value), mixed_ok=("pet_tracer",))
    assert found == {(12, column): value}


def test_a_biomarker_known_on_some_rows_only_is_left_to_the_model(sites):
    sites.loc[[11, 21], "egfr_ml_min_1p73m2"] = np.nan
    validate_sites(sites)


@pytest.mark.parametrize(
    "column", ["pet_tracer", "therapy_ligand", "centre", "scanner", "dose_method"]
)
def test_mixed_protocols_are_refused_unless_the_model_uses_the_column(sites, column):
    sites[column] = np.where(sites["patient_id"] == "P2", "b", "a")
    found = problems_of(sites)
    assert found == {(None, column): "b (4), a (3)"}
    validate_sites(sites, mixed_ok=(column,))


def test_a_protocol_unknown_on_some_rows_is_refused_and_on_all_rows_accepted(sites):
    sites["centre"] = None
    validate_sites(sites)
    sites.loc[[10, 11, 12], "centre"] = "A"
    assert set(problems_of(sites)) == {(row, "centre") for row in (20, 21, 30, 31)}


def test_texture_made_in_two_ways_is_refused(sites):
    half = len(sites) // 2
    mixed = sites.assign(glcm_settings=["bins of 0.5"] * half + ["64 bins"] * (len(sites) - half))
    with pytest.raises(SiteTableError, match="make all features with one setting"):
        validate_sites(mixed)
    validate_sites(sites.assign(glcm_settings="bins of 0.5"))


def test_text_and_numbers_mixed_in_labels_would_be_two_patients(sites):
    sites["patient_id"] = pd.Series([7, 7, 7, "7", "7", "7", "7"], index=sites.index, dtype=object)
    assert (None, "patient_id") in problems_of(sites)


def test_a_label_that_cannot_be_one_is_named(sites):
    sites["patient_id"] = sites["patient_id"].astype(object)
    sites.at[10, "patient_id"] = ["P", 1]
    assert problems_of(sites) == {(10, "patient_id"): ["P", 1]}


@pytest.mark.parametrize("dtype", [object, "string"])
def test_labels_are_named_where_they_stand(sites, dtype):
    labels = sites["patient_id"].astype(dtype)
    labels.loc[10], labels.loc[12] = None, "two\nlines"
    sites["patient_id"] = labels
    found = problems_of(sites)
    assert found[10, "patient_id"] == "missing"
    assert found[12, "patient_id"] == "two\nlines"


def test_two_spellings_of_a_tissue(sites):
    sites.loc[11, "tissue"] = "Kidney"
    assert problems_of(sites) == {(None, "tissue"): "Kidney and kidney"}


@pytest.mark.parametrize("column", ["absorbed_dose_gy", "site_id", "patient_id", "tissue"])
def test_missing_columns(sites, column):
    found = problems_of(sites.rename(columns={column: column.title()}))
    assert (None, column) in found
    with pytest.raises(SiteTableError, match=column.title()):
        validate_sites(sites.rename(columns={column: column.title()}))


def test_an_empty_table():
    with pytest.raises(SiteTableError, match="empty"):
        validate_sites(pd.DataFrame())
    with pytest.raises(SiteTableError, match="empty"):
        validate_sites(pd.DataFrame({"patient_id": []}))


def test_no_table_at_all():
    with pytest.raises(SiteTableError, match="got dict"):
        validate_sites({"patient_id": [1]})


def test_columns_with_the_same_name(sites):
    with pytest.raises(SiteTableError, match="suv_mean"):
        validate_sites(pd.concat([sites, sites["suv_mean"]], axis=1))


# What must be accepted. The fixture itself has a tumour of 115 Gy and an eGFR that differs between
# cycles, and warnings are errors here.


def test_a_patient_with_kidneys_only(sites):
    validate_sites(sites.drop(index=10))


def test_a_tissue_word_that_the_literature_does_not_know(sites):
    sites["tissue"] = sites["tissue"].replace({"kidney": "nasal mucosa"})
    validate_sites(sites)


@pytest.mark.parametrize("how", ["absent", "missing", "partly missing"])
def test_prediction_needs_no_dose(sites, how):
    if how == "absent":
        new = sites.drop(columns="absorbed_dose_gy")
    else:
        new = sites.copy()
        rows = new.index if how == "missing" else new.index[:2]
        new.loc[rows, "absorbed_dose_gy"] = np.nan
    pd.testing.assert_frame_equal(validate_sites(new, response_required=False), new)
    with pytest.raises(SiteTableError):
        validate_sites(new)


def test_a_dose_that_is_there_is_checked_at_prediction_too(sites):
    sites.loc[10, "absorbed_dose_gy"] = -1.0
    assert problems_of(sites, response_required=False) == {(10, "absorbed_dose_gy"): -1.0}


def test_missing_covariates_are_left_to_the_model(sites):
    sites.loc[10, ["suv_mean", "volume_ml", "absorbed_dose_cv"]] = np.nan
    pd.testing.assert_frame_equal(validate_sites(sites, require=("suv_mean",)), sites)


def test_other_names_are_passed_by_argument(sites):
    names = {
        "patient_id": "Subject",
        "tissue": "organ",
        "absorbed_dose_gy": "dose",
        "administered_activity_gbq": "activity",
    }
    roles = {"patient": "Subject", "by": "organ", "response": "dose", "activity": "activity"}
    foreign = sites.rename(columns=names)
    pd.testing.assert_frame_equal(validate_sites(foreign, **roles), foreign)
    foreign.loc[10, "dose"] = -1.0
    foreign["activity"] *= 1000
    found = problems_of(foreign, **roles)
    assert found[10, "dose"] == -1.0
    assert found[31, "activity"] == 7300.0
    assert found[None, "dose"].startswith("median")


def test_a_table_of_something_else_needs_patient_and_response_only():
    yields = pd.DataFrame({"Batch": list("AAB"), "Yield": [1545, 1440, 1520]})
    roles = {"patient": "Batch", "response": "Yield", "by": None, "activity": None, "require": ()}
    clean = validate_sites(yields, **roles)
    assert list(clean.columns) == ["Batch", "Yield", "cycle"]
    yields.loc[1, "Yield"] = 0
    assert problems_of(yields, **roles) == {(1, "Yield"): 0}


def test_an_integer_patient_is_a_label_too():
    frame = pd.DataFrame({"Subject": [308, 308, 309], "dose_gy": [1.0, 2.0, 3.0]})
    roles = {"patient": "Subject", "response": "dose_gy", "by": None, "activity": None}
    validate_sites(frame, require=(), **roles)
    frame["dose_gy"] *= 1000
    assert problems_of(frame, require=(), **roles) == {
        (1, "dose_gy"): 2000.0,
        (2, "dose_gy"): 3000.0,
    }


def test_sleepstudy_passes(test_data):
    frame = pd.read_csv(test_data / "lme_reference" / "sleepstudy.csv")
    frame["Reaction_dose"] = np.exp(frame["Reaction"] / 100)
    settings = {"patient": "Subject", "response": "Reaction_dose", "by": None, "activity": None}
    clean = validate_sites(frame, require=("Days",), **settings)
    pd.testing.assert_frame_equal(clean[frame.columns], frame)


def test_synthetic_lesions_of_another_project_pass(test_data):
    path = test_data / "prrt_cohort_benchmark" / "synthetic_lesions_18patients.csv"
    frame = pd.read_csv(path).assign(tissue="tumour")
    settings = {"response": "dose_gy", "activity": "activity_gbq", "require": ("lesion",)}
    clean = validate_sites(frame, **settings)
    pd.testing.assert_frame_equal(clean[frame.columns], frame)


# Columns that the schema does not know are looked at when they are asked for.


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        ([1.0, np.inf, 2.0], {1: np.inf}),
        ([1.0, "<0.1", 2.0], {1: "<0.1"}),
        (["200", "<100", "150"], {1: "<100"}),
        ([1.0, "2.0", None], {1: "2.0"}),
    ],
)
def test_text_among_numbers_in_a_required_column(cells, wrong):
    frame = pd.DataFrame({"id": ["a", "b", "c"], "gy": [1.0, 2.0, 3.0], "ldh": cells})
    settings = {"patient": "id", "response": "gy", "by": None, "activity": None}
    validate_sites(frame, require=(), **settings)
    found = problems_of(frame, require=("ldh",), **settings)
    assert found == {(row, "ldh"): value for row, value in wrong.items()}


@pytest.mark.parametrize(
    "cells",
    [
        ["low", "high", None],
        ["1", "2", "3"],
        [True, False, True],
        [1, None, 3],
        pd.Categorical([1]),
    ],
)
def test_numbers_or_words_throughout_are_accepted(cells):
    frame = pd.DataFrame({"id": range(len(cells)), "gy": 1.0, "grade": cells})
    validate_sites(frame, patient="id", response="gy", by=None, activity=None, require=("grade",))


# Switches.


def test_a_range_check_switched_off_is_recorded_and_stays_off(sites):
    sites.loc[[10, 11, 12], "egfr_ml_min_1p73m2"] = 250.0
    assert set(problems_of(sites)) == {(row, "egfr_ml_min_1p73m2") for row in (10, 11, 12)}
    clean = validate_sites(sites, checks={"egfr_range": False})
    assert clean.attrs["bayesdose_checks_off"] == ["egfr_range"]
    assert validate_sites(clean).attrs == clean.attrs
    with pytest.raises(SiteTableError):
        validate_sites(clean, checks={"egfr_range": True})


@pytest.mark.parametrize(
    ("check", "column", "factor"),
    [
        ("dose_range", "absorbed_dose_gy", 10),
        ("activity_range", "administered_activity_gbq", 10),
        ("cv_range", "absorbed_dose_cv", 100),
        ("literature_median", "administered_activity_gbq", 1e-3),
    ],
)
def test_each_check_can_be_switched_off(sites, check, column, factor):
    sites[column] *= factor
    assert problems_of(sites)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SiteTableWarning)
        clean = validate_sites(sites, checks={check: False})
    pd.testing.assert_frame_equal(clean, sites)


def test_the_warning_can_be_switched_off(sites):
    sites.loc[10, "absorbed_dose_gy"] = 0.03 * 7.4
    validate_sites(sites, checks={"literature_value": False})


def test_a_switch_leaves_the_other_rules_alone(sites):
    sites.loc[10, "absorbed_dose_gy"] = -1.0
    assert problems_of(sites, dict.fromkeys(CHECKS, False)) == {(10, "absorbed_dose_gy"): -1.0}


@pytest.mark.parametrize("checks", [{"dose": False}, {"dose_range": "no"}])
def test_an_unknown_switch_lists_the_names(sites, checks):
    with pytest.raises(ConfigError, match="dose_range"):
        validate_sites(sites, checks=checks)


def test_errors_are_value_errors(sites):
    assert bd.validate_sites is validate_sites
    with pytest.raises(ValueError, match="no such column"):
        bd.validate_sites(sites.drop(columns="patient_id"))
