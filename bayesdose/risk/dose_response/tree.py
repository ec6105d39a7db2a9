"""A fitted curve in ArviZ's groups."""

from typing import TYPE_CHECKING, Any

import numpy as np

from bayesdose.risk.dose_response.curve import d50_gy, gamma50
from bayesdose.risk.dose_response.fitting import DoseResponseFit
from bayesdose.risk.dose_response.spec import DoseResponseSpec

if TYPE_CHECKING:
    import xarray as xr

_UNITS = {
    "intercept": "link at the reference dose",
    "slope": "link per unit of log dose",
    "patient_sd": "link",
    "d50_gy": "Gy",
    "true_dose_gy": "Gy",
}


def derived(fit: DoseResponseFit) -> dict[str, np.ndarray]:
    """Draws of what follows from the parameters.

    Parameters
    ----------
    fit : DoseResponseFit

    Returns
    -------
    dict of str to ndarray of shape (n_chains, n_draws)
        ``d50_gy``, ``gamma50`` of the typical patient and, where patients have effects,
        ``gamma50_population``.
    """
    slope = fit.values["slope"]
    out = {
        "d50_gy": d50_gy(fit.values["intercept"], slope, fit.reference_gy),
        "gamma50": gamma50(slope, np.zeros_like(slope), fit.link),
    }
    if "patient_sd" in fit.values:
        out["gamma50_population"] = gamma50(slope, fit.values["patient_sd"], fit.link)
    return out


def posterior_tree(fit: DoseResponseFit, spec: DoseResponseSpec) -> "xr.DataTree":
    """Groups posterior and sample_stats.

    Parameters
    ----------
    fit : DoseResponseFit
    spec : DoseResponseSpec

    Returns
    -------
    xarray.DataTree
    """
    import xarray as xr

    import bayesdose

    lead = ("chain", "draw")
    dims = {"patient_effect": ("patient",), "true_dose_gy": ("row",)}
    variables: dict[str, Any] = {
        name: ((*lead, *dims.get(name, ())), value, {"units": _UNITS.get(name, "1")})
        for name, value in (fit.values | derived(fit)).items()
    }
    n_chains, n_draws = fit.values["slope"].shape
    coords: dict[str, Any] = {"chain": np.arange(n_chains), "draw": np.arange(n_draws)}
    attrs = {
        "library": "bayesdose",
        "version": bayesdose.__version__,
        "random_seed": spec.random_state,
        "sampler": "numpyro NUTS",
        "link": fit.link,
        "reference_dose_gy": fit.reference_gy,
    }
    stats = {name: (lead, value) for name, value in fit.stats.items()}
    groups = {"sample_stats": xr.Dataset(stats, coords, attrs)}
    more = {"patient": list(fit.patients)} if "patient_effect" in variables else {}
    return xr.DataTree.from_dict(
        {"posterior": xr.Dataset(variables, coords | more, attrs), **groups}
    )
