"""The dose model as a PyMC model, from arrays.

    log(dose / activity) = X β + Z u_i + w(patient, cycle, tissue) + v(site) + e
    log(measured dose)   = log(dose) + m + s(patient, cycle)

Nothing is integrated out but the measurement error m of a log-normal dose, whose variance adds to
the residual's. Patient, cycle, site and group effects are non-centred: standard normals ``*_z``
times a standard deviation.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pymc as pm
import pytensor.tensor as pt

from bayesdose.dose.collapsed import hyper
from bayesdose.dose.collapsed.hyper import HyperSpace
from bayesdose.dose.design import Encoding, Rows, patients_per_tissue
from bayesdose.dose.pymc_engine import priors
from bayesdose.dose.pymc_engine.likelihood import observe
from bayesdose.errors import SiteTableError

Tensor = Any
Holder = Callable[[str, np.ndarray], Tensor]


def build_model(encoding: Encoding, rows: Rows, *, data_containers: bool = False) -> pm.Model:
    """Full hierarchical model of a learnt specification and its training rows.

    Parameters
    ----------
    encoding : Encoding
        Learnt model.
    rows : Rows
        Rows with a measured dose; patients counted from 0 without gaps.
    data_containers : bool
        Whether the rows enter as named ``pm.Data``, so that a compiled model can be fed other
        rows of the same patients. Priors that count patients (the horseshoe) keep their count.

    Returns
    -------
    pymc.Model
        Variables ``beta_<tissue>``, ``residual_sd``, ``patient_sd``, ``patient_corr``,
        ``patient_effects``, ``cycle_sd``, ``site_sd``, ``group_sd``, ``group_effect``; the
        observed one is ``absorbed_dose_gy``.

    Raises
    ------
    SiteTableError
        When a row has no dose.
    """
    _check_measured(rows)
    space = hyper.build(encoding, patients_per_tissue(encoding, rows))
    with pm.Model(coords=_coords(encoding, rows)) as model:
        hold = _holder(data_containers)
        residual_sd = priors.standard_deviations(
            "residual_sd", [scale.prior for scale in space.residual], encoding.tissues, "tissue"
        )
        shrunken = {
            block.tissue: priors.shrunken_scales(
                block, encoding.tissues[block.tissue], residual_sd[block.tissue]
            )
            for block in space.shrinkage
        }
        mean = hold("x", rows.x) @ _coefficients(encoding, space, shrunken)
        mean = mean + hold("log_activity", rows.log_activity)
        if space.patient:
            mean = mean + _patient_part(encoding, space, rows, shrunken, hold)
        if any(encoding.cycle_effect):
            mean = mean + _cycle_part(encoding, space, rows, hold)
        if any(encoding.site_effect):
            mean = mean + _site_part(encoding, space, rows, hold)
        if rows.shared_var.any():
            mean = mean + _shared_error(rows, hold)
        scale = residual_sd[hold("tissue_code", rows.tissue)]
        observe(encoding.spec.likelihood, rows, mean, scale, hold)
    return model


def _check_measured(rows: Rows) -> None:
    unmeasured = np.flatnonzero(~np.isfinite(rows.log_dose))
    if len(unmeasured):
        row = int(unmeasured[0])
        raise SiteTableError(
            f"row {row} (patient {rows.patients[rows.patient[row]]!r}) has no measured dose; "
            "fit on measured rows only and predict the others"
        )


def _holder(data_containers: bool) -> Holder:
    if not data_containers:
        return lambda name, values: pt.as_tensor_variable(values)
    return lambda name, values: pm.Data(name, values)


def _coords(encoding: Encoding, rows: Rows) -> dict[str, Any]:
    coords: dict[str, Any] = {"tissue": list(encoding.tissues), "patient": list(rows.patients)}
    for k, tissue in enumerate(encoding.tissues):
        coords[f"covariate_{tissue}"] = encoding.columns(k)
    if encoding.patient_effects:
        coords["patient_effect"] = encoding.patient_effects
        coords["patient_effect_2"] = encoding.patient_effects
    if encoding.group_levels:
        coords["group"] = list(encoding.spec.group_effects)
        coords["group_level"] = [
            f"{name}:{tissue}:{level}"
            for name, levels in zip(encoding.spec.group_effects, encoding.group_levels, strict=True)
            for tissue in encoding.tissues
            for level in levels
        ]
    return coords


def _coefficients(encoding: Encoding, space: HyperSpace, shrunken: dict[int, Tensor]) -> Tensor:
    """β of every tissue, then the group effects."""
    parts = []
    for k, (tissue, block) in enumerate(zip(encoding.tissues, encoding.blocks, strict=True)):
        n_slopes = sum(name != "Intercept" for name in encoding.columns(k))
        sds = shrunken[k][:n_slopes] if k in shrunken else None
        parts.append(priors.coefficients(space, block, tissue, encoding.columns(k), sds))
    if space.group:
        laws = [scale.prior for scale in space.group]
        names = encoding.spec.group_effects
        group_sd = priors.standard_deviations("group_sd", laws, names, "group")
        group = [g for g in space.group_of if g >= 0]
        unit = pm.Normal("group_effect_z", 0.0, 1.0, dims="group_level")
        parts.append(pm.Deterministic("group_effect", unit * group_sd[group], dims="group_level"))
    return pt.concatenate(parts)


def _patient_part(
    encoding: Encoding, space: HyperSpace, rows: Rows, shrunken: dict[int, Tensor], hold: Holder
) -> Tensor:
    effects = encoding.patient_effects
    laws: list[Any] = [scale.prior if scale is not None else None for scale in space.patient]
    for block in space.shrinkage:
        for j, effect in enumerate(block.effects):
            laws[effect] = shrunken[block.tissue][len(block.places) + j]
    sd = priors.standard_deviations("patient_sd", laws, effects, "patient_effect")
    unit = pm.Normal("patient_effects_z", 0.0, 1.0, dims=("patient", "patient_effect"))
    if space.correlation is None:
        effect = unit * sd
    else:
        chol = priors.correlation_factor(space.correlation, effects)
        pm.Deterministic("patient_corr", chol @ chol.T, dims=("patient_effect", "patient_effect_2"))
        effect = unit @ chol.T * sd
    effect = pm.Deterministic("patient_effects", effect, dims=("patient", "patient_effect"))
    return (hold("z", rows.z) * effect[hold("patient_code", rows.patient)]).sum(-1)


def _cycle_part(encoding: Encoding, space: HyperSpace, rows: Rows, hold: Holder) -> Tensor:
    pairs = rows.cycle * len(encoding.tissues) + rows.tissue
    has = np.asarray(encoding.cycle_effect)[rows.tissue]
    return _own_effects("cycle", space.cycle, encoding, rows, pairs, has, hold)


def _site_part(encoding: Encoding, space: HyperSpace, rows: Rows, hold: Holder) -> Tensor:
    has = np.asarray(encoding.site_effect)[rows.tissue]
    return _own_effects("site", space.site, encoding, rows, rows.site, has, hold)


def _own_effects(
    kind: str,
    scales: tuple[Any, ...],
    encoding: Encoding,
    rows: Rows,
    code: np.ndarray,
    has: np.ndarray,
    hold: Holder,
) -> Tensor:
    """Effects of the patients' own cycles or sites, 0 for rows of tissues without them."""
    model = pm.modelcontext(None)
    tissues = [k for k, scale in enumerate(scales) if scale is not None]
    labels = [encoding.tissues[k] for k in tissues]
    model.add_coord(f"{kind}_tissue", labels)
    laws = [scales[k].prior for k in tissues]
    sd = priors.standard_deviations(f"{kind}_sd", laws, labels, f"{kind}_tissue")
    _, first, place = np.unique(code[has], return_index=True, return_inverse=True)
    tissue, patient = rows.tissue[has][first], rows.patient[has][first]
    model.add_coord(
        f"{kind}_of_patient",
        [
            f"{rows.patients[i]}:{encoding.tissues[k]}:{c}"
            for i, k, c in zip(patient, tissue, getattr(rows, kind)[has][first], strict=True)
        ],
    )
    unit = pm.Normal(f"{kind}_effect_z", 0.0, 1.0, dims=f"{kind}_of_patient")
    which = hold(f"{kind}_effect_tissue", np.searchsorted(tissues, tissue))
    effect = pm.Deterministic(f"{kind}_effect", unit * sd[which], dims=f"{kind}_of_patient")
    index = np.full(len(code), len(first))
    index[has] = place
    return pt.concatenate([effect, [0.0]])[hold(f"{kind}_code", index)]


def _shared_error(rows: Rows, hold: Holder) -> Tensor:
    """One error a patient and cycle, which every row of them loads with its own sd."""
    cycles, first, place = np.unique(rows.cycle, return_index=True, return_inverse=True)
    labels = [f"{rows.patients[rows.patient[i]]}:{c}" for i, c in zip(first, cycles, strict=True)]
    pm.modelcontext(None).add_coord("patient_cycle", labels)
    unit = pm.Normal("shared_error_z", 0.0, 1.0, dims="patient_cycle")
    return hold("shared_sd", np.sqrt(rows.shared_var)) * unit[hold("shared_code", place)]
