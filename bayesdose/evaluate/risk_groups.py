"""Risk groups: what groups cut from a risk show, and a warning where the cut was learnt on them."""

import warnings
from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayesdose.errors import BayesdoseError, ConfigError
from bayesdose.evaluate._arrays import Floats, as_sites, check_same_order, group_codes
from bayesdose.evaluate._follow_up import check_follow_up
from bayesdose.evaluate.cut_points import CutOffs, Kind, cut_offs, listed
from bayesdose.evaluate.kaplan_meier import at_risk_of, kaplan_meier, medians_of
from bayesdose.evaluate.log_rank import LogRank, check_one_row_a_patient, log_rank
from bayesdose.evaluate.restricted_mean import RestrictedMean, restricted_mean


class OptimismWarning(UserWarning):
    """A cut-off is shown on rows that it was learnt on."""


@dataclass(frozen=True)
class RiskGroups:
    """What risk groups show.

    Attributes
    ----------
    label : pandas.Series
        Group of each row, an ordered categorical; with the index of the risk where it has one.
    curves : pandas.DataFrame
        As `kaplan_meier`.
    at_risk : pandas.DataFrame
        As `numbers_at_risk`, at even times.
    medians : pandas.DataFrame
        As `median_survival`.
    log_rank, trend : LogRank
        Test that the groups do not differ, and that they do not in their order. Invalid where
        `optimistic` and the cut-off was tuned.
    rmst : RestrictedMean
        Mean time free of the event up to tau, and differences from the lowest group.
    cut_offs : CutOffs
        Where the groups part.
    optimistic : bool
        Whether the cut-offs were learnt on rows shown here.
    """

    label: pd.Series
    curves: pd.DataFrame
    at_risk: pd.DataFrame
    medians: pd.DataFrame
    log_rank: LogRank
    trend: LogRank
    rmst: RestrictedMean
    cut_offs: CutOffs
    optimistic: bool


def label_out_of_fold(
    risk: ArrayLike,
    fold: ArrayLike,
    train_risks: Mapping[Hashable, ArrayLike],
    kind: Kind = "median",
) -> pd.Categorical:
    """Group of each row by cut-offs learnt without it.

    Parameters
    ----------
    risk : array_like of float, shape (n,)
        Out-of-fold risk of each row, by the model of its fold.
    fold : array_like, shape (n,)
        Fold in which each row was left out.
    train_risks : mapping from fold to array_like of float
        Risks that the model of each fold gives to its training rows, at whose quantiles the rows
        left out are cut. Where the model overfits, those of an inner cross-validation: risks of
        rows that it was fitted to lie further apart.
    kind : {"median", "tertiles"} or sequence of float between 0 and 1
        As in `cut_offs`.

    Returns
    -------
    pandas.Categorical
        Ordered, lowest risk first; for `by` of `kaplan_meier`, `log_rank` and `restricted_mean`.

    Raises
    ------
    BayesdoseError
        When a risk is not finite, lengths differ, a fold has no training risks, or those are so
        tied that a group has no rows.
    ConfigError
        As `cut_offs`.

    Warns
    -----
    OptimismWarning
        When rows left out seem to be among the training rows of their fold.
    """
    risks = as_sites(risk, "risk")
    codes, folds = group_codes(fold, risks.size, "fold")
    absent = [one for one in folds if one not in train_risks]
    if absent:
        raise BayesdoseError(
            f"`train_risks` has no training risks for fold {absent[0]!r}; it has "
            f"{', '.join(repr(one) for one in train_risks)}. Give those of every fold in `fold`."
        )
    group = np.zeros(risks.size, dtype=np.intp)
    for code, one in enumerate(folds):
        mine = codes == code
        learnt = cut_offs(train_risks[one], kind)
        group[mine] = learnt.label(risks[mine]).codes
        if learnt.learnt_on is not None and learnt.learnt_on.shares_rows(risks[mine]):
            warnings.warn(
                f"rows left out in fold {one!r} have the risks of its training rows: the cut-off "
                "was learnt on rows that it is used on. Give `train_risks` without them.",
                OptimismWarning,
                stacklevel=2,
            )
    return pd.Categorical.from_codes(group, categories=list(learnt.names), ordered=True)


def risk_groups(
    time: ArrayLike,
    event: ArrayLike,
    risk: ArrayLike,
    cut_offs: CutOffs | ArrayLike,
    *,
    tau: float | None = None,
    groups: ArrayLike | None = None,
    prob: float = 0.95,
) -> RiskGroups:
    """Show how groups of risk fare: curves, numbers at risk, medians, tests, restricted means.

    Parameters
    ----------
    time : array_like of float, shape (n,), any unit
        Time of the event or of the end of follow-up, above 0.
    event : array_like of int or bool, shape (n,)
        1 or True for an event, 0 or False where follow-up ended without one.
    risk : array_like of float, shape (n,)
        Higher for worse, made on other rows than these.
    cut_offs : CutOffs or array_like of float, shape (n_cut_offs,), unit of `risk`
        Learnt on other rows; plain numbers are taken as stated beforehand.
    tau : float, unit of `time`, optional
        End of the window of the restricted mean, as in `restricted_mean`.
    groups : array_like, shape (n,), optional
        Patient of each row, to check that no patient has two.
    prob : float
        Probability of the intervals.

    Returns
    -------
    RiskGroups

    Raises
    ------
    BayesdoseError
        When times are not above 0, events are not 0 and 1, there are none, arrays differ in
        length, a risk is not finite, a group has no rows or none at risk at an event, or a patient
        has several rows.
    ConfigError
        When cut-offs do not ascend, `tau` is beyond follow-up, or `prob` not between 0 and 1.

    Warns
    -----
    OptimismWarning
        When the rows shown seem to be among those that the cut-offs were learnt on. Rows are known
        by their risks, so those of another model, or rounded, are not known again; of scores with
        few values only the very same set is.
    """
    check_same_order(time=time, event=event, risk=risk, groups=groups)
    times, events = check_follow_up(time, event)
    risks = as_sites(risk, "risk", n_sites=times.size)
    check_one_row_a_patient(groups, times.size)
    cuts = _as_cut_offs(cut_offs)
    index = risk.index if isinstance(risk, pd.Series) else None
    label = pd.Series(cuts.label(risks), index=index, name="risk_group")
    sizes = label.value_counts(sort=False)
    if (sizes == 0).any():
        counts = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise BayesdoseError(
            f"cut-offs at {listed(cuts.values)} leave a group without rows ({counts}); "
            f"the risks run from {risks.min():g} to {risks.max():g}. Are both of the same model "
            "and scale? Otherwise use fewer cut-offs."
        )
    optimistic = cuts.learnt_on is not None and cuts.learnt_on.shares_rows(risks)
    if optimistic:
        warnings.warn(_optimism(cuts), OptimismWarning, stacklevel=2)
    by = label.array
    curves = kaplan_meier(times, events, by=by, prob=prob)
    return RiskGroups(
        label=label,
        curves=curves,
        at_risk=at_risk_of(curves, even_times(float(times.max()))),
        medians=medians_of(curves),
        log_rank=log_rank(times, events, by),
        trend=log_rank(times, events, by, trend=True),
        rmst=restricted_mean(times, events, tau, by=by, prob=prob),
        cut_offs=cuts,
        optimistic=optimistic,
    )


def _as_cut_offs(cuts: CutOffs | ArrayLike) -> CutOffs:
    if isinstance(cuts, str):
        raise ConfigError(
            "`cut_offs` must be numbers, or cut-offs that were learnt on other rows, such as "
            f'`cut_offs(train_risk, "tertiles")`; got {cuts!r}.'
        )
    return cuts if isinstance(cuts, CutOffs) else CutOffs.stated(cuts)


def even_times(last: float) -> Floats:
    """Five to ten even times from 0 up to the end of follow-up.

    Parameters
    ----------
    last : float, any unit
        End of follow-up, above 0.

    Returns
    -------
    ndarray of float, shape (n_times,)
    """
    base = 10.0 ** np.floor(np.log10(last))
    step = next(share * base for share in (2.0, 1.0, 0.5, 0.2) if last / (share * base) >= 4.0)
    return np.arange(0.0, last + 1e-9 * last, step)


def _optimism(cuts: CutOffs) -> str:
    if cuts.kind == "tuned":
        return (
            f"the cut-off at {listed(cuts.values)} was tuned on the outcomes of rows "
            "shown here: the log-rank p-value is not valid, and the curves lie too far apart, even "
            "where the risk says nothing. Show it on other rows, or learn it inside each fold."
        )
    return (
        f"the cut-offs at {listed(cuts.values)} are quantiles of rows shown here: other "
        "rows will not split into such shares, and may not part as far. Learn them on training "
        "rows, or inside each fold (`label_out_of_fold`)."
    )
