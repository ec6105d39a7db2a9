"""Tables for papers: the numbers of the report, nobody's name, and no formula for a spreadsheet."""

import zipfile
from pathlib import Path
from types import SimpleNamespace

import docx
import numpy as np
import pandas as pd
import pytest

from bayesdose.errors import ConfigError
from bayesdose.report import word
from bayesdose.report.page import pseudonyms

FORMULA = '=HYPERLINK("https://example.org")'


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What `tables_of` reads of a report."""
    table = pd.DataFrame(
        {
            "patient_id": ["Zmith", "Zmith", "B"],
            "site_id": ["R1", "R2", "R1"],
            "tissue": ["kidney", FORMULA, "salivary_gland"],
            "observed": [3.0, 1.5, 2.0],
            "mean": 1.0,
            "median": [3.1234567, 1.4, 2.1],
            "lower": [1.0, 0.5, 1.0],
            "upper": [5.0, 3.0, np.nan],
        }
    )
    names = SimpleNamespace(trained=pseudonyms(table), text=str, identifiers=False)
    parameters = pd.DataFrame({"tissue": ["kidney"], "parameter": ["intercept"], "median": [-0.5]})
    monkeypatch.setattr("bayesdose.report.word.posterior.parameters", lambda _: parameters)
    scores = pd.DataFrame(
        {
            "model": "leave-one-patient-out",
            "tissue": ["kidney"],
            "weights": "site",
            **dict.fromkeys(("n_sites", "n_patients"), 3),
            **dict.fromkeys(("mae_gy", "rmse_gy", "mape", "r2_gy", "r2_log"), 0.5),
            **dict.fromkeys(("hdi_coverage_95", "crps_gy"), 0.9),
        }
    )
    return SimpleNamespace(
        scores=scores, plan=None, shown=names.trained.table(table), names=names, new=None
    )


def test_files_are_written_with_the_numbers(found: SimpleNamespace, tmp_path: Path) -> None:
    files = word.write_tables(found, tmp_path / "tables")
    assert [path.name for path in files] == [
        *("tables.docx", "parameters.csv", "scores.csv", "predictions.csv")
    ]
    table = pd.read_csv(tmp_path / "tables" / "predictions.csv")
    assert list(table["patient_id"]) == ["Patient 1", "Patient 1", "Patient 2"]
    assert list(table["median"]) == pytest.approx([3.1234567, 1.4, 2.1], rel=1e-5)
    assert "mean" not in table
    assert table["tissue"][1] == f"'{FORMULA}"
    assert table["observed"].dtype == float


def test_the_document_holds_the_tables(found: SimpleNamespace, tmp_path: Path) -> None:
    word.write_tables(found, tmp_path)
    document = docx.Document(str(tmp_path / "tables.docx"))
    assert len(document.tables) == 3
    rows = [[cell.text for cell in row.cells] for row in document.tables[2].rows]
    assert rows[0] == ["patient id", "site id", "tissue", "observed", "median", "lower", "upper"]
    assert rows[1] == ["Patient 1", "kidney 1", "kidney", "3.00", "3.12", "1.00", "5.00"]
    assert rows[2][2].startswith("=HYPERLINK")
    assert rows[3][2:] == ["salivary gland", "2.00", "2.10", "1.00", "–"]
    assert document.core_properties.author == ""
    with zipfile.ZipFile(tmp_path / "tables.docx") as parts:
        content = b"".join(parts.read(name) for name in parts.namelist())
    assert b"tblHeader" in content
    assert b"Zmith" not in content
    assert b"python-docx" not in content


def test_controls_and_long_texts_do_not_break_the_document(
    found: SimpleNamespace, tmp_path: Path
) -> None:
    found.shown["tissue"] = ["k\x00\x0b<w:p>", "x" * 5000, "kidney"]
    word.write_tables(found, tmp_path)
    rows = docx.Document(str(tmp_path / "tables.docx")).tables[2].rows
    assert rows[1].cells[2].text == "k��<w:p>"
    assert len(rows[2].cells[2].text) == 60


def test_long_tables_are_left_to_the_csv_file(
    found: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word, "MAX_WORD_ROWS", 2)
    word.write_tables(found, tmp_path)
    document = docx.Document(str(tmp_path / "tables.docx"))
    assert len(document.tables) == 2
    assert any("see predictions.csv" in one.text for one in document.paragraphs)
    assert len(pd.read_csv(tmp_path / "predictions.csv")) == 3


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(ConfigError, match="is a file"):
        word.paper_tables(None, tmp_path / "x")
