"""A simulated patient's scans as files: PET, SPECT, dose map, label map."""

from pathlib import Path

import numpy as np
import pandas as pd

from bayesdose import simulate

#: label, site, tissue, lesion type, centre, diameter, SUV, MBq/mL at the injection, half-life h
SITES = pd.DataFrame(
    [
        (1, "K1", "kidney", "", 40.0, 40.0, 40.0, 30.0, 20.0, 0.8, 45.0),
        (2, "parotid_l", "salivary_gland", "", 90.0, 40.0, 40.0, 24.0, 12.0, 0.5, 35.0),
        (3, "T1", "tumour", "bone", 40.0, 95.0, 40.0, 20.0, 10.0, 1.2, 60.0),
        (4, "T2", "tumour", "node", 90.0, 95.0, 40.0, 28.0, 15.0, 0.9, 80.0),
    ],
    columns=[
        *("label", "site_id", "tissue", "lesion_type", "x_mm", "y_mm", "z_mm", "diameter_mm"),
        *("suv", "mbq_ml", "half_life_h"),
    ],
)
GRID = {"shape": (32, 34, 26), "spacing_mm": (4.0, 4.0, 3.0)}
TIMES_H = (4.0, 24.0, 72.0, 144.0)


def phantom(concentration: np.ndarray, sites: pd.DataFrame = SITES, seed: int = 1, **how):
    how = {"background": 0.0, "fwhm_mm": 0.0, "counts_per_unit": None, **GRID} | how
    return simulate.pet_volume(sites.assign(concentration=concentration), random_seed=seed, **how)


def write_image(image, path: Path, scale: float = 1.0) -> None:
    import nibabel as nib

    nib.Nifti1Image((image.values * scale).astype(np.float32), image.affine).to_filename(path)


def write_patient(folder: Path, name: str, *, seed: int = 1) -> list[dict]:
    """Write PET (Bq/mL, corrected to the scan's start), four SPECT (MBq/mL) and a label map."""
    rng = np.random.default_rng(seed)
    sites = SITES.assign(
        suv=SITES["suv"] * rng.uniform(0.8, 1.2, len(SITES)),
        mbq_ml=SITES["mbq_ml"] * rng.uniform(0.8, 1.2, len(SITES)),
    )
    # 80 kg, 100 MBq of 68Ga at the injection, scanned 60 min later: Bq/mL of SUV 1
    unit = 100e6 * 2 ** (-60 / 67.71) / 80e3
    pet = phantom(sites["suv"])
    write_image(pet.image, folder / f"{name}_pet.nii.gz", unit)
    write_image(pet.regions.image, folder / f"{name}_labels.nii.gz")
    rows = [
        {
            "role": "pet",
            "path": f"{name}_pet.nii.gz",
            "units": "Bq/mL",
            "datetime": "2026-03-01 10:30",
            "decay_corrected_to": "scan_start",
        },
        {"role": "regions", "path": f"{name}_labels.nii.gz"},
    ]
    for time in TIMES_H:
        spect = phantom(sites["mbq_ml"] * 2 ** (-time / sites["half_life_h"]))
        write_image(spect.image, folder / f"{name}_spect_{time:g}.nii.gz")
        rows.append(
            {
                "role": "spect",
                "path": f"{name}_spect_{time:g}.nii.gz",
                "units": "MBq/mL",
                "time_h": time,
                "decay_corrected_to": "scan_start",
            }
        )
    return [{"patient_id": name, "cycle": 1, **row} for row in rows]


def patient_row(name: str) -> dict:
    return {
        "patient_id": name,
        "cycle": 1,
        "weight_kg": 80.0,
        "height_cm": 178.0,
        "pet_tracer": "68Ga-PSMA-11",
        "pet_activity_mbq": 100.0,
        "pet_injection_datetime": "2026-03-01 09:30",
        "therapy_ligand": "177Lu-PSMA-617",
        "administered_activity_gbq": 7.4,
        "creatinine": 1.1,
        "creatinine_unit": "mg/dL",
        "age_y": 70.0,
        "female": False,
    }


REGIONS = SITES[["label", "site_id", "tissue", "lesion_type"]].assign(density_g_ml=1.04)
