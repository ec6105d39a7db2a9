import os

import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.errors import BayesdoseError
from bayesdose.report import folder, style
from bayesdose.report.style import panels


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch):
    def fail():
        raise BayesdoseError("one site only")

    numbers = pd.DataFrame({"x": [1 / 3]})
    made = {"pit": (fail, fail), "coverage": (lambda: panels(1, None), lambda: numbers)}
    monkeypatch.setattr(folder, "_pictures", lambda model, lopo: made)


def test_a_picture_comes_with_its_numbers_and_one_that_fails_is_told(pictures, fake_fit, tmp_path):
    drawn, absent = folder._write_pictures(fake_fit(), None, tmp_path / "figures")
    assert drawn == ["coverage"]
    assert absent == ["figures/pit.png is not there: one site only"]
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["coverage.csv", "coverage.png"]
    assert (tmp_path / "figures" / "coverage.csv").read_text() == "x\n0.333333\n"


def test_importance_draws_have_no_chains_to_show(pictures, fake_fit, tmp_path):
    _, absent = folder._write_pictures(fake_fit(sampler="importance"), None, tmp_path / "figures")
    assert "Pareto k 0.20, effective size 3000" in absent[-1]


def test_pictures_fit_the_model(fake_fit, validation):
    every = set(folder._pictures(fake_fit(), validation))
    assert every == set(folder.CAPTIONS)
    fewer = set(folder._pictures(fake_fit(sampler="importance", patient_effects="0"), validation))
    assert every - fewer == {"trace", "rank", "patient_effects"}


def test_every_file_is_listed_once():
    assert len(set(folder.FILES)) == len(folder.FILES)
    assert "figures/pit.csv" in folder.FILES


def test_written_files_have_the_usual_permissions(tmp_path):
    folder.write_csv(pd.DataFrame({"a": [1]}), tmp_path / "a.csv")
    (tmp_path / "b").touch()
    assert os.stat(tmp_path / "a.csv").st_mode == os.stat(tmp_path / "b").st_mode


def test_labels_are_text_and_not_formulas(sites, tmp_path):
    """Dollar signs of a label are drawn, and a long one leaves room for the picture."""
    names = {"P0": r"$\\frac$", "P1": "x" * 121}
    table = sites.assign(
        patient_id=sites["patient_id"].replace(names),
        tissue=sites["tissue"].replace({"kidney": "a$b$c_{"}),
    )
    model = bd.DoseModel("1").fit(table, draws=400)
    scores = folder.write_report(
        model, model.leave_one_patient_out(), tmp_path / "new" / "r", heading="h"
    )
    assert len(scores)
    assert (tmp_path / "new" / "r" / "figures" / "patient_effects.png").is_file()
    assert style.label("$a$") == r"\$a\$"
    assert len(style.label("x" * 121)) == 24
