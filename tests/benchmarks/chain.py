"""The whole chain: simulated scans, site table, dose model, patients left out.

A cohort of 12 patients with six lesions, two kidneys and two salivary glands: PET images give the
covariates; true doses are drawn; SPECT images at four times hold the activity that makes them,
blurred, with counting noise, a calibration error common to a patient's scans, and outlines whose
diameters are wrong. `build_site_table` measures the doses. Then every patient is left out by an
explicit refit, and 95 % intervals of the true and of the measured dose are counted by tertile of
the lesions' measured volume, with ``dose_cv`` and without.

Two sources of the true doses: ``regression``, the package's own model of the measured covariates,
for which 0.95 is what must come out; and ``mechanism``, kinetics, for which no regression is right.

Run ``python tests/benchmarks/chain.py --cohorts 40``; finished cohorts are kept in ``--store`` and
not done again. It writes results/chain.md.
"""

import argparse
import tempfile
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from results_files import markdown, write

import bayesdose as bd
from bayesdose import measure, simulate

RESULTS = Path(__file__).parent / "results"
N_PATIENTS, N_LESIONS, SEED = 12, 6, 88120
TIMES_H = (24.0, 48.0, 96.0, 168.0)
PET = {"shape": (100, 80, 70), "spacing_mm": (4.0, 4.0, 3.0)}
SPECT = {"shape": (84, 67, 44), "spacing_mm": (4.8, 4.8, 4.8)}
PET_FWHM_MM, SPECT_FWHM_MM = 6.0, 12.0
PET_COUNTS, SPECT_COUNTS = 50.0, 1300.0  # of a voxel of SUV 1, of 1 MBq/mL
CALIBRATION_CV, DIAMETER_SD_MM, DENSITY = 0.05, 1.0, 1.04
HALF_LIFE_H = {"tumour": (55.0, 0.3), "kidney": (38.0, 0.2), "salivary_gland": (30.0, 0.2)}
FORMULA = {
    "tumour": "log(suv_mean) + log(volume_ml)",
    "salivary_gland": "log(suv_mean)",
    "kidney": "log(suv_mean)",
}
REGRESSION = simulate.RegressionParameters(
    coefficients={
        "tumour": {"Intercept": -1.03, "log(suv_mean)": 0.93, "log(volume_ml)": -0.12},
        "salivary_gland": {"Intercept": -2.86, "log(suv_mean)": 0.89},
        "kidney": {"Intercept": -3.40, "log(suv_mean)": 0.85},
    }
)


def recovery_curve() -> measure.RecoveryCurve:
    """Spheres of a phantom, one at a time, outlined at their true diameter."""
    found = []
    for i, diameter in enumerate([8, 10, 13, 17, 22, 28, 37, 50, 65]):
        sphere = simulate.place_spheres([diameter], **SPECT, random_seed=i)
        phantom = simulate.pet_volume(
            sphere.assign(label=1, site_id="s", tissue="s", concentration=1.0),
            background=0.0,
            fwhm_mm=SPECT_FWHM_MM,
            counts_per_unit=None,
            **SPECT,
        )
        activity = measure.site_activity(phantom.image, phantom.regions, units="MBq/mL")
        row = activity.iloc[0]
        found.append((row["volume_ml"], row["activity_mbq"] / phantom.truth["total"].iloc[0]))
    return measure.RecoveryCurve.fit(*np.transpose(found))


def patients(seed: int) -> pd.DataFrame:
    """Sites of a cohort from mechanism; lesions of 1 mL and more, as dosimetry takes them."""
    table = simulate.dose_cohort(
        N_PATIENTS, random_seed=seed, lesion_counts=[3 * N_LESIONS] * N_PATIENTS, truth=True
    )
    table = table[(table["tissue"] != "tumour") | (table["volume_ml"] >= 1.0)]
    limit = table["tissue"].map({"tumour": N_LESIONS, "kidney": 2, "salivary_gland": 2})
    kept = table.groupby(["patient_id", "tissue"], sort=False).cumcount() < limit
    table = table[kept].reset_index(drop=True)
    table["label"] = table.groupby("patient_id", sort=False).cumcount() + 1
    table["diameter_mm"] = 10.0 * np.cbrt(6.0 * table["volume_ml"] / np.pi)
    return table


def save(image: measure.Image, path: Path) -> str:
    nib.Nifti1Image(image.values.astype(np.float32), image.affine).to_filename(path)
    return str(path)


def pet_files(sites: pd.DataFrame, folder: Path, seed: int) -> list[dict]:
    files = []
    for i, (name, mine) in enumerate(sites.groupby("patient_id", sort=False)):
        phantom = simulate.pet_volume(
            mine.assign(concentration=mine["suv_mean"]),
            background=0.8,
            fwhm_mm=PET_FWHM_MM,
            counts_per_unit=PET_COUNTS,
            random_seed=seed + i,
            **PET,
        )
        pet = save(phantom.image, folder / f"{name}_pet.nii")
        labels = save(phantom.regions.image, folder / f"{name}_pet_labels.nii")
        files += [
            {"patient_id": name, "role": "pet", "path": pet, "units": "SUV"},
            {"patient_id": name, "role": "regions", "path": labels, "regions_for": "pet"},
        ]
    return files


def spect_files(sites: pd.DataFrame, folder: Path, rng: np.random.Generator) -> list[dict]:
    """Images with the activity that makes ``true_gy``, and outlines that are a little wrong."""
    files = []
    for name, mine in sites.groupby("patient_id", sort=False):
        middle, spread = zip(*(HALF_LIFE_H[tissue] for tissue in mine["tissue"]), strict=True)
        half_life = np.array(middle) * np.exp(np.array(spread) * rng.standard_normal(len(mine)))
        rate = np.log(2) / np.minimum(half_life, 150.0)
        volume = mine["volume_ml"].to_numpy()
        tia = mine["true_gy"].to_numpy() / measure.s_value_sphere(volume * DENSITY)
        outline = mine["diameter_mm"] + DIAMETER_SD_MM * rng.standard_normal(len(mine))
        drawn = simulate.pet_volume(
            mine.assign(diameter_mm=np.maximum(outline, 6.0), concentration=1.0),
            fwhm_mm=0.0,
            counts_per_unit=None,
            **SPECT,
        )
        labels = save(drawn.regions.image, folder / f"{name}_spect_labels.nii")
        files.append(
            {"patient_id": name, "role": "regions", "path": labels, "regions_for": "spect"}
        )
        gain = np.exp(CALIBRATION_CV * rng.standard_normal())
        for time in TIMES_H:
            phantom = simulate.pet_volume(
                mine.assign(concentration=tia * rate * np.exp(-rate * time) / volume),
                background=0.0,
                fwhm_mm=SPECT_FWHM_MM,
                counts_per_unit=SPECT_COUNTS,
                random_seed=int(rng.integers(2**31)),
                **SPECT,
            )
            image = measure.Image(gain * phantom.image.values, phantom.image.affine)
            files.append(
                {
                    "patient_id": name,
                    "role": "spect",
                    "path": save(image, folder / f"{name}_{time:g}.nii"),
                    "units": "MBq/mL",
                    "time_h": time,
                    "decay_corrected_to": "scan_start",
                }
            )
    return files


def one_cohort(seed: int, generator: str, curve: measure.RecoveryCurve) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    sites = patients(seed)
    places = [
        simulate.place_spheres(mine["diameter_mm"], **PET, random_seed=seed + i).set_axis(
            mine.index
        )
        for i, (_, mine) in enumerate(sites.groupby("patient_id", sort=False))
    ]
    sites[["x_mm", "y_mm", "z_mm"]] = pd.concat(places)[["x_mm", "y_mm", "z_mm"]]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        people = sites[["patient_id", "administered_activity_gbq"]].drop_duplicates()
        regions = sites[["patient_id", "label", "site_id", "tissue"]].assign(density_g_ml=DENSITY)
        files = pet_files(sites, folder, seed)
        covariates = measure.build_site_table(pd.DataFrame(files), people, regions)
        if generator == "regression":
            exact = covariates.assign(absorbed_dose_cv=0.0, absorbed_dose_cv_shared=0.0)
            doses = simulate.draw_regression_doses(exact, REGRESSION, rng)
            sites = sites.merge(
                doses[["patient_id", "site_id", "true_absorbed_dose_gy"]].set_axis(
                    ["patient_id", "site_id", "true_gy"], axis=1
                )
            )
        else:
            sites = sites.assign(true_gy=sites["true_absorbed_dose_gy"])
        files += spect_files(sites, folder, rng)
        table = measure.build_site_table(
            pd.DataFrame(files),
            people,
            regions,
            dosimetry=measure.Dosimetry(
                recovery=curve,
                calibration_cv=CALIBRATION_CV,
                diameter_sd_mm=DIAMETER_SD_MM,
                fwhm_mm=SPECT_FWHM_MM,
                curve="mono",
            ),
        )
    table = table.merge(sites[["patient_id", "site_id", "true_gy"]])
    return pd.concat([left_out(table, with_cv, seed) for with_cv in (True, False)]).assign(
        seed=seed, generator=generator
    )


def left_out(table: pd.DataFrame, with_cv: bool, seed: int) -> pd.DataFrame:
    columns = {"dose_cv": "absorbed_dose_cv", "dose_cv_shared": "absorbed_dose_cv_shared"}
    parts = []
    for name in table["patient_id"].unique():
        held, kept = table[table["patient_id"] == name], table[table["patient_id"] != name]
        model = bd.DoseModel(FORMULA, **(columns if with_cv else {}))
        model.fit(kept.drop(columns="true_gy"), draws=2000, random_seed=seed)
        for target, truth in (("true", "true_gy"), ("measured", "absorbed_dose_gy")):
            found = model.predict(held, target=target, hdi_prob=0.95)
            parts.append(
                held[["patient_id", "site_id", "tissue", "volume_ml", "absorbed_dose_cv"]].assign(
                    target=target,
                    with_cv=with_cv,
                    log_error=np.log(held["absorbed_dose_gy"] / held["true_gy"]),
                    inside=held[truth].between(found["lower"], found["upper"]),
                    width=(found["upper"] - found["lower"]) / found["median"],
                )
            )
    return pd.concat(parts, ignore_index=True)


def summary(sites: pd.DataFrame) -> pd.DataFrame:
    """Coverage with a standard error that takes the cohort as the unit, and the median width."""
    tumour = sites[sites["tissue"] == "tumour"].copy()
    tertile = pd.qcut(tumour["volume_ml"], 3, labels=["small", "middle", "large"])
    tumour["group"] = tertile.astype(str)
    every = pd.concat([tumour, tumour.assign(group="all lesions"), sites.assign(group="all sites")])
    rows = []
    keys = ["generator", "with_cv", "target", "group"]
    for key, mine in every.groupby(keys, sort=False):
        by_cohort = mine.groupby("seed")["inside"].mean()
        rows.append(
            {
                "doses from": key[0],
                "dose_cv": "with" if key[1] else "without",
                "dose": key[2],
                "sites": key[3],
                "volume, mL": f"{mine['volume_ml'].min():.1f} to {mine['volume_ml'].max():.0f}",
                "coverage": f"{mine['inside'].mean():.3f}",
                "se": f"{by_cohort.std() / np.sqrt(len(by_cohort)):.3f}",
                "width / median": f"{mine['width'].median():.2f}",
            }
        )
    order = {"all sites": 0, "all lesions": 1, "small": 2, "middle": 3, "large": 4}
    out = pd.DataFrame(rows)
    out["place"] = out["sites"].map(order)
    return out.sort_values(
        ["doses from", "dose_cv", "dose", "place"], ascending=[False, True, True, True]
    ).drop(columns="place")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohorts", type=int, default=40)
    parser.add_argument("--store", type=Path, required=True, help="folder of finished cohorts")
    args = parser.parse_args()
    args.store.mkdir(parents=True, exist_ok=True)
    curve = recovery_curve()
    print(curve, flush=True)
    for i in range(args.cohorts):
        for generator in ("regression", "mechanism"):
            path = args.store / f"{generator}_{i}.csv"
            if path.is_file():
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                found = one_cohort(SEED + 1000 * i, generator, curve)
            found.to_csv(path.with_suffix(".partial"), index=False)
            path.with_suffix(".partial").rename(path)
            print(path.name, flush=True)
    sites = pd.concat([pd.read_csv(path) for path in sorted(args.store.glob("*.csv"))])
    n_cohorts = sites.groupby("generator")["seed"].nunique().min()
    z = sites[sites["with_cv"] & (sites["target"] == "true")]
    total = np.hypot(z["absorbed_dose_cv"], CALIBRATION_CV)
    text = (
        f"{n_cohorts} cohorts for each source of the doses, of {N_PATIENTS} patients with "
        f"{N_LESIONS} lesions, two kidneys and two salivary glands; seed {SEED}. Measured "
        f"against true dose: bias {100 * z['log_error'].mean():.1f} %, spread "
        f"{100 * z['log_error'].std():.1f} %, stated "
        f"{100 * np.sqrt((total**2).mean()):.1f} %.\n\n{markdown(summary(sites))}"
    )
    print(text)
    write(RESULTS / "chain.md", text)


if __name__ == "__main__":
    main()
