"""A fit and its validation as files: tables, pictures, each picture's numbers, and a summary."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdose._files import write_text
from bayesdose.dose.prediction import needs_training
from bayesdose.errors import BayesdoseError
from bayesdose.report import chains, scores, style
from bayesdose.report.coverage import coverage_data, plot_coverage
from bayesdose.report.patient_calibration import patient_calibration_data, plot_patient_calibration
from bayesdose.report.patient_effects import patient_effects_data, plot_patient_effects
from bayesdose.report.pit import pit_data, plot_pit
from bayesdose.report.predicted_measured import plot_predicted_measured, predicted_measured_data
from bayesdose.report.prior_posterior import plot_prior_posterior, prior_posterior_data
from bayesdose.report.residuals import plot_residuals, residuals_data

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from bayesdose.dose.leave_one_out import LeaveOneOut
    from bayesdose.dose.model import DoseModel

#: Pictures by file name, and what each shows.
CAPTIONS = {
    "predicted_measured": "Each site predicted from the other patients only, against its "
    "measured dose; intervals that miss it are hollow.",
    "coverage": "How often the intervals hold the measured dose, against how often they should.",
    "pit": "PIT values: inside the grey band there is no evidence against the predictive "
    "distributions.",
    "patient_calibration": "All sites of a patient at once: far right, the patient lies outside "
    "what was predicted; all far left, the predictions are too wide.",
    "residuals_fitted": "Measured over predicted dose, against the prediction.",
    "residuals_volume": "Measured over predicted dose, against the volume, which uptake and dose "
    "share.",
    "prior_posterior": "What was believed before, and after, the data.",
    "patient_effects": "Factor by which each patient's doses differ from what the covariates say.",
    "trace": "The chains.",
    "rank": "Ranks of each chain's draws among all.",
}

#: Files that a report can hold, relative to its folder.
FILES = (
    "summary.md",
    "summary.csv",
    "leave_one_patient_out.csv",
    "predictions.csv",
    "scores.csv",
    "diagnosis.txt",
    *(f"figures/{name}.{kind}" for name in CAPTIONS for kind in ("png", "csv")),
)

_Picture = tuple[Callable[[], "np.ndarray | Axes"], Callable[[], pd.DataFrame]]


def write_report(
    model: "DoseModel", lopo: "LeaveOneOut", folder: str | Path, *, heading: str
) -> pd.DataFrame:
    """Write tables, pictures and a summary of a validated fit.

    The files name patients; a model saved beside them does not unless it is asked to.

    Parameters
    ----------
    model : DoseModel
        Fitted, with its training rows.
    lopo : LeaveOneOut
        Of this model.
    folder : str or Path
        Made where it is not there.
    heading : str
        First line of the summary.

    Returns
    -------
    pandas.DataFrame
        Scores, as `bayesdose.report.score_table` makes them; ``attrs["notes"]`` also says which
        pictures are absent, and why.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = scores.score_table(model, lopo)
    diagnosis = str(model.diagnose())
    for name, frame in {
        "summary": model.summary().reset_index(),
        "leave_one_patient_out": lopo.patients.reset_index(),
        "predictions": lopo.predictions,
        "scores": table,
    }.items():
        write_csv(frame, folder / f"{name}.csv")
    write_text(diagnosis + "\n", folder / "diagnosis.txt")
    drawn, absent = _write_pictures(model, lopo, folder / "figures")
    table.attrs = {"notes": [*table.attrs["notes"], *absent]}
    write_text(_summary(heading, model, lopo, diagnosis, table, drawn), folder / "summary.md")
    return table


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a table with numbers to six digits, atomically.

    Parameters
    ----------
    frame : pandas.DataFrame
        Table; its index is not written.
    path : Path
        File.
    """
    write_text(frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"), path)


def _pictures(model: "DoseModel", lopo: "LeaveOneOut") -> dict[str, _Picture]:
    frame = needs_training(model._state(), "a report").frame
    found: dict[str, _Picture] = {
        "predicted_measured": (
            lambda: plot_predicted_measured(lopo),
            lambda: predicted_measured_data(lopo),
        ),
        "coverage": (lambda: plot_coverage(lopo), lambda: coverage_data(lopo)),
        "pit": (lambda: plot_pit(lopo), lambda: pit_data(lopo)),
        "patient_calibration": (
            lambda: plot_patient_calibration(lopo),
            lambda: patient_calibration_data(lopo),
        ),
        "residuals_fitted": (lambda: plot_residuals(lopo), lambda: residuals_data(lopo)),
        "prior_posterior": (
            lambda: plot_prior_posterior(model),
            lambda: prior_posterior_data(model),
        ),
    }
    if "volume_ml" in frame.columns:
        found["residuals_volume"] = (
            lambda: plot_residuals(lopo, against="volume_ml", sites=frame),
            lambda: residuals_data(lopo, against="volume_ml", sites=frame),
        )
    if model._state().encoding.patient_effects:
        found["patient_effects"] = (
            lambda: plot_patient_effects(model),
            lambda: patient_effects_data(model),
        )
    if model.fit_info_["sampler"] != "importance":
        found["trace"] = (lambda: chains.plot_trace(model), lambda: chains.trace_data(model))
        found["rank"] = (lambda: chains.plot_rank(model), lambda: chains.rank_data(model))
    return found


def _write_pictures(
    model: "DoseModel", lopo: "LeaveOneOut", folder: Path
) -> tuple[list[str], list[str]]:
    """Names of the pictures drawn, and a note on each that was not."""
    folder.mkdir(exist_ok=True)
    drawn, absent = [], []
    pictures = _pictures(model, lopo)
    for name in [name for name in CAPTIONS if name in pictures]:
        plot, data = pictures[name]
        try:
            axes, numbers = plot(), data()
        except BayesdoseError as err:
            absent.append(f"figures/{name}.png is not there: {err}")
            continue
        style.save_figure(axes, folder / f"{name}.png")
        write_csv(numbers, folder / f"{name}.csv")
        drawn.append(name)
    if model.fit_info_["sampler"] == "importance":
        absent.append(
            "there are no trace and rank plots: the draws are independent importance draws, judged "
            f"by the weights (Pareto k {model.fit_info_['pareto_k']:.2f}, effective size "
            f"{model.fit_info_['weight_ess']:.0f})"
        )
    return drawn, absent


def _summary(
    heading: str,
    model: "DoseModel",
    lopo: "LeaveOneOut",
    diagnosis: str,
    table: pd.DataFrame,
    drawn: list[str],
) -> str:
    info = model.fit_info_
    notes = "".join(f"- {note}\n" for note in table.attrs["notes"])
    pictures = "\n\n".join(
        f"![{name}](figures/{name}.png)\n\n{CAPTIONS[name]} Numbers: `figures/{name}.csv`."
        for name in drawn
    )
    return f"""# {heading}

{model.formula if isinstance(model.formula, str) else _formulas(model.formula)}

{info["n_sites"]} sites of {info["n_patients"]} patients; engine {info["engine"]}, sampler
{info["sampler"]}, {info["draws"]} draws, seed {info["random_seed"]}, bayesdose
{info["version_bayesdose"]}.

## Can it be trusted?

```
{diagnosis}
```

## How well does it predict?

Point predictions are medians. "{scores.IN_SAMPLE}" repeats patients that were fitted and validates
nothing; all other rows predict each patient from the others. Every site counts 1; `scores.csv` also
has every patient counting 1.

{scores.score_markdown(table)}

{scores.elpd_text(lopo)}

{notes}
## Pictures

{pictures}
"""


def _formulas(formula: object) -> str:
    assert isinstance(formula, dict)
    return "\n".join(f"- {style.words(tissue)}: `{text}`" for tissue, text in formula.items())
