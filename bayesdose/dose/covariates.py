"""Which covariates a model needs of each tissue's rows, and which of them are missing."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bayesdose.dose import formulas
from bayesdose.dose.spec import ModelSpec
from bayesdose.errors import MissingCovariateError


def formula_of(spec: ModelSpec, tissue: str) -> str:
    """Formula of a tissue.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    tissue : str
        Tissue label.

    Returns
    -------
    str
    """
    return spec.formula[tissue] if isinstance(spec.formula, Mapping) else spec.formula


def needed_columns(spec: ModelSpec, tissues: Sequence[str]) -> dict[str, list[str]]:
    """Covariates that each tissue's rows must have.

    Parameters
    ----------
    spec : ModelSpec
        The model.
    tissues : sequence of str
        Tissue labels.

    Returns
    -------
    dict of list of str
    """
    common = [*formulas.variables(spec.patient_effects), *spec.group_effects]
    common += [name for name in (spec.activity, spec.dose_cv, spec.dose_cv_shared) if name]
    return {t: sorted({*formulas.variables(formula_of(spec, t)), *common}) for t in tissues}


def missing_covariates(
    frame: pd.DataFrame, spec: ModelSpec, tissues: Sequence[str], tissue: np.ndarray
) -> dict[str, np.ndarray]:
    """Rows in which a needed covariate is missing.

    Parameters
    ----------
    frame : pandas.DataFrame
        Site table.
    spec : ModelSpec
        The model.
    tissues : sequence of str
        Tissue labels.
    tissue : numpy.ndarray of int of shape (n,)
        Tissue codes.

    Returns
    -------
    dict of numpy.ndarray of bool
        Column → mask, only columns with a missing value.
    """
    out: dict[str, np.ndarray] = {}
    for k, names in enumerate(needed_columns(spec, tissues).values()):
        for name in names:
            if name not in frame.columns:
                continue  # the formula reports the column by name, with a suggestion
            gone = frame[name].isna().to_numpy() & (tissue == k)
            if gone.any():
                out[name] = out.get(name, np.zeros(len(frame), bool)) | gone
    return out


def check_covariates(
    frame: pd.DataFrame, spec: ModelSpec, tissues: Sequence[str], tissue: np.ndarray
) -> None:
    """Refuse missing covariates, listing column and patients.

    Parameters
    ----------
    frame : pandas.DataFrame
        Site table.
    spec : ModelSpec
        The model.
    tissues : sequence of str
        Tissue labels.
    tissue : numpy.ndarray of int of shape (n,)
        Tissue codes.

    Raises
    ------
    MissingCovariateError
        When any is missing.
    """
    missing = missing_covariates(frame, spec, tissues, tissue)
    if not missing:
        return
    lines = [
        f"  {name}: {int(mask.sum())} rows of patients "
        f"{', '.join(dict.fromkeys(str(p) for p in frame[spec.patient][mask]))}"
        for name, mask in missing.items()
    ]
    raise MissingCovariateError(
        "covariates are missing:\n"
        + "\n".join(lines)
        + "\nFill them in, leave the rows out (missing='drop') or declare multiple imputation "
        "(missing='impute')"
    )
