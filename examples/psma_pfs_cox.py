"""99 men on 177Lu-PSMA, 396 lesions: Cox models of PSA progression, and what they can show.

The PSA-PFS study trained a ResNet-18 Cox model on 99 men and 396 lesions. This script puts its
published concordances beside those of Cox models of clinical covariates, of PET and dose, and of
both, on a cohort of that shape. The cohort is SIMULATED, with a known effect of the tumour dose,
and the image network is not part of this example.

It prints hazard ratios, what measurement error and a predicted dose do to the effect of the dose,
cross-validated beside apparent concordance, risk at 12 months with its calibration, risk groups
learnt inside folds beside the naive ones, and a test of proportional hazards.

    python examples/psma_pfs_cox.py [--out FOLDER] [--quick]
"""

import argparse
import os
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import bayesdose as bd
from bayesdose import evaluate, report, simulate

N_MEN, N_LESIONS, SEED, HORIZON = 99, 396, 1, 12.0
DOSE = "tumour dose"
CLINICAL = ["age", "PSA", "LDH", "haemoglobin", "eGFR", "chemotherapy before"]
IMAGING = ["PSMA volume", DOSE, "GLCM joint entropy"]
SETS = {"clinical": CLINICAL, "PET and dose": IMAGING, "both": CLINICAL + IMAGING}
DOUBLING = ("PSA", "LDH", "PSMA volume", DOSE)
PER = dict.fromkeys(DOUBLING, "doubling") | {
    "age": "10 years",
    "haemoglobin": "g/dL",
    "eGFR": "10 mL/min/1.73 m2",
    "GLCM joint entropy": "bit",
}
# 5-fold C of the ResNet-18 Cox model, of imaging and of clinical covariates alone; median months of
# its risk groups
PUBLISHED_C = {"clinical": (0.53, 0.65), "PET and dose": (0.70, 0.89), "both": (0.75, 0.94)}
PUBLISHED_MONTHS = (19.7, 26.0)
DOSE_MODEL = "log(suv_mean) + log(volume_ml) + log(psma_tv_ml)"
# wide, so that what is seen of the dose is attenuation and not shrinkage
WIDE = bd.Normal(0.0, 1.0)
COARSE_CV = 0.8
JOINT = "predicted from PET, joint draws"
MANY = 5000


@dataclass(frozen=True)
class LeftOut:
    """What models say of the men that they were not fitted to."""

    risk: np.ndarray
    survival: np.ndarray
    at_own_time: np.ndarray
    score: np.ndarray
    train_scores: dict[int, np.ndarray]


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, fit, validate, print, and write tables and pictures where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for tables (CSV) and pictures (PNG)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="modes for draws, fewer repeats, no bootstrap, no dose by its joint draws",
    )
    arguments = parser.parse_args(argv)
    quick = arguments.quick
    cohort = simulate.psa_pfs_cohort(N_MEN, N_LESIONS, random_seed=SEED)
    X, y = covariates(cohort), outcome(cohort)
    print(
        f"The cohort is SIMULATED, its effects are chosen: {len(y)} men, {len(cohort.lesions)} "
        f"lesions, {y['event'].sum()} PSA progressions. The image network is not part of this.\n"
    )
    models, ratios = fit_models(X, y, quick)
    effect = effect_of_dose(cohort, quick)
    scores, folds = discrimination(X, y, cohort.patients["patient_id"], quick)
    left_out = {name: out_of_fold(X[columns], y, folds) for name, columns in SETS.items()}
    absolute = absolute_risk(models["both"], X)
    scored, curves = calibration(y, left_out)
    groups, shown, naive = risk_groups(models["both"], X, y, left_out["both"], folds)
    hazards = models["both"].check_proportional_hazards()
    print(f"\n{textwrap.fill(f'Proportional hazards: {hazards.verdict}', 98)}")
    print(hazards.table.round(2).to_string())
    print("In the simulation they are proportional for men of the same frailty.\n")
    for line in conclusions(scores, effect, scored, groups):
        print(textwrap.fill(line, 98, subsequent_indent="  "))
    if arguments.out is None:
        return
    tables = {
        "hazard_ratios": report.hazard_ratios_data(ratios),
        "effect_of_dose": effect,
        "discrimination": scores.assign(source="published (from, to), and simulated"),
        "absolute_risk": absolute.assign(by_months=HORIZON),
        "calibration": scored,
        "decision_curve": report.decision_curve_data(curves),
        "risk_groups": groups,
        "kaplan_meier": report.kaplan_meier_data(shown),
        "proportional_hazards": hazards.table,
    }
    write(tables, arguments.out)
    draw(arguments.out, ratios, calibrations(y, left_out), curves, shown, naive)


def covariates(cohort: simulate.ProgressionCohort) -> pd.DataFrame:
    """Covariates of each man: logarithms to base 2, so that a unit is a doubling."""
    men = cohort.patients
    entropy = cohort.lesions.groupby("patient_id", sort=False)["glcm_joint_entropy"].mean()
    return pd.DataFrame(
        {
            "age": men["age_y"] / 10,
            "PSA": np.log2(men["psa_ng_ml"]),
            "LDH": np.log2(men["ldh_u_l"]),
            "haemoglobin": men["haemoglobin_g_dl"],
            "eGFR": men["egfr_ml_min_1p73m2"] / 10,
            "chemotherapy before": men["prior_chemotherapy"].astype(float),
            "PSMA volume": np.log2(men["psma_tv_ml"]),
            DOSE: np.log2(men["tumour_absorbed_dose_gy"]),
            "GLCM joint entropy": entropy[men["patient_id"]].to_numpy(),
        }
    )


def outcome(cohort: simulate.ProgressionCohort) -> pd.DataFrame:
    """Event and time, as `CoxModel` takes them."""
    return cohort.patients[["event", "time_months"]].set_axis(["event", "time"], axis=1)


def fit_models(
    X: pd.DataFrame, y: pd.DataFrame, quick: bool
) -> tuple[dict[str, bd.CoxModel], dict[str, pd.DataFrame]]:
    """Maximum likelihood and default prior for each set of covariates."""
    models, ratios, said = {}, {}, []
    for name, columns in SETS.items():
        inference = "nuts" if name == "both" and not quick else "mode"
        flat, words = heard(lambda c=columns: fitted(bd.Flat(), X[c], y, inference="mode"))
        models[name], more = heard(
            lambda c=columns, i=inference: fitted(bd.Normal(0, 0.5), X[c], y, i)
        )
        for kind, model in (("maximum likelihood", flat), ("prior", models[name])):
            table = model.summary()
            ratios[f"{name}, {kind}"] = table.assign(per=[PER.get(c, "") for c in table.index])
        said += [f"{name}: {word}" for word in words + more]
        n_events = model.n_events_ / len(columns)
        said.append(f"{name}: {n_events:.1f} events a covariate")
    sampled = "" if quick else ", but that of both, which is sampled by NUTS"
    print(
        "Hazard ratios (95 % intervals); prior: Normal(0, 0.5) a standard deviation, its posterior "
        f"a\nnormal approximation at the mode{sampled}"
    )
    print(beside(ratios))
    for line in said:
        print(textwrap.fill(f"* {line}", 98, subsequent_indent="  "))
    return models, ratios


def fitted(slope: object, X: pd.DataFrame, y: pd.DataFrame, inference: str) -> bd.CoxModel:
    """A Cox model without a progress bar."""
    return bd.CoxModel(slope, inference=inference, progress=False).fit(X, y)


def heard[Result](call: Callable[[], Result]) -> tuple[Result, list[str]]:
    """What a call returns, and its warnings in words, to be printed where they belong."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [f"{one.category.__name__}: {one.message}" for one in caught]


def beside(ratios: dict[str, pd.DataFrame]) -> str:
    """Hazard ratios of the models, a column each."""
    ends = ["hazard_ratio", "hazard_ratio_lower", "hazard_ratio_upper"]
    shown = {
        name: table[ends].apply(lambda row: "{:.2f} ({:.2f}-{:.2f})".format(*row), axis=1)
        for name, table in ratios.items()
        if name.startswith("both")
    }
    for name in ("clinical", "PET and dose"):
        table = ratios[f"{name}, prior"]
        shown[f"{name}, prior"] = table[ends].apply(
            lambda row: "{:.2f} ({:.2f}-{:.2f})".format(*row), axis=1
        )
    table = pd.DataFrame(shown).reindex(SETS["both"]).fillna("")
    table.index = pd.Index([f"{c}, per {PER[c]}" if c in PER else c for c in table.index])
    return table.to_string()


def effect_of_dose(cohort: simulate.ProgressionCohort, quick: bool) -> pd.DataFrame:
    """Log hazard ratio of a doubling of the dose: true, measured, and predicted before therapy."""
    coarse = simulate.psa_pfs_cohort(N_MEN, N_LESIONS, parameters=coarser(), random_seed=SEED)
    y = outcome(cohort)
    base = covariates(cohort)[["PSMA volume", "chemotherapy before"]]
    true = np.log2(cohort.patient_truth["true_tumour_absorbed_dose_gy"])
    predicted = predicted_dose(cohort.lesions)
    rows, said = {}, []

    def add(name: str, slope: object, X: pd.DataFrame, **more: object) -> None:
        extra = {"draws": more.pop("of_dose")} if "of_dose" in more else {}
        model = bd.CoxModel(slope, progress=False, **more)
        model, words = heard(lambda: model.fit(X, y, **extra))
        found = model.summary().loc[DOSE]
        rows[name] = found[["coef", "sd", "lower", "upper"]]
        said.extend(f"{name}: {word}" for word in words)

    as_known = {"inference": "mode"}
    add("true dose (known to the simulation only)", WIDE, base.assign(**{DOSE: true}), **as_known)
    for name, each in (("measured", cohort), ("measured coarsely", coarse)):
        dose = np.log2(each.patients["tumour_absorbed_dose_gy"])
        add(f"{name}, taken as true", WIDE, base.assign(**{DOSE: dose}), **as_known)
        # log-normal error: sd of the natural logarithm, in doublings
        error = np.sqrt(np.log1p(each.patients["tumour_absorbed_dose_cv"] ** 2)) / np.log(2)
        known = base.assign(**{DOSE: dose, "error": error})
        add(f"{name}, known error", WIDE, known, measurement_sd={DOSE: "error"})
    mean = base.assign(**{DOSE: predicted.mean(0)})
    add("predicted from PET, mean taken as true", WIDE, mean, **as_known)
    if not quick:
        add(JOINT, WIDE, base, of_dose={DOSE: predicted})
    table = pd.DataFrame(rows).T
    n = 500 if quick else MANY
    many = {name: in_many_men(n, each) for name, each in (("", None), (" coarsely", coarser()))}
    table["in many men"] = pd.Series(
        {"true dose (known to the simulation only)": many[""][0]}
        | {f"measured{name}, taken as true": found[1] for name, found in many.items()}
    )
    stated = cohort.parameters.log_dose_effect * np.log(2)
    print(
        f"\nLog hazard ratio of a doubling of the tumour dose, stated in the simulation: "
        f"{stated:.2f} (hazard ratio {np.exp(stated):.2f}),\nbeside volume and chemotherapy; wide "
        f"prior. 'in many men': maximum likelihood in {n} men of the same population."
    )
    print(table.round(2).astype(object).where(table.notna(), "").to_string())
    for name, each in (("measured", cohort), ("measured coarsely", coarse)):
        measured = np.log2(each.patients["tumour_absorbed_dose_gy"])
        print(f"Reliability of the log dose {name}: {true.var() / measured.var():.2f}")
    inside = np.quantile(predicted, [0.025, 0.975], axis=0)
    hit = ((true >= inside[0]) & (true <= inside[1])).mean()
    print(
        f"Predicted by a dose model of {N_MEN} earlier men: correlation with the true log dose "
        f"{np.corrcoef(predicted.mean(0), true)[0, 1]:.2f}, 95 % intervals hold it in {hit:.0%}"
    )
    for line in said:
        print(textwrap.fill(f"* {line}", 98, subsequent_indent="  "))
    return table.assign(stated=stated)


def coarser() -> simulate.ProgressionParameters:
    """The same men, outcomes and true doses; a large error common to the doses of a man."""
    return simulate.ProgressionParameters(
        mechanism=simulate.MechanismParameters(calibration_cv=COARSE_CV)
    )


def predicted_dose(lesions: pd.DataFrame) -> np.ndarray:
    """Joint draws of each man's log2 mean tumour dose, by a model of other, earlier men."""
    earlier = simulate.psa_pfs_cohort(N_MEN, N_LESIONS, random_seed=SEED + 1).lesions
    earlier = earlier.assign(patient_id="E" + earlier["patient_id"])
    # with the covariates of the outcome model that tell about dose, else its errors go with them
    model = bd.DoseModel(DOSE_MODEL).fit(earlier)
    draws = model.predict_draws(lesions, random_seed=SEED)
    gy = draws.stack(sample=("chain", "draw")).transpose("sample", "site").to_numpy()
    man, names = pd.factorize(lesions["patient_id"])
    return np.log2(np.stack([gy[:, man == k].mean(1) for k in range(len(names))], axis=1))


def in_many_men(n: int, parameters: simulate.ProgressionParameters | None) -> tuple[float, float]:
    """Coefficients of the true and of the measured dose, without the chance of 99 men."""
    cohort = simulate.psa_pfs_cohort(n, 4 * n, parameters=parameters, random_seed=SEED)
    X = covariates(cohort)[["PSMA volume", "chemotherapy before", DOSE]]
    true = X.assign(**{DOSE: np.log2(cohort.patient_truth["true_tumour_absorbed_dose_gy"])})
    found = [fitted(bd.Flat(), each, outcome(cohort), "mode") for each in (true, X)]
    return tuple(float(model.summary().loc[DOSE, "coef"]) for model in found)


def discrimination(
    X: pd.DataFrame, y: pd.DataFrame, patients: pd.Series, quick: bool
) -> tuple[pd.DataFrame, np.ndarray]:
    """Harrell's C: apparent, cross-validated and by bootstrap, beside what was published."""
    rows = {}
    for name, columns in SETS.items():
        model = bd.CoxModel(inference="mode", draws=200)
        found = evaluate.cross_validate(
            model,
            X[columns],
            y,
            groups=patients,
            n_repeats=2 if quick else 10,
            random_seed=SEED,
            progress=False,
        )
        line = found.summary().loc["harrell_c"]
        five = found.folds.loc[found.folds["repeat"] == 0, "harrell_c"]
        rows[name] = {
            "published from": PUBLISHED_C[name][0],
            "published to": PUBLISHED_C[name][1],
            "five folds from": five.min(),
            "five folds to": five.max(),
            "apparent": fitted(bd.Normal(0, 0.5), X[columns], y, "mode").score(X[columns], y),
            "cross-validated": line["mean"],
            "lower": line["lower"],
            "upper": line["upper"],
        }
        if not quick:
            boot = evaluate.optimism_corrected(
                model, X[columns], y, groups=patients, n_boot=100, progress=False
            )
            rows[name][".632+ bootstrap"] = boot.summary().loc["harrell_c", "corrected"]
        one = found.predictions[found.predictions["repeat"] == 0].sort_values("row")
    table = pd.DataFrame(rows).T
    print("\nHarrell's C, published (5-fold, ResNet-18 Cox) and of the Cox models here")
    print(table.T.round(2).to_string())
    print(
        "The published ranges are of 5-fold cross-validation; beside them the range of the five "
        "folds of one\nrepeat here. Intervals: all repeats, correlated folds (after Nadeau and "
        "Bengio)."
    )
    return table, one["fold"].to_numpy()


def out_of_fold(X: pd.DataFrame, y: pd.DataFrame, folds: np.ndarray) -> LeftOut:
    """Risk at the horizon, survival and risk score of each man by the model without his fold."""
    grid = evaluate.time_grid(y["time"], y["event"])
    # beyond the grid too few men are followed for a curve: everyone's follow-up is cut there
    own_time = y["time"].clip(upper=grid.truncation).to_numpy()
    n = len(y)
    at_horizon, own, score = np.zeros(n), np.zeros(n), np.zeros(n)
    survival = np.zeros((n, grid.times.size))
    train_scores = {}
    for fold in np.unique(folds):
        test, train = folds == fold, folds != fold
        model = bd.CoxModel(inference="mode", draws=1000).fit(X[train], y[train])
        at_horizon[test] = model.predict_risk_at(X[test], HORIZON)["risk"]
        survival[test] = model.predict_survival_function(
            X[test], times=grid.times, return_array=True
        )
        times, place = np.unique(own_time[test], return_inverse=True)
        found = model.predict_survival_function(X[test], times=times, return_array=True)
        own[test] = found[np.arange(len(found)), place]
        score[test] = model.predict(X[test])
        train_scores[int(fold)] = model.predict(X[train])
    return LeftOut(at_horizon, survival, own, score, train_scores)


def calibrations(
    y: pd.DataFrame, left_out: dict[str, LeftOut]
) -> dict[str, evaluate.RiskCalibration]:
    """Calibration of the risk at the horizon, of men left out."""
    return {
        name: evaluate.risk_calibration_survival(y["time"], y["event"], found.risk, HORIZON)
        for name, found in left_out.items()
    }


def absolute_risk(model: bd.CoxModel, X: pd.DataFrame) -> pd.DataFrame:
    """Risk at 12 months of three made-up men, who differ in dose."""
    typical = X.median().to_frame().T
    gy = [10.0, 20.0, 40.0]
    men = pd.concat([typical] * 3, ignore_index=True).assign(**{DOSE: np.log2(gy)})
    men.index = pd.Index([f"{dose:g} Gy" for dose in gy], name=DOSE)
    print(f"\nRisk of PSA progression by {HORIZON:g} months (95 % band), all else at the median")
    table = model.predict_risk_at(men, HORIZON)
    print(table.round(2).to_string())
    return table


def calibration(
    y: pd.DataFrame, left_out: dict[str, LeftOut]
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Whether the risks of men left out are right, and of what use they are."""
    grid = evaluate.time_grid(y["time"], y["event"])
    happened = y["event"] & (y["time"] <= grid.truncation)
    found = calibrations(y, left_out)
    rows, curves = {}, {}
    for name, each in left_out.items():
        brier = evaluate.integrated_brier(y["time"], y["event"], each.survival, grid.times)
        d = evaluate.d_calibration(happened, each.at_own_time)
        rows[name] = {
            "slope": found[name].slope,
            "slope lower": found[name].slope_lower,
            "slope upper": found[name].slope_upper,
            "observed/expected": found[name].observed_expected,
            "ICI": found[name].ici,
            "D-calibration p": d.p_value,
            "integrated Brier": brier.brier,
            "null": brier.null,
            "scaled": brier.scaled,
        }
        curves[name] = evaluate.decision_curve_survival(
            y["time"], y["event"], each.risk, HORIZON, np.linspace(0.05, 0.6, 56)
        )
    table = pd.DataFrame(rows).T
    print(f"\nMen left out: calibration at {HORIZON:g} months, and over all times")
    print(table.round(3).to_string())
    print(textwrap.fill(f"Times scored: {grid.reason} (months).", 98))
    at = pd.DataFrame(
        {name: each.set_index("threshold")["net_benefit"] for name, each in curves.items()}
    )
    at["treat all"] = curves["both"].set_index("threshold")["treat_all"]
    print("\nNet benefit at thresholds of risk, men left out (treating none is 0)")
    print(at.iloc[[15, 25, 35]].round(3).to_string())
    return table, curves


def risk_groups(
    model: bd.CoxModel, X: pd.DataFrame, y: pd.DataFrame, found: LeftOut, folds: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame, evaluate.RiskGroups]:
    """Median split learnt inside the folds, and the naive one of a model that has seen everyone."""
    label = evaluate.label_out_of_fold(found.score, folds, found.train_scores, "median")
    shown = evaluate.kaplan_meier(y["time"], y["event"], by=label)
    score = model.predict(X)
    naive, words = heard(
        lambda: evaluate.risk_groups(y["time"], y["event"], score, evaluate.cut_offs(score))
    )
    tests = {
        "learnt in folds": (
            evaluate.median_survival(y["time"], y["event"], by=label),
            evaluate.restricted_mean(y["time"], y["event"], naive.rmst.tau, by=label),
            evaluate.log_rank(y["time"], y["event"], label).p_value,
        ),
        "naive": (naive.medians, naive.rmst, naive.log_rank.p_value),
    }
    rows = {}
    for name, (medians, rmst, p_value) in tests.items():
        months = medians.set_index("group")["median"]
        (difference,) = rmst.differences.to_dict("records")
        rows[name] = {
            "median low risk": months["low"],
            "median high risk": months["high"],
            "log-rank p": p_value,
            "restricted mean high - low": difference["difference"],
            "lower": difference["lower"],
            "upper": difference["upper"],
        }
    table = pd.DataFrame(rows).T
    print("\nRisk groups of both, split at the median, months (published medians: 19.7 and 26)")
    print(
        table.round(1)
        .assign(**{"log-rank p": table["log-rank p"].map("{:.2g}".format)})
        .to_string()
    )
    print(f"Restricted means up to {naive.rmst.tau:.1f} months.")
    for line in words:
        print(textwrap.fill(f"* naive: {line}", 98, subsequent_indent="  "))
    return table, shown, naive


def conclusions(
    scores: pd.DataFrame, effect: pd.DataFrame, scored: pd.DataFrame, groups: pd.DataFrame
) -> list[str]:
    """What 99 men can and cannot show, in words and with this run's figures."""
    both, imaging = scores.loc["both"], scores.loc["PET and dose"]
    coarse = effect.loc["measured coarsely, taken as true"]
    error = effect.loc["measured coarsely, known error"]
    mean = effect.loc["predicted from PET, mean taken as true"]
    by_draws = ""
    if JOINT in effect.index:
        joint = effect.loc[JOINT]
        by_draws = (
            f" and {joint['coef']:.2f} ({joint['lower']:.2f} to {joint['upper']:.2f}) by its "
            "joint draws"
        )
    learnt, naive = groups.loc["learnt in folds"], groups.loc["naive"]
    slope = scored.loc["both"]
    return [
        f"What {N_MEN} men can show:",
        f"* That a dose whose doubling halves the hazard matters: cross-validated C of PET and "
        f"dose is {imaging['cross-validated']:.2f} ({imaging['lower']:.2f} to "
        f"{imaging['upper']:.2f}).",
        f"* What the error of a dose does to its effect, where {effect['stated'].iloc[0]:.2f} a "
        f"doubling is true. Measured coarsely and taken as true it is {coarse['coef']:.2f} "
        f"({coarse['lower']:.2f} to {coarse['upper']:.2f}), and more men do not mend that "
        f"({coarse['in many men']:.2f}). With the known error in the model it is "
        f"{error['coef']:.2f} ({error['lower']:.2f} to {error['upper']:.2f}). A dose predicted "
        f"from PET gives {mean['coef']:.2f} by its mean{by_draws}. What was not measured well "
        "stays uncertain.",
        "",
        f"What {N_MEN} men cannot show:",
        f"* Which of two sets of covariates is better. C of both is {both['apparent']:.2f} on the "
        f"men it was fitted to and {both['cross-validated']:.2f} ({both['lower']:.2f} to "
        f"{both['upper']:.2f}) on others; single folds of some 20 men run from "
        f"{both['five folds from']:.2f} to {both['five folds to']:.2f}, by chance alone. The "
        f"published range is {PUBLISHED_C['both'][0]:.2f} to {PUBLISHED_C['both'][1]:.2f}; what it "
        "is over, and an interval of its mean, we do not know.",
        f"* Whether risks are calibrated: a slope from {slope['slope lower']:.2f} to "
        f"{slope['slope upper']:.2f} holds nearly every verdict, and curves of net benefit lie "
        "within one another's bands.",
        f"* How far risk groups part: the log-rank p of the naive split is "
        f"{naive['log-rank p']:.2g}, of that learnt in folds {learnt['log-rank p']:.2g}, and even "
        "there the men share their training sets. The published medians, "
        f"{PUBLISHED_MONTHS[0]} and {PUBLISHED_MONTHS[1]:g} months, come without an interval here.",
        "* Anything about the study's network: the men here were simulated from a Cox model, with "
        "effects that were chosen, so that a Cox model is right for them. That figures agree or "
        "differ shows nothing about patients. Deaths are not simulated; with patients, death "
        "before PSA progression is a competing event.",
    ]


def write(tables: dict[str, pd.DataFrame], folder: Path) -> None:
    """Write each table as CSV, whole or not at all; a column says where its figures are from."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        partial = folder / f".{name}.csv.partial"
        (table if "source" in table else table.assign(source="simulated")).to_csv(partial)
        os.replace(partial, folder / f"{name}.csv")
    print(f"\ntables and pictures written to {folder}")


def draw(
    folder: Path,
    ratios: dict[str, pd.DataFrame],
    found: dict[str, evaluate.RiskCalibration],
    curves: dict[str, pd.DataFrame],
    shown: pd.DataFrame,
    naive: evaluate.RiskGroups,
) -> None:
    """Draw the pictures."""
    kinds = {"maximum likelihood": "maximum likelihood", "prior": "Normal(0, 0.5)"}
    forest = {
        shown_as: ratios[f"both, {kind}"].rename_axis(None) for kind, shown_as in kinds.items()
    }
    pictures = {
        "hazard_ratios": (
            report.plot_hazard_ratios(forest),
            "PSA progression, model of both (clinical, PET and dose)",
        ),
        "calibration": (
            report.plot_risk_calibration({"both": found["both"]}),
            f"PSA progression by {HORIZON:g} months, men left out",
        ),
        "decision_curve": (
            report.plot_decision_curve(curves),
            f"PSA progression by {HORIZON:g} months, men left out of the fit",
        ),
        "kaplan_meier": (
            report.plot_kaplan_meier(shown, unit="months"),
            "PSA progression, model of both: groups learnt in folds",
        ),
        "kaplan_meier_naive": (
            report.plot_kaplan_meier(naive, unit="months"),
            "PSA progression, model of both: naive, of the men it was fitted to",
        ),
    }
    for name, (axes, title) in pictures.items():
        entitle(axes, title)
        report.save_figure(axes, folder / f"{name}.png")


def entitle(axes: Any, title: str) -> None:
    """Say above a picture what it is of, and that no man in it exists."""
    figure = np.ravel(axes)[0].figure
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="#222222")
    figure.text(0.99, 0.99, "SIMULATED", ha="right", va="top", fontsize=8, color="#555555")


if __name__ == "__main__":
    main()
