from datetime import datetime

import openpyxl
import pandas as pd
import pytest
from openpyxl.worksheet.worksheet import Worksheet

import bayesdose as bd
from bayesdose.cohort import read_sites, validate_sites
from bayesdose.errors import ReadError, SiteTableError

HEADER = ["patient_id", "site_id", "absorbed_dose_gy", "cycle", "scan_date"]


@pytest.fixture
def workbook(tmp_path):
    """Save a workbook with one sheet after ``change`` has worked on it."""

    def save(change=lambda sheet: None):
        book = openpyxl.Workbook()
        sheet: Worksheet = book.active
        sheet.title = "Sites"
        sheet.append(HEADER)
        sheet.append([7, "T1", 12.5, 1, datetime(2026, 1, 2)])
        sheet.append([8.0, "T2", 3, 1, None])
        change(sheet)
        path = tmp_path / "sites.xlsx"
        book.save(path)
        return path

    return save


def refusal(path, **arguments):
    with pytest.raises(ReadError) as caught:
        read_sites(path, **arguments)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_plain_sheet(workbook):
    frame = read_sites(workbook())
    assert list(frame) == HEADER
    assert frame["patient_id"].tolist() == ["7", "8"]
    assert frame["absorbed_dose_gy"].tolist() == [12.5, 3.0]
    assert frame["cycle"].tolist() == [1, 1]
    assert frame["scan_date"].iloc[0] == datetime(2026, 1, 2)


def test_leading_zeros_shown_by_the_format_are_kept(workbook):
    def change(sheet):
        sheet["A2"].number_format = "000"
        sheet["A3"] = "008"
        sheet["D2"].number_format = "0"

    frame = read_sites(workbook(change))
    assert frame["patient_id"].tolist() == ["007", "008"]
    assert frame["cycle"].tolist() == [1, 1]


def test_the_reference_cohort_survives_workbook_and_parquet(tmp_path):
    sites = bd.simulate.dose_cohort(9, random_seed=1)
    sites.to_excel(tmp_path / "cohort.xlsx", index=False)
    sites.to_parquet(tmp_path / "cohort.parquet", index=False)
    sites.to_csv(tmp_path / "cohort.csv", index=False)
    parquet = read_sites(tmp_path / "cohort.parquet")
    columns = [name for name in sites if name != "lesion_type"]
    pd.testing.assert_frame_equal(parquet[columns], sites[columns], check_exact=True)
    for name in ("cohort.xlsx", "cohort.csv"):
        pd.testing.assert_frame_equal(read_sites(tmp_path / name), parquet, rtol=1e-14)
    validate_sites(parquet)


def test_text_in_a_column_of_numbers_stays_for_validation_to_report(workbook):
    def change(sheet):
        sheet["C2"] = "12,5"
        sheet["C3"] = "3.5"

    frame = read_sites(workbook(change))
    assert frame["absorbed_dose_gy"].tolist() == ["12,5", "3.5"]
    with pytest.raises(SiteTableError, match="'12,5'"):
        validate_sites(frame, by=None, activity=None)


def test_empty_cells_and_na_are_missing_numbers(workbook):
    def change(sheet):
        sheet["C2"] = None
        sheet["C3"] = "NA"

    assert read_sites(workbook(change))["absorbed_dose_gy"].isna().all()


@pytest.mark.parametrize(
    ("cell", "value", "said"),
    [
        ("C2", "#DIV/0!", "C2: the Excel error #DIV/0!"),
        ("C2", "=1/2", "C2: a formula without a stored value"),
        ("C2", datetime(2026, 5, 1), "column 'absorbed_dose_gy': the date"),
        ("B2", datetime(2026, 5, 1), "row 2, column 'site_id': the date"),
        ("D3", datetime(2026, 5, 1), "row 3, column 'cycle': the date"),
        ("G3", 4, "G3: 4 stands in a column without a name"),
        ("C1", None, "column 3 has no name"),
        ("C1", "cycle", "'cycle'"),
        ("C6", 4, "row 4: a blank row"),
    ],
)
def test_doubtful_cells(workbook, cell, value, said):
    def change(sheet):
        sheet[cell] = value

    assert said in refusal(workbook(change))


def test_merged_cells(workbook):
    assert "merged cells A2:A3" in refusal(workbook(lambda sheet: sheet.merge_cells("A2:A3")))


def test_rows_with_a_format_only_are_no_rows(workbook):
    def change(sheet):
        sheet["A9"].number_format = "000"
        sheet["J1"].number_format = "000"

    assert len(read_sites(workbook(change))) == 2


def test_a_title_above_the_table(workbook):
    assert "without a name" in refusal(
        workbook(lambda sheet: (sheet.insert_rows(1), sheet.__setitem__("A1", "Cohort 2026")))
    )
    assert "column 1 has no name" in refusal(workbook(lambda sheet: sheet.insert_rows(1)))


def test_several_sheets(workbook):
    path = workbook(lambda sheet: sheet.parent.create_sheet("Legend").append(["a", "b"]))
    said = refusal(path)
    assert "'Sites', 'Legend'" in said
    assert "sheet='Sites'" in said
    assert len(read_sites(path, sheet="Sites")) == 2
    assert "it has 'Sites', 'Legend'" in refusal(path, sheet="Site")


def test_empty_sheets(workbook):
    path = workbook(lambda sheet: sheet.parent.create_sheet("Sheet2"))
    assert len(read_sites(path)) == 2
    assert "the sheet is empty" in refusal(path, sheet="Sheet2")
    assert "every sheet is empty" in refusal(workbook(lambda sheet: sheet.delete_rows(1, 9)))
    assert "no rows" in refusal(workbook(lambda sheet: sheet.delete_rows(2, 9)))


def test_damaged_files(tmp_path):
    for name in ("sites.xlsx", "sites.parquet"):
        path = tmp_path / name
        path.write_bytes(b"no such thing")
        assert "damaged" in refusal(path)


def test_parquet_labels_become_text_and_an_index_a_column(tmp_path):
    path = tmp_path / "sites.parquet"
    frame = pd.DataFrame(
        {"site_id": pd.Categorical(["T1", "T2"]), "suv_mean": [1.5, None], "n": [1, 2]},
        index=pd.Index([7, 12345678901234567], name="patient_id"),
    )
    frame.to_parquet(path)
    read = read_sites(path)
    assert read["patient_id"].tolist() == ["7", "12345678901234567"]
    assert read["site_id"].tolist() == ["T1", "T2"]
    assert read["suv_mean"].iloc[0] == 1.5
    assert read["n"].tolist() == [1, 2]


def test_parquet_without_rows_or_with_dates_for_numbers(tmp_path):
    path = tmp_path / "sites.parquet"
    pd.DataFrame({"patient_id": []}).to_parquet(path)
    assert "no rows" in refusal(path)
    pd.DataFrame({"suv_mean": [datetime(2026, 1, 1)]}).to_parquet(path)
    assert "row 1, column 'suv_mean': the date" in refusal(path)
