import pandas as pd
import pytest


@pytest.fixture
def sites() -> pd.DataFrame:
    """Two patients, the second with two cycles; an index that is not 0, 1, 2, ..."""
    return pd.DataFrame(
        {
            "site_id": ["T1", "K1", "K2", "T1", "K1", "T1", "K1"],
            "patient_id": ["007", "007", "007", "P2", "P2", "P2", "P2"],
            "cycle": [1, 1, 1, 1, 1, 2, 2],
            "tissue": ["tumour", "kidney", "kidney", "tumour", "kidney", "tumour", "kidney"],
            "lesion_type": ["bone", None, None, "node", None, "node", None],
            "absorbed_dose_gy": [25.0, 3.9, 4.1, 115.0, 2.5, 40.0, 2.4],
            "absorbed_dose_cv": [0.1, 0.05, 0.05, 0.2, 0.1, 0.2, 0.1],
            "administered_activity_gbq": [7.4, 7.4, 7.4, 7.1, 7.1, 7.3, 7.3],
            "suv_mean": [12.0, 20.0, 21.0, 30.0, 15.0, 18.0, 16.0],
            "volume_ml": [4.0, 160.0, 155.0, 9.0, 170.0, 6.0, 170.0],
            "egfr_ml_min_1p73m2": [80.0, 80.0, 80.0, 60.0, 60.0, 52.0, 52.0],
            "pet_tracer": ["18F-DCFPyL"] * 7,
            "comment": ["", "5", "see report", None, "x", "y", "z"],
        },
        index=[10, 11, 12, 20, 21, 30, 31],
    )
