"""From images to doses: phantom scans of nine patients, their site table, and a dose model of it.

Everything is SIMULATED: patients and true doses from kinetics, PET and SPECT from spheres, blurred
and noisy. The script writes the scans as NIfTI files with the three tables that
`build_site_table` reads, measures them, compares measured and true dose, fits the dose model with
and without texture, and leaves every patient out. With the real tables (--data, or
BAYESDOSE_TEST_DATA) it also measures two real things: the time-activity data of a patient after
177Lu, and the organs and tumours of another patient's label map.

    python examples/from_images_to_dose.py --out FOLDER
"""

import argparse
import os
import tempfile
import zipfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from scipy import ndimage

import bayesdose as bd
from bayesdose import measure, report, simulate

PET = {"shape": (100, 80, 70), "spacing_mm": (4.0, 4.0, 3.0)}
SPECT = {"shape": (84, 67, 44), "spacing_mm": (4.8, 4.8, 4.8)}
SPECT_FWHM_MM = 12.0
TIMES_H = (24.0, 48.0, 96.0, 168.0)
WEIGHT_KG, INJECTED_MBQ, UPTAKE_H, DENSITY_G_ML = 80.0, 150.0, 1.0, 1.04
HALF_LIFE_H = {"tumour": 55.0, "kidney": 38.0, "salivary_gland": 30.0}
FORMULA = {
    "tumour": "log(suv_mean) + log(volume_ml)",
    "salivary_gland": "log(suv_mean)",
    "kidney": "log(suv_mean)",
}
WITH_TEXTURE = FORMULA | {"tumour": "log(suv_mean) + log(volume_ml) + glcm_joint_entropy"}


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, measure, fit, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for scans, tables and pictures")
    parser.add_argument(
        "--patients", type=at_least_three, default=9, help="from 3 (default: %(default)s)"
    )
    parser.add_argument("--draws", type=int, default=4000)
    parser.add_argument("--data", default=os.environ.get("BAYESDOSE_TEST_DATA"))
    arguments = parser.parse_args(argv)
    print("SIMULATED patients and scans: how the chain works, no evidence about patients.\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        truth = write_cohort(folder, arguments.patients)
        curve = recovery_curve()
        table = measured(folder, curve)
        print(measured_and_true(table, truth, curve))
        print(fitted(table, arguments.draws))
        if arguments.out is not None:
            draw_pictures(folder, curve)
            table.to_csv(folder / "sites.csv", index=False)
            print(f"wrote {folder}: scans, sites.csv, time_activity.png, slices.png")
    if not arguments.data:
        print("Without real tables; --data FOLDER, or BAYESDOSE_TEST_DATA=FOLDER, adds them.")
        return
    data = Path(arguments.data)
    print(real_curves(data / "lu177_snmmi_patient004"))
    print(real_regions(data / "lu177_dotatate_patient15"))


def at_least_three(text: str) -> int:
    """Read a number of patients; with fewer than three, none could be left out."""
    if not text.isdigit() or int(text) < 3:
        raise argparse.ArgumentTypeError(f"got {text!r}; give a whole number from 3")
    return int(text)


def write_cohort(folder: Path, n_patients: int) -> pd.DataFrame:
    """Write scans and tables; give the sites with their true doses."""
    sites = simulate.dose_cohort(
        n_patients, random_seed=11, lesion_counts=[12] * n_patients, truth=True
    )
    # dosimetry of a lesion under 1 mL would be guesswork
    sites = sites[(sites["tissue"] != "tumour") | (sites["volume_ml"] >= 1.0)]
    most = sites["tissue"].map({"tumour": 6, "kidney": 2, "salivary_gland": 2})
    place = sites.groupby(["patient_id", "tissue"], sort=False).cumcount()
    sites = sites[place < most].reset_index(drop=True)
    sites["label"] = sites.groupby("patient_id", sort=False).cumcount() + 1
    sites["diameter_mm"] = 10.0 * np.cbrt(6.0 * sites["volume_ml"] / np.pi)
    files, everyone = [], []
    for number, (name, mine) in enumerate(sites.groupby("patient_id", sort=False)):
        places = simulate.place_spheres(mine["diameter_mm"], **PET, random_seed=number)
        mine = mine.assign(**{axis: places[axis].to_numpy() for axis in ("x_mm", "y_mm", "z_mm")})
        files += write_pet(mine, folder, str(name), number)
        files += write_spect(mine, folder, str(name), number)
        everyone.append(mine)
    pd.DataFrame(files).to_csv(folder / "files.csv", index=False)
    patients = sites[["patient_id", "administered_activity_gbq"]].drop_duplicates()
    patients.assign(
        weight_kg=WEIGHT_KG,
        pet_tracer="68Ga-PSMA-11",
        pet_activity_mbq=INJECTED_MBQ,
        pet_injection_datetime="2026-03-02 09:00",
        therapy_ligand="177Lu-PSMA-617",
        creatinine=1.0,
        creatinine_unit="mg/dL",
        age_y=70,
        female=False,
    ).to_csv(folder / "patients.csv", index=False)
    regions = sites[["patient_id", "label", "site_id", "tissue", "lesion_type"]]
    regions.assign(density_g_ml=DENSITY_G_ML).to_csv(folder / "regions.csv", index=False)
    return pd.concat(everyone)[["patient_id", "site_id", "true_absorbed_dose_gy"]]


def write_pet(sites: pd.DataFrame, folder: Path, name: str, seed: int) -> list[dict]:
    """PET in Bq/mL, decay-corrected to the start of the scan, as scanners write it."""
    phantom = simulate.pet_volume(
        sites.assign(concentration=sites["suv_mean"]),
        background=0.8,
        fwhm_mm=6.0,
        counts_per_unit=50.0,
        random_seed=seed,
        **PET,
    )
    at_scan = INJECTED_MBQ * 1e6 * measure.decay_factor(UPTAKE_H, "Ga68")
    bq_ml = phantom.image.values * at_scan / (WEIGHT_KG * 1e3)
    save(bq_ml, phantom.image.affine, folder / f"{name}_pet.nii.gz")
    outlined = phantom.regions.image
    save(outlined.values, outlined.affine, folder / f"{name}_pet_labels.nii.gz")
    return [
        {
            "patient_id": name,
            "role": "pet",
            "path": f"{name}_pet.nii.gz",
            "units": "Bq/mL",
            "datetime": "2026-03-02 10:00",
            "decay_corrected_to": "scan_start",
        },
        {"patient_id": name, "role": "regions", "path": f"{name}_pet_labels.nii.gz"},
    ]


def write_spect(sites: pd.DataFrame, folder: Path, name: str, seed: int) -> list[dict]:
    """SPECT in MBq/mL that holds the activity of the true dose, and outlines 1 mm off."""
    rng = np.random.default_rng(seed)
    volume = sites["volume_ml"].to_numpy()
    rate = np.log(2) / sites["tissue"].map(HALF_LIFE_H).to_numpy()
    rate *= np.exp(0.2 * rng.standard_normal(len(sites)))
    tia = sites["true_absorbed_dose_gy"] / measure.s_value_sphere(volume * DENSITY_G_ML)
    outline = sites["diameter_mm"] + rng.standard_normal(len(sites))
    drawn = simulate.pet_volume(
        sites.assign(diameter_mm=outline, concentration=1.0),
        fwhm_mm=0.0,
        counts_per_unit=None,
        **SPECT,
    ).regions.image
    save(drawn.values, drawn.affine, folder / f"{name}_spect_labels.nii.gz")
    rows = [{"patient_id": name, "role": "regions", "path": f"{name}_spect_labels.nii.gz"}]
    gain = np.exp(0.05 * rng.standard_normal())  # an error of the calibration
    for time in TIMES_H:
        phantom = simulate.pet_volume(
            sites.assign(concentration=tia * rate * np.exp(-rate * time) / volume),
            background=0.0,
            fwhm_mm=SPECT_FWHM_MM,
            counts_per_unit=1300.0,
            random_seed=int(rng.integers(2**31)),
            **SPECT,
        )
        path = f"{name}_spect_{time:g}h.nii.gz"
        save(gain * phantom.image.values, phantom.image.affine, folder / path)
        rows.append(
            {
                "patient_id": name,
                "role": "spect",
                "path": path,
                "units": "MBq/mL",
                "time_h": time,
                "decay_corrected_to": "scan_start",
            }
        )
    return rows


def save(values: np.ndarray, affine: np.ndarray, path: Path) -> None:
    """Write a NIfTI file."""
    nib.Nifti1Image(values.astype(np.float32), affine).to_filename(path)


def recovery_curve() -> measure.RecoveryCurve:
    """Learn partial-volume recovery from spheres of a phantom with known activity."""
    found = []
    for diameter in (8, 10, 13, 17, 22, 28, 37, 50):
        sphere = simulate.place_spheres([diameter], **SPECT).assign(
            label=1, site_id="sphere", tissue="phantom", concentration=1.0
        )
        phantom = simulate.pet_volume(
            sphere, background=0.0, fwhm_mm=SPECT_FWHM_MM, counts_per_unit=None, **SPECT
        )
        row = measure.site_activity(phantom.image, phantom.regions, units="MBq/mL").iloc[0]
        found.append((row["volume_ml"], row["activity_mbq"] / phantom.truth["total"].iloc[0]))
    return measure.RecoveryCurve.fit(*np.transpose(found))


def dosimetry(curve: measure.RecoveryCurve) -> measure.Dosimetry:
    """State how doses are made of the SPECT, and how sure its parts are."""
    return measure.Dosimetry(
        recovery=curve,
        calibration_cv=0.05,
        diameter_sd_mm=1.0,
        activity_cv=0.03,
        curve="mono",
        fwhm_mm=SPECT_FWHM_MM,
    )


def measured(folder: Path, curve: measure.RecoveryCurve) -> pd.DataFrame:
    """Build the site table; run again, it goes on where it was interrupted."""
    return measure.build_site_table(
        folder / "files.csv",
        folder / "patients.csv",
        folder / "regions.csv",
        texture=measure.Texture(bin_width=0.5),
        dosimetry=dosimetry(curve),
        folder=folder / "measured",
    )


def measured_and_true(
    table: pd.DataFrame, truth: pd.DataFrame, curve: measure.RecoveryCurve
) -> str:
    """Compare measured with true dose, and the errors with the uncertainties stated for them."""
    both = table.merge(truth)
    error = np.log(both["absorbed_dose_gy"] / both["true_absorbed_dose_gy"])
    stated = np.hypot(both["absorbed_dose_cv"], both["absorbed_dose_cv_shared"])
    rows = pd.DataFrame(
        {
            "sites": both.groupby("tissue").size(),
            "median volume, mL": both.groupby("tissue")["volume_ml"].median(),
            "median dose, Gy": both.groupby("tissue")["absorbed_dose_gy"].median(),
            "bias, %": 100 * error.groupby(both["tissue"]).mean(),
            "spread of errors, %": 100 * error.groupby(both["tissue"]).std(),
            "stated, %": 100 * np.sqrt((stated**2).groupby(both["tissue"]).mean()),
        }
    ).round(1)
    small = table["glcm_below_guard"].astype(bool)[table["tissue"] == "tumour"].mean()
    return (
        f"Measured against true dose (recovery of half at {curve.b1_ml:.1f} mL):\n"
        f"{rows.to_string()}\n"
        f"{100 * small:.0f} % of the lesions are under 64 voxels or 5 mL, where texture mirrors "
        "volume.\n"
    )


def fitted(table: pd.DataFrame, draws: int) -> str:
    """Leave every patient out, without texture and with it."""
    shared = {"dose_cv": "absorbed_dose_cv", "dose_cv_shared": "absorbed_dose_cv_shared"}
    said = []
    for name, formula in (("uptake and volume", FORMULA), ("and texture", WITH_TEXTURE)):
        model = bd.DoseModel(formula, **shared).fit(table, draws=draws, random_seed=1)
        lopo = model.leave_one_patient_out()
        scores = lopo.summary().query("weights == 'site'").set_index("tissue")
        columns = {
            "n_sites": "sites",
            "median_ape": "median error",
            "hdi_coverage_95": "coverage of 95 %",
            "median_width_95_gy": "width, Gy",
        }
        shown = scores[list(columns)].rename(columns=columns).round(2)
        said.append(
            f"Every patient left out, {name}: elpd {lopo.elpd:.1f} (SE {lopo.elpd_se:.1f})\n"
            f"{shown.to_string()}\n"
        )
    return "\n".join(said)


def draw_pictures(folder: Path, curve: measure.RecoveryCurve) -> None:
    """Draw the fits of one patient, and slices of the PET with the outlines."""
    tables = [folder / f"{name}.csv" for name in ("files", "patients", "regions")]
    points = measure.build_time_activity(*tables, dosimetry=dosimetry(curve))
    points = points[points["patient_id"] == points["patient_id"].iloc[0]]
    fits = {
        str(site): measure.fit_time_activity(
            mine["time_h"],
            mine["activity_mbq"],
            decay_corrected=False,
            activity_cv=mine["activity_cv"],
            curve="mono",
        )
        for site, mine in points.groupby("site_id", sort=False)
    }
    axes = report.plot_time_activity(points, fits)
    report.save_figure(np.ravel(axes)[0].figure, folder / "time_activity.png")
    name = points["patient_id"].iloc[0]
    labels = pd.read_csv(tables[2]).query("patient_id == @name")
    pet = measure.suv_image(
        measure.read_image(folder / f"{name}_pet.nii.gz"),
        units="Bq/mL",
        weight_kg=WEIGHT_KG,
        injected_mbq=INJECTED_MBQ,
        injected_at=datetime(2026, 3, 2, 9),
        started=datetime(2026, 3, 2, 10),
        decay_corrected_to="scan_start",
        radionuclide="Ga68",
    )
    regions = measure.read_regions(folder / f"{name}_pet_labels.nii.gz", labels)
    axes = report.plot_slices(pet, regions)
    report.save_figure(np.ravel(axes)[0].figure, folder / "slices.png")


def real_curves(folder: Path) -> str:
    """Fit and integrate a real patient's activities, beside the reference of their source."""
    points = pd.read_csv(folder / "time_activity.csv")
    reference = pd.read_csv(folder / "reference_fit_tia_dose.csv").set_index("voi")
    rows = {}
    for organ in ("Kidney_Left", "Kidney_Right", "Liver", "Spleen"):
        mine = points[points["voi"] == organ]
        fit = measure.fit_time_activity(
            mine["time_h"],
            mine["activity_MBq"],
            decay_corrected=False,
            curve="uptake_clearance",
            weights="absolute",
        )
        # the liver is heavier than any sphere of the table: a sphere's S-value scaled by mass
        sphere = {"s_gy_per_mbq_h": float(measure.s_value_sphere(100.0)), "ref_mass_g": 100.0}
        s_table = pd.DataFrame([{"source": organ, "target": organ, **sphere}])
        mass_g = {organ: 1.05 * mine["volume_mL"].mean()}
        dose = measure.absorbed_dose_by_s_table({organ: fit.tia_mbq_h}, mass_g, s_table)
        rows[organ] = {
            "TIA, MBq h": fit.tia_mbq_h,
            "reference TIA": reference.loc[organ, "TIA_MBq_h"],
            "half-life, h": fit.effective_half_life_h,
            "dose, Gy": dose[organ],
            "reference by voxels, Gy": reference.loc[organ, "AD_Gy"],
        }
    return (
        "A real patient after 177Lu-DOTATATE (SNMMI dosimetry challenge, patient 4):\n"
        f"{pd.DataFrame(rows).T.round(2).to_string()}\n"
    )


def real_regions(folder: Path) -> str:
    """Give the regions of a real patient one uptake, and see what a SPECT makes of it."""
    table = pd.read_csv(folder / "regions.csv")
    with zipfile.ZipFile(folder / "patient_LuDOTATATE_phantoms.zip") as files:
        raw = files.read("patient15_LuDOTATATE_src.i33")
    values = np.frombuffer(raw, "<u2").reshape(90, 70, 108).transpose(2, 1, 0).astype(np.int32)
    labels = pd.DataFrame(
        {"label": table["voxel_value"], "site_id": table["region"], "tissue": table["region"]}
    )
    affine = np.diag([3.9063, 3.9063, 4.4196, 1.0])
    named = np.where(np.isin(values, labels["label"]), values, 0)
    regions = measure.Regions(measure.Image(named, affine, "patient 15"), labels)
    fwhm_mm = 12.0
    sd = fwhm_mm / (2 * np.sqrt(2 * np.log(2))) / np.diag(affine)[:3]
    seen = ndimage.gaussian_filter((named > 0).astype(float), sd)
    found = measure.region_uptake(measure.Image(seen, affine, "its SPECT"), regions)
    shown = found.set_index("site_id")[["volume_ml", "suv_mean"]].set_axis(
        ["volume, mL", f"mean of uptake 1 at {fwhm_mm:g} mm"], axis=1
    )
    shown["volume of the source"] = table["volume_mL"].to_numpy()
    return (
        "A real patient's label map (Christie, 177Lu-DOTATATE) with uptake 1 in every region, "
        f"blurred: what partial volume takes away.\n{shown.round(2).to_string()}\n"
    )


if __name__ == "__main__":
    main()
