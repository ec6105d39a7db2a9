"""The site table from DICOM: PET, outlines and a dose map, with nothing stated twice."""

import numpy as np
import pandas as pd
import pytest

from bayesdose import measure
from bayesdose.errors import MeasureError

pytest.importorskip("highdicom")
files = pytest.importorskip("tests.measure.dicom_files")


@pytest.fixture
def tables(tmp_path) -> dict:
    (tmp_path / "pet").mkdir()
    rng = np.random.default_rng(4)
    files.pet_series(tmp_path / "pet", rng.integers(1000, 30000, (6, 12, 14)).astype(np.int16))
    # to the right and forward of the first voxel: columns of 3 mm, rows of 4 mm
    square = np.array([[-12.0, -16.0], [0.0, -16.0], [0.0, 0.0], [-12.0, 0.0]])
    planes = [files.outline(np.column_stack([square, np.full(4, 100.0 + 5 * k)])) for k in range(6)]
    files.structures(tmp_path / "regions.dcm", {(3, "Lesion A"): planes, (9, "Body"): planes})
    rows = [("pet", "pet"), ("regions", "regions.dcm")]
    return {
        "files": pd.DataFrame(
            [{"patient_id": "A", "role": role, "path": str(tmp_path / p)} for role, p in rows]
        ),
        "patients": pd.DataFrame([{"patient_id": "A", "pet_tracer": "68Ga-PSMA-11"}]),
        "regions": pd.DataFrame([{"label": "Lesion A", "site_id": "T1", "tissue": "tumour"}]),
    }


def test_everything_comes_from_the_headers(tables):
    with pytest.warns(UserWarning, match="Body"):
        found = measure.build_site_table(**tables)
    row = found.iloc[0]
    assert row["site_id"] == "T1"
    assert row["pet_uptake_min"] == pytest.approx(60)
    pet = measure.read_image(tables["files"]["path"][0])
    # 80 kg, 150 MBq at the injection, an hour before the start that the image refers to
    factor = 80e3 / (150e6 * 2 ** (-60 / 67.71))
    assert row["suv_max"] <= pet.values.max() * factor * (1 + 1e-6)
    suv = measure.suv_image(pet)
    np.testing.assert_allclose(suv.values, pet.values * factor, rtol=1e-6)
    voxels = row["volume_ml"] / (np.prod(pet.spacing_mm) / 1000)
    assert voxels == pytest.approx(round(voxels))
    assert voxels == pytest.approx(4 * 4 * 6)


def test_statements_must_not_contradict_the_header(tables):
    heavier = tables["patients"].assign(weight_kg=95.0)
    with pytest.raises(MeasureError, match=r"weight_kg is stated as 95 kg and 80 kg in the header"):
        measure.build_site_table(**tables | {"patients": heavier})
    other = tables["patients"].assign(pet_tracer="18F-PSMA-1007")
    with pytest.raises(MeasureError, match=r"radionuclide is stated as '18F' and 'Ga68'"):
        measure.build_site_table(**tables | {"patients": other})


def test_files_of_two_people(tables, tmp_path):
    files.dose_file(tmp_path / "dose.dcm", header={"PatientID": "another"})
    row = {"patient_id": "A", "role": "dose", "path": str(tmp_path / "dose.dcm")}
    both = pd.concat([tables["files"], pd.DataFrame([row])], ignore_index=True)
    with pytest.raises(MeasureError, match="are of two people") as said:
        measure.build_site_table(**tables | {"files": both})
    assert "another" not in str(said.value)
