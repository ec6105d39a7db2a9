"""Foreign column names, words and units, mapped to the site table's once, at the door."""

import math
import tomllib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayesdose.cohort.cells import as_numbers
from bayesdose.errors import ConfigError, ReadError


@dataclass(frozen=True)
class TableMapping:
    """How a foreign table becomes a site table.

    Parameters
    ----------
    columns : dict of str to str
        New column name to the name in the file.
    scale : dict of str to float
        Factor by new column name, for example 0.001 from MBq to GBq.
    words : dict of str to dict of str to str
        By new column name: word in the file to the new word.
    optional : frozenset of str
        New column names that a file may lack.
    """

    columns: dict[str, str] = field(default_factory=dict)
    scale: dict[str, float] = field(default_factory=dict)
    words: dict[str, dict[str, str]] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()


def load_mapping(columns: Mapping[str, Any] | str | Path | None) -> TableMapping:
    """Read a mapping from a dict or a TOML file.

    Parameters
    ----------
    columns : mapping, str or Path, optional
        New name to name in the file; or a TOML file, or a dict laid out as one, with a table
        ``[columns]``, optionally a table ``[scale]``, and for any column a table of its own with
        ``new_word = ["word in the file", ...]``.

    Returns
    -------
    TableMapping
        The mapping.

    Raises
    ------
    ConfigError
        If the file is absent or no TOML, or the mapping contradicts itself.
    """
    if columns is None:
        return TableMapping()
    if isinstance(columns, str | Path):
        where, given = str(columns), _load_toml(Path(columns))
    elif isinstance(columns, Mapping):
        where, given = "columns", dict(columns)
        if not any(isinstance(value, Mapping) for value in given.values()):
            given = {"columns": given}
    else:
        raise ConfigError(f"columns must be a dict or a TOML file, got {type(columns).__name__}.")
    stray = sorted(name for name, value in given.items() if not isinstance(value, Mapping))
    if stray:
        raise ConfigError(
            f"{where}: {', '.join(stray)} must be in a table: [columns], [scale], or one named "
            "after a column."
        )
    words = {
        name: _word_map(where, name, table)
        for name, table in given.items()
        if name not in ("columns", "scale")
    }
    return TableMapping(
        _name_map(where, given.get("columns", {})), _factors(where, given.get("scale", {})), words
    )


def map_names(names: Sequence[str], mapping: TableMapping, where: str) -> list[str]:
    """Rename a table's columns.

    Parameters
    ----------
    names : sequence of str
        Columns of the file.
    mapping : TableMapping
        The mapping.
    where : str
        The file, for messages.

    Returns
    -------
    list of str
        New names, in the same order.

    Raises
    ------
    ReadError
        If a name is not in the file, or two columns would get the same name.
    """
    for new, old in mapping.columns.items():
        if old not in names and new not in mapping.optional:
            near = get_close_matches(old, names, n=1)
            like = f" Did you mean {near[0]!r}?" if near else ""
            if new in names:
                like = f" The mapping is new name = name in the file: {old!r} = {new!r}?"
            raise ReadError(
                f"{where} has no column {old!r} to map to {new!r}.{like} "
                f"It has {', '.join(map(repr, names))}."
            )
    new_of = {old: new for new, old in mapping.columns.items()}
    renamed = [new_of.get(name, name) for name in names]
    twice = sorted({name for name in renamed if renamed.count(name) > 1})
    if twice:
        raise ReadError(
            f"{where} would have more than one column {', '.join(twice)} after mapping; "
            "map the other one to a name of its own."
        )
    for name in (*mapping.scale, *mapping.words):
        if name not in renamed and name not in mapping.optional:
            raise ReadError(
                f"{where} has no column {name!r} to change after mapping; "
                f"it has {', '.join(map(repr, renamed))}."
            )
    return renamed


def map_values(frame: pd.DataFrame, mapping: TableMapping) -> pd.DataFrame:
    """Replace words and scale numbers.

    Words that the mapping does not list, and text in a column of numbers, stay as they are.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table with its new column names.
    mapping : TableMapping
        The mapping.

    Returns
    -------
    pandas.DataFrame
        The changed table.
    """
    changed = frame.copy()
    for name, words in mapping.words.items():
        if name not in frame.columns:
            continue  # optional, as map_names made sure
        _warn_of_absent_words(name, frame[name], words)
        changed[name] = frame[name].map(lambda value, words=words: words.get(value, value))
    for name, factor in mapping.scale.items():
        if name not in frame.columns:
            continue
        numbers, foreign = as_numbers(frame[name])
        scaled = numbers * factor
        if foreign.any():
            mixed = scaled.astype(object)
            mixed[foreign] = frame[name].to_numpy(dtype=object)[foreign]
            scaled = mixed
        changed[name] = pd.Series(scaled, index=frame.index)
    return changed


def _warn_of_absent_words(name: str, column: pd.Series, words: Mapping[str, str]) -> None:
    there = {str(value) for value in column.dropna().unique()}
    absent = [word for word in words if word not in there]
    unmapped = sorted(there - set(words) - set(words.values()))
    if absent and unmapped:
        # a map made for several files may list words that this one lacks; a slip leaves others over
        warnings.warn(
            f"column {name!r} has no {', '.join(map(repr, absent))}, which the mapping lists; it "
            f"has {', '.join(map(repr, unmapped[:10]))}, which it does not, and they stay as they "
            "are",
            stacklevel=4,
        )


def _load_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is no TOML file: {error}.") from error


def _name_map(where: str, table: Mapping[str, Any]) -> dict[str, str]:
    new_of: dict[str, str] = {}
    for new, old in table.items():
        if not isinstance(old, str):
            raise ConfigError(f"{where}: columns.{new} must be a name in the file, got {old!r}.")
        if old in new_of:
            raise ConfigError(f"{where}: {old!r} is mapped to both {new_of[old]!r} and {new!r}.")
        new_of[old] = new
    return dict(table)


def _factors(where: str, table: Mapping[str, Any]) -> dict[str, float]:
    for name, factor in table.items():
        number = isinstance(factor, int | float | np.number) and not isinstance(factor, bool)
        if not number or not (math.isfinite(factor) and factor > 0):
            raise ConfigError(f"{where}: scale.{name} must be a number above 0, got {factor!r}.")
    return {name: float(factor) for name, factor in table.items()}


def _word_map(where: str, name: str, table: Mapping[str, Any]) -> dict[str, str]:
    new_of: dict[str, str] = {}
    for new, given in table.items():
        listed = [given] if isinstance(given, str) else given
        if not isinstance(listed, Sequence) or not all(isinstance(word, str) for word in listed):
            raise ConfigError(f"{where}: {name}.{new} must be a list of words, got {given!r}.")
        for word in listed:
            if new_of.setdefault(word, new) != new:
                raise ConfigError(
                    f"{where}: {name} {word!r} is mapped to both {new_of[word]!r} and {new!r}."
                )
    return new_of
