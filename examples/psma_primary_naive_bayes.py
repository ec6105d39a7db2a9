"""94 men at staging and 23 followed up: what a multimodal naive Bayes of such cohorts can say.

A study of primary prostate cancer on PSMA PET (PLoS One e0349825) joined a network's reading of
the scan with six clinical and imaging inputs in a naive Bayes model, learnt from 94 men with or
without synchronous metastases, and tried it on 23 other men, 10 of whom got metastases later. Its
patients are not public. This script runs the same analysis on a SIMULATED cohort of that size.

It does what the study did - 50 splits into 0.5, 0.2 and 0.3, the one that is best on its
validation set, areas under the curve, the order of the inputs by Shapley values, Kaplan and
Meier's curves - and beside each figure puts the one that a careful reader would ask for. As the
men are simulated, the true area is known too. How the study split its men and chose a run, and
the cut-offs of the PSMA-expression score, are from memory.

    python examples/psma_primary_naive_bayes.py [--out FOLDER] [--quick]
"""

import argparse
import os
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.model_selection import train_test_split

import bayesdose as bd
from bayesdose import evaluate
from bayesdose.evaluate import CrossValidation, OptimismWarning, RiskGroups
from bayesdose.risk import scores

SEED = 1
N_RUNS = 50
N_NEW = 5_000
# Inputs in the published order of their Shapley values; the network's score as its logit.
LIKELIHOODS = {
    "CNN score": "gaussian",
    "PSA": "lognormal",
    "grade group": "ordinal",
    "% positive cores": "gaussian",
    "PRIMARY score": "ordinal",
    "PSMA-expression score": "ordinal",
    "peak uptake": "lognormal",
}
# The abstract's figures: the paper's Results text gives 0.82 and 0.72 the other way round.
PUBLISHED_AT_STAGING = {"multimodal": (0.82, 0.69, 0.92), "CNN score": (0.72, np.nan, np.nan)}
PUBLISHED_LATER = {
    "multimodal": (0.839, 0.6763, 1.000, 0.0064),
    "CNN score": (0.723, 0.497, 0.949, 0.072),
    "CAPRA": (0.742, 0.550, 0.934, 0.051),
    "UCLA PSMA score": (0.677, 0.457, 0.896, 0.1538),
}
N_METASTASES, N_EVENTS, N_LATER = 45, 10, 23
SURROGATE = "UCLA surrogate"
STUDY_WAY, HONEST = "multimodal, chosen run's test set", "multimodal, cross-validated"


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, fit, compare, print, and write tables and pictures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for tables (CSV) and pictures (PNG)")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and resamples")
    arguments = parser.parse_args(argv)
    n_repeats, n_boot = (2, 50) if arguments.quick else (10, 200)

    cohort = bd.simulate.primary_tumour_cohort(
        n_metastases=N_METASTASES, n_events=N_EVENTS, random_seed=SEED
    )
    staged, later = cohort.synchronous, cohort.metachronous
    x, y = inputs(staged), staged["metastasis"].to_numpy()
    model = bd.MultimodalNaiveBayes(LIKELIHOODS).fit(x, y)
    others = bd.simulate.primary_tumour_cohort(N_NEW, 1, random_seed=SEED + 1).synchronous
    new = inputs(others), others["metastasis"].to_numpy()
    runs = split_runs(x, y, new)
    recalibrated = bd.risk.Recalibrated(model, random_state=SEED)
    validations = {
        name: validated(pipeline, staged, n_repeats)
        for name, pipeline in (("raw", model), ("recalibrated", recalibrated))
    }
    risks = {name: out_of_fold(found) for name, found in validations.items()}
    calibration = {name: evaluate.risk_calibration(y, risk) for name, risk in risks.items()}
    estimates = at_staging(model, runs, validations, new)
    single = later_scores(model, staged, later)
    areas, against_capra = later_areas(later["event"].to_numpy(), single)
    published = published_beside_reproduced(runs, staged, validations["raw"], areas)
    order = shapley_order(model, x, y, n_boot)
    shown, warned = later_groups(risks["raw"][~y], model, later)
    groups = pd.concat([group_table(name, found) for name, found in shown.items()])

    missing = [int(men["cnn_score"].isna().sum()) for men in (staged, later)]
    print("Both cohorts are SIMULATED. The study's patients are not public.")
    print(
        f"{len(staged)} men at staging, {y.sum()} with metastases; {len(later)} followed up, "
        f"{later['event'].sum()} with metastases later."
    )
    print(
        f"{missing[0]} and {missing[1]} men have no tumour that a network could read: their CNN "
        "score is left out exactly, not imputed (the study left out 4).\n"
    )
    print("Published, and the same analysis here")
    hidden = ["logit from", "logit to", "note"]
    exact = dict.fromkeys(published, 3) | dict.fromkeys(["from", "p", "p again"], 4)
    print(published.drop(columns=hidden).round(exact).to_string(na_rep=""))
    print(
        "The paper contradicts itself: its Results text gives 0.82 to the CNN and 0.72 to the "
        "multimodal model;\nthe abstract's order is used. Its p-values are those of Mann and "
        f"Whitney for {N_EVENTS} and {N_LATER - N_EVENTS} men\n(p again, from the area alone), not "
        f"DeLong's. {SURROGATE}: ours, not the UCLA PSMA score, and never validated."
    )
    print(f"\nArea under the curve at staging; {N_RUNS} splits into 0.5, 0.2 and 0.3")
    print(estimates.round(3).to_string(na_rep=""))
    print("\nMen followed up: DeLong's interval, Wald's cut at 0 and 1, Mann and Whitney's p")
    print(areas.round(3).to_string())
    print("\nMultimodal minus CAPRA, paired")
    print(against_capra.round(3).to_string())
    print("\nCalibration at staging, men left out of the fit (one repeat)")
    calibrated = calibration_table(calibration, validations)
    print(calibrated.round(3).to_string())
    print(f"\nOrder of the inputs by mean size of their Shapley values; {n_boot} resamples of men")
    print(order.round(2).to_string())
    print("\nTime to metastasis, months, by risk group")
    print(groups.round(3).to_string())
    print("inf: not reached")
    print()
    said = [f"Warning of the last cut-off: {warned}", ""]
    said += conclusions(runs, estimates, areas, against_capra, order, calibration)
    for line in said:
        print(textwrap.fill(line, 98, subsequent_indent="  "))
    if arguments.out is not None:
        tables = {
            "published_beside_reproduced": published.assign(
                source="published, and simulated (here)"
            ),
            "runs": runs,
            "at_staging": estimates,
            "folds": validations["raw"].folds,
            "later_areas": areas,
            "against_capra": against_capra,
            "calibration": calibrated,
            "shapley_order": order,
            "risk_groups": groups,
        }
        write(tables, arguments.out)
        terms = model.contributions(x)
        pictures = {
            "shapley_bars": (bd.report.plot_contributions(terms), "Metastases at staging"),
            "shapley_beeswarm": (
                bd.report.plot_contributions_beeswarm(terms, x),
                "Metastases at staging",
            ),
            **pictures_at_staging(y, risks, calibration),
            **pictures_later(later["event"].to_numpy(), single, shown),
        }
        for name, (axes, title) in pictures.items():
            entitle(axes, title)
            bd.report.save_figure(axes, arguments.out / f"{name}.png")


def inputs(men: pd.DataFrame) -> pd.DataFrame:
    """Table of the model's inputs; levels are named, so that none is unknown in a small fold."""
    return pd.DataFrame(
        {
            "CNN score": logit(men["cnn_score"]),
            "PSA": men["psa_ng_ml"],
            "grade group": graded(men["grade_group"], 1, 5),
            "% positive cores": men["percent_positive_cores"],
            "PRIMARY score": graded(men["primary_score"], 1, 5),
            "PSMA-expression score": graded(men["psma_expression_score"], 0, 3),
            "peak uptake": men["suv_peak"],
        },
        index=men.index,
    )


def graded(values: pd.Series, low: int, high: int) -> pd.Categorical:
    """Whole numbers as levels in order, those that nobody has among them."""
    return pd.Categorical(values, categories=range(low, high + 1), ordered=True)


def split_runs(
    x: pd.DataFrame, y: np.ndarray, new: tuple[pd.DataFrame, np.ndarray]
) -> pd.DataFrame:
    """The study's way: areas of 50 random splits, and which run is best on its validation set."""
    n_train, n_test = round(0.5 * len(y)), round(0.3 * len(y))
    rows = []
    for run in range(N_RUNS):
        train, rest = train_test_split(
            np.arange(len(y)), train_size=n_train, stratify=y, random_state=run
        )
        validation, test = train_test_split(
            rest, test_size=n_test, stratify=y[rest], random_state=run
        )
        model = bd.MultimodalNaiveBayes(LIKELIHOODS).fit(x.iloc[train], y[train])
        found = evaluate.auc(y[test], model.decision_function(x.iloc[test]))
        rows.append(
            {
                "n_train": len(train),
                "n_validation": len(validation),
                "n_test": len(test),
                "validation": area(y[validation], model.decision_function(x.iloc[validation])),
                "test": found.auc,
                "test_lower": found.lower,
                "test_upper": found.upper,
                "new_men": area(new[1], model.decision_function(new[0])),
            }
        )
    runs = pd.DataFrame(rows, index=pd.RangeIndex(N_RUNS, name="run"))
    return runs.assign(chosen=runs.index == runs["validation"].idxmax())


def area(y: Any, score: Any) -> float:
    """Area under the curve without an interval: sets are small, and one may be perfect."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the area is", category=UserWarning)
        return evaluate.auc(y, score).auc


def validated(model: Any, staged: pd.DataFrame, n_repeats: int) -> CrossValidation:
    """Repeated stratified folds; what the pipeline learns, it learns inside the training fold."""
    return evaluate.cross_validate(
        model,
        inputs(staged),
        staged["metastasis"].to_numpy(),
        groups=staged["patient_id"],
        n_folds=5,
        n_repeats=n_repeats,
        random_seed=SEED,
        progress=False,
    )


def out_of_fold(found: CrossValidation) -> np.ndarray:
    """Risk of each man by a model that did not know him, of the first repeat."""
    first = found.predictions.query(f"repeat == {found.predictions['repeat'].min()}")
    return first.set_index("row")["risk"].sort_index().to_numpy()


def at_staging(
    model: bd.MultimodalNaiveBayes,
    runs: pd.DataFrame,
    validations: dict[str, CrossValidation],
    new: tuple[pd.DataFrame, np.ndarray],
) -> pd.DataFrame:
    """Estimates of one quantity, from the most hopeful to the truth."""
    chosen = runs[runs["chosen"]].iloc[0]
    others = runs["test"]
    folds = {
        name: validations["raw"].summary(correlation=kind).loc["auc"]
        for name, kind in (("shared pairs", "no_signal"), ("Nadeau-Bengio", "nadeau_bengio"))
    }
    truth = area(new[1], model.decision_function(new[0]))
    rows = {
        "chosen run, its validation set": (chosen["validation"], np.nan, np.nan),
        "chosen run, its test set": (chosen["test"], chosen["test_lower"], chosen["test_upper"]),
        f"mean of {N_RUNS} test sets (2.5 to 97.5 % of runs)": (
            others.mean(),
            *others.quantile([0.025, 0.975]),
        ),
        **{
            f"cross-validated, interval of {name}": (line["mean"], line["lower"], line["upper"])
            for name, line in folds.items()
        },
        f"truth of the chosen run's model: {N_NEW} new men": (chosen["new_men"], np.nan, np.nan),
        f"truth of the model of all men: {N_NEW} new men": (truth, np.nan, np.nan),
    }
    return pd.DataFrame(rows, index=["auc", "lower", "upper"]).T


def later_scores(
    model: bd.MultimodalNaiveBayes, staged: pd.DataFrame, later: pd.DataFrame
) -> pd.DataFrame:
    """What each score says of the men followed up; higher is worse by what is known of each."""
    clinic = ["age_y", "psa_ng_ml", "gleason_primary", "gleason_secondary", "clinical_t"]
    surrogate = scores.ucla_psma_surrogate(
        later["grade_group"],
        later["percent_positive_cores"],
        reference_grade_group=staged["grade_group"],
        reference_percent_positive_cores=staged["percent_positive_cores"],
    )
    return pd.DataFrame(
        {
            "multimodal": model.predict_proba(inputs(later))[:, 1],
            "CAPRA": scores.capra(*(later[c] for c in clinic), later["percent_positive_cores"]),
            SURROGATE: surrogate,
        },
        index=later.index,
    ).join(inputs(later).astype(float))


def later_areas(event: np.ndarray, single: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Area of each score with its intervals, and the multimodal model against CAPRA."""
    rows = {}
    for name, score in single.items():
        known = score.notna().to_numpy()
        found = evaluate.auc(event[known], score[known])
        rows[name] = {
            "auc": found.auc,
            "lower": found.lower,
            "upper": found.upper,
            "wald_lower": found.wald[0],
            "wald_upper": found.wald[1],
            "p_value": found.p_value,
            "n_events": found.n_cases,
            "n_others": found.n_controls,
        }
    paired = evaluate.compare_auc(event, single["multimodal"], single["CAPRA"])
    columns = ["difference", "lower", "upper", "p_value"]
    against = pd.DataFrame([[getattr(paired, c) for c in columns]], ["difference"], columns)
    return pd.DataFrame(rows).T.astype({"n_events": int, "n_others": int}), against


def published_beside_reproduced(
    runs: pd.DataFrame, staged: pd.DataFrame, validation: CrossValidation, areas: pd.DataFrame
) -> pd.DataFrame:
    """Published figures, what follows from them alone, and the simulated cohort's."""
    chosen = runs[runs["chosen"]].iloc[0]
    line = validation.summary().loc["auc"]
    seen = staged.dropna(subset="cnn_score")
    cnn = evaluate.auc(seen["metastasis"], seen["cnn_score"])
    none = (np.nan,) * 3
    found = {
        ("staging", STUDY_WAY): (
            PUBLISHED_AT_STAGING["multimodal"],
            (chosen["test"], chosen["test_lower"], chosen["test_upper"]),
            "DeLong; published interval of unknown kind",
        ),
        ("staging", HONEST): (none, tuple(line[["mean", "lower", "upper"]]), "mean of the folds"),
        ("staging", "CNN score"): (
            PUBLISHED_AT_STAGING["CNN score"],
            (cnn.auc, cnn.lower, cnn.upper),
            "DeLong; the abstract's figure, the Results text swaps it with the multimodal one",
        ),
    }
    rows = {
        key: dict(zip(("AUC", "from", "to"), published, strict=True))
        | dict(zip(("AUC here", "from here", "to here"), here, strict=True))
        | {"note": note}
        for key, (published, here, note) in found.items()
    }
    for name, (auc, lower, upper, p_value) in PUBLISHED_LATER.items():
        here = areas.loc[name if name in areas.index else SURROGATE]
        low, high = logit_interval(auc, auc - lower)
        rows["later", name] = {
            "AUC": auc,
            "from": lower,
            "to": upper,
            "p": p_value,
            "p again": mann_whitney(auc),
            "logit from": low,
            "logit to": high,
            "AUC here": here["auc"],
            "from here": here["lower"],
            "to here": here["upper"],
            "p here": here["p_value"],
            "note": "here the labelled surrogate, not the UCLA score"
            if here.name == SURROGATE
            else "p again: from the published area alone",
        }
    columns = ["AUC", "from", "to", "p", "p again", "logit from", "logit to"]
    columns += ["AUC here", "from here", "to here", "p here", "note"]
    return pd.DataFrame(rows).T[columns].rename_axis(["men", "score"]).infer_objects()


def mann_whitney(auc: float) -> float:
    """Two-sided p of an area of 0.5 for as many men as the study followed up, without ties."""
    n_others = N_LATER - N_EVENTS
    return float(2 * norm.sf(abs(auc - 0.5) / np.sqrt((N_LATER + 1) / (12 * N_EVENTS * n_others))))


def logit_interval(auc: float, half_width: float) -> tuple[float, float]:
    """The interval that the published one would be, had it been made on the logit scale."""
    half = half_width / (auc * (1 - auc))
    return float(expit(logit(auc) - half)), float(expit(logit(auc) + half))


def calibration_table(
    calibration: dict[str, Any], validations: dict[str, CrossValidation]
) -> pd.DataFrame:
    """Slope, level and distance of risks of men left out, and the Brier score of all folds."""
    names = ["slope", "slope_lower", "slope_upper", "observed_expected", "ici"]
    return pd.DataFrame(
        {
            key: {name: getattr(found, name) for name in names}
            | {"brier": validations[key].summary().loc["brier", "mean"]}
            for key, found in calibration.items()
        }
    ).T


def shapley_order(
    model: bd.MultimodalNaiveBayes, x: pd.DataFrame, y: np.ndarray, n_boot: int
) -> pd.DataFrame:
    """Published rank beside the rank here, and how the latter moves with the men."""
    size = model.importance(x)["mean_abs_contribution"]
    rng = np.random.default_rng(SEED)
    ranks = []
    for _ in range(n_boot):
        men = rng.integers(len(y), size=len(y))
        again = bd.MultimodalNaiveBayes(LIKELIHOODS).fit(x.iloc[men], y[men])
        ranks.append(again.importance(x.iloc[men])["mean_abs_contribution"].rank(ascending=False))
    moved = pd.DataFrame(ranks).quantile([0.025, 0.975]).T
    return pd.DataFrame(
        {
            "mean_abs_contribution": size,
            "rank_here": size.rank(ascending=False).astype(int),
            "rank_published": pd.Series(range(1, 8), index=list(LIKELIHOODS)),
            "rank_lower": moved[0.025],
            "rank_upper": moved[0.975],
        }
    ).sort_values("rank_here")


def later_groups(
    left_out: np.ndarray, model: bd.MultimodalNaiveBayes, later: pd.DataFrame
) -> tuple[dict[str, RiskGroups], str]:
    """Groups cut where men without metastases at staging are cut, and at the shown men's median.

    The cut-offs come from risks of men who were left out of the fit, as the men followed up were.
    """
    risk = pd.Series(model.predict_proba(inputs(later))[:, 1], index=later.index)
    time, event = later["time_months"], later["event"]
    shown = {
        kind: evaluate.risk_groups(time, event, risk, evaluate.cut_offs(left_out, kind))
        for kind in ("median", "tertiles")
    }
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OptimismWarning)
        own = evaluate.cut_offs(risk, "median")
        shown["median of the men shown"] = evaluate.risk_groups(time, event, risk, own)
    return shown, str(caught[0].message)


def group_table(name: str, shown: RiskGroups) -> pd.DataFrame:
    """Men, events and median of each group, and the tests."""
    medians = shown.medians.set_index("group")[["median", "lower", "upper"]]
    names = list(shown.label.cat.categories)
    table = pd.DataFrame(
        {
            "n": shown.label.value_counts().loc[names].to_numpy(),
            "n_events": shown.curves.groupby("group")["n_events"].sum().loc[names].to_numpy(),
            **{column: medians.loc[names, column].to_numpy() for column in medians},
        },
        index=pd.MultiIndex.from_product([[name], names], names=["cut at", "group"]),
    )
    tests = {"log_rank_p": shown.log_rank.p_value, "trend_p": shown.trend.p_value}
    return table.assign(**tests)


def conclusions(
    runs: pd.DataFrame,
    estimates: pd.DataFrame,
    areas: pd.DataFrame,
    against_capra: pd.DataFrame,
    order: pd.DataFrame,
    calibration: dict[str, Any],
) -> list[str]:
    """What 94 and 23 men can and cannot show, in words and with this run's figures."""
    auc = estimates["auc"]
    chosen = runs[runs["chosen"]].iloc[0]
    mean_test = runs["test"].mean()
    honest = estimates.loc["cross-validated, interval of shared pairs"]
    multimodal = areas.loc["multimodal"]
    paired = against_capra.iloc[0]
    raw = calibration["raw"]
    inside = (areas["lower"] <= 0.5).sum()
    told_apart = honest["lower"] > 0.5
    together = (
        "* That the inputs together tell men with metastases at staging from men without: the "
        f"interval of the cross-validated area {'is above' if told_apart else 'holds'} 0.5."
    )
    return [
        "What selection does:",
        f"* It finds an easy validation set, not a better model. The chosen run has "
        f"{chosen['validation']:.2f} on its {chosen['n_validation']} validation men; its model's "
        f"area in new men is {chosen['new_men']:.2f}, and those of all {N_RUNS} models are "
        f"{runs['new_men'].min():.2f} to {runs['new_men'].max():.2f}. The area by which a run was "
        "chosen is too good by the choice.",
        f"* The chosen run's test area, {chosen['test']:.2f}, is one draw of a wide lot: "
        f"{runs['test'].min():.2f} to {runs['test'].max():.2f} over the runs, {mean_test:.2f} on "
        "average. If anything it is too low: the men who are easy sit in the validation set. "
        f"Chosen by its test set, the run would have shown {runs['test'].max():.2f}.",
        f"* Cross-validation on four fifths of the men says {honest['auc']:.2f} "
        f"({honest['lower']:.2f} to {honest['upper']:.2f}); the truth, known because the men are "
        f"simulated, is {auc.iloc[-1]:.2f}.",
        "",
        "What 94 and 23 men can show:",
        *([together] if told_apart else []),
        f"* That raw risks are too extreme: inputs that share their information are counted as "
        f"if each were new. The slope is {raw.slope:.2f} ({raw.slope_lower:.2f} to "
        f"{raw.slope_upper:.2f}); 1 is right. Recalibration inside the training folds makes it "
        f"{calibration['recalibrated'].slope:.2f}.",
        "",
        "What 94 and 23 men cannot show:",
        *([] if told_apart else [together]),
        f"* How well men followed up are told apart: {multimodal['auc']:.2f}, and anything from "
        f"{multimodal['lower']:.2f} to {multimodal['upper']:.2f}. Of the {len(areas)} scores, "
        f"{inside} have intervals that hold 0.5. The published upper end of 1.000 is 1.002 cut at "
        "1; on the logit scale the same standard error says 0.61 to 0.95.",
        f"* That the model beats CAPRA: the difference is {paired['difference']:.2f} "
        f"({paired['lower']:.2f} to {paired['upper']:.2f}, p = {paired['p_value']:.2f}). Published "
        "were 0.839 and 0.742, whose intervals share most of their length. A p below 0.05 for one "
        "and above for the other is no test of the difference.",
        "* Which input matters more: under resampling of the men "
        f"{(order['rank_upper'] - order['rank_lower'] >= 2).sum()} of {len(order)} inputs move "
        "over three ranks or more. The order is of this model too: inputs that share their "
        "information are each given all of it.",
        "* Where to cut: with 10 events a median time rests on a handful of men, and cut-offs at "
        "the quantiles of the men shown will not part other men alike.",
        "* Anything about real men: the cohort was made to resemble the study's size and areas, "
        "and figures that agree with the published ones say nothing for them.",
    ]


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as CSV, whole or not at all; a column says where its figures are from."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        partial = folder / f".{name}.csv.partial"
        (table if "source" in table else table.assign(source="simulated")).to_csv(partial)
        os.replace(partial, folder / f"{name}.csv")
    print(f"\ntables and pictures written to {folder}")


def pictures_at_staging(
    y: np.ndarray, risks: dict[str, np.ndarray], calibration: dict[str, Any]
) -> dict[str, tuple[Any, str]]:
    """Calibration and decision curves, with titles, of men who were left out of the fit."""
    thresholds = np.arange(0.05, 0.951, 0.01)
    curves = {name: evaluate.decision_curve(y, risk, thresholds) for name, risk in risks.items()}
    return {
        "calibration_at_staging": (
            bd.report.plot_risk_calibration(calibration, probability=risks),
            "Metastases at staging, men left out of the fit",
        ),
        "decision_curve_at_staging": (
            bd.report.plot_decision_curve(curves),
            "Metastases at staging, men left out of the fit",
        ),
    }


def pictures_later(
    event: np.ndarray, single: pd.DataFrame, shown: dict[str, RiskGroups]
) -> dict[str, tuple[Any, str]]:
    """ROC curves and Kaplan and Meier's curves, with titles, of the men followed up."""
    names = ["multimodal", "CAPRA", SURROGATE]
    cut = {kind: f"{kind} of men left out at staging" for kind in ("median", "tertiles")}
    curves = {
        f"kaplan_meier_{kind.replace(' ', '_')}": (
            bd.report.plot_kaplan_meier(found, unit="months"),
            f"Metastasis later, multimodal; cut: {cut.get(kind, kind)}",
        )
        for kind, found in shown.items()
    }
    roc = bd.report.plot_roc({name: (event, single[name]) for name in names})
    return {"roc_later": (roc, "Metastasis later, men followed up"), **curves}


def entitle(axes: Any, title: str) -> None:
    """Say above a picture what it is of, and that no man in it exists."""
    figure = np.ravel(axes)[0].figure
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="#222222")
    figure.text(0.99, 0.99, "SIMULATED", ha="right", va="top", fontsize=8, color="#555555")


if __name__ == "__main__":
    main()
