"""502 men of a trial of oestrogen in prostate cancer: overall survival, with every step told.

Byar and Greene's trial (stage 3 and 4, diethylstilbestrol; in Andrews and Herzberg 1985) is real
and public. This script fits Cox models of overall survival: by maximum likelihood, beside R's
survival on the same rows; with shrinkage priors; and with a baseline hazard for each stage. It
tests proportional hazards, gives the cross-validated concordance with its interval, risks of death
at 24 and 48 months with their calibration for men left out, and tertiles of risk learnt in folds.

The table is not part of bayesdose. Name its folder by --data, or by BAYESDOSE_TEST_DATA; it is read
from there and no row of it is printed or written.

    python examples/prostate_survival.py --data FOLDER [--out FOLDER] [--quick]
"""

import argparse
import os
import sys
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesdose as bd
from bayesdose import evaluate, report, risk

HORIZONS = (24.0, 48.0)
# R 4.2.2, survival 3.5-3, coxph, Efron's ties, the same rows: any death, and death of the cancer
REFERENCE = pd.DataFrame(
    {
        "stage 4": (-0.212128515, 0.1091958188),
        "oestrogen 5 mg": (0.104084263, -0.4630503950),
        "age": (0.019680454, -0.0223517365),
        "weight index": (-0.010024208, -0.0018775441),
        "cardiovascular history": (0.552640282, 0.1395798027),
        "haemoglobin": (-0.070780436, -0.1346214371),
        "tumour size": (0.015130345, 0.0389250628),
        "stage/grade index": (0.100059515, 0.2276339236),
        "log acid phosphatase": (0.036861948, 0.1807982766),
        "bone metastases": (0.219539393, 0.1471392133),
    },
    index=["any death", "death of the cancer"],
).T
PER = {
    "age": "10 years",
    "weight index": "10",
    "haemoglobin": "g/dL",
    "tumour size": "10 cm2",
    "stage/grade index": "point",
    "log acid phosphatase": "factor e",
}
SCALE = {"age": 10.0, "weight index": 10.0, "tumour size": 10.0}
TREATMENT = ["oestrogen 0.2 mg", "oestrogen 1 mg", "oestrogen 5 mg"]
WIDTHS = [bd.Normal(0.0, sd) for sd in (0.05, 0.15, 0.5)]


def main(argv: Sequence[str] | None = None) -> None:
    """Read the table, fit, validate, print, and write tables and pictures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=os.environ.get("BAYESDOSE_TEST_DATA"))
    parser.add_argument("--out", type=Path, help="folder for tables (CSV) and pictures (PNG)")
    parser.add_argument("--quick", action="store_true", help="no horseshoe, fewer repeats")
    arguments = parser.parse_args(argv)
    if not arguments.data:
        sys.exit("name the folder of tables: --data FOLDER, or BAYESDOSE_TEST_DATA=FOLDER")
    path = Path(arguments.data) / "byar_greene_prostate" / "prostate.csv"
    if not path.is_file():
        sys.exit(f"{path} is not there: --data names the folder that holds byar_greene_prostate")
    X, y, cancer, patients = complete_cases(pd.read_csv(path))
    agreement = beside_r(X, y, cancer)
    ratios, hazards = fit_models(X, y, arguments.quick)
    scores, folds = discrimination(X, y, patients, arguments.quick)
    score, train_scores, dead_by = out_of_fold(X, y, folds)
    calibrated, found = calibration(y, dead_by)
    groups, shown = tertiles(y, score, train_scores, folds)
    print()
    for line in conclusions(len(X), y, cancer, agreement, scores, calibrated):
        print(textwrap.fill(line, 98, subsequent_indent="  "))
    if arguments.out is None:
        return
    tables = {
        "beside_r": agreement,
        "hazard_ratios": report.hazard_ratios_data(ratios),
        "proportional_hazards": hazards,
        "concordance": scores,
        "calibration": calibrated,
        "risk_groups": groups,
    }
    write(tables, arguments.out)
    pictures = {
        "hazard_ratios": (report.plot_hazard_ratios(ratios), "Death of any cause"),
        "calibration": (
            report.plot_risk_calibration(found),
            "Risk of death of any cause, men left out of the fit",
        ),
        "kaplan_meier": (
            report.plot_kaplan_meier(shown, unit="months"),
            "Death of any cause; tertiles of risk learnt in folds",
        ),
    }
    for name, (axes, title) in pictures.items():
        entitle(axes, title)
        report.save_figure(axes, arguments.out / f"{name}.png")


def complete_cases(
    table: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.Series, pd.Series]:
    """Covariates, time and death of any cause, death of the cancer, patient; complete rows only."""
    X = pd.DataFrame(
        {
            "stage 4": table["stage"] == 4,
            "oestrogen 0.2 mg": table["rx"] == "0.2 mg estrogen",
            "oestrogen 1 mg": table["rx"] == "1.0 mg estrogen",
            "oestrogen 5 mg": table["rx"] == "5.0 mg estrogen",
            "age": table["age"],
            "weight index": table["wt"],
            "not fully active": table["pf"] != "normal activity",
            "cardiovascular history": table["hx"],
            "haemoglobin": table["hg"],
            "tumour size": table["sz"],
            "stage/grade index": table["sg"],
            "log acid phosphatase": np.log(table["ap"]),
            "bone metastases": table["bm"],
        }
    ).astype(float)
    missing = X.isna().sum()
    kept = X.notna().all(axis=1)
    # the day of randomisation counts as half a month: a time must be above 0
    y = pd.DataFrame(
        {"event": table["status"] != "alive", "time": table["dtime"].where(table["dtime"] > 0, 0.5)}
    )
    cancer = table["status"] == "dead - prostatic ca"
    lacking = ", ".join(f"{name} {n}" for name, n in missing[missing > 0].items())
    print(
        f"{len(table)} men, {y['event'].sum()} deaths, {cancer.sum()} of them of prostate cancer; "
        f"{(table['dtime'] == 0).sum()} times of 0 months are\ntaken as 0.5. {kept.sum()} men and "
        f"{y['event'][kept].sum()} deaths have all covariates; {(~kept).sum()} men are left out,"
        f"\nmissing: {lacking}."
    )
    return X[kept], y[kept], cancer[kept], table.loc[kept, "patno"]


def beside_r(X: pd.DataFrame, y: pd.DataFrame, cancer: pd.Series) -> pd.DataFrame:
    """Estimates of maximum likelihood beside R's, of any death and of death of the cancer."""
    columns, table = list(REFERENCE.index), REFERENCE.add_suffix(", R")
    for cause, event in (("any death", y["event"]), ("death of the cancer", cancer)):
        model = bd.CoxModel(bd.Flat(), inference="mode").fit(X[columns], y.assign(event=event))
        table[f"{cause}, bayesdose"] = pd.Series(model.coef_, index=columns)
    table = table[sorted(table)]
    print("\nLog hazard ratios by maximum likelihood (Efron), per unit as tabulated")
    print(table.round(6).to_string())
    return table


def scaled(X: pd.DataFrame) -> pd.DataFrame:
    """The same covariates in units whose hazard ratios can be read."""
    return X.assign(**{name: X[name] / unit for name, unit in SCALE.items()})


def fit_models(
    X: pd.DataFrame, y: pd.DataFrame, quick: bool
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """All covariates: maximum likelihood, horseshoe, and a baseline hazard for each stage."""
    X = scaled(X)
    flat = bd.CoxModel(bd.Flat(), inference="mode").fit(X, y)
    # about half of the covariates are expected to matter
    slope = bd.RegularizedHorseshoe(expected_nonzero=X.shape[1] // 2)
    shrunk = bd.CoxModel(
        bd.Normal(0, 0.5) if quick else slope,
        inference="mode" if quick else "nuts",
        progress=False,
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", risk.SamplingWarning)
        shrunk.fit(X, y)
    strata = bd.CoxModel(bd.Normal(0, 0.5), strata="stage 4", inference="mode").fit(X, y)
    models = {
        "maximum likelihood": flat,
        "Normal(0, 0.5)" if quick else "horseshoe": shrunk,
        "stages apart": strata,
    }
    ratios = {}
    for name, model in models.items():
        table = model.summary().rename_axis(None)
        ratios[name] = table.assign(per=[PER.get(c, "") for c in table.index])
    print(
        "\nHazard ratios of death of any cause (95 % intervals); with stages apart: Normal(0, 0.5)"
    )
    print(
        pd.DataFrame({name: interval(table) for name, table in ratios.items()})
        .reindex(X.columns)
        .fillna("")
        .to_string()
    )
    for one in caught:
        print(textwrap.fill(f"* {one.category.__name__}: {one.message}", 98))
    hazards = strata.check_proportional_hazards()
    print(f"\n{textwrap.fill(f'Proportional hazards within stages: {hazards.verdict}', 98)}")
    print(hazards.table.round(3).to_string())
    return ratios, hazards.table


def interval(table: pd.DataFrame) -> pd.Series:
    """Hazard ratios with their intervals as text."""
    ends = table[["hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper"]]
    return ends.apply(lambda row: "{:.2f} ({:.2f}-{:.2f})".format(*row), axis=1)


def discrimination(
    X: pd.DataFrame, y: pd.DataFrame, patients: pd.Series, quick: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """Nested, repeated cross-validation of C: the width of the prior is tuned in inner folds."""
    found = evaluate.cross_validate(
        bd.CoxModel(inference="mode", draws=200),
        X,
        y,
        groups=patients,
        n_repeats=1 if quick else 5,
        param_grid={"slope": WIDTHS},
        progress=False,
    )
    apparent = bd.CoxModel(inference="mode").fit(X, y).score(X, y)
    table = found.summary()[["mean", "lower", "upper", "n_folds"]]
    chosen = found.folds["param_slope"].map(str).value_counts()
    print(f"\nConcordance, nested cross-validation; apparent Harrell's C {apparent:.3f}")
    print(table.round(3).to_string())
    print(f"Priors chosen: {', '.join(f'{k} in {n} folds' for k, n in chosen.items())}")
    one = found.predictions[found.predictions["repeat"] == 0].sort_values("row")
    return table.assign(apparent=[apparent, np.nan]), one["fold"].to_numpy()


def out_of_fold(
    X: pd.DataFrame, y: pd.DataFrame, folds: np.ndarray
) -> tuple[np.ndarray, dict[int, np.ndarray], dict[float, np.ndarray]]:
    """Risk score and risks of death by the horizons, each man by the model without his fold."""
    score, at = np.zeros(len(X)), np.zeros((len(X), len(HORIZONS)))
    train_scores = {}
    for fold in np.unique(folds):
        test, train = folds == fold, folds != fold
        model = bd.CoxModel(inference="mode", draws=1000).fit(X[train], y[train])
        score[test] = model.predict(X[test])
        train_scores[int(fold)] = model.predict(X[train])
        alive = model.predict_survival_function(X[test], times=HORIZONS, return_array=True)
        at[test] = 1.0 - alive
    return score, train_scores, dict(zip(HORIZONS, at.T, strict=True))


def calibration(
    y: pd.DataFrame, dead_by: dict[float, np.ndarray]
) -> tuple[pd.DataFrame, dict[str, evaluate.RiskCalibration]]:
    """Whether the risks of men left out are right."""
    found = {
        f"{horizon:g} months": evaluate.risk_calibration_survival(
            y["time"], y["event"], dead, horizon
        )
        for horizon, dead in dead_by.items()
    }
    columns = ["slope", "slope_lower", "slope_upper", "observed_expected", "observed", "ici"]
    table = pd.DataFrame({k: {c: getattr(v, c) for c in columns} for k, v in found.items()}).T
    for horizon, dead in dead_by.items():
        brier = evaluate.brier_survival(y["time"], y["event"], 1.0 - dead[:, None], [horizon])
        table.loc[f"{horizon:g} months", ["brier", "null"]] = brier.loc[0, ["brier", "null"]]
    print("\nRisk of death for men left out: calibration and Brier score")
    print(table.astype(float).round(3).to_string())
    return table, found


def tertiles(
    y: pd.DataFrame, score: np.ndarray, train_scores: dict[int, np.ndarray], folds: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Thirds of risk, cut at the tertiles of the training men of each fold."""
    label = evaluate.label_out_of_fold(score, folds, train_scores, "tertiles")
    shown = evaluate.kaplan_meier(y["time"], y["event"], by=label)
    medians = evaluate.median_survival(y["time"], y["event"], by=label).set_index("group")
    mean = evaluate.restricted_mean(y["time"], y["event"], 60.0, by=label).table.set_index("group")
    table = medians.join(mean[["rmst", "se"]])
    trend = evaluate.log_rank(y["time"], y["event"], label, trend=True)
    print("\nTertiles of risk learnt in folds: median survival and mean up to 60 months")
    print(table.round(1).to_string())
    print(f"Log-rank test for trend: p = {trend.p_value:.2g}; the men share their training sets.")
    return table, shown


def conclusions(
    n: int,
    y: pd.DataFrame,
    cancer: pd.Series,
    agreement: pd.DataFrame,
    scores: pd.DataFrame,
    calibrated: pd.DataFrame,
) -> list[str]:
    """What the trial shows here and what not, with this run's figures."""
    furthest = max(
        (agreement[f"{cause}, R"] - agreement[f"{cause}, bayesdose"]).abs().max()
        for cause in REFERENCE
    )
    ratio = calibrated["observed_expected"]
    ends = calibrated[["slope", "slope_lower", "slope_upper"]]
    slopes = " and ".join("{:.2f} ({:.2f} to {:.2f})".format(*row) for row in ends.to_numpy())
    c, oestrogen = scores.loc["harrell_c"], np.exp(agreement.loc["oestrogen 5 mg"])
    return [
        f"* Maximum likelihood agrees with R's survival to {furthest:.0e}.",
        f"* Concordance is {c['apparent']:.2f} on the men it was fitted to and {c['mean']:.2f} "
        f"({c['lower']:.2f} to {c['upper']:.2f}) on men left out.",
        f"* Deaths of men left out are as many as predicted ({ratio.iloc[0]:.2f} and "
        f"{ratio.iloc[1]:.2f} times by {HORIZONS[0]:g} and {HORIZONS[1]:g} months). Slopes of "
        f"{slopes} say whether high and low risks are too far apart (below 1). All of it holds "
        "for men of this trial, which was done decades ago; no other men were asked.",
        f"* Overall survival is what is modelled: {cancer.sum()} of the {y['event'].sum()} deaths "
        "here were of prostate cancer, the others compete with it. The hazard ratio of 5 mg of "
        "oestrogen against the other arms is "
        f"{oestrogen['any death, bayesdose']:.2f} for any death and "
        f"{oestrogen['death of the cancer, bayesdose']:.2f} for that of the cancer, other deaths "
        "counted as end of follow-up. The second is a ratio of hazards, not of risks: a "
        "probability to die of the cancer needs a model of both kinds of death.",
        f"* The {n} men are those with nothing missing; that the others are like them is assumed.",
    ]


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as CSV, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        partial = folder / f".{name}.csv.partial"
        table.to_csv(partial)
        os.replace(partial, folder / f"{name}.csv")
    print(f"\ntables and pictures written to {folder}")


def entitle(axes: Any, title: str) -> None:
    """Say above a picture what it is of."""
    figure = np.ravel(axes)[0].figure
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="#222222")


if __name__ == "__main__":
    main()
