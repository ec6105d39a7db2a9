"""What measured sites change: prediction before, measurement, prediction after."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdose._arviz import PARETO_K_LIMIT
from bayesdose.dose.cycles import cycle_doses
from bayesdose.dose.training import check_hdi_prob, check_is_table
from bayesdose.errors import ConfigError
from bayesdose.evaluate.intervals import median_and_hdi
from bayesdose.planning._measured import is_implausible
from bayesdose.planning.limits import check_activity

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel


def update_report(
    model: "DoseModel",
    sites: pd.DataFrame,
    given: pd.DataFrame,
    *,
    activity_gbq: float | None = None,
    between_cycle: str = "persistent",
    hdi_prob: float = 0.95,
    random_seed: int | None = None,
) -> pd.DataFrame:
    """Predictions of the next cycle before and after sites were measured.

    Each patient is updated with the patient's own measured rows, as a refit with them in the
    training table would, so that the result does not depend on who else stands in the table.

    Parameters
    ----------
    model : DoseModel
        Fitted by the collapsed engine, with an activity.
    sites : pandas.DataFrame
        One row a site to predict, of the next cycle.
    given : pandas.DataFrame
        Measured rows, not in training.
    activity_gbq : float, optional, GBq
        Activity of the cycle to predict; by default that of the rows.
    between_cycle : {"persistent", "fitted"}
        As in `max_activity`: what a measured site keeps in its next cycle.
    hdi_prob : float
        Mass of the highest-density intervals.
    random_seed : int, optional
        Seed; the fit's by default.

    Returns
    -------
    pandas.DataFrame
        One row a site, or one for each cycle in which it was measured; sites that were only
        measured last: patient_id, site_id, tissue; prior_median, prior_lower, prior_upper (Gy);
        measured_cycle and measured_gy (Gy, at its own activity); percentile, the
        probability of a smaller measured dose before it was measured; implausible, whether that
        contradicts the prediction (two-sided 1 % over the measured sites of the patient);
        updated_median, updated_lower, updated_upper (Gy); pareto_k of the patient, above 0.7 of
        which a refit is needed. NaN where a site was not measured, or is not to be predicted.

    Raises
    ------
    ConfigError
        When an argument has an impossible value.
    PredictionError
        When the model cannot be updated, or a row was in training.
    """
    check_hdi_prob(hdi_prob)
    if given is not None:
        check_is_table(given, "given")
    if given is None or not len(given):
        raise ConfigError("given: has no measured row; give the sites that were measured")
    fitted = model._state()
    doses = cycle_doses(
        fitted,
        sites,
        1,
        kind="new_patient",
        given=given,
        between_cycle=between_cycle,
        random_seed=random_seed,
    )
    activity = _activity(sites, fitted.encoding.spec.activity, activity_gbq)
    table = doses.labels[["patient_id", "site_id", "tissue"]].reset_index(drop=True)
    for name, gy_per_gbq in (("prior", doses.before), ("updated", doses.gy_per_gbq)):
        ends = median_and_hdi(gy_per_gbq[:, :, 0], hdi_prob)
        for what, value in zip(("median", "lower", "upper"), ends, strict=True):
            table[f"{name}_{what}"] = value * activity
    measured = doses.measured.assign(implausible=is_implausible(doses.measured))
    table = table.merge(
        measured.rename(columns={"cycle": "measured_cycle"}),
        on=["patient_id", "site_id", "tissue"],
        how="outer",
    )
    table = _in_order(table, doses.labels, measured)
    table["implausible"] = table["implausible"].eq(True)
    pareto_k = table["patient_id"].map(doses.pareto_k)
    table = table.assign(pareto_k=pareto_k, refit=pareto_k > PARETO_K_LIMIT)
    table.attrs = {"units": "Gy", "interval": "hdi", "hdi_prob": hdi_prob, "target": "true"}
    return table[[*_COLUMNS]]


_COLUMNS = (
    "patient_id",
    "site_id",
    "tissue",
    "prior_median",
    "prior_lower",
    "prior_upper",
    "measured_cycle",
    "measured_gy",
    "percentile",
    "implausible",
    "updated_median",
    "updated_lower",
    "updated_upper",
    "pareto_k",
    "refit",
)


def _activity(
    sites: pd.DataFrame, column: str | None, activity_gbq: float | None
) -> np.ndarray | float:
    if activity_gbq is not None:
        return check_activity("activity_gbq", activity_gbq)
    given = sites[column] if column in sites.columns else pd.Series([np.nan])
    values = pd.to_numeric(given, errors="coerce").to_numpy(float)
    if not (np.isfinite(values) & (values > 0)).all():
        raise ConfigError(
            f"activity_gbq: not given, and the table has no activity above 0 in {column!r} on "
            "every row; give the activity of the cycle to predict"
        )
    return values


def _in_order(table: pd.DataFrame, wanted: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Sites to predict in their order, then those that were only measured."""
    keys = pd.concat([wanted, measured])[["patient_id", "site_id"]].drop_duplicates()
    return keys.merge(table, on=["patient_id", "site_id"], how="left")
