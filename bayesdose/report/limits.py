"""Dose limits of a ``limits.toml``: tables ``[[limit]]`` with the arguments of `DoseLimit`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.report.model_page.findings import MAX_LIMITS

if TYPE_CHECKING:
    from bayesdose.planning import DoseLimit


def limits_from_dict(plain: Mapping[str, Any], where: str) -> tuple["DoseLimit", ...]:
    """Limits from the content of a TOML file.

    Parameters
    ----------
    plain : mapping
        With a list ``limit`` of tables.
    where : str
        What the errors name, such as the file.

    Returns
    -------
    tuple of DoseLimit
        At least one.

    Raises
    ------
    ConfigError
        When there is none, too many, or one that is no limit.
    """
    for name in plain:
        if name != "limit":
            raise ConfigError(f"{where}: has {name!r}; allowed are tables [[limit]]")
    tables = plain.get("limit")
    if not isinstance(tables, list) or not tables:
        raise ConfigError(
            f"{where}: has no limit; write a table [[limit]] with tissue and gy for each"
        )
    if len(tables) > MAX_LIMITS:
        raise ConfigError(f"{where}: has {len(tables)} limits; at most {MAX_LIMITS} are allowed")
    return tuple(_limit(f"{where}: limit {i}", table) for i, table in enumerate(tables, 1))


def _limit(where: str, table: Any) -> "DoseLimit":
    from bayesdose.planning import DoseLimit

    if not isinstance(table, dict):
        raise ConfigError(f"{where}: got {table!r}; write a table [[limit]]")
    allowed = [item.name for item in fields(DoseLimit)]
    for name in table:
        if name not in allowed:
            raise ConfigError(f"{where} has {name!r}; allowed are {', '.join(allowed)}")
    if "tissue" not in table:
        raise ConfigError(f"{where} has no tissue")
    try:
        return DoseLimit(**table)
    except BayesdoseError as err:
        raise ConfigError(f"{where}: {err}") from err
