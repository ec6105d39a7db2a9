"""Writing results: whole files or none, tables as Markdown for the documentation."""

from pathlib import Path

import pandas as pd


def write(path: Path, text: str) -> None:
    """Write a text file so that it is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def markdown(table: pd.DataFrame) -> str:
    """Table in Markdown; truth values as yes and no, empty where there is nothing."""
    lines = ["| " + " | ".join(map(str, table.columns)) + " |", "|---" * table.shape[1] + "|"]
    for row in table.itertuples(index=False):
        lines.append("| " + " | ".join(_cell(value) for value in row) + " |")
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return "" if pd.isna(value) else str(value)
