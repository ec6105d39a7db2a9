import pandas as pd
import pytest

import bayesdose as bd

FORMULAS = {"tumour": "log(suv_mean)", "salivary_gland": "log(suv_mean)", "kidney": "log(suv_mean)"}
MEASURED = ["absorbed_dose_gy", "absorbed_dose_cv", "absorbed_dose_cv_shared"]


@pytest.fixture(scope="session")
def cohort() -> pd.DataFrame:
    return bd.datasets.load_reference_cohort()


@pytest.fixture(scope="session")
def training(cohort: pd.DataFrame) -> pd.DataFrame:
    return cohort[cohort["patient_id"] != "P1"]


@pytest.fixture(scope="session")
def patient(cohort: pd.DataFrame) -> pd.DataFrame:
    """A patient who was not in training, with measured doses."""
    return cohort[cohort["patient_id"] == "P1"]


@pytest.fixture(scope="session")
def sites(patient: pd.DataFrame) -> pd.DataFrame:
    """The same before therapy."""
    return patient.drop(columns=[*MEASURED, "administered_activity_gbq"])


@pytest.fixture(scope="session")
def model(training: pd.DataFrame) -> bd.DoseModel:
    """Do not change it."""
    return bd.DoseModel(
        FORMULAS, dose_cv="absorbed_dose_cv", dose_cv_shared="absorbed_dose_cv_shared"
    ).fit(training)


@pytest.fixture(scope="session")
def repeated() -> pd.DataFrame:
    """Ten patients over three cycles, with site and cycle effects."""
    parameters = bd.simulate.RegressionParameters(
        cycle_sd={"kidney": 0.15, "tumour": 0.1}, site_sd={"kidney": 0.1, "tumour": 0.3}
    )
    table = bd.simulate.dose_cohort(
        11, generator="regression", random_seed=4, n_cycles=3, regression=parameters
    )
    return table[table["tissue"] != "salivary_gland"]


@pytest.fixture(scope="session")
def cycles_model(repeated: pd.DataFrame) -> bd.DoseModel:
    """Of the first ten; do not change it."""
    table = repeated[repeated["patient_id"] != "P11"]
    return bd.DoseModel({"tumour": "log(suv_mean)", "kidney": "log(suv_mean)"}).fit(table)
