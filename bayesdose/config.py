"""``model.toml``: the settings of a model and its fit as TOML, and back. Knows no models.

The file holds the arguments of ``DoseModel`` by name, tables ``[formula]`` and ``[priors]`` where
they are wanted, and a table ``[fit]``. A column that is not used is ``false``: TOML has no None.
"""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bayesdose.errors import ConfigError

FIT_DEFAULTS: dict[str, Any] = {
    "draws": 4000,
    "random_seed": 1,
    "sampler": "auto",
    "device": "cpu",
}
_TEXT = ("patient", "response", "patient_effects", "likelihood", "missing", "engine")
_FLAGS = ("patient_correlation", "standardise")
_MAY_BE_ABSENT = ("by", "activity", "dose_cv", "dose_cv_shared", "censored")


def read_config(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a ``model.toml``.

    Parameters
    ----------
    path : Path
        File.

    Returns
    -------
    model : dict
        Arguments of ``ModelSpec.from_dict``; what the file leaves out is left out.
    fit : dict
        draws, random_seed, sampler and device; what the file leaves out has its default.

    Raises
    ------
    ConfigError
        When the file is absent or no TOML, has no formula, or a value of the wrong kind.
    """
    plain = read_toml(path)
    fit = _fit_settings(path, plain.pop("fit", {}))
    if "formula" not in plain:
        raise ConfigError(
            f'{path}: has no formula; write formula = "log(suv_mean)", or a table [formula] with '
            "a line a tissue"
        )
    model = {name: _setting(path, name, value) for name, value in plain.items()}
    return model, fit


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : Path
        File.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        When the file is absent or no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read ({err.strerror})") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: is no TOML file: {err}") from err


def to_toml(model: Mapping[str, Any], fit: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Write settings as the text of a ``model.toml``.

    Parameters
    ----------
    model : mapping
        As ``ModelSpec.to_dict`` makes it.
    fit : mapping
        draws, random_seed, sampler and device.
    defaults : mapping
        Priors in force that the model does not state, as in ``model["priors"]``; written as
        comments, so that they can be seen and changed.

    Returns
    -------
    str
        TOML that `read_config` reads to the same settings.
    """
    used = {name: False if value is None else value for name, value in model.items()}
    lines = ["# Model for `bayesdose fit TABLE --config model.toml`. A column not used is false."]
    lines += _table({name: v for name, v in used.items() if v != {}}, ())
    lines += _table({"fit": dict(fit)}, ())
    if defaults:
        lines += ["", "# Priors in force that are not stated above; to change one, uncomment it."]
        lines += [f"# {line}" for line in _table({"priors": dict(defaults)}, ()) if line]
    return "\n".join(lines) + "\n"


def _fit_settings(path: Path, given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ConfigError(f"{path}: fit must be a table, [fit]; got {given!r}")
    for name, value in given.items():
        if name not in FIT_DEFAULTS:
            raise ConfigError(
                f"{path}: [fit] has no setting {name!r}; allowed are {', '.join(FIT_DEFAULTS)}"
            )
        wanted = type(FIT_DEFAULTS[name])
        if type(value) is not wanted:
            kind = "a whole number" if wanted is int else "text"
            raise ConfigError(f"{path}: fit.{name} must be {kind}; got {value!r}")
    return FIT_DEFAULTS | given


def _setting(path: Path, name: str, value: Any) -> Any:
    if name in _FLAGS:
        right, kind = isinstance(value, bool), "true or false"
    elif name == "group_effects":
        right = isinstance(value, list) and all(isinstance(item, str) for item in value)
        kind = "a list of columns"
    elif name == "priors":
        right, kind = isinstance(value, dict), "a table, [priors]"
    elif name == "formula":
        texts = value.values() if isinstance(value, dict) else [value]
        right, kind = all(isinstance(text, str) for text in texts), "text, or a table of text"
    elif name in _MAY_BE_ABSENT:
        if value is False:
            return None
        right, kind = isinstance(value, str), "a column, or false"
    elif name in _TEXT:
        right, kind = isinstance(value, str), "text"
    else:  # the model knows its settings, and says which there are
        return value
    if not right:
        raise ConfigError(f"{path}: {name} must be {kind}; got {value!r}")
    return value


def _table(plain: Mapping[str, Any], place: tuple[str, ...]) -> list[str]:
    """Lines of a table, values first; a prior is written on one line."""
    leaves = {name: v for name, v in plain.items() if not isinstance(v, Mapping) or "kind" in v}
    lines = [f"{_key(name)} = {_value(value)}" for name, value in leaves.items()]
    if place and lines:
        lines = ["", f"[{'.'.join(map(_key, place))}]", *lines]
    for name, value in plain.items():
        if name not in leaves:
            lines += _table(value, (*place, name))
    return lines


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return str(value) if isinstance(value, int) else repr(float(value))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _text(value: str) -> str:
    # a JSON string is a TOML string, but for DEL
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
