"""Sites whose doses are asked for per administered activity: one row a site."""

from collections.abc import Mapping

import pandas as pd

from bayesdose.dose import formulas
from bayesdose.dose.measured_rows import check_kind, without_measurement
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Fitted, check_is_table, check_table
from bayesdose.errors import PredictionError


def check_sites(
    fitted: Fitted, sites: pd.DataFrame, kind: str, given: pd.DataFrame | None
) -> pd.DataFrame:
    """Validate the sites, and set their activity to 1 GBq.

    Parameters
    ----------
    fitted : Fitted
        A fitted model with an activity.
    sites : pandas.DataFrame
        One row a site; doses and activities in it are not looked at.
    kind : {"new_patient", "known_patient"}
        As in `bayesdose.DoseModel.predict`.
    given : pandas.DataFrame or None
        Rows measured since training.

    Returns
    -------
    pandas.DataFrame
        A clean copy.

    Raises
    ------
    SiteTableError
        Listing every problem.
    PredictionError
        When the model, the kind or the table does not allow it.
    """
    check_is_table(sites, "the table of sites")
    if given is not None:
        check_is_table(given, "given")
    spec = fitted.encoding.spec
    activity = _activity_column(spec)
    check_kind(fitted, sites, kind, given)
    bare = without_measurement(sites, spec).assign(**{activity: 1.0})
    frame = check_table(bare, spec, response_required=False)
    _check_one_row_a_site(frame, spec)
    return frame


def _activity_column(spec: ModelSpec) -> str:
    """Column of the activity that doses are proportional to."""
    if spec.activity is None:
        raise PredictionError(
            "the model has no activity (activity=None): it predicts Gy and cannot say what another "
            "activity would give. Fit with activity= the column of the administered activity"
        )
    texts = list(spec.formula.values()) if isinstance(spec.formula, Mapping) else [spec.formula]
    for text in (*texts, spec.patient_effects):
        if spec.activity in formulas.variables(text):
            raise PredictionError(
                f"the activity {spec.activity!r} is a covariate in {text!r}, so that dose is not "
                "proportional to it; leave it out of the formula to plan an activity"
            )
    return spec.activity


def _check_one_row_a_site(frame: pd.DataFrame, spec: ModelSpec) -> None:
    if "site_id" not in frame.columns:
        raise PredictionError("planning needs the column site_id, one row a site")
    keys = frame[[spec.patient, "site_id"]].astype(str)
    twice = keys.duplicated()
    if twice.any():
        patient, site = keys[twice].iloc[0]
        raise PredictionError(
            f"patient {patient!r} has several rows of site {site!r}: give one row a site, whose "
            "covariates then hold for all cycles to come"
        )
