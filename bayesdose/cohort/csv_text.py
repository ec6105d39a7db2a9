"""From the bytes of a CSV file to a rectangle of text, refusing what has two readings."""

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path

from bayesdose.errors import ReadError

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}


@dataclass(frozen=True)
class TextTable:
    """Cells of a CSV file as they stand there.

    Parameters
    ----------
    names : list of str
        Column names.
    rows : list of list of str
        Cells by row, as many in each as there are names.
    lines : list of int
        Line of the file on which each row ends.
    separator : str
        Character between the cells.
    """

    names: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str


def read_text_table(path: Path) -> TextTable:
    """Read a CSV file into text cells.

    Parameters
    ----------
    path : Path
        UTF-8 file, with or without byte-order mark; separated by comma, semicolon or tab.

    Returns
    -------
    TextTable
        Its cells.

    Raises
    ------
    ReadError
        If the encoding, the separator or the shape of the file leave room for doubt.
    """
    text = _decode(path)
    if not text.strip():
        raise ReadError(f"{path}: the file is empty.")
    tables, refusals = {}, {}
    for separator in SEPARATORS:
        try:
            records = _records(text, separator, path)
        except ReadError as refusal:
            refusals[separator] = refusal
            continue
        if records and len(records[0][1]) > 1:
            tables[separator] = records
    if not tables:
        if refusals:
            raise next(iter(refusals.values()))
        raise ReadError(
            f"{path}, line 1: no comma, semicolon or tab between column names; "
            "save it as CSV with one of those."
        )
    if len(tables) > 1:
        # A comma inside a column name is fine as long as the rows show which one separates.
        even = {key: records for key, records in tables.items() if _is_even(records)}
        if len(even) != 1:
            found = " and ".join(SEPARATORS[separator] for separator in tables)
            raise ReadError(
                f"{path}, line 1: {found} could each be the separator; rename the columns so that "
                "only the separator is left, or save it with another one."
            )
        tables = even
    ((separator, records),) = tables.items()
    return _rectangle(path, separator, records)


def _decode(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReadError(f"{path}: cannot be read ({error.strerror}).") from error
    way_out = "save it as 'CSV UTF-8'"
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in raw:
        raise ReadError(f"{path}: UTF-16 or binary content, not UTF-8 text; {way_out}.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        byte = raw[error.start]
        raise ReadError(
            f"{path}, line {line}: byte 0x{byte:02x} is no UTF-8 text (Latin-1 or Windows-1252?); "
            f"{way_out}."
        ) from error


def _records(text: str, separator: str, path: Path) -> list[tuple[int, list[str]]]:
    """Fields by record with the line on which it ends; lines without any text are left out."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True
    )
    try:
        return [(reader.line_num, fields) for fields in reader if fields]
    except csv.Error as error:
        raise ReadError(
            f"{path}, line {reader.line_num}: {error}; check the quotation marks."
        ) from error


def _is_even(records: list[tuple[int, list[str]]]) -> bool:
    return len({len(fields) for _, fields in records}) == 1


def _rectangle(path: Path, separator: str, records: list[tuple[int, list[str]]]) -> TextTable:
    (header_line, header), *body = records
    names = [name.strip() for name in header]
    check_names(names, f"{path}, line {header_line}")
    if not body:
        raise ReadError(f"{path}: column names and no rows.")
    for line, fields in body:
        if len(fields) != len(names):
            hint = " (a decimal comma?)" if separator == "," and len(fields) > len(names) else ""
            raise ReadError(
                f"{path}, line {line}: {len(fields)} cells under {len(names)} column names, "
                f"separated by {SEPARATORS[separator]}{hint}; every row needs one cell a column."
            )
        if not any(field.strip() for field in fields):
            raise ReadError(f"{path}, line {line}: separators without any value; delete the line.")
    _check_second_separator(path, separator, body)
    return TextTable(names, [fields for _, fields in body], [line for line, _ in body], separator)


def _check_second_separator(path: Path, separator: str, body: list[tuple[int, list[str]]]) -> None:
    """Refuse comma-separated names over rows that semicolons or tabs split as well."""
    if separator != ",":
        return
    for other in (";", "\t"):
        counts = {sum(field.count(other) for field in fields) for _, fields in body}
        if counts == {len(body[0][1]) - 1}:
            raise ReadError(
                f"{path}, line {body[0][0]}: every row has a {SEPARATORS[other]} as well, and the "
                "column names are separated by comma; save it with one separator throughout."
            )


def check_names(names: list[str], where: str) -> None:
    """Refuse absent and repeated column names.

    Parameters
    ----------
    names : list of str
        Column names.
    where : str
        File and line, for the message.

    Raises
    ------
    ReadError
        If a name is empty or appears twice.
    """
    if "" in names:
        raise ReadError(
            f"{where}: column {names.index('') + 1} has no name; name it or leave it out "
            "(a column of row numbers: write with index=False or row.names=FALSE)."
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ReadError(
            f"{where}: more than one column is called {', '.join(map(repr, twice))}; "
            "rename all but one."
        )
