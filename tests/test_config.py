import tomllib
from pathlib import Path

import pytest

import bayesdose as bd
from bayesdose import config
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import ConfigError

ODD = ModelSpec(
    formula={"tumour": "log(suv_mean)", "lymph node": 'C(site, levels=["a\\b", "ü\x7f"])'},
    patient="Pat. Nr.",
    activity=None,
    dose_cv="absorbed_dose_cv",
    patient_effects="1 + floor",
    group_effects=("centre", "pet_tracer"),
    standardise=False,
    likelihood="student_t",
    engine="pymc",
    priors=bd.Priors(
        intercept={"tumour": bd.Normal(1, 0.5), "lymph node": bd.Flat()},
        slope=bd.RegularizedHorseshoe(1.5),
        patient_sd=bd.StudentT(4.0, 0.0, 1e-05),
        patient_corr=bd.LKJ(1.0),
    ),
)


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "model.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.mark.parametrize("spec", [ModelSpec("log(suv_mean)"), ModelSpec("1", by=None), ODD])
def test_settings_come_back_as_they_were(spec, written):
    fit = {"draws": 800, "random_seed": 7, "sampler": "nuts", "device": "cpu"}
    path = written(config.to_toml(spec.to_dict(), fit, {}))
    model, settings = config.read_config(path)
    assert ModelSpec.from_dict(model) == spec
    assert settings == fit


def test_default_priors_are_comments_that_become_settings(written):
    text = config.to_toml(
        ModelSpec("1").to_dict(),
        config.FIT_DEFAULTS,
        {"slope": {"kind": "Normal", "mu": 0, "sigma": 0.5}},
    )
    assert "priors" not in tomllib.loads(text)
    before, after = text.split("# Priors in force")
    uncommented = before + "# Priors" + after.replace("\n# ", "\n")
    model, _ = config.read_config(written(uncommented))
    assert ModelSpec.from_dict(model).priors == bd.Priors(slope=bd.Normal(0, 0.5))


def test_what_is_left_out_has_its_default(written):
    model, fit = config.read_config(written('formula = "1"\n[fit]\ndraws = 400\n'))
    assert model == {"formula": "1"}
    assert fit == {**config.FIT_DEFAULTS, "draws": 400}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("formula = ", "is no TOML file: Invalid value"),
        ('by = "tissue"', "has no formula; write formula ="),
        ("formula = 3", "formula must be text, or a table of text; got 3"),
        ("[formula]\ntumour = 1", "formula must be text, or a table of text"),
        ('formula = "1"\nstandardise = "no"', "standardise must be true or false; got 'no'"),
        ('formula = "1"\npatient = false', "patient must be text; got False"),
        ('formula = "1"\nactivity = true', "activity must be a column, or false; got True"),
        ('formula = "1"\ngroup_effects = "centre"', "group_effects must be a list of columns"),
        ('formula = "1"\npriors = "weak"', r"priors must be a table, \[priors\]"),
        ('formula = "1"\nfit = 3', r"fit must be a table, \[fit\]"),
        ('formula = "1"\n[fit]\nseed = 3', "no setting 'seed'; allowed are draws, random_seed"),
        ('formula = "1"\n[fit]\ndraws = 4e3', "fit.draws must be a whole number; got 4000.0"),
        ('formula = "1"\n[fit]\ndraws = true', "fit.draws must be a whole number; got True"),
        ('formula = "1"\n[fit]\nsampler = 1', "fit.sampler must be text"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, message, written):
    with pytest.raises(ConfigError, match=message):
        config.read_config(written(text))


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"absent\.toml: cannot be read"):
        config.read_config(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes("# Größe".encode("latin-1"))
    with pytest.raises(ConfigError, match="is no TOML file"):
        config.read_config(tmp_path / "latin.toml")
