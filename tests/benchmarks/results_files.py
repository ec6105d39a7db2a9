"""Writing results: whole files or none, tables as Markdown for the documentation."""

import csv
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def write(path: Path, text: str) -> None:
    """Write a text file so that it is never half there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(path)


def run_missing(
    path: Path, n: int, one: Callable[[int], list[dict[str, object]]], *, lines_each: int = 1
) -> None:
    """Make the replicates that a run before has not, each adding its lines to the table."""
    partial = path.with_suffix(".partial.csv")
    done = len(pd.read_csv(partial)) // lines_each if partial.exists() else 0
    print(f"{path.stem}: {n} replicates, {done} of them done", flush=True)
    began = time.perf_counter()
    for number in range(done, n):
        lines = one(number)
        with partial.open("a", newline="") as file:
            writer = csv.DictWriter(file, lines[0])
            if number == 0:
                writer.writeheader()
            writer.writerows(lines)
        if (number + 1) % 25 == 0:
            each = (time.perf_counter() - began) / (number + 1 - done)
            left = each * (n - number - 1) / 60
            print(f"{path.stem}: {number + 1}, {each:.2f} s each, {left:.0f} min left", flush=True)
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
