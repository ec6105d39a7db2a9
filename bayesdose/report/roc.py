"""ROC curves of risk models; and what the pictures of several models have in common."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from bayesdose.errors import ConfigError
from bayesdose.evaluate.roc import auc
from bayesdose.evaluate.roc_curve import roc_curve
from bayesdose.report import style
from bayesdose.report._models import (
    FEW,
    band,
    banded,
    by_name,
    checked_table,
    legend,
    looks_of,
    with_name,
)

_POINTS = ("threshold", "false_positive_rate", "sensitivity", "lower", "upper")
_AREAS = ("prob", "auc", "auc_lower", "auc_upper", "n_cases", "n_controls")


def roc_data(
    scores: Mapping[str, Sequence[Any]] | Sequence[Any] | pd.DataFrame,
    *,
    prob: float = 0.95,
    random_seed: int = 0,
) -> pd.DataFrame:
    """Numbers behind `plot_roc`.

    Parameters
    ----------
    scores : mapping of str to tuple, tuple, or pandas.DataFrame
        By name of the model, or for one model without a name: labels (1 for cases) and scores,
        each array_like of shape (n,), and as a third, where patients have several rows, the
        patient of each row; or a table that this function made.
    prob : float
        Probability of the band at each false positive rate, and of the interval of the area.
    random_seed : int
        Seed of the band's draws.

    Returns
    -------
    pandas.DataFrame
        A row a model and threshold: model, the columns of `evaluate.roc_curve`, prob, auc,
        auc_lower, auc_upper (DeLong's), n_cases, n_controls.

    Raises
    ------
    ConfigError
        When it is no labels with scores and no such table.
    BayesdoseError
        As for `evaluate.roc_curve`.
    """
    if isinstance(scores, pd.DataFrame):
        return checked_table(scores, ("model", *_POINTS, *_AREAS), text=("model",))
    parts = []
    for name, given in by_name(scores, "labels with scores").items():
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise ConfigError(
                f"model {name!r}: give (labels, scores) or (labels, scores, patients); got "
                f"{type(given).__name__}"
            )
        y_true, score, groups = (*given, None)[:3]
        area = auc(y_true, score, groups=groups, prob=prob)
        curve = roc_curve(y_true, score, groups=groups, prob=prob, random_seed=random_seed)
        found = (prob, area.auc, area.lower, area.upper, area.n_cases, area.n_controls)
        curve = curve.assign(**dict(zip(_AREAS, found, strict=True)))
        curve.insert(0, "model", name)
        parts.append(curve)
    return pd.concat(parts, ignore_index=True)


def plot_roc(
    scores: Mapping[str, Sequence[Any]] | Sequence[Any] | pd.DataFrame,
    *,
    prob: float = 0.95,
    random_seed: int = 0,
    ax: Axes | None = None,
) -> Axes:
    """Draw ROC curves with their pointwise bands; the areas are in the legend.

    Parameters
    ----------
    scores, prob, random_seed
        As in `roc_data`.
    ax : Axes, optional
        By default that of a new figure.

    Returns
    -------
    Axes
    """
    data = roc_data(scores, prob=prob, random_seed=random_seed)
    looks = looks_of(data["model"])
    (panel,) = style.panels(1, ax, size=(5.2, 5.4) if len(looks) <= FEW else (7.6, 5.4))
    panel.plot([0, 1], [0, 1], color=style.GREY, linewidth=1, zorder=1)
    lines = []
    for name, (colour, dashes) in looks.items():
        mine = data[data["model"] == name]
        first = mine.iloc[0]
        rate = mine["false_positive_rate"]
        if name in banded(looks):
            band(panel, rate, mine, colour)
        (line,) = panel.plot(
            rate, mine["sensitivity"], color=colour, linestyle=dashes, linewidth=1.8
        )
        interval = f" ({first['auc_lower']:.2f} to {first['auc_upper']:.2f})"
        area = f"AUC {first['auc']:.2f}{interval if pd.notna(first['auc_lower']) else ''}"
        lines.append((line, with_name(name, area)))
    panel.set_xlim(-0.01, 1.01)
    panel.set_ylim(-0.01, 1.01)
    panel.set_box_aspect(1)
    panel.set_xlabel("false positive rate (1 − specificity)")
    panel.set_ylabel("sensitivity")
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    percent = f"{100 * float(data['prob'].iloc[0]):g} %"
    whose = "bands" if len(looks) <= FEW else "band of the first"
    style.title(panel, "ROC curve", f"{counts_of(data)}; {percent} intervals, {whose} pointwise")
    legend(panel, lines, inside="lower right" if len(looks) <= FEW else None)
    return panel


def counts_of(data: pd.DataFrame) -> str:
    """Say how many cases and controls the models saw.

    Parameters
    ----------
    data : pandas.DataFrame
        With n_cases and n_controls.

    Returns
    -------
    str
        Ranges where models differ.
    """
    text = []
    for name, word in (("n_cases", "cases"), ("n_controls", "controls")):
        low, high = int(data[name].min()), int(data[name].max())
        text.append(f"{low if low == high else f'{low} to {high}'} {word}")
    return ", ".join(text)
