"""Saved models come back as they were, for every option, and say why when they cannot."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesdose as bd
from bayesdose.dose import saving

FORMULA = "log(suv_mean) + log(volume_ml)"
DRAWS = 400

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "unstandardised": {"standardise": False},
    "no activity": {"activity": None},
    "measurement error": {
        "dose_cv": "absorbed_dose_cv",
        "dose_cv_shared": "absorbed_dose_cv_shared",
    },
    "no patient effects": {"patient_effects": "0"},
    "random slope": {"patient_effects": "1 + log(suv_mean)"},
    "independent effects": {"patient_correlation": False},
    "groups": {"group_effects": ["lesion_type"]},
    "spline and category": {"formula": "bs(log(suv_mean), df=4) + lesion_type"},
    "polynomial": {"formula": "poly(log(suv_mean), 2) + C(glcm_below_guard)"},
    "student slopes": {"priors": bd.Priors(slope=bd.StudentT(4, 0, 0.5))},
    "horseshoe": {"priors": bd.Priors(slope=bd.RegularizedHorseshoe(1.0))},
    "r2d2": {"priors": bd.Priors(slope=bd.R2D2(0.5, 2, 0.5), patient_sd=bd.R2D2(0.5, 2, 0.5))},
    "by tissue": {
        "priors": bd.Priors(residual_sd={"tumour": bd.Exponential(2.0)}),
    },
}


@pytest.fixture
def new(tumours: pd.DataFrame) -> pd.DataFrame:
    return tumours[tumours["patient_id"].isin(["P3", "P7"])].assign(
        patient_id=lambda table: "N" + table["patient_id"]
    )


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("include_patients", [False, True])
@pytest.mark.filterwarnings("ignore::bayesdose.dose.prediction.PredictionWarning")
def test_round_trip(
    option: str, include_patients: bool, tumours: pd.DataFrame, new: pd.DataFrame, tmp_path: Path
) -> None:
    arguments = {"formula": FORMULA} | OPTIONS[option]
    model = _fitted(option, arguments, tumours)
    model.save(tmp_path / "model.nc", include_patients=include_patients)
    loaded = bd.DoseModel.load(tmp_path / "model.nc")
    pd.testing.assert_frame_equal(loaded.predict(new), model.predict(new))
    given = {"given": new.iloc[:2], "kind": "new_patient"}
    pd.testing.assert_frame_equal(
        loaded.predict(new.iloc[2:], **given), model.predict(new.iloc[2:], **given)
    )
    assert loaded.fit_info_ == model.fit_info_
    assert loaded.log_evidence_ == pytest.approx(model.log_evidence_, nan_ok=True)
    assert loaded.get_params()["priors"] == (arguments.get("priors") or bd.Priors())
    if include_patients:
        pd.testing.assert_series_equal(
            loaded.predict(tumours, kind="known_patient")["median"],
            model.predict(tumours, kind="known_patient")["median"],
        )


_FITS: dict[str, bd.DoseModel] = {}


def _fitted(option: str, arguments: dict[str, Any], tumours: pd.DataFrame) -> bd.DoseModel:
    if option not in _FITS:
        sampler = "importance"  # agreement is not at stake here, only that the draws come back
        _FITS[option] = bd.DoseModel(**arguments).fit(tumours, draws=DRAWS, sampler=sampler)
    return _FITS[option]


def test_no_labels_unless_asked(tumours: pd.DataFrame, tmp_path: Path) -> None:
    marked = tumours.assign(patient_id="Doe-" + tumours["patient_id"])
    model = bd.DoseModel(FORMULA).fit(marked, draws=DRAWS)
    model.save(tmp_path / "bare.nc")
    model.save(tmp_path / "full.nc", include_patients=True)
    assert b"Doe-P" not in (tmp_path / "bare.nc").read_bytes()
    assert b"Doe-P" in (tmp_path / "full.nc").read_bytes()


def test_without_rows_says_how_to_keep_them(
    tumour_model: bd.DoseModel, tumours: pd.DataFrame, tmp_path: Path
) -> None:
    tumour_model.save(tmp_path / "model.nc")
    loaded = bd.DoseModel.load(tmp_path / "model.nc")
    with pytest.raises(bd.PredictionError, match="include_patients=True"):
        loaded.predict(tumours, kind="known_patient")
    with pytest.raises(bd.PredictionError, match="include_patients=True"):
        loaded.leave_one_patient_out()


def test_leave_one_out_after_loading(tumour_model: bd.DoseModel, tmp_path: Path) -> None:
    tumour_model.save(tmp_path / "model.nc", include_patients=True)
    loaded = bd.DoseModel.load(tmp_path / "model.nc").leave_one_patient_out()
    pd.testing.assert_frame_equal(loaded.patients, tumour_model.leave_one_patient_out().patients)


def test_refuses_what_it_cannot_read(tumour_model: bd.DoseModel, tmp_path: Path) -> None:
    path = tmp_path / "model.nc"
    tumour_model.save(path)
    with pytest.raises(bd.SavedModelError, match="no such file"):
        bd.DoseModel.load(tmp_path / "other.nc")
    whole = path.read_bytes()
    for size in (0, 100, len(whole) // 2, len(whole) - 200):
        (tmp_path / "cut.nc").write_bytes(whole[:size])
        with pytest.raises(bd.SavedModelError, match=r"cut\.nc"):
            bd.DoseModel.load(tmp_path / "cut.nc")
    for place in range(2000, len(whole) - 2000, len(whole) // 40):
        damaged = whole[:place] + bytes(b ^ 0xFF for b in whole[place : place + 1000])
        (tmp_path / "bad.nc").write_bytes(damaged + whole[place + 1000 :])
        with pytest.raises(bd.SavedModelError, match=r"bad\.nc"):
            bd.DoseModel.load(tmp_path / "bad.nc")
    xr.Dataset({"x": ("i", np.arange(3.0))}).to_netcdf(tmp_path / "else.nc", engine="h5netcdf")
    with pytest.raises(bd.SavedModelError, match="not a saved dose model"):
        bd.DoseModel.load(tmp_path / "else.nc")


def test_refuses_another_schema_version(tumour_model: bd.DoseModel, tmp_path: Path) -> None:
    path = tmp_path / "model.nc"
    tumour_model.save(path)
    dataset = xr.load_dataset(path, engine="h5netcdf")
    dataset.attrs["schema_version"] = saving.SCHEMA_VERSION + 1
    dataset.to_netcdf(tmp_path / "later.nc", engine="h5netcdf")
    with pytest.raises(bd.SavedModelError, match=f"schema version {saving.SCHEMA_VERSION + 1}"):
        bd.DoseModel.load(tmp_path / "later.nc")


def test_a_formula_from_a_file_cannot_run_code(tumour_model: bd.DoseModel, tmp_path: Path) -> None:
    path = tmp_path / "model.nc"
    tumour_model.save(path)
    dataset = xr.load_dataset(path, engine="h5netcdf")
    plain = json.loads(dataset.attrs["specification"])
    plain["encoding"]["terms"][0]["formula"] = "__import__('os')"
    dataset.attrs["specification"] = json.dumps(plain)
    dataset.attrs["sha256"] = saving._digest(dataset, dataset.attrs["specification"])
    dataset.to_netcdf(tmp_path / "evil.nc", engine="h5netcdf")
    with pytest.raises(bd.FormulaError, match="not allowed"):
        bd.DoseModel.load(tmp_path / "evil.nc")


def test_a_failed_save_leaves_nothing(tumour_model: bd.DoseModel, tmp_path: Path) -> None:
    with pytest.raises(bd.SavedModelError, match="does not exist"):
        tumour_model.save(tmp_path / "nowhere" / "model.nc")
    assert list(tmp_path.iterdir()) == []


def test_copies_and_pickles_predict_and_validate_alike(
    tumour_model: bd.DoseModel, new: pd.DataFrame
) -> None:
    """Joblib hands models to other processes; what lives on a device is made again there."""
    wanted = tumour_model.predict_draws(new)
    elpd = tumour_model.leave_one_patient_out().patients
    for model in (copy.deepcopy(tumour_model), pickle.loads(pickle.dumps(tumour_model))):
        xr.testing.assert_identical(model.predict_draws(new), wanted)
        found = model.leave_one_patient_out().patients
        assert found["elpd"].to_numpy() == pytest.approx(elpd["elpd"].to_numpy(), abs=0.2)
    by_tissue = bd.DoseModel("1", priors=bd.Priors(slope={"tumour": bd.Normal(0, 1)}))
    assert copy.deepcopy(by_tissue).priors == by_tissue.priors
