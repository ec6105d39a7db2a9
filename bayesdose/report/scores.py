"""The table of scores: fitted, left out and baselines by tissue, as data, text and Markdown."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayesdose.dose.baselines import IN_SAMPLE, LEFT_OUT, beside
from bayesdose.dose.compare import FEW_PATIENTS
from bayesdose.dose.prediction import needs_training
from bayesdose.errors import PredictionError
from bayesdose.evaluate import hdi_coverage
from bayesdose.report.style import words

if TYPE_CHECKING:
    from bayesdose.dose.leave_one_out import LeaveOneOut
    from bayesdose.dose.model import DoseModel

_COVERAGE = ("hdi_coverage_95", "hdi_coverage_95_lower", "hdi_coverage_95_upper")
_HEADINGS = ("MAE Gy", "RMSE Gy", "MAPE", "R² Gy", "R² log", "95 % HDI holds")
_NAME_WIDTH = 27


def score_table(model: "DoseModel", lopo: "LeaveOneOut") -> pd.DataFrame:
    """Scores of a model in-sample and left out, beside its baselines, with coverage.

    Parameters
    ----------
    model : DoseModel
        Fitted, with its training rows.
    lopo : LeaveOneOut
        Of this model.

    Returns
    -------
    pandas.DataFrame
        The rows and columns of `bayesdose.dose.baselines.beside`, and hdi_coverage_95 with the
        ends of its interval; NaN for baselines, which predict points only. ``attrs["notes"]``
        says what is absent.

    Raises
    ------
    PredictionError
        When the validation is of another fit, or the model was saved without its rows.
    """
    table = beside(model, lopo)
    covered, notes = _left_out_coverage(lopo), list(table.attrs["notes"])
    try:
        covered = pd.concat([covered, _in_sample_coverage(model)], ignore_index=True)
    except PredictionError as err:
        notes.append(f"coverage of {IN_SAMPLE}: absent, {err}")
    keys = ["model", "tissue", "weights"]
    out = table.merge(covered, how="left", on=keys, validate="one_to_one")
    out.attrs = {"notes": notes}
    return out


def score_text(table: pd.DataFrame, weights: str = "site") -> str:
    """Scores as lines of text, at most 100 characters wide.

    Parameters
    ----------
    table : pandas.DataFrame
        From `score_table`.
    weights : {"site", "patient"}
        Rows to show.

    Returns
    -------
    str
        A line a model, below a line a tissue.
    """
    lines = [" " * (_NAME_WIDTH + 2) + _line(_HEADINGS)]
    for tissue, part in _by_tissue(table, weights):
        lines.append(_title(tissue, part))
        for _, row in part.iterrows():
            lines.append(f"  {row['model']:<{_NAME_WIDTH}}{_line(_cells(row))}".rstrip())
    return "\n".join(lines)


def score_markdown(table: pd.DataFrame, weights: str = "site") -> str:
    """Scores as Markdown tables.

    Parameters
    ----------
    table, weights
        As in `score_text`.

    Returns
    -------
    str
        A heading and a table a tissue.
    """
    blocks = []
    for tissue, part in _by_tissue(table, weights):
        lines = [
            f"### {_title(tissue, part)}",
            "",
            f"| | {' | '.join(_HEADINGS)} |",
            "|---" + "|--:" * len(_HEADINGS) + "|",
            *(f"| {row['model']} | {' | '.join(_cells(row))} |" for _, row in part.iterrows()),
        ]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def elpd_text(lopo: "LeaveOneOut") -> str:
    """Expected log predictive density in words, with what its standard error is worth.

    Parameters
    ----------
    lopo : LeaveOneOut
        Validation.

    Returns
    -------
    str
        One sentence.
    """
    n = int(lopo.patients["elpd"].notna().sum())
    caveat = f"; unreliable below {FEW_PATIENTS}" if n < FEW_PATIENTS else ""
    return (
        f"Leave-one-patient-out elpd {lopo.elpd:.1f} (standard error {lopo.elpd_se:.1f} over {n} "
        f"patients{caveat})."
    )


def _left_out_coverage(lopo: "LeaveOneOut") -> pd.DataFrame:
    return lopo.summary()[["tissue", "weights", *_COVERAGE]].assign(model=LEFT_OUT)


def _in_sample_coverage(model: "DoseModel") -> pd.DataFrame:
    training = needs_training(model._state(), "in-sample coverage")
    found = model.predict_draws(training.frame, kind="known_patient", target="measured")
    draws = found.values.reshape(-1, found.sizes["site"])
    rows = training.rows
    observed, patients = np.exp(rows.log_dose), np.asarray(rows.patients)[rows.patient]
    out = []
    for k, tissue in enumerate(training.encoding.tissues):
        mine = rows.tissue == k
        for weights in ("site", "patient"):
            covered = hdi_coverage(
                observed[mine], draws[:, mine], 0.95, patients[mine], weights=weights
            )
            ends = (covered.coverage, covered.lower, covered.upper)
            labels = {"model": IN_SAMPLE, "tissue": tissue, "weights": weights}
            out.append(labels | dict(zip(_COVERAGE, ends, strict=True)))
    return pd.DataFrame(out)


def _by_tissue(table: pd.DataFrame, weights: str) -> list[tuple[str, pd.DataFrame]]:
    chosen = table[table["weights"] == weights]
    return [(str(tissue), part) for tissue, part in chosen.groupby("tissue", sort=False)]


def _title(tissue: str, part: pd.DataFrame) -> str:
    n_sites, n_patients = part["n_sites"].max(), part["n_patients"].max()
    return f"{words(tissue)}: {n_sites} sites of {n_patients} patients"


def _line(cells: tuple[str, ...]) -> str:
    return "".join(f"{cell:>9}" for cell in cells[:-1]) + f"   {cells[-1]}"


def _cells(row: pd.Series) -> tuple[str, ...]:
    ends = [row[name] for name in _COVERAGE]
    covered = ""
    if not np.isnan(ends[0]):
        covered = "{} % ({} to {})".format(*(f"{100 * end:.0f}" for end in ends))
    return (
        f"{row['mae_gy']:.2f}",
        f"{row['rmse_gy']:.2f}",
        f"{100 * row['mape']:.0f} %",
        _r2(row["r2_gy"]),
        _r2(row["r2_log"]),
        covered,
    )


def _r2(value: float) -> str:
    return "" if np.isnan(value) else f"{value:z.2f}"
