"""PIT values of left-out patients, which are uniform where the predictive law is right."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesdose.evaluate import pit, pit_ecdf, pit_ecdf_band_joint
from bayesdose.report import style
from bayesdose.report.inputs import check_columns, scored_draws, tissues_of

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut

ALL = "all"
_NEEDED = ("tissue", "n_sites", "z", "difference", "lower", "upper", "inside")


def pit_data(
    validation: "LeaveOneOut | pd.DataFrame", *, prob: float = 0.95, random_seed: int = 0
) -> pd.DataFrame:
    """Numbers behind `plot_pit`.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        Result of ``leave_one_patient_out``; or a table that this function made.
    prob : float
        Probability of the simultaneous band, for each panel.
    random_seed : int
        Seed of the band's replicates.

    Returns
    -------
    pandas.DataFrame
        A row a panel (``tissue``; ``all`` for the sites of every tissue) and point: tissue,
        n_sites, z, difference (ECDF of the PIT values minus z), lower, upper (band of the
        difference, which respects that sites of a patient depend on one another), inside.

    Raises
    ------
    ConfigError
        When it is no validation and no such table.
    """
    if isinstance(validation, pd.DataFrame):
        check_columns(validation, _NEEDED)
        return validation
    table, draws = scored_draws(validation)
    observed = table["observed"].to_numpy(float)
    patients, tissue = table["patient_id"].astype(str).to_numpy(), table["tissue"].to_numpy()
    present = tissues_of(table)
    parts = []
    for label in [*present, ALL] if len(present) > 1 else present:
        mine = np.ones(len(table), bool) if label == ALL else tissue == label
        band = pit_ecdf_band_joint(draws[:, mine], patients[mine], prob, random_seed=random_seed)
        found = pit_ecdf(pit(observed[mine], draws[:, mine]), band)
        found[["lower", "upper"]] = found[["lower", "upper"]].sub(found["z"], axis=0)
        found.insert(0, "n_sites", int(mine.sum()))
        found.insert(0, "tissue", label)
        parts.append(found.drop(columns="ecdf"))
    return pd.concat(parts, ignore_index=True)


def plot_pit(
    validation: "LeaveOneOut | pd.DataFrame",
    *,
    prob: float = 0.95,
    ax: Axes | Sequence[Axes] | None = None,
) -> np.ndarray:
    """Draw the ECDF difference of the PIT values of left-out patients.

    Inside the band: no evidence against calibration. A hump above 0 at the left and below 0 at
    the right means intervals that are too narrow, the reverse too wide; above 0 throughout means
    predictions that are too high.

    Parameters
    ----------
    validation : LeaveOneOut or pandas.DataFrame
        As in `pit_data`.
    prob : float
        Probability of the simultaneous band, for each panel.
    ax : Axes or sequence of Axes, optional
        One a tissue, and a last one for all sites where there are several tissues; by default
        those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes
    """
    data = pit_data(validation, prob=prob)
    labels = tissues_of(data)
    axes = style.panels(len(labels), ax, size=(4.3, 3.3), columns=2 if len(labels) == 4 else 3)
    most = 1.08 * float(data[["lower", "upper", "difference"]].abs().max().max())
    for panel, label in zip(axes, labels, strict=True):
        mine = data[data["tissue"] == label]
        colour = style.INK if label == ALL else style.colour_of(label)
        # the band is for the points z; the ECDF is a step function between them
        z = np.concatenate([[0.0], mine["z"], [1.0]])
        ends = [np.concatenate([[0.0], mine[name], [0.0]]) for name in ("lower", "upper")]
        panel.fill_between(z, *ends, color=style.PALE, linewidth=0)
        panel.axhline(0, color=style.GREY, linewidth=1)
        difference = np.concatenate([[0.0], mine["difference"], [0.0]])
        panel.plot(z, difference, color=colour, linewidth=1.6)
        panel.set_xlim(0, 1)
        panel.set_ylim(-most, most)
        outside = int((~mine["inside"].astype(bool)).sum())
        verdict = "inside the band" if outside == 0 else f"outside at {outside} points"
        name = "all tissues" if label == ALL else style.words(label)
        style.title(panel, name, f"{mine['n_sites'].iloc[0]} sites: {verdict}")
        panel.set_xlabel("PIT value")
        panel.set_ylabel("ECDF minus uniform")
    return axes
