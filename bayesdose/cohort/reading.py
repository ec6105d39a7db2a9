"""Reading a site table from CSV, Excel or Parquet without guessing."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bayesdose.cohort.csv_numbers import type_columns
from bayesdose.cohort.csv_text import check_names, read_text_table
from bayesdose.cohort.excel import read_sheet
from bayesdose.cohort.mapping import TableMapping, load_mapping, map_names, map_values
from bayesdose.cohort.typed_values import typed_column
from bayesdose.errors import ReadError


def read_sites(
    path: str | Path,
    columns: Mapping[str, Any] | str | Path | None = None,
    sheet: str | None = None,
    optional: Collection[str] = (),
) -> pd.DataFrame:
    """Read a site table from a file; `validate_sites` then checks its values.

    Labels (patients, sites, tissues and the like) are text as written: ``007`` keeps its zeros.
    Columns of numbers keep text such as ``12 Gy`` in its cells, for `validate_sites` to report.
    Empty cells, ``NA`` and ``NaN`` are missing values; in labels only empty cells are.

    Parameters
    ----------
    path : str or Path
        ``.csv``, ``.tsv`` or ``.txt`` (UTF-8; separated by comma with decimal points, or by
        semicolon or tab with decimal points or commas), ``.xlsx`` or ``.xlsm``, ``.parquet``.
    columns : mapping, str or Path, optional
        Names of the file's columns: a dict of new name to name in the file, or a TOML file with a
        table ``[columns]`` of that; optionally a table ``[scale]`` of factors by new name, such as
        ``administered_activity_gbq = 0.001`` from MBq, and a table for each column whose words
        change, such as ``[tissue]`` with ``kidney = ["Niere", "Kidney L"]``.
    sheet : str, optional
        Name of the sheet of a workbook; needed where more than one has content.
    optional : collection of str
        New names that ``columns`` may map although the file lacks them, such as the measured doses
        of patients who have none yet.

    Returns
    -------
    pandas.DataFrame of shape (n_rows, n_columns)
        The table with its new names, rows numbered from 0, column order as in the file.

    Raises
    ------
    ReadError
        If the file could be read in more than one way, or not at all; the message names the place
        and the way out.
    ConfigError
        If the mapping contradicts itself.
    """
    path = Path(path)
    mapping = replace(load_mapping(columns), optional=frozenset(optional))
    if not path.is_file():
        what = "is a folder; name a file." if path.is_dir() else "no such file."
        raise ReadError(f"{path}: {what}")
    suffix = path.suffix.lower()
    if sheet is not None and suffix not in (".xlsx", ".xlsm"):
        raise ReadError(f"{path}: sheet={sheet!r} is for Excel workbooks.")
    if suffix in (".csv", ".tsv", ".txt"):
        frame = _read_csv(path, mapping)
    elif suffix in (".xlsx", ".xlsm"):
        frame = _read_excel(path, sheet, mapping)
    elif suffix == ".parquet":
        frame = _read_parquet(path, mapping)
    else:
        raise ReadError(
            f"{path}: files ending in {suffix or 'nothing'} are not read; save it as .csv, .xlsx "
            "or .parquet."
        )
    return map_values(frame, mapping)


def _read_csv(path: Path, mapping: TableMapping) -> pd.DataFrame:
    table = read_text_table(path)
    names = map_names(table.names, mapping, str(path))
    return type_columns(table, names, set(mapping.words), path)


def _read_excel(path: Path, sheet: str | None, mapping: TableMapping) -> pd.DataFrame:
    table = read_sheet(path, sheet)
    where = f"{path}, sheet {table.sheet!r}"
    names = map_names(table.names, mapping, where)
    return pd.DataFrame(
        {
            name: typed_column(
                name,
                [row[i] for row in table.rows],
                set(mapping.words),
                lambda position: f"{where}, row {position + 2}",
            )
            for i, name in enumerate(names)
        }
    )


def _read_parquet(path: Path, mapping: TableMapping) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise ReadError(f"{path} is no Parquet file or is damaged ({error}).") from error
    check_names(table.column_names, str(path))
    if not table.num_rows:
        raise ReadError(f"{path}: column names and no rows.")
    names = map_names(table.column_names, mapping, str(path))
    return pd.DataFrame(
        {
            name: typed_column(
                name,
                table.column(i).to_pylist(),
                set(mapping.words),
                lambda position: f"{path}, row {position + 1}",
            )
            for i, name in enumerate(names)
        }
    )
