"""One breach of the site table's schema, and how a list of them reads."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

LINES_SHOWN = 20

#: Characters of a cell that a message shows.
_LONGEST = 80


@dataclass(frozen=True)
class Problem:
    """One value that the site table may not hold.

    Parameters
    ----------
    position : int
        Position of the row; -1 for what concerns the table as a whole.
    column : str
        Column.
    value : object
        What stands there.
    allowed : str
        What may stand there, and the way out where there is one.
    check : str, optional
        Range check that found it.
    """

    position: int
    column: str
    value: object
    allowed: str
    check: str | None = None


def is_missing(value: object) -> bool:
    """Tell whether a cell is None, NaN, NaT or NA.

    Parameters
    ----------
    value : object
        The cell.

    Returns
    -------
    bool
        True for a missing cell.
    """
    return bool(pd.api.types.is_scalar(value) and pd.isna(value))


def plain_value(value: object) -> object:
    """Turn a cell into plain Python, a missing one into the word for it.

    Parameters
    ----------
    value : object
        The cell.

    Returns
    -------
    object
        The value without NumPy's type, or ``"missing"``.
    """
    if is_missing(value):
        return "missing"
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}… ({len(value)} characters)"
    return value.item() if hasattr(value, "item") else value


def as_records(problems: Sequence[Problem], index: pd.Index) -> list[dict[str, object]]:
    """Turn problems into plain records.

    Parameters
    ----------
    problems : sequence of Problem
        What was found.
    index : pandas.Index
        Row labels of the table.

    Returns
    -------
    list of dict
        Keys ``row`` (the row's label, None for the whole table), ``column``, ``value`` and
        ``allowed``.
    """
    return [
        {
            "row": None if problem.position < 0 else index[problem.position],
            "column": problem.column,
            "value": problem.value,
            "allowed": problem.allowed,
        }
        for problem in problems
    ]


def as_text(problems: Sequence[Problem], frame: pd.DataFrame, names: Sequence[str]) -> str:
    """List problems for people, one a line, at most `LINES_SHOWN` of them.

    Parameters
    ----------
    problems : sequence of Problem
        What was found.
    frame : pandas.DataFrame
        The table.
    names : sequence of str
        Columns that say whose row it is; those that the table lacks are left out.

    Returns
    -------
    str
        Indented lines.
    """
    present = [name for name in names if name in frame]
    lines = [_line(problem, frame, present) for problem in problems[:LINES_SHOWN]]
    if len(problems) > LINES_SHOWN:
        lines.append(f"  … and {len(problems) - LINES_SHOWN} more")
    return "\n".join(lines)


def _line(problem: Problem, frame: pd.DataFrame, names: Sequence[str]) -> str:
    value = problem.value if problem.position < 0 else repr(problem.value)
    said = f"{problem.column}: {value}; allowed: {problem.allowed}"
    if problem.position < 0:
        return f"  {said}"
    whose = ", ".join(f"{name} {frame[name].iloc[problem.position]}" for name in names)
    row = f"row {frame.index[problem.position]}"
    return f"  {row} ({whose}): {said}" if whose else f"  {row}: {said}"
