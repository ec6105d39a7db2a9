"""The section on validation: every patient predicted from the others, beside simple baselines."""

import numpy as np
import pandas as pd

from bayesdose.dose.baselines import IN_SAMPLE
from bayesdose.report.coverage import coverage_data, plot_coverage
from bayesdose.report.model_page.chart import MAX_POINTS, chart
from bayesdose.report.model_page.findings import Findings
from bayesdose.report.page import (
    Block,
    Column,
    Notice,
    Paragraph,
    Picture,
    Points,
    Section,
    Subheading,
    Table,
    between,
    counted,
    number,
    percent,
    png,
    shown,
)
from bayesdose.report.patient_calibration import patient_calibration_data, plot_patient_calibration
from bayesdose.report.pit import ALL, pit_data, plot_pit
from bayesdose.report.predicted_measured import plot_predicted_measured
from bayesdose.report.scores import elpd_text
from bayesdose.report.style import words

#: Patients of a picture with a line for each.
MAX_DRAWN_PATIENTS = 60


def section(found: Findings) -> Section:
    """Leave-one-patient-out validation.

    Parameters
    ----------
    found : Findings

    Returns
    -------
    Section
    """
    if found.lopo is None:
        blocks: list[Block] = [Notice("note", "Not validated here.", found.no_validation)]
    else:
        blocks = [
            Paragraph(
                "Each patient is left out in turn, everything is learnt anew from the others, and "
                "all sites of that patient are predicted: what a next patient may expect, if "
                "patients, scanners and methods are alike."
            ),
            Subheading("Predicted against measured"),
            _predicted_measured(found),
            Subheading("Errors, beside simpler predictions"),
            *_scores(found),
            Subheading("Do the intervals hold what they promise?"),
            *_calibration(found),
            Subheading("Patient by patient"),
            *_patients(found),
        ]
    return Section("validation", "Validation: predictions for patients left out", blocks)


def _ready(found: Findings) -> pd.DataFrame:
    assert found.lopo is not None
    table = found.names.trained.table(found.lopo.predictions)
    return table[table["median"].notna()]


def _predicted_measured(found: Findings) -> Block:
    assert found.lopo is not None
    table, prob = _ready(found), found.lopo.hdi_prob
    if len(table) <= MAX_POINTS:
        return chart(table, prob)
    inside = table["observed"].between(table["lower"], table["upper"])
    return png(
        plot_predicted_measured(found.lopo),
        alt=f"Predicted against measured dose of {len(table)} sites. {percent(prob)} intervals "
        f"hold {int(inside.sum())} of them. Measured "
        f"{between(table['observed'].min(), table['observed'].max())} Gy.",
        caption=f"A still picture, because there are more than {MAX_POINTS} sites. Each is "
        "predicted from the other patients only; hollow: the interval misses the measured dose.",
    )


def _scores(found: Findings) -> list[Block]:
    assert found.scores is not None
    assert found.lopo is not None
    heads = (
        Column("Prediction"),
        Column("MAE, Gy", numeric=True),
        Column("RMSE, Gy", numeric=True),
        Column("MAPE", numeric=True),
        Column("R² (Gy)", numeric=True),
        Column("R² (log)", numeric=True),
        Column("95 % intervals hold", numeric=True),
    )
    blocks: list[Block] = []
    by_site = found.scores[found.scores["weights"] == "site"]
    for tissue, mine in by_site.groupby(by_site["tissue"].astype(str), sort=False):
        n_sites, n_patients = int(mine["n_sites"].max()), int(mine["n_patients"].max())
        caption = (
            f"Errors in {shown(words(str(tissue)))}: {counted(n_sites, 'site')} of "
            f"{counted(n_patients, 'patient')}"
        )
        blocks.append(Table(caption, heads, [_score_row(row) for _, row in mine.iterrows()]))
    blocks.append(
        Paragraph(
            f"“{IN_SAMPLE}” repeats patients that were fitted and validates nothing. Point "
            "predictions are medians; every site counts 1. MAE and RMSE: mean absolute and root "
            "mean square error; MAPE: mean absolute error relative to the measured dose. "
            f"{elpd_text(found.lopo)}"
        )
    )
    notes = [f"{found.names.text(note)}." for note in found.scores.attrs["notes"]]
    return [*blocks, Points(notes)] if notes else blocks


def _score_row(row: pd.Series) -> tuple[str, ...]:
    covered = "–"
    if row["hdi_coverage_95"] == row["hdi_coverage_95"]:
        ends = [percent(row[f"hdi_coverage_95_{end}"]) for end in ("lower", "upper")]
        covered = f"{percent(row['hdi_coverage_95'])} ({ends[0]} to {ends[1]})"
    return (
        shown(row["model"]),
        number(row["mae_gy"]),
        number(row["rmse_gy"]),
        percent(row["mape"]),
        _r2(row["r2_gy"]),
        _r2(row["r2_log"]),
        covered,
    )


def _r2(value: float) -> str:
    return "–" if value != value else f"{value:z.2f}".replace("-", "−")


def _calibration(found: Findings) -> list[Block]:
    assert found.lopo is not None
    covered, pit = coverage_data(found.lopo), pit_data(found.lopo)
    rows = []
    for tissue, mine in covered.groupby("tissue", sort=False):
        row = [shown(words(str(tissue)))]
        for one in mine.itertuples():
            ends = f"{percent(one.lower)} to {percent(one.upper)}"
            row.append(f"{percent(one.coverage)} ({ends})")
        rows.append(row)
    nominal = [percent(share) for share in sorted(covered["nominal"].unique())]
    heads = [Column("Tissue"), *(Column(f"{text} intervals", numeric=True) for text in nominal)]
    alt = "; ".join(
        f"{words(row.tissue)}, nominal {percent(row.nominal)}: {percent(row.coverage)}"
        for row in covered.itertuples()
    )
    return [
        Table(
            "Share of measured doses that lie in their interval",
            heads,
            rows,
            "In brackets: 95 % intervals of the share, the patient being the unit.",
        ),
        png(
            plot_coverage(found.lopo),
            alt=f"Observed against nominal coverage. {alt}.",
            caption="How often the intervals hold the measured dose, against how often they "
            "should; on the diagonal they keep their promise.",
        ),
        png(
            plot_pit(pit),
            alt=f"PIT values of patients left out. {_pit_words(pit)}.",
            caption="PIT values (where each measured dose lies in its predictive distribution), "
            "less a uniform law. Inside the grey band there is no evidence against the "
            "predictions; a hump at the left and a dip at the right mean intervals that are too "
            "narrow.",
        ),
    ]


def _pit_words(pit: pd.DataFrame) -> str:
    parts = []
    for tissue, mine in pit.groupby("tissue", sort=False):
        outside = int((~mine["inside"].astype(bool)).sum())
        name = "all tissues" if tissue == ALL else words(str(tissue))
        most = number(float(mine["difference"].abs().max()), 2)
        where = "inside the band" if not outside else f"outside at {counted(outside, 'point')}"
        parts.append(f"{name}: {where}, largest difference {most}")
    return "; ".join(parts)


def _patients(found: Findings) -> list[Block]:
    assert found.lopo is not None
    blocks: list[Block] = []
    folds, names = found.lopo.patients, found.names.trained
    if len(folds) <= MAX_DRAWN_PATIENTS:
        blocks.append(_patient_picture(found))
    lost = folds[folds["status"] != "ok"]
    heads = (
        Column("Patient"),
        Column("Sites", numeric=True),
        Column("Log predictive density", numeric=True),
        Column("Pareto k", numeric=True),
    )
    rows = [
        (
            names.patient(label),
            f"{row['n_scored']:.0f}",
            number(row["elpd"]),
            number(row["pareto_k"]),
        )
        for label, row in folds.iterrows()
    ]
    blocks.append(
        Table(
            "Patients left out",
            heads,
            rows,
            "Log predictive density: joint, of all measured doses of the patient, in 1/Gy for each "
            "site; higher is better. Pareto k: how well the fold could be computed.",
        )
    )
    if len(lost):
        said = [
            f"{names.patient(label)}: {found.names.text(row['status'])}."
            for label, row in lost.iterrows()
        ]
        blocks += [Notice("caution", "Incomplete.", "Some folds lost something:"), Points(said)]
    return blocks


def _patient_picture(found: Findings) -> Picture:
    data = patient_calibration_data(found.lopo)
    table = data.assign(patient_id=[found.names.trained.patient(p) for p in data["patient_id"]])
    far = table[table["p_value"] < 0.05]
    who = ", ".join(far["patient_id"]) or "none"
    values = table["chi2_per_site"].to_numpy(float)
    return png(
        plot_patient_calibration(table),
        alt=f"All sites of a patient at once: squared distance from the prediction, per site, "
        f"between {number(float(np.min(values)))} and {number(float(np.max(values)))}. Patients "
        f"outside of what was predicted (p below 0.05): {who}.",
        caption="All sites of a patient at once: far right, the patient lies outside what was "
        "predicted; all far left, the predictions are too wide. One in twenty lies outside by "
        "chance.",
    )
