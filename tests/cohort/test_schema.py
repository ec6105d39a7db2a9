import pytest

from bayesdose.cohort import CHECKS, COLUMNS, literature_gy_per_gbq
from bayesdose.cohort.literature import LITERATURE
from bayesdose.cohort.schema import allowed_values, column_of


@pytest.mark.parametrize(
    "name",
    "patient_id site_id cycle tissue lesion_type absorbed_dose_gy absorbed_dose_cv "
    "absorbed_dose_cv_shared administered_activity_gbq suv_mean suv_max suv_peak volume_ml mass_g "
    "total_lesion_uptake tumour_to_liver tumour_to_parotid glcm_joint_entropy glcm_n_voxels "
    "glcm_below_guard egfr_ml_min_1p73m2 psa_ng_ml psma_tv_ml pet_tracer therapy_ligand centre "
    "scanner pet_uptake_min dose_method".split(),
)
def test_every_column_of_the_contract_is_known(name):
    assert column_of(name) is not None


def test_other_columns_are_not_known():
    assert column_of("suv_meanest") is None
    assert column_of("comment") is None


def test_columns_name_checks_that_exist_and_units_as_in_their_names():
    assert {column.check for column in COLUMNS} - {None} <= set(CHECKS)
    for column in COLUMNS:
        for suffix, unit in {"_gy": "Gy", "_gbq": "GBq", "_g": "g", "_ml": "mL"}.items():
            if column.name.endswith(suffix):
                assert column.unit == unit


def test_allowed_values_in_words():
    activity = column_of("administered_activity_gbq")
    assert allowed_values(activity, frozenset()) == "a finite number above 0 and at most 50 GBq"
    assert allowed_values(activity, frozenset({"activity_range"})) == "a finite number above 0 GBq"
    assert allowed_values(column_of("glcm_contrast"), frozenset()) == "a finite number"


def test_the_literature_is_the_median_of_its_figures():
    assert literature_gy_per_gbq("kidney") == 0.53
    assert literature_gy_per_gbq("salivary_gland") == pytest.approx(0.555)
    assert literature_gy_per_gbq("tumour") == 3.25
    assert literature_gy_per_gbq("red_marrow") == pytest.approx(0.0235)


@pytest.mark.parametrize("tissue", ["Kidney", "nasal mucosa", "", None, 3])
def test_other_words_have_no_literature(tissue):
    assert literature_gy_per_gbq(tissue) is None


def test_figures_have_a_source_and_agree_within_a_factor_of_five():
    # The studies of one tissue are far closer to each other than any factor that is checked.
    for tissue, per_tissue in LITERATURE.items():
        figures = [figure for figure, _ in per_tissue.figures]
        assert max(figures) < 5 * min(figures), tissue
        assert all(len(source) > 20 for _, source in per_tissue.figures), tissue
