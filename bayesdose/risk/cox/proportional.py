"""Proportional hazards: the score test against effects that change with time.

Adding x g(t) to the model with coefficients theta, the score at theta = 0 and the estimate of beta
by maximum likelihood is U = sum_e g(t_e) (x_e - m_e), m_e and V_e being mean and variance of the
columns over the risk set of event e. With the blocks of information J_k = sum_e g(t_e)^k V_e,

    chi2 = U' (J_2 - J_1 J_0^-1 J_1)^-1 U.

Grambsch and Therneau 1994, Biometrika 81:515, doi 10.1093/biomet/81.3.515 (from memory); the exact
form is that of cox.zph in R's survival 3.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from bayesdose.evaluate._arrays import Floats
from bayesdose.evaluate._outcome import Outcome
from bayesdose.risk.cox.partial_likelihood import (
    RiskSets,
    event_sums,
    stratum_max,
    within_strata,
)


@dataclass(frozen=True)
class ProportionalHazards:
    """Whether effects change with time.

    Parameters
    ----------
    verdict : str
        In words, with what to do.
    table : pandas.DataFrame
        By covariate, and ``global`` for all together: chi2, df, p_value.
    residuals : pandas.DataFrame
        A row an event and covariate: time, covariate, coefficient (the scaled Schoenfeld residual
        plus the estimate, which is the effect at that time with noise).
    """

    verdict: str
    table: pd.DataFrame
    residuals: pd.DataFrame

    def __str__(self) -> str:
        return f"{self.verdict}\n{self.table.to_string()}"


def check(
    names: tuple[str, ...],
    columns: Floats,
    coefficients: Floats,
    sets: RiskSets,
    outcome: Outcome,
    alpha: float,
) -> ProportionalHazards:
    """Test each covariate and all together.

    Parameters
    ----------
    names : tuple of str
        Covariates.
    columns : ndarray of shape (n, p)
        Covariates.
    coefficients : ndarray of shape (p,)
        Their maximum-likelihood estimates.
    sets : RiskSets
        Of the rows.
    outcome : Outcome
        Of the rows.
    alpha : float
        Level below which the verdict speaks of evidence.

    Returns
    -------
    ProportionalHazards
    """
    p = len(names)
    time = outcome.stop[sets.event_row]
    clock = _share_gone(outcome, time)
    mean, variance = _moments(columns, coefficients, sets)
    residual = columns[sets.event_row] - mean
    # Efron: the events of a time share the means that their number makes
    residual += mean - _mean_by_time(sets, mean)
    score = clock @ residual
    info = [np.tensordot(clock**k, variance, axes=(0, 0)) for k in range(3)]
    inside = info[2] - info[1] @ np.linalg.solve(info[0], info[1])
    alone = score**2 / np.diag(inside)
    together = float(score @ np.linalg.solve(inside, score))
    chi2 = np.append(alone, together)
    df = np.append(np.ones(p, int), p)
    table = pd.DataFrame(
        {"chi2": chi2, "df": df, "p_value": stats.chi2.sf(chi2, df)},
        index=pd.Index([*names, "global"], name="covariate"),
    )
    scaled = sets.event_row.size * residual @ np.linalg.inv(info[0]) + coefficients
    residuals = pd.DataFrame(
        {
            "time": np.repeat(time, p),
            "covariate": list(names) * time.size,
            "coefficient": scaled.reshape(-1),
        }
    )
    return ProportionalHazards(_verdict(table, alpha), table, residuals)


def _verdict(table: pd.DataFrame, alpha: float) -> str:
    singles = table.iloc[:-1]
    found = [str(name) for name in singles.index[singles["p_value"] < alpha]]
    overall = float(table["p_value"].iloc[-1])
    if not found and overall >= alpha:
        return (
            f"No evidence against proportional hazards (global p = {overall:.2g}). With few events "
            "the test sees only strong departures."
        )
    who = ", ".join(found) if found else "the covariates together, none of them alone"
    return (
        f"There is evidence of effects that change with time: {who} (global p = {overall:.2g}). A "
        "hazard ratio is then an average over follow-up. Stratify (strata=), let the effect change "
        "(start and stop rows with an interaction), or report survival at stated times. A frailty, "
        "or a covariate that matters and was left out, looks the same."
    )


def _share_gone(outcome: Outcome, at: Floats) -> Floats:
    """1 - Kaplan and Meier's estimate just before each time, over all rows."""
    times = np.unique(outcome.stop[outcome.event])
    ends = np.sort(outcome.stop)
    at_risk = ends.size - np.searchsorted(ends, times, side="left")
    if outcome.start is not None:
        begins = np.sort(outcome.start)
        at_risk = at_risk - (begins.size - np.searchsorted(begins, times, side="left"))
    events = np.bincount(np.searchsorted(times, outcome.stop[outcome.event]), minlength=times.size)
    survival = np.concatenate([[1.0], np.cumprod(1.0 - events / at_risk)])
    return 1.0 - survival[np.searchsorted(times, at, side="left")]


def _moments(columns: Floats, coefficients: Floats, sets: RiskSets) -> tuple[Floats, Floats]:
    """Mean and variance of the columns that each event's sum weighs."""
    p = columns.shape[1]
    centred = within_strata(sets, columns)
    eta = centred @ coefficients
    weight = np.exp(eta - stratum_max(sets, eta))[:, None]
    upper = np.triu_indices(p)
    products = centred[:, upper[0]] * centred[:, upper[1]]
    sums = event_sums(sets, np.concatenate([weight, weight * centred, weight * products], axis=1))
    sums = sums[:, 1:] / sums[:, :1]
    mean, second = sums[:, :p], np.empty((len(sums), p, p))
    second[:, upper[0], upper[1]] = sums[:, p:]
    second[:, upper[1], upper[0]] = sums[:, p:]
    variance = second - mean[:, :, None] * mean[:, None, :]
    return mean + (columns - centred)[sets.event_row], variance


def _mean_by_time(sets: RiskSets, values: Floats) -> Floats:
    counts = np.bincount(sets.event_time)
    sums = np.zeros((counts.size, values.shape[1]))
    np.add.at(sums, sets.event_time, values)
    out: Floats = (sums / counts[:, None])[sets.event_time]
    return out
