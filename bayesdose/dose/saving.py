"""Save and load a fitted model: one NetCDF file, its specification as JSON inside, no pickle.

Without ``include_patients`` neither rows nor patient labels are written. What conditioning on
new rows needs, the conditional posterior of β at each draw, is an aggregate and stays.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayesdose._files import whole_file
from bayesdose.dose import formulas
from bayesdose.dose.design import Encoding
from bayesdose.dose.domain import Domain
from bayesdose.dose.posterior import Draws
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.standardise import Standardisation
from bayesdose.dose.training import Fitted, Training
from bayesdose.errors import SavedModelError

SCHEMA_VERSION = 2
_FORMAT = "bayesdose dose model"
_ARRAYS = (
    "beta",
    "residual_sd",
    "patient_sd",
    "patient_corr",
    "cycle_sd",
    "site_sd",
    "group_sd",
    "precision",
    "shift",
    "log_posterior",
    "df",
)


def save(fitted: Fitted, path: Path, include_patients: bool) -> None:
    """Write a fitted model.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    path : Path
        File to write, atomically.
    include_patients : bool
        Whether training rows and patient labels are written.

    Raises
    ------
    SavedModelError
        When the folder is not there.
    """
    if not path.parent.is_dir():
        raise SavedModelError(f"{path}: the folder {path.parent} does not exist")
    plain: dict[str, Any] = {
        "encoding": _encoding_to_dict(fitted.encoding),
        "domain": fitted.domain.to_dict(),
        "log_evidence": list(fitted.log_evidence),
        "info": fitted.info,
        "chains": fitted.draws.chains,
    }
    if include_patients and fitted.training is not None:
        plain["training"] = _frame_to_dict(fitted.training.frame)
        plain["dropped"] = fitted.training.dropped
    dataset = _draws_to_dataset(fitted.draws)
    specification = json.dumps(plain, allow_nan=True)
    dataset.attrs = {
        "format": _FORMAT,
        "schema_version": SCHEMA_VERSION,
        "specification": specification,
        "sha256": _digest(dataset, specification),
    }
    with whole_file(path) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf")


def load(path: Path) -> Fitted:
    """Read a fitted model.

    Parameters
    ----------
    path : Path
        File that `save` wrote.

    Returns
    -------
    Fitted

    Raises
    ------
    SavedModelError
        When there is no such file, it is damaged, not a saved model, or of another version.
    """
    if not path.is_file():
        raise SavedModelError(f"{path}: there is no such file")
    try:
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            dataset = opened.load()
    except (OSError, ValueError, KeyError, RuntimeError) as err:
        raise SavedModelError(
            f"{path}: cannot be read as NetCDF; it is truncated, damaged or another kind of file"
        ) from err
    if dataset.attrs.get("format") != _FORMAT:
        raise SavedModelError(f"{path}: is not a saved dose model")
    version = dataset.attrs.get("schema_version")
    if version != SCHEMA_VERSION:
        raise SavedModelError(
            f"{path}: has schema version {version}, this bayesdose reads {SCHEMA_VERSION}; load it "
            "with the bayesdose that saved it, or fit again"
        )
    attrs = dataset.attrs
    if attrs.get("sha256") != _digest(dataset, str(attrs.get("specification"))):
        raise SavedModelError(
            f"{path}: is damaged: its content is not what was saved. Take it from a copy, or fit "
            "again"
        )
    try:
        return _restore(dataset)
    except (KeyError, TypeError, IndexError, json.JSONDecodeError) as err:
        raise SavedModelError(f"{path}: its specification is damaged ({err!r})") from err


def _digest(dataset: xr.Dataset, specification: str) -> str:
    """SHA-256 of every number and of the specification."""
    found = hashlib.sha256(specification.encode())
    for name in sorted(map(str, dataset.data_vars)):
        values = np.ascontiguousarray(dataset[name].values)
        found.update(f"{name} {values.dtype.str} {values.shape}".encode())
        found.update(values.tobytes())
    return found.hexdigest()


def _restore(dataset: xr.Dataset) -> Fitted:
    plain = json.loads(str(dataset.attrs["specification"]))
    encoding = _encoding_from_dict(plain["encoding"])
    training = None
    if "training" in plain:
        frame = _frame_from_dict(plain["training"])
        training = _training(frame, encoding, plain)
    value, error = plain["log_evidence"]
    return Fitted(
        encoding=encoding,
        draws=_draws_from_dataset(dataset, plain["chains"]),
        domain=Domain(**plain["domain"]),
        training=training,
        log_evidence=(value, error),
        info=plain["info"],
    )


def _training(frame: pd.DataFrame, encoding: Encoding, plain: dict[str, Any]) -> Training:
    if encoding.spec.missing == "impute":
        from bayesdose.dose import imputation

        return imputation.restore(frame, encoding, plain["info"]["random_seed"])
    return Training(frame, encoding, encoding.rows(frame), plain["dropped"])


def _encoding_to_dict(encoding: Encoding) -> dict[str, Any]:
    terms = encoding.patient_terms
    scaling = encoding.standardisation
    return {
        "spec": encoding.spec.to_dict(),
        "tissues": list(encoding.tissues),
        "terms": [found.state() for found in encoding.terms],
        "patient_terms": None if terms is None else terms.state(),
        "cycle_trend": list(encoding.cycle_trend),
        "cycle_effect": list(encoding.cycle_effect),
        "site_effect": list(encoding.site_effect),
        "group_levels": [list(levels) for levels in encoding.group_levels],
        "center": scaling.center.tolist(),
        "scale": scaling.scale.tolist(),
        "log_activity": encoding.log_activity,
    }


def _encoding_from_dict(plain: dict[str, Any]) -> Encoding:
    patient = plain["patient_terms"]
    return Encoding(
        spec=ModelSpec.from_dict(plain["spec"]),
        tissues=tuple(plain["tissues"]),
        terms=tuple(formulas.restore(state) for state in plain["terms"]),
        patient_terms=None if patient is None else formulas.restore(patient),
        cycle_trend=tuple(plain["cycle_trend"]),
        cycle_effect=tuple(plain["cycle_effect"]),
        site_effect=tuple(plain["site_effect"]),
        group_levels=tuple(tuple(levels) for levels in plain["group_levels"]),
        standardisation=Standardisation(
            np.asarray(plain["center"], float), np.asarray(plain["scale"], float)
        ),
        log_activity=plain["log_activity"],
    )


def _draws_to_dataset(draws: Draws) -> xr.Dataset:
    out = {}
    for name in _ARRAYS:
        values = getattr(draws, name)
        if values is not None:
            dims = ["sample", *(f"{name}_{i}" for i in range(1, values.ndim))]
            out[name] = (dims, values)
    for name, values in draws.sample_stats.items():
        out[f"stat_{name}"] = (["chain", "chain_draw"], np.asarray(values))
    return xr.Dataset(out)


def _draws_from_dataset(dataset: xr.Dataset, chains: int) -> Draws:
    found: dict[str, Any] = {
        name: dataset[name].values if name in dataset else None for name in _ARRAYS
    }
    stats = {
        str(name)[len("stat_") :]: array.values
        for name, array in dataset.data_vars.items()
        if str(name).startswith("stat_")
    }
    return Draws(**found, patient_effect=None, sample_stats=stats, chains=chains)


def _frame_to_dict(frame: pd.DataFrame) -> dict[str, Any]:
    columns = {}
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.astype(object)
        cells = [None if pd.isna(cell) else _scalar(cell) for cell in column]
        columns[str(name)] = {"dtype": str(column.dtype), "cells": cells}
    return {"columns": columns, "index": [_scalar(label) for label in frame.index]}


def _frame_from_dict(plain: dict[str, Any]) -> pd.DataFrame:
    out = {
        name: pd.Series(column["cells"], dtype=column["dtype"])
        for name, column in plain["columns"].items()
    }
    frame = pd.DataFrame(out)
    frame.index = pd.Index(plain["index"])
    return frame


def _scalar(value: Any) -> Any:
    """A cell as JSON can hold it."""
    if isinstance(value, np.generic):
        value = value.item()
    return value if isinstance(value, bool | int | float | str) else str(value)
