"""Patient effects: who gets more dose than the covariates say, in which tissue."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayesdose.errors import PredictionError
from bayesdose.evaluate import hdi
from bayesdose.report import style

if TYPE_CHECKING:
    from bayesdose.dose.model import DoseModel


def patient_effects_data(model: "DoseModel", *, hdi_prob: float = 0.95) -> pd.DataFrame:
    """Numbers behind `plot_patient_effects`.

    Parameters
    ----------
    model : DoseModel
        Fitted, with patient effects.
    hdi_prob : float
        Mass of the wide interval; the narrow one has half of the mass 1.

    Returns
    -------
    pandas.DataFrame
        A row a patient and effect: effect (``tissue:column``), tissue, patient_id, median,
        lower, upper, lower_50, upper_50. Effects are factors on the dose: exp of the posterior
        median and of the highest-density intervals on the log scale.

    Raises
    ------
    PredictionError
        When the model has no patient effects, or was saved without its patients.
    """
    posterior = model.posterior_["posterior"].to_dataset()
    if "patient_effects" not in posterior:
        raise PredictionError(
            "this model has no patient effects to draw: it was fitted with patient_effects='0', "
            "or saved without its patients (save it with include_patients=True)"
        )
    effects = posterior["patient_effects"].stack(sample=("chain", "draw"))
    parts = []
    for label in map(str, effects["patient_effect"].values):
        draws = effects.sel(patient_effect=label).transpose("sample", "patient").values
        lower, upper = hdi(draws, hdi_prob)
        lower_50, upper_50 = hdi(draws, 0.5)
        parts.append(
            pd.DataFrame(
                {
                    "effect": label,
                    "tissue": label.partition(":")[0],
                    "patient_id": effects["patient"].values.astype(str),
                    "median": np.exp(np.median(draws, axis=0)),
                    "lower": np.exp(lower),
                    "upper": np.exp(upper),
                    "lower_50": np.exp(lower_50),
                    "upper_50": np.exp(upper_50),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def plot_patient_effects(
    model: "DoseModel", *, hdi_prob: float = 0.95, ax: Axes | Sequence[Axes] | None = None
) -> np.ndarray:
    """Draw the patient effects as factors on the dose, a panel an effect, patients in one order.

    Parameters
    ----------
    model, hdi_prob
        As in `patient_effects_data`.
    ax : Axes or sequence of Axes, optional
        One an effect; by default those of a new figure.

    Returns
    -------
    numpy.ndarray of Axes of shape (n_effects,)
    """
    data = patient_effects_data(model, hdi_prob=hdi_prob)
    labels = list(dict.fromkeys(data["effect"]))
    first = data[data["effect"] == labels[0]].sort_values("median", kind="stable")
    patients = list(first["patient_id"])
    height = 1.3 + max(2.0, 0.26 * len(patients))
    axes = style.panels(len(labels), ax, size=(3.4, height))
    limits = style.log_limits(data[["lower", "upper"]].to_numpy())
    for place, (panel, label) in enumerate(zip(axes, labels, strict=True)):
        mine = data[data["effect"] == label].set_index("patient_id").loc[patients]
        colour = style.colour_of(str(mine["tissue"].iloc[0]))
        y = np.arange(len(patients))
        panel.axvline(1, color=style.GREY, linewidth=1)
        panel.hlines(y, mine["lower"], mine["upper"], color=colour, linewidth=1.2, alpha=0.6)
        panel.hlines(y, mine["lower_50"], mine["upper_50"], color=colour, linewidth=3.6, alpha=0.7)
        panel.plot(
            mine["median"],
            y,
            linestyle="none",
            marker="o",
            markersize=5.5,
            color=colour,
            markeredgecolor="white",
        )
        style.log_ticks(panel, "x", *limits)
        panel.set_ylim(-0.7, len(patients) - 0.3)
        shown = [style.label(str(patient)) for patient in patients]
        panel.set_yticks(y, shown if place % style.MAX_COLUMNS == 0 else [""] * len(shown))
        panel.grid(visible=False, axis="y")
        tissue, _, column = label.partition(":")
        what = "intercept" if column == "Intercept" else f"slope of {column}"
        unit = "" if column == "Intercept" else f" per unit of {column}"
        panel.set_xlabel(style.literal(f"factor on the dose{unit}"))
        style.title(panel, style.words(tissue), f"{what}; 50 and {100 * hdi_prob:g} % HDI")
    return axes
