"""Tables for papers, as CSV and in one Word document: parameters, scores, predictions, plan."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayesdose._files import whole_file, whole_folder
from bayesdose.errors import ConfigError
from bayesdose.report.folder import write_csv
from bayesdose.report.model_page import posterior
from bayesdose.report.model_page.findings import Findings, gather
from bayesdose.report.model_page.plan import named_plan
from bayesdose.report.page import counted, number, shown
from bayesdose.report.style import words

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut
    from bayesdose.dose.model import DoseModel

WORD_FILE = "tables.docx"
#: Files that `paper_tables` can write, relative to its folder.
FILES = (WORD_FILE, "parameters.csv", "scores.csv", "predictions.csv", "plan.csv")
#: Rows of a table in Word, which is slow with more; the CSV file has all.
MAX_WORD_ROWS = 500
_CAPTIONS = {
    "parameters": "Posterior medians and 95 % highest-density intervals. Factor: exponential of "
    "the median; of an intercept the dose.",
    "scores": "Errors of point predictions by tissue and model. In-sample figures validate "
    "nothing; all others predict each patient from the others. Every site, or every patient, "
    "counts 1 (weights).",
    "predictions": "Predicted absorbed dose, Gy: median and interval.",
    "plan": "Largest activity a cycle at which the stated limits hold.",
}
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


def paper_tables(
    model: "DoseModel",
    folder: str | Path,
    *,
    new: pd.DataFrame | None = None,
    limits: Sequence[Any] = (),
    n_cycles: int = 6,
    fixed_gbq: float = 7.4,
    include_identifiers: bool = False,
    lopo: "LeaveOneOut | None" = None,
    progress: bool | None = None,
) -> list[Path]:
    """Write the tables of a fitted dose model for a paper: CSV files and one Word document.

    Patients and sites have other names, as in `bayesdose.report.html`. In CSV files, a text that
    a spreadsheet would take for a formula begins with an apostrophe.

    Parameters
    ----------
    model : DoseModel
        Fitted; without its training rows there are no scores.
    folder : str or Path
        Made where it is not there; files of an earlier run are replaced.
    new, limits, n_cycles, fixed_gbq, include_identifiers, lopo, progress
        As in `bayesdose.report.html`.

    Returns
    -------
    list of Path
        Files written.

    Raises
    ------
    ConfigError
        When an argument has an impossible value, or the path is a file.
    BayesdoseError
        When the new patients cannot be predicted, or not be planned.
    """
    if Path(folder).exists() and not Path(folder).is_dir():
        raise ConfigError(f"{folder}: is a file; name a folder")
    found = gather(
        model,
        new=new,
        limits=limits,
        n_cycles=n_cycles,
        fixed_gbq=fixed_gbq,
        include_identifiers=include_identifiers,
        lopo=lopo,
        progress=progress,
    )
    return write_tables(found, Path(folder))


def write_tables(found: Findings, folder: Path) -> list[Path]:
    """Write the tables of a report.

    Parameters
    ----------
    found : Findings
    folder : Path
        Made where it is not there.

    Returns
    -------
    list of Path
    """
    tables = tables_of(found)
    with whole_folder(folder, FILES) as partial:
        for name, table in tables.items():
            write_csv(_harmless(table), partial / f"{name}.csv")
        _write_word(tables, partial / WORD_FILE)
    return [folder / WORD_FILE, *(folder / f"{name}.csv" for name in tables)]


def tables_of(found: Findings) -> dict[str, pd.DataFrame]:
    """The tables by name, with the names that the report uses.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    dict of str to pandas.DataFrame
        Absent are those that the model, or its missing rows, cannot give.
    """
    tables = {"parameters": posterior.parameters(found)}
    if found.scores is not None:
        tables["scores"] = found.scores
    shown_rows = found.shown
    if shown_rows is not None:
        kept = [n for n in shown_rows.columns if n not in ("mean", "sd", "elpd")]
        table = shown_rows[kept]
        if "extrapolation" in table:
            table = table.assign(extrapolation=table["extrapolation"].map(found.names.text))
        tables["predictions"] = table
    if found.plan is not None:
        tables["plan"] = named_plan(found)
    return {name: _short(table) for name, table in tables.items()}


def _short(table: pd.DataFrame) -> pd.DataFrame:
    """Text cut at the length that a report states, and without control characters."""
    out = table.reset_index(drop=True).copy()
    for name in out.columns:
        if not pd.api.types.is_numeric_dtype(out[name]):
            long = name in ("extrapolation", "notes", "problem")
            out[name] = [
                shown(value, 2000 if long else 60) if isinstance(value, str) else value
                for value in out[name].astype(object)
            ]
    return out


def _harmless(table: pd.DataFrame) -> pd.DataFrame:
    def cell(value: Any) -> Any:
        risky = isinstance(value, str) and value.startswith(_FORMULA_SIGNS)
        return f"'{value}" if risky else value

    return table.map(cell)


def _write_word(tables: dict[str, pd.DataFrame], path: Path) -> None:
    import docx

    document = docx.Document()
    about = document.core_properties
    # the library's template names its own author
    about.created = about.modified = datetime.now(UTC).replace(microsecond=0)
    about.author, about.comments, about.title = "", "", "Tables of an absorbed dose model"
    document.add_heading(about.title, level=1)
    document.add_paragraph("Research use. Not a medical device.")
    for i, (name, table) in enumerate(tables.items(), 1):
        document.add_heading(f"Table {i}. {name.capitalize()}", level=2)
        document.add_paragraph(_CAPTIONS[name])
        if len(table) > MAX_WORD_ROWS:
            rows = counted(len(table), "row")
            document.add_paragraph(f"{rows}, too many for this document: see {name}.csv.")
        else:
            _add_table(document, _for_people(name, table))
    with whole_file(path) as partial:
        document.save(str(partial))


def _for_people(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """The columns that fit on a page, numbers to three digits."""
    chosen = {
        "scores": (
            *("model", "tissue", "weights", "n_sites", "n_patients", "mae_gy", "rmse_gy", "mape"),
            *("r2_gy", "r2_log", "hdi_coverage_95"),
        ),
    }.get(name, tuple(table.columns))
    out = table[list(chosen)].map(_cell)
    if "tissue" in out:
        out["tissue"] = out["tissue"].map(words)
    return out.rename(columns=lambda column: str(column).replace("_", " "))


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    return str(value)


def _add_table(document: Any, table: pd.DataFrame) -> None:
    drawn = document.add_table(rows=1 + len(table), cols=len(table.columns))
    drawn.style = "Light List"
    cells = drawn._cells  # one pass: the library searches the whole table for each cell
    width = len(table.columns)
    texts = [*map(str, table.columns), *(text for row in table.to_numpy() for text in row)]
    for cell, text in zip(cells, texts, strict=True):
        cell.text = text
    for cell in cells[:width]:
        for run in cell.paragraphs[0].runs:
            run.bold = True
    # the first row is repeated on every page
    from docx.oxml import OxmlElement

    properties = drawn.rows[0]._tr.get_or_add_trPr()
    properties.append(OxmlElement("w:tblHeader"))
