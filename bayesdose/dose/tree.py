"""Posterior draws as an xarray.DataTree with ArviZ's groups, the contract's names and units."""

import numpy as np
import xarray as xr

from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.posterior import Draws


def posterior_tree(
    encoding: Encoding, draws: Draws, rows: Rows | None, attrs: dict[str, str | int | float]
) -> xr.DataTree:
    """Posterior, sampler statistics and observed data.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        Posterior draws.
    rows : Rows or None
        Training rows; None leaves patients and data out.
    attrs : dict
        Written to every group.

    Returns
    -------
    xarray.DataTree
        Groups ``posterior``, ``sample_stats`` and, with rows, ``observed_data`` and
        ``constant_data``.
    """
    groups = {
        "posterior": _posterior(encoding, draws, rows).assign_attrs(attrs),
        "sample_stats": _sample_stats(draws).assign_attrs(attrs),
    }
    if rows is not None:
        groups["observed_data"] = _observed(rows).assign_attrs(attrs)
        groups["constant_data"] = _constant(encoding, rows).assign_attrs(attrs)
    return xr.DataTree.from_dict(groups)


def slopes(encoding: Encoding, draws: Draws, tissue: int) -> np.ndarray:
    """Coefficients of a tissue on the scale of the original columns.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    draws : Draws
        S draws.
    tissue : int
        Tissue code.

    Returns
    -------
    numpy.ndarray of shape (S, n_columns)
        log(Gy/GBq) for each unit of the column, the intercept where the columns are 0.
    """
    block = encoding.blocks[tissue]
    scaling = encoding.standardisation
    out = draws.beta[:, block] / scaling.scale[block]
    intercept = encoding.intercepts()[tissue]
    if intercept is not None:
        out[:, intercept - block.start] -= out @ scaling.center[block]
    return out


def _posterior(encoding: Encoding, draws: Draws, rows: Rows | None) -> xr.Dataset:
    tissues = list(encoding.tissues)
    unit = "log(Gy/GBq)" if encoding.spec.activity else "log(Gy)"
    out: dict[str, xr.DataArray] = {}
    for k, tissue in enumerate(tissues):
        dim = f"covariate_{tissue}"
        coords = {dim: encoding.columns(k)}
        on_scale = {"units": f"{unit} for each standard deviation of the column"}
        block = draws.beta[:, encoding.blocks[k]]
        out[f"beta_{tissue}"] = _array(block, draws, [dim], coords, on_scale)
        on_scale = {"units": f"{unit} for each unit of the column"}
        out[f"slope_{tissue}"] = _array(slopes(encoding, draws, k), draws, [dim], coords, on_scale)
    log = {"units": "log scale"}
    by_tissue = {"tissue": tissues}
    out["residual_sd"] = _array(draws.residual_sd, draws, ["tissue"], by_tissue, log)
    labels = encoding.patient_effects
    if labels:
        names = {"patient_effect": labels}
        out["patient_sd"] = _array(draws.patient_sd, draws, ["patient_effect"], names, log)
        out["patient_corr"] = _array(
            draws.patient_corr,
            draws,
            ["patient_effect", "patient_effect_2"],
            {**names, "patient_effect_2": labels},
            {"units": "1"},
        )
    for name, has in (("cycle_sd", encoding.cycle_effect), ("site_sd", encoding.site_effect)):
        if any(has):
            out[name] = _array(getattr(draws, name), draws, ["tissue"], by_tissue, log)
    _add_groups(out, encoding, draws, unit)
    if draws.df is not None:
        out["residual_df"] = _array(draws.df, draws, [], {}, {"units": "1"})
    found = xr.Dataset(out)
    if draws.patient_effect is not None and rows is not None:
        # patient_effect names a variable and a dimension: xarray needs another name for the index
        values = _array(
            draws.patient_effect,
            draws,
            ["patient", "patient_effect"],
            {"patient": list(rows.patients)},
            log,
        )
        found = found.assign(patient_effects=values)
    return found


def _add_groups(out: dict[str, xr.DataArray], encoding: Encoding, draws: Draws, unit: str) -> None:
    names = list(encoding.spec.group_effects)
    if not names:
        return
    out["group_sd"] = _array(draws.group_sd, draws, ["group"], {"group": names}, {"units": "log"})
    n_tissues = len(encoding.tissues)
    for g, (name, block) in enumerate(zip(names, encoding.group_blocks, strict=True)):
        levels = list(encoding.group_levels[g])
        values = draws.beta[:, block].reshape(len(draws), n_tissues, len(levels))
        out[f"effect_{name}"] = _array(
            values,
            draws,
            ["tissue", f"level_{name}"],
            {"tissue": list(encoding.tissues), f"level_{name}": levels},
            {"units": unit},
        )


def _array(
    values: np.ndarray,
    draws: Draws,
    dims: list[str],
    coords: dict[str, list[str]],
    attrs: dict[str, str],
) -> xr.DataArray:
    shaped = values.reshape(draws.chains, len(draws) // draws.chains, *values.shape[1:])
    return xr.DataArray(
        shaped,
        dims=["chain", "draw", *dims],
        coords={
            "chain": range(draws.chains),
            "draw": range(shaped.shape[1]),
            **{dim: values for dim, values in coords.items() if dim in dims},
        },
        attrs=attrs,
    )


def _sample_stats(draws: Draws) -> xr.Dataset:
    shape = (draws.chains, len(draws) // draws.chains)
    out = {"lp": (("chain", "draw"), draws.log_posterior.reshape(shape))}
    for name, values in draws.sample_stats.items():
        out[name] = (("chain", "draw"), values)
    return xr.Dataset(out, coords={"chain": range(shape[0]), "draw": range(shape[1])})


def _observed(rows: Rows) -> xr.Dataset:
    dose = xr.DataArray(np.exp(rows.log_dose), dims=["obs"], attrs={"units": "Gy"})
    return xr.Dataset({"absorbed_dose": dose})


def _constant(encoding: Encoding, rows: Rows) -> xr.Dataset:
    return xr.Dataset(
        {
            "patient_label": ("obs", [rows.patients[i] for i in rows.patient]),
            "tissue_label": ("obs", [encoding.tissues[k] for k in rows.tissue]),
        }
    )
