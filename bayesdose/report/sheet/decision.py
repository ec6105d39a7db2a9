"""The prescribed activity beside the largest one at which the stated limits hold."""

import pandas as pd

from bayesdose.planning.activity import limit_names
from bayesdose.planning.limits import DoseLimit
from bayesdose.report.page import (
    Column,
    Notice,
    Table,
    between,
    counted,
    number,
    sentence,
    shown,
)
from bayesdose.report.sheet.findings import Findings
from bayesdose.report.sheet.holding import received
from bayesdose.report.sheet.notes import unreliable
from bayesdose.report.sheet.words import asked, chance, plain
from bayesdose.report.style import words


def verdict(found: Findings) -> Notice:
    """Whether the prescribed activity keeps the limits, in a sentence.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Notice
    """
    prescribed = plain(found.prescribed_gbq)
    said = f"At {prescribed} GBq a cycle {_all(found)} with {_share(found)}"
    if found.plan is None:
        return Notice("stop", "No activity keeps the limits.", f"{sentence(found.problem)} {said}.")
    if is_kept(found) and unreliable(found):
        return Notice("caution", "Not reliable:", f"see the warning below. {said}.")
    if is_kept(found):
        return Notice("good", "The prescribed activity is within the limits.", f"{said}.")
    return Notice("stop", "The prescribed activity exceeds the limits.", f"{said}.")


def is_kept(found: Findings) -> bool:
    """Whether the limits hold at the prescribed activity as they were stated.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    bool
        Limits with one common probability together, others each on its own.
    """
    common = {limit.probability for limit in found.limits}
    if len(common) == 1:
        return found.within["all limits"] >= common.pop()
    pairs = zip(limit_names(found.limits), found.limits, strict=True)
    return all(found.within[name] >= limit.probability for name, limit in pairs)


def _all(found: Findings) -> str:
    return "the limit holds" if len(found.limits) == 1 else "all limits together hold"


def _share(found: Findings) -> str:
    common = {limit.probability for limit in found.limits}
    wanted = f"{asked(common.pop())} asked" if len(common) == 1 else "each limit has its own share"
    return f"{chance(found.within['all limits'], found.n_draws)} ({wanted})"


def table(found: Findings) -> Table:
    """The prescribed activity beside the largest one.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Table
    """
    prescribed, plan = found.prescribed_gbq, found.plan
    largest = "none" if plan is None else _largest(found)
    total = f"{number(found.n_cycles * prescribed)} GBq"
    planned = "–" if plan is None else f"{number(found.n_cycles * plan.activity_gbq)} GBq"
    rows = [
        ["Activity a cycle", f"{plain(prescribed)} GBq", largest],
        [f"Over {counted(found.n_cycles, 'cycle')}", total, planned],
        *[
            _limit_row(found, name, limit)
            for name, limit in zip(limit_names(found.limits), found.limits, strict=True)
        ],
    ]
    if len(found.limits) > 1:
        rows.append(["All limits together", *_chances(found, "all limits")])
    rows.append(_target_row(found))
    heads = [Column("What"), Column("As prescribed"), Column("Largest within the limits")]
    return Table("The prescribed and the largest activity", heads, rows)


def _largest(found: Findings) -> str:
    plan = found.plan
    assert plan is not None
    if plan.at_bound:
        return f"{plain(plan.activity_gbq)} GBq, the end of the range considered: no limit binds"
    error = f"± {number(plan.monte_carlo_error, 2)} (Monte-Carlo error)"
    beyond = ", extrapolated" if plan.extrapolates else ""
    return f"{number(plan.activity_gbq)} GBq {error}{beyond}"


def _limit_row(found: Findings, name: str, limit: DoseLimit) -> list[str]:
    prescribed, planned = _chances(found, name)
    verdict = "held" if found.within[name] >= limit.probability else "not held"
    if found.plan is not None and found.plan.binding == name:
        planned += ": binds"
    # its words end in its probability, which is shown as a percentage
    what = sentence(limit.text).rpartition(", with probability ")[0]
    before = received(limit)
    less = f"; {number(before)} received before" if before else ""
    what = f"{what} (asked: {asked(limit.probability)}{less})"
    return [what, f"{prescribed}: {verdict}", planned]


def _chances(found: Findings, name: str) -> tuple[str, str]:
    n = found.n_draws
    planned = "–" if found.plan is None else chance(found.plan.within[name], n)
    return chance(found.within[name], n), planned


def _target_row(found: Findings) -> list[str]:
    tissue = shown(words(found.target_name), 24)
    n = int((found.table["tissue"] == found.target_name).sum())
    if not n:
        return [f"Mean dose to {tissue}", "no such site", "–"]
    planned = "–" if found.plan is None else f"{_with_interval(found.target.loc['planned'])} Gy"
    what = f"Mean dose to {counted(n, f'{tissue} site')}, median (interval)"
    return [what, f"{_with_interval(found.target.loc['prescribed'])} Gy", planned]


def _with_interval(row: pd.Series) -> str:
    return f"{number(row['median'])} ({between(row['lower'], row['upper'])})"
