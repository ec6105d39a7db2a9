"""Units and meaning of the columns that a simulated table has."""

COLUMN_UNITS: dict[str, str] = {
    "patient_id": "label",
    "site_id": "label",
    "cycle": "label",
    "tissue": "label",
    "lesion_type": "label",
    "absorbed_dose_gy": "Gy",
    "absorbed_dose_cv": "1",
    "absorbed_dose_cv_shared": "1",
    "administered_activity_gbq": "GBq",
    "suv_mean": "SUV",
    "suv_max": "SUV",
    "suv_peak": "SUV",
    "volume_ml": "mL",
    "mass_g": "g",
    "total_lesion_uptake": "SUV mL",
    "tumour_to_liver": "1",
    "tumour_to_parotid": "1",
    "glcm_joint_average": "1",
    "glcm_joint_variance": "1",
    "glcm_joint_entropy": "bit",
    "glcm_contrast": "1",
    "glcm_correlation": "1",
    "glcm_n_voxels": "1",
    "glcm_below_guard": "yes or no",
    "egfr_ml_min_1p73m2": "mL/min/1.73 m2",
    "psa_ng_ml": "ng/mL",
    "psma_tv_ml": "mL",
    "pet_tracer": "label",
    "therapy_ligand": "label",
    "centre": "label",
    "scanner": "label",
    "pet_uptake_min": "min",
    "dose_method": "label",
}
TRUTH_UNITS: dict[str, str] = {"true_absorbed_dose_gy": "Gy"}


def units_text(columns: list[str]) -> str:
    """Write the units of columns as one line, so that they travel in ``frame.attrs``.

    Parameters
    ----------
    columns : list of str
        Columns of the table.

    Returns
    -------
    str
        ``column [unit]``, separated by semicolons.
    """
    units = COLUMN_UNITS | TRUTH_UNITS
    return "; ".join(f"{name} [{units[name]}]" for name in columns)
