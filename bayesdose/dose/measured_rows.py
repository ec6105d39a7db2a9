"""Rows to predict beside the rows that were measured: which may stand together, in common codes."""

import numpy as np
import pandas as pd

from bayesdose.dose.design import Encoding, Rows
from bayesdose.dose.spec import ModelSpec
from bayesdose.dose.training import Fitted, Training, check_table, needs_training
from bayesdose.errors import PredictionError, SiteTableError

#: What a row is for: to be predicted, measured and in the training table, or measured since.
PREDICTED, TRAINED, GIVEN = 0, 1, 2
_ROLE = "bayesdose_role"


def encode_together(
    encoding: Encoding,
    training: Training | None,
    frame: pd.DataFrame,
    given: pd.DataFrame | None,
    *,
    known: bool,
) -> tuple[Rows, np.ndarray]:
    """Encode rows to predict and measured rows so that cycles and sites share their codes.

    Parameters
    ----------
    encoding : Encoding
        Learnt model; group levels of ``given`` have coefficients.
    training : Training or None
        Training table, of which the rows of patients in ``given`` are taken.
    frame : pandas.DataFrame
        Rows to predict.
    given : pandas.DataFrame or None
        Rows measured since.
    known : bool
        Whether training rows of the patients to predict are taken too.

    Returns
    -------
    rows : Rows
        Of n rows.
    role : numpy.ndarray of int of shape (n,)
        `PREDICTED`, `TRAINED` or `GIVEN`.
    """
    spec = encoding.spec
    wanted = set(frame[spec.patient].astype(str))
    parts = [frame.assign(**{_ROLE: PREDICTED})]
    if training is not None:
        trained = training.frame
        again = set() if given is None else set(given[spec.patient].astype(str))
        mine = trained[spec.patient].astype(str).isin(again | (wanted if known else set()))
        parts.append(trained[mine].assign(**{_ROLE: TRAINED}))
    if given is not None:
        parts.append(given.assign(**{_ROLE: GIVEN}))
    # numbers of one table and text of another are the same labels
    labels = [spec.patient, *(["site_id"] if "site_id" in frame.columns else [])]
    texts = [part.astype({name: str for name in labels if name in part}) for part in parts]
    together = pd.concat(texts, ignore_index=True)
    return encoding.rows(together), together[_ROLE].to_numpy()


def without_measurement(sites: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """Rows whose true dose is to be predicted: nothing of a measurement is looked at.

    Parameters
    ----------
    sites : pandas.DataFrame
        Site table.
    spec : ModelSpec
        The model.

    Returns
    -------
    pandas.DataFrame
        Without doses; what the model knows about their measurement says that there is none.
    """
    none = {name: 0.0 for name in (spec.dose_cv, spec.dose_cv_shared) if name is not None}
    if spec.censored is not None:
        none[spec.censored] = False
    return sites.drop(columns=[spec.response], errors="ignore").assign(**none)


def check_collapses(fitted: Fitted) -> None:
    """Refuse measured rows where conditioning on them is not exact.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.

    Raises
    ------
    PredictionError
        When the likelihood does not collapse, or covariates are imputed.
    """
    spec = fitted.encoding.spec
    if fitted.draws.precision is None:
        raise PredictionError(
            "conditioning on measured rows, made or to come, is exact with engine='collapsed' and "
            f"a lognormal likelihood only; this model has engine={spec.engine!r} and "
            f"likelihood={spec.likelihood!r}"
        )
    if spec.missing == "impute":
        raise PredictionError(
            "a model with imputed covariates predicts new and typical patients only: conditioning "
            "on measured rows would treat imputed values as known"
        )


def check_given(given: pd.DataFrame, frame: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    """Validate measured rows that are to update predictions, and say of what is wrong where it is.

    Parameters
    ----------
    given : pandas.DataFrame
        Rows measured since training.
    frame : pandas.DataFrame
        Rows to predict.
    spec : ModelSpec
        The model.

    Returns
    -------
    pandas.DataFrame
        A clean copy.

    Raises
    ------
    SiteTableError
        Listing every problem.
    PredictionError
        When a row is of a patient who is not to be predicted, and so would change nothing, or has
        no name of its site.
    """
    try:
        clean = check_table(given, spec, response_required=True)
    except SiteTableError as err:
        raise SiteTableError(f"given, the measured rows: {err}", err.problems) from err
    wanted = set(frame[spec.patient].astype(str))
    for label in clean[spec.patient].astype(str).unique():
        if label not in wanted:
            raise PredictionError(
                f"given: has rows of patient {label!r}, who is not among the sites to predict "
                f"({', '.join(sorted(map(repr, wanted))[:5])}): write the label alike in both "
                "tables, or leave these rows out"
            )
    if "site_id" not in clean.columns:
        raise PredictionError("given: has no column site_id, which says which site was measured")
    return clean


def check_kind(fitted: Fitted, new: pd.DataFrame, kind: str, given: pd.DataFrame | None) -> None:
    """Refuse a kind of prediction that the patients do not allow.

    Parameters
    ----------
    fitted : Fitted
        A fitted model.
    new : pandas.DataFrame
        Rows to predict.
    kind : str
        As in `bayesdose.DoseModel.predict`.
    given : pandas.DataFrame or None
        Rows measured since training.

    Raises
    ------
    PredictionError
        When nothing was measured of a known patient, something of a typical one, or a row of
        ``given`` was in training.
    """
    spec = fitted.encoding.spec
    if spec.patient not in new.columns:
        return  # the table check reports it with everything else
    wanted = list(dict.fromkeys(new[spec.patient].astype(str)))
    has_given = (
        set()
        if given is None or spec.patient not in given.columns
        else set(given[spec.patient].astype(str))
    )
    if given is not None and fitted.training is not None:
        check_not_trained(fitted.training, given, spec)
    both = [label for label in wanted if label in has_given]
    if kind == "typical_patient" and both:
        raise PredictionError(
            f"kind='typical_patient' has no patient effect, but given has rows of patient "
            f"{both[0]!r}: use kind='known_patient' for this patient"
        )
    if kind != "known_patient":
        return
    trained = set(fitted.training.rows.patients) if fitted.training is not None else set()
    unknown = [label for label in wanted if label not in trained | has_given]
    if unknown and fitted.training is None and not has_given:
        needs_training(fitted, "kind='known_patient' without given rows")
    if unknown:
        raise PredictionError(
            f"kind='known_patient': patient {unknown[0]!r} was neither in training nor in given; "
            "give measured rows of this patient, or use kind='new_patient'"
        )


def check_not_trained(training: Training, given: pd.DataFrame, spec: ModelSpec) -> None:
    """Refuse measured rows that would count twice.

    Parameters
    ----------
    training : Training
        Training table.
    given : pandas.DataFrame
        Rows measured since.
    spec : ModelSpec
        The model.

    Raises
    ------
    PredictionError
        When a row was in training.
    """
    names = [spec.patient, *(n for n in ("site_id", "cycle") if n in training.frame.columns)]
    usable = [name for name in names if name in given.columns or name == "cycle"]
    if "site_id" not in usable:
        return
    fresh = given if "cycle" in given.columns else given.assign(cycle=1)
    old = {tuple(map(str, row)) for row in training.frame[usable].itertuples(index=False)}
    for row in fresh[usable].itertuples(index=False):
        key = tuple(map(str, row))
        if key in old:
            words = ", ".join(f"{n} {v}" for n, v in zip(usable, key, strict=True))
            raise PredictionError(
                f"given: the row {words} was in training and would count twice; leave it out"
            )
