import io
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayesdose
from bayesdose import cli
from bayesdose.cli import main
from tests.measure import scans

CONFIG = """
[formula]
tumour = "log(suv_mean)"
kidney = "1"
[priors]
slope = {kind = "Normal", mu = 0.0, sigma = 0.4}
[fit]
draws = 400
random_seed = 3
"""


@pytest.fixture(scope="module")
def sites() -> pd.DataFrame:
    """Tumours and kidneys of five patients."""
    frame = bayesdose.datasets.load_reference_cohort()
    return frame[frame["patient_id"].isin(["P1", "P3", "P5", "P7", "P9"])].query(
        "tissue != 'salivary_gland'"
    )


@pytest.fixture
def table(sites, tmp_path) -> Path:
    sites.to_csv(tmp_path / "sites.csv", index=False)
    return tmp_path / "sites.csv"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture
def refused(capsys, tmp_path):
    """Run a command that must be refused in one message, without a trace on disk."""

    def check(*arguments: object) -> str:
        before = sorted(tmp_path.rglob("*"))
        assert run(*arguments) == 1
        shown = capsys.readouterr()
        assert shown.out == ""
        lines = [line for line in shown.err.splitlines() if not line.startswith("[")]
        assert lines[0].startswith(f"bayesdose {arguments[0]}: ")
        assert "Traceback" not in shown.err
        assert sorted(tmp_path.rglob("*")) == before
        return "\n".join(lines)

    return check


def test_version_and_help_are_quick_and_light(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"bayesdose {bayesdose.__version__}\n"
    assert run("fit", "--help") == 0
    assert "--include-patients" in capsys.readouterr().out
    script = "import sys, bayesdose.cli as c; c.main(['--version']); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert {"pandas", "jax", "matplotlib", "pymc"}.isdisjoint(done.stdout.split())


@pytest.mark.parametrize("module", ["bayesdose", "bayesdose.cli"])
def test_the_package_is_a_command_too(module):
    command = [sys.executable, "-W", "error", "-m", module]
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"bayesdose {bayesdose.__version__}\n"
    done = subprocess.run([*command, "fitt"], capture_output=True, text=True, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(
    "arguments",
    [[], ["fitt"], ["fit", "a.csv"], ["predict", "fit"], ["predict", "f", "t", "--kind", "old"]],
)
def test_a_command_line_that_makes_no_sense_is_2(arguments, capsys):
    assert run(*arguments) == 2
    assert "usage: bayesdose" in capsys.readouterr().err


def test_validate_says_what_it_read(table, capsys):
    assert run("validate", table) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{table}: in order; ")
    assert "5 patients" in shown.out
    assert "10 kidney" in shown.out
    assert shown.err.startswith("[")


def test_validate_lists_every_problem(sites, tmp_path, refused):
    bad = sites.reset_index(drop=True).astype({"absorbed_dose_gy": object})
    bad.loc[1, "absorbed_dose_gy"] = -2.0
    bad.loc[3, "administered_activity_gbq"] = 7400.0
    bad.to_csv(tmp_path / "bad.csv", index=False)
    message = refused("validate", tmp_path / "bad.csv")
    assert "absorbed_dose_gy" in message
    assert "administered_activity_gbq" in message


def test_validate_maps_columns_and_shows_warnings(sites, tmp_path, capsys):
    foreign = sites.rename(columns={"patient_id": "Patient"})
    low = foreign["tissue"].eq("kidney") & foreign["Patient"].eq("P1")
    foreign.loc[low, "absorbed_dose_gy"] /= 40
    foreign.to_csv(tmp_path / "foreign.csv", index=False)
    (tmp_path / "map.toml").write_text('[columns]\npatient_id = "Patient"\n')
    assert run("validate", tmp_path / "foreign.csv", "--columns", tmp_path / "map.toml") == 0
    shown = capsys.readouterr()
    assert "warning: 2 doses are far from the literature" in shown.err
    assert "far from" not in shown.out


def test_bad_input_is_refused_before_anything_is_fitted(table, tmp_path, refused):
    out = tmp_path / "fit"
    assert "no such file" in refused("fit", tmp_path / "absent.csv", "--out", out)
    assert "cannot be read" in refused("fit", table, "--config", tmp_path / "no.toml", "--out", out)
    (tmp_path / "model.toml").write_text('formula = "log(suv_mean)"\nstandardize = true\n')
    message = refused("fit", table, "--config", tmp_path / "model.toml", "--out", out)
    assert "unknown model setting 'standardize'" in message
    (tmp_path / "model.toml").write_text('formula = "log(suv_mean"\n')
    refused("fit", table, "--config", tmp_path / "model.toml", "--out", out)
    pd.read_csv(table).drop(columns="suv_mean").to_csv(tmp_path / "less.csv", index=False)
    assert "suv_mean" in refused("fit", tmp_path / "less.csv", "--out", out)
    assert "is not empty" in refused("fit", table, "--out", tmp_path)
    assert "is a file" in refused("fit", table, "--out", table)
    assert "no such file" in refused("predict", tmp_path / "none", table)
    table.write_text("")
    refused("validate", table)


def test_interrupting_is_130(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(bayesdose, "read_sites", interrupt)
    assert run("validate", "a.csv") == 130
    assert capsys.readouterr().err == "bayesdose validate: interrupted\n"


def test_an_error_of_the_system_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, refused
):
    def fail(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "a.csv")

    monkeypatch.setattr(bayesdose, "read_sites", fail)
    assert refused("validate", "a.csv") == "bayesdose validate: a.csv: Permission denied"


def test_a_reader_that_stops_early_is_no_error(monkeypatch: pytest.MonkeyPatch):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        monkeypatch.setattr(sys, "stdout", closed)
        monkeypatch.setattr(cli, "_read", lambda *_: closed.write("x" * 100_000))
        monkeypatch.setattr(bayesdose, "validate_sites", lambda _: None)
        assert run("validate", "a.csv") == 1


def test_progress_of_the_package_is_shown_and_then_let_go(
    monkeypatch: pytest.MonkeyPatch, capsys, table
):
    log = logging.getLogger("bayesdose")
    before = (log.level, list(log.handlers))

    def read(*_: object, **__: object) -> pd.DataFrame:
        log.info("fold 1 of 9")
        return pd.read_csv(table)

    monkeypatch.setattr(bayesdose, "read_sites", read)
    assert run("validate", "a.csv") == 0
    assert "fold 1 of 9" in capsys.readouterr().err
    assert (log.level, list(log.handlers)) == before


@pytest.fixture(scope="module")
def fitted(sites, tmp_path_factory) -> Path:
    """Folder of a fit with few draws, and what it printed."""
    folder = tmp_path_factory.mktemp("fit")
    sites.to_csv(folder / "sites.csv", index=False)
    (folder / "model.toml").write_text(CONFIG)
    out, stdout = folder / "new" / "fit", io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stdout)
        assert (
            run("fit", folder / "sites.csv", "--config", folder / "model.toml", "--out", out) == 0
        )
    (folder / "stdout.txt").write_text(stdout.getvalue())
    return out


@pytest.mark.slow
def test_predict_maps_names_of_doses_that_are_not_there_yet(fitted, sites, tmp_path, capsys):
    kidneys = sites[sites["tissue"] == "kidney"].rename(columns={"suv_mean": "SUV"})
    new = kidneys.assign(patient_id="N").drop(columns=["absorbed_dose_gy", "site_id"])
    new = new.iloc[:2].assign(site_id=["left", "right"])
    new.to_csv(tmp_path / "new.csv", index=False)
    names = tmp_path / "map.toml"
    names.write_text('[columns]\nabsorbed_dose_gy = "Dose"\nsuv_mean = "SUV"\n')
    assert run("predict", fitted, tmp_path / "new.csv", "--columns", names) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    names.write_text('[columns]\nabsorbed_dose_gy = "Dose"\nsuv_mean = "Uptake"\n')
    assert run("predict", fitted, tmp_path / "new.csv", "--columns", names) == 1
    assert "no column 'Uptake'" in capsys.readouterr().err


@pytest.fixture
def new_patients(sites, tmp_path) -> Path:
    renamed = sites.assign(patient_id="N" + sites["patient_id"]).drop(columns="absorbed_dose_gy")
    renamed.to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


@pytest.mark.slow
def test_fit_writes_what_it_promises(fitted, sites):
    names = {str(path.relative_to(fitted)) for path in fitted.rglob("*") if path.is_file()}
    assert {
        "model.toml",
        "dose.nc",
        "summary.csv",
        "summary.md",
        "leave_one_patient_out.csv",
        "predictions.csv",
        "scores.csv",
        "diagnosis.txt",
        "figures/predicted_measured.png",
        "figures/predicted_measured.csv",
        "figures/prior_posterior.png",
    } <= names
    pictures = {name.removesuffix(".png") for name in names if name.endswith(".png")}
    assert {f"{name}.csv" for name in pictures} <= names
    assert list(fitted.parent.iterdir()) == [fitted]
    predictions = pd.read_csv(fitted / "predictions.csv")
    np.testing.assert_allclose(predictions["observed"], sites["absorbed_dose_gy"], rtol=1e-5)
    scores = pd.read_csv(fitted / "scores.csv")
    assert scores["model"].nunique() == 5
    assert set(scores["tissue"]) == {"tumour", "kidney"}


@pytest.mark.slow
def test_fit_prints_verdict_and_table_in_100_columns(fitted):
    text = (fitted.parents[1] / "stdout.txt").read_text()
    assert "rust" in text.splitlines()[0]
    for words in ("tumour: ", "leave-one-patient-out", "population mean", "elpd"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.slow
def test_model_that_is_written_is_the_model_that_was_fitted(fitted):
    model, settings = bayesdose.config.read_config(fitted / "model.toml")
    assert settings == {"draws": 400, "random_seed": 3, "sampler": "auto", "device": "cpu"}
    assert model["formula"] == {"tumour": "log(suv_mean)", "kidney": "1"}
    assert model["priors"] == {"slope": {"kind": "Normal", "mu": 0.0, "sigma": 0.4}}
    assert '# tumour = {kind = "HalfNormal", sigma = 0.8}' in (fitted / "model.toml").read_text()


@pytest.mark.slow
def test_saved_model_names_no_patient(fitted):
    raw = (fitted / "dose.nc").read_bytes()
    assert b'"P1"' not in raw
    assert bayesdose.DoseModel.load(fitted / "dose.nc")._state().training is None


@pytest.mark.slow
def test_predictions_are_those_of_the_model(fitted, new_patients, tmp_path, capsys):
    out = tmp_path / "p.csv"
    assert run("predict", fitted, new_patients, "--hdi-prob", 0.8, "--out", out) == 0
    model = bayesdose.DoseModel.load(fitted / "dose.nc")
    with pytest.warns(UserWarning, match="infinite"):
        wanted = model.predict(pd.read_csv(new_patients), hdi_prob=0.8)
    found = pd.read_csv(out)
    assert found.columns.tolist() == wanted.columns.tolist()
    np.testing.assert_allclose(found["upper"], wanted["upper"], rtol=1e-5)
    assert capsys.readouterr().out == ""

    assert run("predict", fitted, new_patients, "--hdi-prob", 0.8) == 0
    shown = capsys.readouterr()
    assert shown.out == out.read_text()
    assert shown.err.count("warning: ") == 1


@pytest.mark.slow
def test_predictions_given_measured_rows(fitted, sites, tmp_path, capsys):
    renamed = sites.assign(patient_id="N" + sites["patient_id"])
    is_kidney = renamed["tissue"] == "kidney"
    renamed[is_kidney].to_csv(tmp_path / "given.csv", index=False)
    renamed[~is_kidney].to_csv(tmp_path / "new.csv", index=False)
    run("predict", fitted, tmp_path / "new.csv")
    alone = capsys.readouterr().out
    options = ["--given", tmp_path / "given.csv", "--kind", "known_patient", "--target", "measured"]
    assert run("predict", fitted, tmp_path / "new.csv", *options) == 0
    assert capsys.readouterr().out.count("\n") == alone.count("\n")


@pytest.mark.slow
def test_predictions_that_cannot_be_made_are_refused(fitted, new_patients, tmp_path, refused):
    message = refused("predict", fitted, new_patients, "--kind", "known_patient")
    assert "known_patient" in message
    frame = pd.read_csv(new_patients).assign(tissue="liver")
    frame.to_csv(tmp_path / "liver.csv", index=False)
    assert "liver" in refused("predict", fitted, tmp_path / "liver.csv")
    assert "exists" in refused("predict", fitted, new_patients, "--out", new_patients)
    refused("predict", fitted, new_patients, "--hdi-prob", 95)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "dose.nc").write_bytes((fitted / "dose.nc").read_bytes()[:5000])
    assert "damaged" in refused("predict", tmp_path / "broken", new_patients)


@pytest.fixture(scope="module")
def scanned(tmp_path_factory) -> Path:
    """Files of two patients, of whom one has a label map that is not there."""
    pytest.importorskip("nibabel")
    folder = tmp_path_factory.mktemp("scans")
    files = pd.DataFrame([r for name in ("A", "B") for r in scans.write_patient(folder, name)])
    files.loc[(files["patient_id"] == "B") & (files["role"] == "regions"), "path"] = "no.nii"
    files.to_csv(folder / "files.csv", index=False)
    pd.DataFrame([scans.patient_row(name) for name in ("A", "B")]).to_csv(
        folder / "patients.csv", index=False
    )
    scans.REGIONS.to_csv(folder / "regions.csv", index=False)
    return folder


@pytest.fixture
def measuring(scanned, tmp_path) -> list[object]:
    """Command line that measures one patient of two."""
    tables = [scanned / f"{name}.csv" for name in ("files", "patients", "regions")]
    return ["measure", *tables, "--out", tmp_path / "out"]


def test_measure_writes_a_table_that_validates_and_goes_on(measuring, tmp_path, capsys):
    settings = tmp_path / "measure.toml"
    settings.write_text(
        "[texture]\nbin_width = 0.5\n[dosimetry]\ncalibration_cv = 0.05\nfwhm_mm = 12.0\n"
        "[dosimetry.recovery]\nb1_ml = 0.01\nb2 = 2.0\n"
    )
    command = [*measuring, "--settings", settings]
    assert run(*command) == 0
    shown = capsys.readouterr()
    assert "1 patients and cycles left out" in shown.out
    assert "no.nii: no such file" in shown.err
    assert "1 of 2" in shown.err
    assert "finished before" not in shown.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        *("patients", "problems.csv", "sites.csv")
    ]
    problems = pd.read_csv(tmp_path / "out" / "problems.csv")
    assert problems["patient_id"].tolist() == ["B"]
    before = (tmp_path / "out" / "sites.csv").read_bytes()
    assert run(*command) == 0
    assert "1 finished before" in capsys.readouterr().err
    assert (tmp_path / "out" / "sites.csv").read_bytes() == before
    assert run("validate", tmp_path / "out" / "sites.csv") == 0


def test_measure_takes_no_foreign_folder_for_its_own(measuring, tmp_path, refused):
    (tmp_path / "out" / "patients").mkdir(parents=True)
    (tmp_path / "out" / "sites.csv").write_text("mine")
    assert "is not empty" in refused(*measuring)
    assert (tmp_path / "out" / "sites.csv").read_text() == "mine"


def test_measure_leaves_no_old_table_where_it_fails(measuring, scanned, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    for name in ("sites.csv", "problems.csv"):
        (tmp_path / "out" / name).write_text("old")
    files = pd.read_csv(scanned / "files.csv")
    files["path"] = "no_" + files["path"]
    files.to_csv(tmp_path / "files.csv", index=False)
    measuring[1] = tmp_path / "files.csv"
    assert run(*measuring, "--force") == 1
    shown = capsys.readouterr().err
    assert "no patient could be measured" in shown
    assert f"{tmp_path / 'out' / 'sites.csv'} is not written" in shown
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["patients"]


@pytest.mark.parametrize(("asked", "passed_on"), [("1000", 4), ("3", 3), ("-1", -1)])
def test_measure_starts_no_more_processes_than_cores(
    measuring, monkeypatch: pytest.MonkeyPatch, asked, passed_on
):
    found = []

    def build(files, patients, regions, n_jobs, **_):
        found.append(n_jobs)
        raise bayesdose.MeasureError("enough")

    monkeypatch.setattr("joblib.cpu_count", lambda: 4)
    monkeypatch.setattr(bayesdose.measure, "build_site_table", build)
    assert run(*measuring, "--jobs", asked) == 1
    assert found == [passed_on]


@pytest.mark.parametrize("jobs", ["0", "-2", "1.5", "all"])
def test_measure_names_jobs_that_cannot_be(measuring, jobs, capsys):
    assert run(*measuring, "--jobs", jobs) == 2
    assert f"argument --jobs: got '{jobs}'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[textures]\nbin_width = 1.0", "the top level has no 'textures'"),
        ("[texture]\nbins = 1.0", "[texture] has no 'bins'"),
        ("[texture]\naggregation = '3d_merged'", "[texture] needs bin_width"),
        ("[dosimetry]\ncalibration_cv = 5.0", "calibration_cv"),
        ("[dosimetry.recovery]\nb1_ml = 1.0", "needs b1_ml and b2"),
        ("[texture]\nbin_width = '0.5'", "[texture] bin_width: got '0.5'"),
        ("[dosimetry.recovery]\nb1_ml = 1.0\nb2 = 1.0\ncovariance = 3", "recovery] covariance"),
        ("texture = 1", "[texture] must be a table"),
        ("[texture", "is no TOML file"),
    ],
)
def test_measure_refuses_settings(measuring, tmp_path, refused, text, words):
    (tmp_path / "measure.toml").write_text(text)
    message = refused(*measuring, "--settings", tmp_path / "measure.toml")
    assert message.startswith(f"bayesdose measure: {tmp_path / 'measure.toml'}: ")
    assert words in message


LIMITS = """
[[limit]]
tissue = "kidney"
gy = 23.0
"""


@pytest.mark.slow
def test_report_from_a_folder_and_its_table(fitted, sites, table, tmp_path, capsys):
    (tmp_path / "limits.toml").write_text(LIMITS)
    out, tables = tmp_path / "r.html", tmp_path / "tables"
    limits = ("--limits", tmp_path / "limits.toml", "--cycles", 4)
    assert run("report", fitted, "--table", table, *limits, "--out", out, "--tables", tables) == 0
    assert "shows labels" not in capsys.readouterr().err
    text = out.read_text()
    assert "For 4 cycles of the same activity" in text
    assert "Predicted absorbed dose: Patient 5" in text
    assert ">P9<" not in text
    assert str(tmp_path) not in text
    assert len(pd.read_csv(tables / "plan.csv")) == 5
    assert (tables / "tables.docx").is_file()


@pytest.mark.slow
def test_report_without_rows_says_how_to_get_them(fitted, new_patients, tmp_path, capsys):
    out = tmp_path / "r.html"
    assert run("report", fitted, "--new", new_patients, "--identifiers", "--out", out) == 0
    assert "it shows labels of patients" in capsys.readouterr().err
    text = out.read_text()
    assert "bayesdose report DIR --table TABLE" in text
    assert "Predicted absorbed dose: NP9" in text


@pytest.mark.slow
def test_reports_that_cannot_be_made_are_refused(fitted, sites, table, tmp_path, refused):
    out = ("--out", tmp_path / "r.html")
    other = pd.read_csv(table)
    other.loc[2, "absorbed_dose_gy"] *= 1.01
    other.to_csv(tmp_path / "other.csv", index=False)
    message = refused("report", fitted, "--table", tmp_path / "other.csv", *out)
    assert "not the one that this model was fitted to: its doses differ" in message
    assert "ends in .html" in refused("report", fitted, "--out", tmp_path / "r.txt")
    (tmp_path / "there.html").touch()
    assert "--force" in refused("report", fitted, "--out", tmp_path / "there.html")
    assert "holds no dose.nc" in refused("report", tmp_path / "none", *out)
    for text, why in (
        ("", "has no limit"),
        ("[[limit]]\ngy = 3", "limit 1 has no tissue"),
        ("[[limits]]\n", "allowed are tables [[limit]]"),
        ('[[limit]]\ntissue = "kidney"\ngrey = 3', "limit 1 has 'grey'"),
        ('[[limit]]\ntissue = "kidney"', "give gy or bed_gy"),
        ("#" * 200_000, "too large to be a file of limits"),
    ):
        (tmp_path / "limits.toml").write_text(text)
        assert why in refused("report", fitted, "--limits", tmp_path / "limits.toml", *out)
