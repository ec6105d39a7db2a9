"""Settings of a table are refused when they are made, by the name that the user wrote."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from bayesdose import measure
from bayesdose.errors import ConfigError, MeasureError
from bayesdose.measure.table.settings import settings_from_dict

DOCS = Path(__file__).parents[2] / "docs"


def test_every_setting_and_its_default_stand_in_the_guide():
    page = (DOCS / "from-images.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```", page, flags=re.S | re.M)
    assert settings_from_dict(tomllib.loads(text)) == (measure.Texture(0.5), measure.Dosimetry())
    whole = tomllib.loads(re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.M))
    assert set(whole["texture"]) == {f.name for f in fields(measure.Texture)}
    assert set(whole["dosimetry"]) == {f.name for f in fields(measure.Dosimetry)} - {"kinetics"}
    assert set(whole["dosimetry"]["recovery"]) == {f.name for f in fields(measure.RecoveryCurve)}
    settings_from_dict(whole)


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"bin_width": "0.5"}, "bin_width"),
        ({"bin_width": [0.5]}, "bin_width"),
        ({"bin_width": True}, "bin_width"),
        ({"bin_width": 0.0}, "bin_width"),
        ({"bin_width": 0.5, "resample_mm": "4"}, "resample_mm"),
        ({"bin_width": 0.5, "resample_mm": float("nan")}, "resample_mm"),
        ({"bin_width": 0.5, "aggregation": "2d"}, "aggregation"),
        ({"bin_width": 0.5, "aggregation": ["3d_merged"]}, "aggregation"),
        ({"bin_width": 0.5, "codes": 5}, "codes"),
        ({"bin_width": 0.5, "codes": "QCFX"}, "codes"),
        ({"bin_width": 0.5, "codes": [5]}, "codes"),
        ({"bin_width": 0.5, "codes": ["ABCD"]}, "codes"),
        ({"bin_width": 0.5, "codes": ["QCFX", "qcfx"]}, "codes"),
    ],
)
def test_texture_that_cannot_be(given, name):
    with pytest.raises(MeasureError, match=f"^`?{name}"):
        measure.Texture(**given)
    with pytest.raises(ConfigError, match=rf"^\[texture\] `?{name}"):
        settings_from_dict({"texture": given})


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ({"activity_cv": [0.1, 0.2]}, "activity_cv"),
        ({"activity_cv": 0.0}, "activity_cv"),
        ({"calibration_cv": "5%"}, "calibration_cv"),
        ({"calibration_cv": 5.0}, "calibration_cv"),
        ({"diameter_sd_mm": False}, "diameter_sd_mm"),
        ({"fwhm_mm": "12"}, "fwhm_mm"),
        ({"fwhm_mm": 0.0}, "fwhm_mm"),
        ({"curve": "exponential"}, "curve"),
        ({"curve": 1}, "curve"),
        ({"weights": "equal"}, "weights"),
    ],
)
def test_dosimetry_that_cannot_be(given, name):
    with pytest.raises(MeasureError, match=f"^`?{name}"):
        measure.Dosimetry(**given)
    with pytest.raises(ConfigError, match=rf"^\[dosimetry\] `?{name}"):
        settings_from_dict({"dosimetry": given})


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"covariance": [1, 2]}, "covariance"),
        ({"covariance": 3}, "covariance"),
        ({"covariance": [1.0, "0", 1.0]}, "covariance"),
        ({"covariance": [1.0, 5.0, 1.0]}, "covariance"),
        ({"b1_ml": "8"}, "b1_ml"),
        ({"b2": -1.0}, "b2"),
    ],
)
def test_recovery_that_cannot_be(changed, name):
    plain = {"b1_ml": 8.0, "b2": 0.6} | changed
    with pytest.raises(ConfigError, match=rf"^\[dosimetry.recovery\] `?{name}"):
        settings_from_dict({"dosimetry": {"recovery": plain}})


def test_settings_of_a_file_are_those_of_python():
    texture, dosimetry = settings_from_dict(
        {
            "texture": {"bin_width": 1, "codes": ["QCFX"]},
            "dosimetry": {
                "fwhm_mm": 12.0,
                "recovery": {"b1_ml": 8.0, "b2": 0.6, "covariance": [0.1, 0.0, 0.01]},
            },
        }
    )
    assert texture == measure.Texture(bin_width=np.float64(1.0), codes=("QCFX",))
    curve = measure.RecoveryCurve(8.0, 0.6, (0.1, 0.0, 0.01))
    assert dosimetry == measure.Dosimetry(recovery=curve, fwhm_mm=np.float32(12.0))
    assert settings_from_dict({}) == (None, measure.Dosimetry())


def test_kinetics_must_be_fitted_and_of_lutetium():
    with pytest.raises(MeasureError, match="kinetics: got str"):
        measure.Dosimetry(kinetics="population")
    kinetics = measure.PopulationKinetics(decay_corrected=False)
    with pytest.raises(MeasureError, match="kinetics: is not fitted"):
        measure.Dosimetry(kinetics=kinetics)
    kinetics.population_ = object()
    assert measure.Dosimetry(kinetics=kinetics).kinetics is kinetics
    kinetics.radionuclide = "177Lu"
    measure.Dosimetry(kinetics=kinetics)
    kinetics.radionuclide = "Y90"
    with pytest.raises(MeasureError, match="kinetics: is of Y90"):
        measure.Dosimetry(kinetics=kinetics)
