"""Compare the mechanism generator with published figures and write the table of both.

Run from the repository's root: ``python tests/references/realism/realism.py``.
"""

import os
from pathlib import Path

import numpy as np
import pandas as pd

from bayesdose.simulate import dose_cohort

N_PATIENTS = 2000
N_FOLDS = 10
SEEDS = range(1, 21)
FOLDER = Path(__file__).parent

# Quantity: (lower, upper, where the band comes from).
BANDS: dict[str, tuple[float, float, str]] = {
    "kidney: log-sd of Gy/GBq": (0.22, 0.36, "Peters 2022; VISION sub-study (memory)"),
    "salivary gland: log-sd of Gy/GBq": (0.37, 0.47, "Peters 2022: 0.42"),
    "lesion: log-sd of Gy/GBq": (0.80, 0.95, "Peters 2022: 0.82; Voelter 2021: 0.93"),
    "kidney: median Gy/GBq": (0.40, 0.50, "Peters 2022; VISION sub-study (memory)"),
    "salivary gland: median Gy/GBq": (0.35, 0.55, "Peters 2022: 0.36; VISION: 0.55 (memory)"),
    "lesion: median Gy/GBq": (1.8, 3.3, "Peters 2022: 2.3; Baum 2016: 3.3 (memory)"),
    "kidney: r of log SUVmean and log Gy/GBq": (0.4, 0.7, "organs: 0.61 (n = 9)"),
    "salivary gland: r of log SUVmean and log Gy/GBq": (0.4, 0.7, "parotid: 0.67 (memory)"),
    "lesion: r of log SUVmean and log Gy/GBq": (0.5, 0.8, "Violet 2019: 0.62 (memory)"),
    "left and right kidney within 15 %: share of patients": (0.95, 1.0, "assumption"),
    "r of log tumour volume and log kidney Gy/GBq": (-0.6, -0.3, "-0.58 (n = 13)"),
    "lesions a patient: fewest": (1, 1, "design"),
    "lesions a patient: most": (15, 15, "design"),
    "lesions below 5 mL: share": (0.5, 0.8, "autoPET III: 0.69 of those above 1 mL"),
    "lesion SUVmean/SUVmax, 1 to 1.5 mL: median": (0.58, 0.68, "autoPET III: 0.63"),
    "lesion SUVmean/SUVmax, 25 to 50 mL: median": (0.37, 0.46, "autoPET III: 0.42"),
    "kidney: mean SUVmean": (18.0, 22.0, "18F-DCFPyL, Li 2017: 19.4 to 20.1"),
    "salivary gland: mean SUVmean": (8.0, 10.0, "18F-DCFPyL, Li 2017: 9.0 to 9.6"),
    "two-term baseline, lesions: patient-wise log-R2": (0.2, 0.5, "177Lu-DOTATATE: 0.37"),
}


def measure_realism(frame: pd.DataFrame) -> dict[str, float]:
    """Figures of one simulated cohort, in the order of ``BANDS``."""
    frame = frame.assign(
        log_dose=np.log(frame["absorbed_dose_gy"] / frame["administered_activity_gbq"]),
        log_suv=np.log(frame["suv_mean"]),
        log_volume=np.log(frame["volume_ml"]),
        log_burden=np.log(frame["psma_tv_ml"]),
        mean_over_max=frame["suv_mean"] / frame["suv_max"],
    )
    kidney, gland, lesion = (
        frame[frame["tissue"] == word] for word in ("kidney", "salivary_gland", "tumour")
    )
    pair = kidney.pivot_table(index="patient_id", columns="site_id", values="log_dose")
    fold_change = np.exp((pair["kidney_left"] - pair["kidney_right"]).abs())
    lesions = lesion.groupby("patient_id").size()
    small, large = lesion["volume_ml"].between(1.0, 1.5), lesion["volume_ml"].between(25.0, 50.0)
    values = [
        *(one["log_dose"].std() for one in (kidney, gland, lesion)),
        *(float(np.exp(one["log_dose"].median())) for one in (kidney, gland, lesion)),
        *(one["log_suv"].corr(one["log_dose"]) for one in (kidney, gland, lesion)),
        (fold_change < 1.15).mean(),
        kidney["log_burden"].corr(kidney["log_dose"]),
        lesions.min(),
        lesions.max(),
        (lesion["volume_ml"] < 5.0).mean(),
        lesion.loc[small, "mean_over_max"].median(),
        lesion.loc[large, "mean_over_max"].median(),
        kidney["suv_mean"].mean(),
        gland["suv_mean"].mean(),
        patient_wise_log_r2(lesion),
    ]
    return dict(zip(BANDS, map(float, values), strict=True))


def patient_wise_log_r2(lesion: pd.DataFrame) -> float:
    """Cross-validated R2 of log Gy/GBq on log SUVmean and log volume, whole patients held out."""
    fold = pd.factorize(lesion["patient_id"])[0] % N_FOLDS
    design = np.column_stack([np.ones(len(lesion)), lesion[["log_suv", "log_volume"]].to_numpy()])
    observed = lesion["log_dose"].to_numpy()
    predicted, mean = np.empty(observed.size), np.empty(observed.size)
    for held_out in range(N_FOLDS):
        train = fold != held_out
        slope = np.linalg.lstsq(design[train], observed[train])[0]
        predicted[~train] = design[~train] @ slope
        mean[~train] = observed[train].mean()
    return 1.0 - float(np.sum((observed - predicted) ** 2) / np.sum((observed - mean) ** 2))


def make_table() -> pd.DataFrame:
    runs = pd.DataFrame(
        [measure_realism(dose_cohort(N_PATIENTS, random_seed=seed)) for seed in SEEDS]
    )
    return pd.DataFrame(
        {
            "quantity": list(BANDS),
            "simulated": runs.iloc[0].to_numpy(),
            "sd_between_cohorts": runs.std().to_numpy(),
            "lower": [band[0] for band in BANDS.values()],
            "upper": [band[1] for band in BANDS.values()],
            "band_from": [band[2] for band in BANDS.values()],
        }
    )


def as_markdown(table: pd.DataFrame) -> str:
    lines = [
        f"# The mechanism generator beside published figures, {N_PATIENTS} simulated patients",
        "",
        f"Seed {SEEDS[0]}; the SD is that between {len(SEEDS)} cohorts of that size. Written by "
        "`realism.py`.",
        "",
        "| quantity | simulated | SD between cohorts | band | band from |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.quantity} | {row.simulated:.3g} | {row.sd_between_cohorts:.2g} "
        f"| {row.lower:g} to {row.upper:g} | {row.band_from} |"
        for row in table.itertuples()
    ]
    return "\n".join(lines) + "\n"


def replace_file(path: Path, text: str) -> None:
    partial = path.with_suffix(path.suffix + ".part")
    partial.write_text(text, encoding="utf-8", newline="\n")
    os.replace(partial, path)


if __name__ == "__main__":
    realism = make_table()
    replace_file(FOLDER / "realism.csv", realism.to_csv(index=False, float_format="%.5g"))
    replace_file(FOLDER / "realism.md", as_markdown(realism))
