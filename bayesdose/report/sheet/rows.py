"""Rows of the table of doses: every site, or the mean of many, so that one page holds them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayesdose.dose.prediction import summarise
from bayesdose.planning.limits import DoseLimit
from bayesdose.report.page import between, number, shown
from bayesdose.report.sheet.findings import Findings
from bayesdose.report.sheet.holding import already_of, left_of
from bayesdose.report.style import words

#: Rows that fit on the page with everything else.
MAX_ROWS = 20
# Characters of a name that fit into one line.
_LONGEST = 26


@dataclass(frozen=True)
class Row:
    """A site, or the mean of several.

    Parameters
    ----------
    name : str
    sites : numpy.ndarray of int
        Places of its sites in the table.
    median, lower, upper : float, Gy
        Over the planned cycles at the prescribed activity.
    limits : tuple of tuple
        What each limit leaves for the planned cycles, Gy, and the same in words.
    measured, before, after : str
        Measured dose, and prediction for a cycle before and after; dash where there is none.
    """

    name: str
    sites: np.ndarray
    median: float
    lower: float
    upper: float
    limits: tuple[tuple[float, str], ...]
    measured: str
    before: str
    after: str


def rows_of(found: Findings) -> tuple[list[Row], list[str]]:
    """Rows of the table, tissues with a limit first, and what of it is a summary.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    rows : list of Row
    said : list of str
        Which sites stand in a mean; empty where every site has its row.
    """
    tissue = found.table["tissue"].to_numpy()
    limited = list(dict.fromkeys(limit.tissue for limit in found.limits))
    tissues = [*limited, *(name for name in dict.fromkeys(tissue) if name not in limited)]
    # a limit takes a line of its own above the table; two of them are reckoned with
    room = MAX_ROWS - len(_means(found.limits)) - max(len(found.limits) - 2, 0)
    single = _single(found.table, limited, room)
    rows, said = [], []
    for name in tissues:
        mine = np.flatnonzero(tissue == name)
        own = mine[np.isin(mine, single)]
        rows += [_site(found, int(i)) for i in own]
        rows += [_mean_of_limit(found, limit, mine) for limit in _means(found.limits, name)]
        rest = mine[~np.isin(mine, single)]
        if len(rest):
            rows.append(_summary(found, name, rest, further=bool(len(own))))
            said.append(_said(found, name, rest, len(own)))
    return rows, said


def _means(limits: Sequence[DoseLimit], tissue: str = "") -> list[DoseLimit]:
    return [one for one in limits if one.sites != "worst" and tissue in ("", one.tissue)]


def _single(table: pd.DataFrame, limited: Sequence[str], room: int) -> list[int]:
    """Sites that have a row: all, or without the largest tissues, those with a limit last."""
    shown_sites = {
        name: mine["median"].sort_values(ascending=False, kind="stable").index.tolist()
        for name, mine in table.groupby("tissue", sort=False)
    }
    counts = Counter({name: len(mine) for name, mine in shown_sites.items()})
    order = sorted(counts, key=lambda name: (name in limited, -counts[name]))
    for name in order:
        too_many = sum(counts.values()) - room
        if too_many <= 0:
            break
        # one row for the mean of those left out; of a tissue with a limit the highest stay
        keep = max(counts[name] - too_many - 1, 4) if name in limited else 0
        if keep < len(shown_sites[name]) - 1:
            shown_sites[name] = shown_sites[name][:keep]
            counts[name] = keep + 1
    return [i for mine in shown_sites.values() for i in mine]


def _site(found: Findings, i: int) -> Row:
    row = found.table.iloc[i]
    name = site_name(found, str(row["site_id"]), str(row["tissue"]))
    limits = tuple(
        left_of(limit, already_of(limit, str(row["site_id"])), found.n_cycles)
        for limit in found.limits
        if limit.tissue == row["tissue"] and limit.sites == "worst"
    )
    return Row(
        name,
        np.array([i]),
        row["median"],
        row["lower"],
        row["upper"],
        limits,
        *_updated(found, str(row["site_id"])),
    )


def site_name(found: Findings, site: str, tissue: str) -> str:
    """Name of a site, short enough for its row.

    Parameters
    ----------
    found : Findings
    site, tissue : str
        Labels.

    Returns
    -------
    str
    """
    name = found.sites.site(found.patient, site)
    whole = f"{name} ({words(tissue)})"
    if words(tissue) in words(name).lower() or len(whole) > _LONGEST:
        return shown(name, _LONGEST)
    return shown(whole, _LONGEST)


def _updated(found: Findings, site: str) -> tuple[str, str, str]:
    if found.update is None:
        return "–", "–", "–"
    mine = found.update[found.update["site_id"] == site]
    measured = mine["measured_gy"].dropna()
    first = mine.iloc[0]
    flag = " implausible" if mine["implausible"].any() else ""
    return (
        ", ".join(number(gy) for gy in measured) + flag if len(measured) else "–",
        _with_interval(first, "prior"),
        _with_interval(first, "updated"),
    )


def _with_interval(row: pd.Series, what: str) -> str:
    lower, upper = row[f"{what}_lower"], row[f"{what}_upper"]
    return f"{number(row[f'{what}_median'])} ({between(lower, upper)})"


def _mean_of_limit(found: Findings, limit: DoseLimit, mine: np.ndarray) -> Row:
    gy = found.gy[:, mine]
    kind = "mean"
    weights = np.full(len(mine), 1 / len(mine))
    if limit.sites == "mass_mean":
        kind, mass = "mean by mass", found.doses.frame["mass_g"].to_numpy(float)[mine]
        weights = mass / mass.sum()
    name = f"{shown(words(limit.tissue), 18)}, {kind}"
    left = left_of(limit, already_of(limit, ""), found.n_cycles)
    return _row_of(found, name, mine, gy @ weights, (left,))


def _summary(found: Findings, tissue: str, rest: np.ndarray, *, further: bool) -> Row:
    name = f"{shown(words(tissue), 18)}, mean of {len(rest)}{' more' if further else ''}"
    return _row_of(found, name, rest, found.gy[:, rest].mean(1), ())


def _row_of(
    found: Findings,
    name: str,
    sites: np.ndarray,
    gy: np.ndarray,
    limits: tuple[tuple[float, str], ...],
) -> Row:
    of = summarise(gy[:, None], found.hdi_prob)
    median, lower, upper = (float(of[what][0]) for what in ("median", "lower", "upper"))
    return Row(name, sites, median, lower, upper, limits, _measured_of(found, sites), "–", "–")


def _measured_of(found: Findings, sites: np.ndarray) -> str:
    if found.update is None:
        return "–"
    names = set(found.table["site_id"].iloc[sites])
    n = len(names & set(found.doses.measured["site_id"]))
    return f"{n} measured" if n else "–"


def _said(found: Findings, tissue: str, rest: np.ndarray, n_own: int) -> str:
    medians = found.table["median"].iloc[rest]
    further = "further " if n_own else ""
    return (
        f"{len(rest)} {further}{shown(words(tissue), 24)} sites stand in one row, as their mean; "
        f"their medians run from {between(medians.min(), medians.max())} Gy."
    )
