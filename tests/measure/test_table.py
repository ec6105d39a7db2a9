"""The site table from files: columns against what is in the voxels, problems, and going on."""

import json
import warnings
from datetime import datetime, timedelta
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from bayesdose import measure, validate_sites
from bayesdose.errors import MeasureError
from tests.measure import scans

PATIENTS = ("A", "B", "C")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("scans")
    files = [
        row for n, name in enumerate(PATIENTS) for row in scans.write_patient(folder, name, seed=n)
    ]
    pd.DataFrame(files).to_csv(folder / "files.csv", index=False)
    pd.DataFrame([scans.patient_row(name) for name in PATIENTS]).to_csv(
        folder / "patients.csv", index=False
    )
    scans.REGIONS.to_csv(folder / "regions.csv", index=False)
    return {name: folder / f"{name}.csv" for name in ("files", "patients", "regions")}


@pytest.fixture(scope="module")
def table(cohort) -> pd.DataFrame:
    return measure.build_site_table(
        **cohort,
        texture=measure.Texture(bin_width=0.5),
        dosimetry=measure.Dosimetry(calibration_cv=0.05, diameter_sd_mm=1.0, activity_cv=0.03),
    )


@pytest.fixture
def loose(cohort) -> dict:
    """Tables in memory, to be changed."""
    found = {name: pd.read_csv(path) for name, path in cohort.items()}
    found["files"]["path"] = [str(cohort["files"].parent / p) for p in found["files"]["path"]]
    found["files"] = found["files"][found["files"]["patient_id"] == "A"]
    found["patients"] = found["patients"][found["patients"]["patient_id"] == "A"]
    return found


def build(tables: dict, **more) -> pd.DataFrame:
    return measure.build_site_table(**tables, **more)


def voxels(folder: Path, name: str, label: int) -> np.ndarray:
    image = nib.load(folder / f"{name}.nii.gz").get_fdata()
    return image[nib.load(folder / f"{name[0]}_labels.nii.gz").get_fdata() == label]


def test_a_row_a_site_in_the_order_of_the_tables(table):
    assert list(table["patient_id"]) == [name for name in PATIENTS for _ in range(4)]
    assert list(table["site_id"])[:4] == ["K1", "parotid_l", "T1", "T2"]
    assert table.attrs["problems"] == []
    assert validate_sites(table).shape == table.shape


def test_uptake_is_that_of_the_voxels(table, cohort):
    folder = cohort["files"].parent
    row = table.query("patient_id == 'B' and site_id == 'T1'").iloc[0]
    inside = voxels(folder, "B_pet", 3) / (100e6 * 2 ** (-60 / 67.71) / 80e3)
    assert row["suv_mean"] == pytest.approx(inside.mean(), rel=1e-6)
    assert row["suv_max"] == pytest.approx(inside.max(), rel=1e-6)
    assert row["volume_ml"] == pytest.approx(inside.size * 0.048)
    assert row["pet_uptake_min"] == pytest.approx(60)
    parotid = table.query("patient_id == 'B' and site_id == 'parotid_l'")["suv_mean"].iloc[0]
    assert row["tumour_to_parotid"] == pytest.approx(row["suv_mean"] / parotid)
    mine = table.query("patient_id == 'B' and tissue == 'tumour'")
    assert (table.query("patient_id == 'B'")["psma_tv_ml"] == mine["volume_ml"].sum()).all()
    assert row["psma_tl_g"] == pytest.approx(mine["total_lesion_uptake"].sum())
    assert row["lesion_type"] == "bone"


def test_texture_is_that_of_glcm_features(table, cohort):
    image = measure.suv_image(
        measure.read_image(cohort["files"].parent / "C_pet.nii.gz"),
        units="Bq/mL",
        weight_kg=80.0,
        injected_mbq=100.0,
        decay_corrected_to="injection",
    )
    scale = 2 ** (60 / 67.71)
    labels = measure.read_regions(cohort["files"].parent / "C_labels.nii.gz", scans.REGIONS)
    found = measure.glcm_features(
        image.values * scale, labels.image.values == 4, image.spacing_mm, bin_width=0.5
    )
    row = table.query("patient_id == 'C' and site_id == 'T2'").iloc[0]
    for name, value in found.items():
        assert row[name] == pytest.approx(value, rel=1e-6)
    assert row["glcm_settings"] == found.attrs["glcm_settings"]
    assert row["glcm_below_guard"] is False or not row["glcm_below_guard"]


def test_dose_is_that_of_the_activity_put_in(table, cohort):
    """Without blur the activity is the concentration times the volume of the voxels."""
    row = table.query("patient_id == 'A' and site_id == 'T2'").iloc[0]
    volume = row["dose_volume_ml"]
    start = voxels(cohort["files"].parent, "A_spect_4", 4).mean() * 2 ** (4 / 80)
    tia = start * volume * 80 / np.log(2)
    assert row["tia_mbq_h"] == pytest.approx(tia, rel=1e-4)
    assert row["effective_half_life_h"] == pytest.approx(80, rel=1e-4)
    dose = tia * measure.s_value_sphere(volume * 1.04)
    assert row["absorbed_dose_gy"] == pytest.approx(dose, rel=1e-4)
    assert row["mass_g"] == pytest.approx(1.04 * volume)
    assert row["absorbed_dose_cv_shared"] == 0.05
    assert row["absorbed_dose_cv"] > 0.99 * 3 / 28.0  # the outline alone: 3 u(d) / d


def test_renal_function_and_what_is_carried_over(table):
    expected = measure.egfr_ckd_epi_2021(1.1, 70.0, False)
    assert table["egfr_ml_min_1p73m2"].to_numpy() == pytest.approx(float(expected))
    assert (table["pet_tracer"] == "68Ga-PSMA-11").all()
    assert (table["weight_kg"] == 80).all()
    assert not {"pet_injection_datetime", "creatinine", "label"} & set(table.columns)


def test_activities_over_time(cohort):
    found = measure.build_time_activity(**cohort)
    assert len(found) == 3 * 4 * 4
    assert sorted(found["time_h"].unique()) == list(scans.TIMES_H)
    fit = measure.fit_time_activity(
        *found.query("patient_id == 'A' and site_id == 'K1'")[["time_h", "activity_mbq"]].T.values,
        decay_corrected=False,
    )
    assert fit.effective_half_life_h == pytest.approx(45, rel=1e-4)


def test_decay_corrected_to_the_injection(loose):
    """The same activities, corrected to the injection, give the same doses."""
    plain = build(loose)
    spect = loose["files"]["role"] == "spect"
    corrected = loose["files"].copy()
    corrected.loc[spect, "decay_corrected_to"] = "injection"
    for i in corrected.index[spect]:
        path = Path(corrected.loc[i, "path"])
        image = nib.load(path)
        factor = 2 ** (corrected.loc[i, "time_h"] / 159.528)
        other = path.with_name(f"corrected_{path.name}")
        nib.Nifti1Image(image.get_fdata() * factor, image.affine).to_filename(other)
        corrected.loc[i, "path"] = str(other)
    found = build(loose | {"files": corrected})
    assert found["absorbed_dose_gy"].to_numpy() == pytest.approx(
        plain["absorbed_dose_gy"].to_numpy(), rel=1e-6
    )


def test_times_by_dates(loose):
    files = loose["files"].copy()
    spect = files["role"] == "spect"
    begin = datetime(2026, 3, 10, 22)
    times = [str(begin + timedelta(hours=float(h))) for h in files.loc[spect, "time_h"]]
    files.loc[spect, "datetime"] = times
    patients = loose["patients"].assign(therapy_datetime=str(begin))
    dated = build(loose | {"files": files.drop(columns="time_h"), "patients": patients})
    assert dated["tia_mbq_h"].to_numpy() == pytest.approx(build(loose)["tia_mbq_h"].to_numpy())
    files.loc[files["time_h"] == 24, "time_h"] = 26.0
    with pytest.raises(MeasureError, match=r"time_h is 26 h, and 24 h by the dates"):
        build(loose | {"files": files, "patients": patients})


def test_a_dose_map_and_regions_by_patient(loose, tmp_path):
    folder = Path(loose["files"]["path"].iloc[0]).parent
    labels = nib.load(folder / "A_labels.nii.gz")
    dose = np.where(labels.get_fdata() == 3, 5000.0, 2000.0)
    nib.Nifti1Image(dose, labels.affine).to_filename(tmp_path / "dose.nii.gz")
    files = loose["files"][loose["files"]["role"] != "spect"]
    more = {"patient_id": "A", "cycle": 1, "role": "dose", "units": "mGy"}
    files = pd.concat([files, pd.DataFrame([more | {"path": str(tmp_path / "dose.nii.gz")}])])
    regions = loose["regions"].assign(patient_id="A")
    found = build(loose | {"files": files, "regions": regions})
    assert found["absorbed_dose_gy"].tolist() == [2.0, 2.0, 5.0, 2.0]
    assert (found["dose_method"] == "dose map").all()


def test_spect_in_another_grid_with_regions_of_its_own(loose, tmp_path):
    """Each image finds the label map of its geometry."""
    files = loose["files"].copy()
    for i in files.index[files["role"] == "spect"]:
        image = nib.load(files.loc[i, "path"])
        other = tmp_path / Path(files.loc[i, "path"]).name
        nib.Nifti1Image(image.get_fdata()[2:], shifted(image.affine)).to_filename(other)
        files.loc[i, "path"] = str(other)
    labels = nib.load(files.loc[files["role"] == "regions", "path"].iloc[0])
    own = nib.Nifti1Image(labels.get_fdata()[2:].astype(np.int16), shifted(labels.affine))
    own.to_filename(tmp_path / "own.nii.gz")
    with pytest.raises(MeasureError, match="no file of regions belongs to this spect"):
        build(loose | {"files": files})
    row = {"patient_id": "A", "cycle": 1, "role": "regions", "path": str(tmp_path / "own.nii.gz")}
    files = pd.concat([files, pd.DataFrame([row])], ignore_index=True)
    found, plain = build(loose | {"files": files}), build(loose)
    assert found["absorbed_dose_gy"].to_numpy() == pytest.approx(
        plain["absorbed_dose_gy"].to_numpy()
    )
    again = pd.concat([files, pd.DataFrame([row])], ignore_index=True)
    with pytest.raises(MeasureError, match="say regions_for or time_h"):
        build(loose | {"files": again})


def shifted(affine: np.ndarray) -> np.ndarray:
    out = affine.copy()
    out[:3, 3] += 2 * affine[:3, 0]
    return out


def test_one_bad_patient_is_reported_and_the_others_go_on(cohort, loose, tmp_path):
    files = pd.read_csv(cohort["files"])
    folder = cohort["files"].parent
    files["path"] = [str(folder / path) for path in files["path"]]
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes((folder / "B_pet.nii.gz").read_bytes()[:2000])
    files.loc[(files["patient_id"] == "B") & (files["role"] == "pet"), "path"] = str(broken)
    tables = {"files": files, "patients": cohort["patients"], "regions": cohort["regions"]}
    with pytest.warns(UserWarning, match=r"1 of 3.*\n.*patient B, cycle 1.*broken.nii.gz"):
        found = build(tables, n_jobs=2)
    assert found["patient_id"].unique().tolist() == ["A", "C"]
    (problem,) = found.attrs["problems"]
    assert problem["patient_id"] == "B"
    assert "truncated" in problem["problem"]


def test_going_on_gives_the_same_table(cohort, tmp_path, monkeypatch):
    """Killed after one patient: the others are measured, and no number changes."""
    whole = build(cohort)
    folder = tmp_path / "store"
    alone = {}
    for name in ("files", "patients"):
        alone[name] = tmp_path / f"{name}.csv"
        mine = pd.read_csv(cohort[name], dtype=str).query("patient_id == 'A'")
        if name == "files":
            mine["path"] = [str(cohort["files"].parent / path) for path in mine["path"]]
        mine.to_csv(alone[name], index=False)
    build(alone | {"regions": cohort["regions"]}, folder=folder)
    (kept,) = folder.iterdir()
    stamp = kept.stat().st_mtime_ns
    done = []
    from bayesdose.measure.table import patient

    plain = patient.SiteRows.__call__
    monkeypatch.setattr(
        patient.SiteRows,
        "__call__",
        lambda self, job: done.append(job.patient_id) or plain(self, job),
    )
    # numbers read from a file are equal to those of a table in memory
    found = build(cohort, folder=folder)
    assert len(list(folder.iterdir())) == 3
    pd.testing.assert_frame_equal(found, whole)
    done.clear()
    pd.testing.assert_frame_equal(build(cohort, folder=folder), whole)
    assert done == []
    assert stamp <= kept.stat().st_mtime_ns
    build(cohort, folder=folder, dosimetry=measure.Dosimetry(calibration_cv=0.1))
    assert done == list(PATIENTS)


def with_cell(frame: pd.DataFrame, role: str | None, column: str, value) -> pd.DataFrame:
    rows = frame["role"] == role if role else frame.index
    out = frame.astype(object)
    out.loc[rows, column] = value
    return out


@pytest.mark.parametrize(
    ("name", "role", "column", "value", "words"),
    [
        ("files", "pet", "units", "bq", r"A_pet.nii.gz: units 'bq'.*allowed are SUV"),
        ("files", "pet", "units", None, "units is neither stated"),
        ("files", "pet", "decay_corrected_to", None, "decay_corrected_to is neither stated"),
        ("files", "pet", "datetime", "2026-03-01", "a date without its time"),
        ("files", "pet", "datetime", "2026-03-01 08:30", "does not come after the injection"),
        ("files", "pet", "datetime", "2026-03-01T10:30+01:00", "one has a time zone"),
        ("files", "pet", "path", "none.nii.gz", r"none.nii.gz: no such file"),
        ("files", "spect", "time_h", -4.0, "A_spect_4.nii.gz: `time_h` is -4 h.*above 0"),
        ("files", "spect", "time_h", None, "neither time_h nor datetime"),
        ("files", "spect", "time_h", 24.0, "two SPECT images are at 24 h"),
        ("files", "spect", "units", "cps", "needs calibration_bq_per_cps"),
        ("files", "spect", "decay_corrected_to", "noon", "allowed are injection, scan_start"),
        ("files", "pet", "units", "SUV", "largest SUV of all regions is"),
        ("files", "pet", "datetime", "2026-03-02 10:30", "more than 6 half-lives"),
        ("files", "pet", "datetime", pd.Timestamp("2026-03-01"), "a date without its time"),
        ("patients", None, "pet_tracer", "PSMA-11", "the radionuclide .of pet_tracer, such as"),
        ("patients", None, "therapy_ligand", "225Ac-PSMA-617", "are those of 177Lu"),
        ("regions", None, "tissue", "Tumor", "write it so"),
        ("files", "spect", "role", "spet", "role 'spet'; allowed are pet"),
        (
            "patients",
            None,
            "pet_injection_datetime",
            None,
            "pet_injection_datetime is neither stated",
        ),
        ("patients", None, "weight_kg", None, "weight_kg is neither stated"),
        ("patients", None, "weight_kg", 80000.0, "Is it in kg"),
        ("patients", None, "creatinine_unit", None, "creatinine needs creatinine_unit"),
        ("patients", None, "creatinine_unit", "g/L", "give it in 'mg/dL'"),
        ("patients", None, "female", "no", "allowed are True and False"),
        ("regions", None, "density_g_ml", None, "no region has a density_g_ml"),
        ("regions", None, "density_g_ml", 19.3, "up to 2"),
        ("regions", None, "site_id", "T1", "site_id 'T1' twice"),
        ("regions", None, "tissue", None, "has no tissue"),
    ],
)
def test_refused(loose, name, role, column, value, words):
    tables = loose | {name: with_cell(loose[name], role, column, value)}
    with pytest.raises(MeasureError, match=words):
        build(tables)


def test_labels_and_names(loose):
    nameless = loose["regions"].iloc[:3]
    with pytest.raises(MeasureError, match="label 4 has no row"):
        build(loose | {"regions": nameless})
    more = pd.concat(
        [loose["regions"], pd.DataFrame([{"label": 9, "site_id": "X", "tissue": "y"}])]
    )
    with pytest.warns(UserWarning, match=r"no patient had the regions X \(label 9\)"):
        assert len(build(loose | {"regions": more.assign(density_g_ml=1.04)})) == 4
    with pytest.raises(MeasureError, match=r"label 9 \(X\) has no voxel"):
        build(loose | {"regions": more.assign(density_g_ml=1.04, patient_id="A")})
    with pytest.raises(MeasureError, match="the table of files has note"):
        build(loose | {"files": loose["files"].assign(note="x")})
    with pytest.raises(MeasureError, match="there are no files of 'A', cycle 1"):
        build(loose | {"files": loose["files"].assign(patient_id="Z")})


def test_damaged_files(loose, tmp_path):
    """An empty label map, a sheared image and a file with a byte turned."""
    files = loose["files"].set_index("role", drop=False)
    labels, pet = (nib.load(files.loc[role, "path"]) for role in ("regions", "pet"))
    empty = nib.Nifti1Image(np.zeros(labels.shape, np.int16), labels.affine)
    sheared = nib.Nifti1Image(pet.get_fdata(), pet.affine + 0.4 * np.eye(4, k=1))
    for role, image, words in (
        ("regions", empty, "regions.nii.gz: the label map is empty"),
        ("pet", sheared, "pet.nii.gz: its axes are not perpendicular"),
    ):
        image.to_filename(tmp_path / f"{role}.nii.gz")
        other = with_cell(loose["files"], role, "path", str(tmp_path / f"{role}.nii.gz"))
        with pytest.raises(MeasureError, match=words):
            build(loose | {"files": other})
    raw = bytearray(Path(files.loc["pet", "path"]).read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    (tmp_path / "turned.nii.gz").write_bytes(raw)
    other = with_cell(loose["files"], "pet", "path", str(tmp_path / "turned.nii.gz"))
    with pytest.raises(MeasureError, match=r"patient A, cycle 1: .*turned.nii.gz.*damaged"):
        build(loose | {"files": other})


def test_activity_that_rises_at_the_end(loose):
    files = loose["files"].copy()
    files.loc[files["time_h"] == 4, "time_h"] = 200.0
    with pytest.raises(MeasureError, match="patient A, cycle 1: region K1: activity rises"):
        build(loose | {"files": files})


def test_one_scan_needs_a_population(loose):
    files = loose["files"]
    one = files[(files["role"] != "spect") | (files["time_h"] == 72)]
    with pytest.raises(MeasureError, match=r"region K1: one time point.*PopulationKinetics"):
        build(loose | {"files": one})


def test_texture_of_other_voxels_is_not_mixed(cohort, loose, tmp_path):
    folder = cohort["files"].parent
    tables = {name: pd.read_csv(path) for name, path in cohort.items()}
    tables["files"]["path"] = [str(folder / path) for path in tables["files"]["path"]]
    tables["files"] = tables["files"][tables["files"]["role"] != "spect"]
    for kind in ("pet", "labels"):
        image = nib.load(folder / f"C_{kind}.nii.gz")
        finer = np.repeat(image.get_fdata(), 2, axis=2)
        affine = image.affine @ np.diag([1, 1, 0.5, 1])
        nib.Nifti1Image(finer, affine).to_filename(tmp_path / f"C_{kind}.nii.gz")
        mine = tables["files"]["path"].str.endswith(f"C_{kind}.nii.gz")
        tables["files"].loc[mine, "path"] = str(tmp_path / f"C_{kind}.nii.gz")
    with pytest.raises(MeasureError, match=r"must not be mixed.*resample_mm"):
        build(tables, texture=measure.Texture(bin_width=0.5))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = build(tables, texture=measure.Texture(bin_width=0.5, resample_mm=4.0))
    assert found["glcm_settings"].nunique() == 1
    assert json.dumps(found.attrs)


@pytest.mark.parametrize(
    ("name", "column", "value", "words"),
    [
        ("patients", "volume_ml", 45.0, "'volume_ml', which is measured"),
        ("patients", "absorbed_dose_gy", 9.0, "'absorbed_dose_gy', which is measured"),
        ("patients", "tissue", "x", "'tissue', which is measured or belongs to another"),
        ("patients", "psma_tv_ml", 9.0, "'psma_tv_ml', which is measured"),
        ("regions", "suv_mean", 3.0, "'suv_mean', which is measured"),
        ("regions", "recovery", 0.5, "'recovery', which is measured"),
        ("regions", "weight_kg", 80.0, "'weight_kg', which is measured or belongs to another"),
        ("patients", "MRN", "123", "says who somebody is"),
    ],
)
def test_columns_that_would_overwrite_or_identify(loose, name, column, value, words):
    with pytest.raises(MeasureError, match=words):
        build(loose | {name: loose[name].assign(**{column: value})})


def test_a_misspelt_column_is_told(loose):
    patients = loose["patients"].rename(columns={"creatinine_unit": "creatinin_unit"})
    patients = patients.drop(columns="creatinine")
    with pytest.warns(UserWarning, match="is 'creatinine_unit' meant"):
        found = build(loose | {"patients": patients})
    assert "egfr_ml_min_1p73m2" not in found


def test_a_region_without_density_gets_no_dose(loose):
    regions = loose["regions"].copy()
    regions.loc[regions["site_id"] == "K1", "density_g_ml"] = np.nan
    found = build(loose | {"regions": regions}).set_index("site_id")
    assert np.isnan(found.loc["K1", "absorbed_dose_gy"])
    assert (found["absorbed_dose_gy"].drop("K1") > 0).all()
    assert found["suv_mean"].notna().all()
    validate_sites(found.reset_index(), response_required=False)


def test_a_region_without_a_curve_gets_no_dose(loose, tmp_path):
    """T1's activity rises at the end; the others keep their doses."""
    files = loose["files"].copy()
    last = files.index[files["time_h"] == 144][0]
    image = nib.load(files.loc[last, "path"])
    labels = nib.load(files.loc[files["role"] == "regions", "path"].iloc[0]).get_fdata()
    values = np.where(labels == 3, 50.0, image.get_fdata())
    nib.Nifti1Image(values, image.affine).to_filename(tmp_path / "last.nii.gz")
    files.loc[last, "path"] = str(tmp_path / "last.nii.gz")
    with pytest.warns(UserWarning, match="patient A: region T1 gets no dose: activity rises"):
        found = build(loose | {"files": files}).set_index("site_id")
    assert np.isnan(found.loc["T1", "absorbed_dose_gy"])
    assert found["absorbed_dose_gy"].notna().sum() == 3


def test_a_low_dose_is_told_and_kept(loose):
    files = loose["files"].copy()
    spect = files["role"] == "spect"
    files.loc[spect, "units"] = "kBq/mL"  # a thousandth of the activity
    with pytest.warns(UserWarning, match="literature"):
        found = build(loose | {"files": files})
    assert len(found) == 4
    assert found["absorbed_dose_gy"].max() < 0.1


def test_scatter_is_pooled_over_regions(loose):
    """Without activity_cv each region has two degrees of freedom; together they have more."""
    files = loose["files"].copy()
    found = build(loose | {"files": files}, dosimetry=measure.Dosimetry(curve="mono"))
    assert found["absorbed_dose_cv"].nunique() <= 4
    assert found["absorbed_dose_cv"].max() < 1e-3


@pytest.mark.slow
def test_a_population_in_either_convention(loose):
    """One scan; a population of activities at the scan, and the same one of corrected ones."""
    rng = np.random.default_rng(3)
    rows = [
        (name, site, tissue, time, 2 ** (-time / half) * (1 - 2 ** (-time / 2.0)) * error)
        for name in "abcdefgh"
        for site, tissue, middle in (
            ("k", "kidney", 45),
            ("s", "salivary_gland", 35),
            ("t", "tumour", 60),
            ("u", "tumour", 75),
        )
        for half in (middle * np.exp(0.15 * rng.standard_normal()),)
        for time, error in zip((4, 24, 72, 168), np.exp(0.05 * rng.standard_normal(4)), strict=True)
    ]
    names = ["patient_id", "site_id", "tissue", "time_h", "activity_mbq"]
    at_scan = measure.PopulationKinetics(decay_corrected=False)
    at_scan.fit(pd.DataFrame(rows, columns=names), progress=False)
    corrected = measure.PopulationKinetics(decay_corrected=True)
    corrected.population_, corrected.tissues_ = at_scan.population_, at_scan.tissues_
    one = loose["files"][(loose["files"]["role"] != "spect") | (loose["files"]["time_h"] == 72)]
    doses = [
        build(loose | {"files": one}, dosimetry=measure.Dosimetry(kinetics=population))
        for population in (at_scan, corrected)
    ]
    np.testing.assert_allclose(*(dose["absorbed_dose_gy"] for dose in doses), rtol=1e-9)
    assert (doses[0]["dose_curve"] == "population curves").all()
    full = build(loose)["absorbed_dose_gy"]
    np.testing.assert_allclose(doses[0]["absorbed_dose_gy"], full, rtol=0.25)


def test_paths_and_patients_given_twice(loose):
    files = loose["files"]
    twice = files.copy()
    twice.loc[twice["time_h"] == 72, "path"] = twice.loc[twice["time_h"] == 24, "path"].iloc[0]
    with pytest.raises(MeasureError, match="twice, as spect of patient A, cycle 1 and spect"):
        build(loose | {"files": twice})
    other = pd.concat([files, files.assign(patient_id="Z")])
    with pytest.raises(MeasureError, match=r"pet of patient Z, cycle 1"):
        build(loose | {"files": other})
    regions = loose["regions"].assign(patient_id="Q")
    with pytest.raises(MeasureError, match="has a patient 'Q', whom neither"):
        build(loose | {"regions": regions})


def test_what_no_check_foresaw_stops_nobody_else(cohort, monkeypatch):
    from bayesdose.measure.table import patient

    plain = patient.uptake_columns

    def fails(job, *rest):
        if job.patient_id == "B":
            raise ZeroDivisionError("no check foresaw this")
        return plain(job, *rest)

    monkeypatch.setattr(patient, "uptake_columns", fails)
    with pytest.warns(UserWarning, match=r"patient B.*ZeroDivisionError.*please report it"):
        found = build(cohort)
    assert found["patient_id"].unique().tolist() == ["A", "C"]


def test_a_damaged_store_is_measured_anew(cohort, tmp_path):
    whole = build(cohort, folder=tmp_path)
    first, second, third = sorted(tmp_path.iterdir())
    first.write_text("")
    second.write_text("[]")
    third.write_text(third.read_text()[:100])
    pd.testing.assert_frame_equal(build(cohort, folder=tmp_path), whole)


def test_dates_of_other_columns(loose, tmp_path):
    patients = loose["patients"].assign(biopsy=pd.Timestamp("2026-01-05 10:00"))
    found = build(loose | {"patients": patients}, folder=tmp_path)
    assert (found["biopsy"] == "2026-01-05T10:00:00").all()
