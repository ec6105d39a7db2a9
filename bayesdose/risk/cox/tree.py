"""A fit in ArviZ's groups."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdose.risk.cox.fitting import CoxFit
from bayesdose.risk.cox.hazard import MOST_NUMBERS
from bayesdose.risk.cox.spec import CoxSpec

if TYPE_CHECKING:
    import xarray as xr


def posterior_tree(fit: CoxFit, spec: CoxSpec) -> "xr.DataTree":
    """Groups posterior and sample_stats.

    Parameters
    ----------
    fit : CoxFit
    spec : CoxSpec

    Returns
    -------
    xarray.DataTree
    """
    import xarray as xr

    import bayesdose

    lead = ("chain", "draw")
    beta = fit.values["beta"]
    variables: dict[str, Any] = {
        "coef": ((*lead, "covariate"), beta / fit.scale, {"units": "log hazard ratio per unit"}),
        "beta": ((*lead, "covariate"), beta, {"units": "log hazard ratio per scale"}),
    }
    coords: dict[str, Any] = {
        "chain": np.arange(beta.shape[0]),
        "draw": np.arange(beta.shape[1]),
        "covariate": list(fit.layout.covariates),
    }
    dims = {
        "frailty": ("centre",),
        "log_total_hazard": ("stratum",),
        "baseline_weights": ("stratum", "basis"),
        "local_scale": ("covariate",),
        "shares": ("covariate",),
    }
    for name, value in fit.values.items():
        if name in dims:
            variables[name] = ((*lead, *dims[name]), value)
        elif value.ndim == 2:
            variables[name] = (lead, value)
    if fit.layout.frailty:
        coords["centre"] = list(fit.centres)
    if "log_total_hazard" in variables:
        coords["stratum"] = list(fit.strata)
    variables |= _true_values(fit)
    sampler = {"sampler": "numpyro NUTS" if fit.stats else "normal approximation at the mode"}
    attrs = {
        "library": "bayesdose",
        "version": bayesdose.__version__,
        "random_seed": spec.random_state,
        **sampler,
    }
    groups = {"posterior": xr.Dataset(variables, coords, attrs)}
    if fit.stats:
        stats = {name: (lead, value) for name, value in fit.stats.items()}
        groups["sample_stats"] = xr.Dataset(stats, {k: coords[k] for k in lead}, attrs)
    return xr.DataTree.from_dict(groups)


def _true_values(fit: CoxFit) -> dict[str, Any]:
    """Draws of the true values of uncertain covariates, in their units, by training row."""
    out = {}
    for kind, names in (("drawn", fit.layout.drawn), ("measured", fit.layout.measured)):
        if kind not in fit.values or fit.values[kind].size > MOST_NUMBERS:
            continue
        for k, name in enumerate(names):
            j = fit.layout.covariates.index(name)
            value = fit.center[j] + fit.scale[j] * fit.values[kind][:, :, k]
            out[f"true_{name}"] = (("chain", "draw", "row"), value)
    return out
