"""From an Excel workbook to the cells of one sheet; what Excel left in doubt is refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from bayesdose.cohort.csv_text import check_names
from bayesdose.errors import ReadError


@dataclass(frozen=True)
class SheetTable:
    """Cells of a sheet.

    Parameters
    ----------
    names : list of str
        Column names, from the first row.
    rows : list of list of object
        Cells by row, as many in each as there are names.
    sheet : str
        Name of the sheet.
    """

    names: list[str]
    rows: list[list[object]]
    sheet: str


def read_sheet(path: Path, sheet: str | None) -> SheetTable:
    """Read one sheet of a workbook.

    Formulas give the values that Excel stored with them. A whole number shown with leading zeros
    by its format, such as 007, is read as that text.

    Parameters
    ----------
    path : Path
        An ``.xlsx`` or ``.xlsm`` workbook.
    sheet : str, optional
        Name of the sheet; needed where more than one has content.

    Returns
    -------
    SheetTable
        Its cells; the first row holds the column names.

    Raises
    ------
    ReadError
        If the workbook cannot be opened, the sheet is not clear, or the sheet has merged cells,
        Excel errors, formulas without a stored value, blank rows or cells beside the table.
    """
    values = _open(path, data_only=True)
    name = _choose(path, values, sheet)
    cells = values[name]
    where = f"{path}, sheet {name!r}"
    if not _has_content(cells):
        raise ReadError(f"{where}: the sheet is empty.")
    if cells.merged_cells.ranges:
        merged = sorted(str(cell_range) for cell_range in cells.merged_cells.ranges)
        raise ReadError(f"{where}: merged cells {', '.join(merged)}; unmerge and fill them.")
    _check_formulas(where, _open(path, data_only=False)[name], cells)
    header, *body = cells.iter_rows()
    while body and all(cell.value is None for cell in body[-1]):
        body.pop()
    width = max((cell.column for cell in header if cell.value is not None), default=0)
    names = ["" if cell.value is None else str(cell.value).strip() for cell in header[:width]]
    check_names(names or [""], f"{where}, row 1")
    if not body:
        raise ReadError(f"{where}: column names and no rows.")
    for row in body:
        _check_row(where, row, width)
    return SheetTable(names, [[_value(cell) for cell in row[:width]] for row in body], name)


def _open(path: Path, *, data_only: bool) -> Any:
    import openpyxl

    try:
        return openpyxl.load_workbook(path, data_only=data_only)
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror}).") from error
    except (BadZipFile, KeyError, ValueError) as error:
        raise ReadError(
            f"{path} is no Excel workbook, is damaged or has a password ({error}); "
            "save it as .xlsx without a password."
        ) from error


def _choose(path: Path, workbook: Any, sheet: str | None) -> str:
    present = [worksheet.title for worksheet in workbook.worksheets]
    listed = ", ".join(map(repr, present))
    if sheet is not None:
        if sheet not in present:
            raise ReadError(f"{path} has no sheet {sheet!r}; it has {listed}.")
        return sheet
    filled = [worksheet.title for worksheet in workbook.worksheets if _has_content(worksheet)]
    if not filled:
        raise ReadError(f"{path}: every sheet is empty ({listed}).")
    if len(filled) > 1:
        raise ReadError(f"{path} has several sheets, {listed}; name one: sheet={filled[0]!r}.")
    return filled[0]


def _has_content(worksheet: Any) -> bool:
    return any(value is not None for row in worksheet.iter_rows(values_only=True) for value in row)


def _check_formulas(where: str, formulas: Any, values: Any) -> None:
    for row in formulas.iter_rows():
        for cell in row:
            if cell.data_type == "f" and values[cell.coordinate].value is None:
                raise ReadError(
                    f"{where}, cell {cell.coordinate}: a formula without a stored value; open the "
                    "workbook in Excel and save it, or paste the values."
                )


def _check_row(where: str, row: Any, width: int) -> None:
    if all(cell.value is None for cell in row):
        raise ReadError(f"{where}, row {row[0].row}: a blank row inside the table; delete it.")
    for cell in row:
        if cell.data_type == "e":
            raise ReadError(f"{where}, cell {cell.coordinate}: the Excel error {cell.value}.")
        if cell.column > width and cell.value is not None:
            raise ReadError(
                f"{where}, cell {cell.coordinate}: {cell.value!r} stands in a column without a "
                "name; name the column or clear it."
            )


def _value(cell: Any) -> object:
    zeros = cell.number_format
    if isinstance(cell.value, int) and not isinstance(cell.value, bool) and set(zeros) == {"0"}:
        # Only a format that adds zeros makes text of the number.
        shown = str(cell.value).zfill(len(zeros))
        return shown if shown != str(cell.value) else cell.value
    return cell.value
