"""Every example runs, and what it prints agrees with the tables that it writes."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

import bayesdose as bd

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested_and_listed():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {
        "southampton_dose_cohort",
        "real_tables",
        "from_images_to_dose",
        "psma_primary_naive_bayes",
        "psma_local_recurrence",
        "psma_pfs_cox",
        "prostate_survival",
        "plan_a_patient",
        "dose_outcome",
    }
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}.py`" in listed for name in names)


@pytest.fixture(scope="module")
def southampton(tmp_path_factory):
    """What the script prints, and the folder that it writes."""
    folder = tmp_path_factory.mktemp("southampton")
    printed: list[str] = []
    module = example("southampton_dose_cohort")
    module.print = lambda *words: printed.append(" ".join(map(str, words)))
    module.main(["--out", str(folder)])
    return "\n".join(printed), folder


@pytest.mark.slow
def test_southampton_says_what_it_must(southampton):
    text, folder = southampton
    assert "SIMULATED" in text
    assert "What 9 patients can show" in text
    assert "What 9 patients cannot show" in text
    assert "standard error over 9 patients (fewer than 20) is unreliable" in text
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "published_beside_reproduced.csv",
        "scores.csv",
        "leave_one_patient_out.csv",
        "dropped.csv",
        "elpd_difference_by_patient.csv",
    }


@pytest.mark.slow
def test_southampton_has_the_published_figures_and_its_own(southampton, tmp_path):
    _, folder = southampton
    table = pd.read_csv(folder / "published_beside_reproduced.csv", index_col=0)
    assert list(table.index) == ["tumour", "salivary_gland", "kidney"]
    assert list(table["mean Gy published"]) == [11.0, 1.8, 3.9]
    assert list(table["MAE Gy published"]) == [3.2, 0.3, 0.1]
    assert list(table["Bayesian R2 published"]) == [0.73, 0.93, 0.99]
    assert list(table["coverage published"]) == [0.89, 1.0, 1.0]
    sites = bd.datasets.load_reference_cohort()
    means = sites.groupby("tissue")["absorbed_dose_gy"].mean()
    assert table["mean Gy here"].to_dict() == pytest.approx(means.to_dict())
    # in-sample looks good everywhere, left out does not
    left_out = pd.read_csv(folder / "leave_one_patient_out.csv", index_col=0)
    assert (left_out["mae_gy"] > table["MAE Gy here"]).all()
    assert left_out.loc["kidney", "mae_gy"] > 5 * table.loc["kidney", "MAE Gy here"]


@pytest.mark.slow
def test_southampton_drops_four_predictors(southampton):
    text, folder = southampton
    dropped = pd.read_csv(folder / "dropped.csv", index_col=0)
    assert list(dropped.index) == [
        "total lesion uptake",
        "tumour-to-parotid",
        "GLCM joint entropy",
        "eGFR",
    ]
    by_patient = pd.read_csv(folder / "elpd_difference_by_patient.csv", index_col=0)
    for name, row in dropped.iterrows():
        gain = by_patient["all"] - by_patient[f"no {name}"]
        assert row["elpd gain"] == pytest.approx(gain.sum())
        assert row["se"] == pytest.approx(3 * gain.std())
        assert row["patients better with it"] == f"{(gain > 0).sum()} of 9"
        assert f"{row['elpd gain']:.2f}" in text
    left_out = pd.read_csv(folder / "leave_one_patient_out.csv", index_col=0)
    assert dropped.loc["eGFR", "MAE Gy with"] == pytest.approx(left_out.loc["kidney", "mae_gy"])


@pytest.mark.slow
def test_real_tables_agree_with_lme4(test_data, capsys):
    module = example("real_tables")
    lesions = pd.read_csv(test_data / "psma_autopet3_lesions" / "lesions.csv.gz")
    assert len(lesions[~lesions["section_3_9_excluded"]]) == 8768
    module.main(["--data", str(test_data), "--draws", "400"])
    lines = capsys.readouterr().out.splitlines()
    for name, reml in module.LME4.items():
        (line,) = [line for line in lines if line.startswith(name)]
        value, own = map(float, line.removeprefix(name).split())
        assert value == pytest.approx(reml, abs=5e-5)
        # posterior mean of 400 draws beside REML: 0.04 is the posterior sd of the intercept
        assert own == pytest.approx(reml, abs=0.02)
    (in_sample,) = [line for line in lines if line.startswith("in-sample")]
    (left_out,) = [line for line in lines if line.startswith("leave-one")]
    r2_log = [float(line.split()[-1]) for line in (in_sample, left_out)]
    # the real cohort that these rows imitate: 0.81 by lesion, 0.41 by patient
    assert r2_log[0] > 0.8
    assert r2_log[1] < 0.6


def test_real_tables_say_how_to_name_the_folder(monkeypatch):
    monkeypatch.delenv("BAYESDOSE_TEST_DATA", raising=False)
    with pytest.raises(SystemExit, match="--data FOLDER"):
        example("real_tables").main([])


@pytest.mark.slow
def test_images_become_doses(tmp_path, capsys):
    pytest.importorskip("mirp")
    module = example("from_images_to_dose")
    module.main(["--out", str(tmp_path), "--patients", "3", "--draws", "500", "--data", ""])
    said = capsys.readouterr().out
    assert "SIMULATED" in said
    assert said.splitlines()[-1].startswith("Without real tables")
    assert said.count("Every patient left out") == 2
    table = pd.read_csv(tmp_path / "sites.csv")
    assert len(table) == 3 * 10
    assert len(bd.validate_sites(table)) == 30
    for name in ("time_activity.png", "slices.png"):
        assert (tmp_path / name).stat().st_size > 10_000


@pytest.mark.parametrize("n", ["2", "-1", "many"])
def test_images_of_too_few_patients_are_refused(n, capsys):
    pytest.importorskip("nibabel")
    with pytest.raises(SystemExit, match="2"):
        example("from_images_to_dose").main(["--patients", n])
    assert f"argument --patients: got '{n}'; give a whole number from 3" in capsys.readouterr().err


def test_real_curves_and_regions(test_data):
    module = example("from_images_to_dose")
    said = module.real_curves(test_data / "lu177_snmmi_patient004")
    row = next(line for line in said.splitlines() if line.startswith("Liver"))
    found, reference = map(float, row.split()[1:3])
    assert found == pytest.approx(reference, rel=1e-3)
    said = module.real_regions(test_data / "lu177_dotatate_patient15")
    for line in said.splitlines()[3:]:
        volume, _, source = map(float, line.split()[1:])
        assert volume == pytest.approx(source, rel=1e-4)
