"""Whether the dose predicts the outcome, when the dose itself is only predicted.

A dose model is fitted to earlier men whose doses were measured. For new men it predicts the dose
of each lesion from PET, as joint draws. With these draws, and with their medians plugged in as if
they were known, the script asks of the new men

1. how PSA progression depends on the tumour dose (`CoxModel`),
2. how the response of a lesion depends on its dose (`DoseResponse`): the tumour control curve,

beside what the true doses, known to the simulation only, say. All men and outcomes are SIMULATED;
the effects are chosen and come from no study.

    python examples/dose_outcome.py [--out FOLDER] [--quick]
"""

import argparse
import os
import textwrap
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.figure import Figure

import bayesdose as bd
from bayesdose import report, risk, simulate

N_MEN, N_LESIONS, SEED = 99, 396, 1
DOSE_MODEL = "log(suv_mean) + log(volume_ml) + log(psma_tv_ml)"
# lesion response, chosen: logit P = SLOPE log(D / D50) + b, b ~ Normal(0, MEN_SD^2) between men
D50_GY, SLOPE, MEN_SD = 20.0, 2.0, 0.8
DOSE = "log2 tumour dose"
TRUE = "true dose (known to the simulation only)"
JOINT = "predicted from PET, joint draws"
PLUGGED = "predicted from PET, medians plugged in"
# wide, so that what is seen of the dose is attenuation and not shrinkage
WIDE = bd.Normal(0.0, 1.0)
# Gy at which the curves are read
READ_AT = (10.0, 20.0, 40.0)


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, fit, print, and write tables and the picture where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for tables (CSV) and the picture (PNG)")
    parser.add_argument("--quick", action="store_true", help="fewer men and fewer draws")
    arguments = parser.parse_args(argv)
    n_men, n_lesions = (40, 160) if arguments.quick else (N_MEN, N_LESIONS)
    settings = {"progress": False, "chains": 2, "draws": 1000 if arguments.quick else 3000}

    cohort = simulate.psa_pfs_cohort(n_men, n_lesions, random_seed=SEED)
    responded = lesion_response(cohort)
    gy = predicted_gy(cohort.lesions, n_men, n_lesions)
    print(
        f"All of this is SIMULATED, its effects are chosen: {n_men} men, {n_lesions} lesions, "
        f"{cohort.patients['event'].sum()} PSA progressions, {responded.sum()} lesions that "
        "responded.\n"
    )
    say_how_good(gy, cohort.lesion_truth["true_absorbed_dose_gy"])
    hazards = progression(cohort, gy, settings)
    models, curves, read = tumour_control(cohort, responded, gy, settings)
    for line in conclusions(hazards, curves):
        print(textwrap.fill(f"* {line}", 98, subsequent_indent="  "))
    if arguments.out is not None:
        short = {"true dose": TRUE, "joint draws": JOINT, "medians plugged in": PLUGGED}
        shown = {name: models[long] for name, long in short.items()}
        tables = {"progression": hazards, "lesion_response": curves, "probability_at_dose": read}
        write(tables, shown, arguments.out)


def lesion_response(cohort: simulate.ProgressionCohort) -> np.ndarray:
    """Whether each lesion responds, by its true dose and its man."""
    rng = np.random.default_rng(SEED)
    man, names = pd.factorize(cohort.lesions["patient_id"])
    log_dose = np.log(cohort.lesion_truth["true_absorbed_dose_gy"] / D50_GY)
    eta = SLOPE * log_dose + rng.normal(0, MEN_SD, len(names))[man]
    return (rng.random(len(man)) < 1 / (1 + np.exp(-eta))).to_numpy()


def predicted_gy(lesions: pd.DataFrame, n_men: int, n_lesions: int) -> xr.DataArray:
    """Joint draws (chain, draw, site) of the lesions' doses, by a model of other, earlier men."""
    earlier = simulate.psa_pfs_cohort(n_men, n_lesions, random_seed=SEED + 1).lesions
    earlier = earlier.assign(patient_id="E" + earlier["patient_id"])
    model = bd.DoseModel(DOSE_MODEL).fit(earlier)
    return model.predict_draws(lesions, random_seed=SEED)


def say_how_good(gy: xr.DataArray, true: pd.Series) -> None:
    """How near the predicted doses are to the true ones."""
    flat = flattened(gy)
    low, high = np.quantile(flat, [0.025, 0.975], axis=0)
    middle = np.median(flat, axis=0)
    print(
        f"Doses predicted before therapy: correlation of log dose with the truth "
        f"{np.corrcoef(np.log(middle), np.log(true))[0, 1]:.2f}; typical 95 % interval a factor of "
        f"{np.median(high / low):.1f}\nfrom end to end; it holds the true dose in "
        f"{((true >= low) & (true <= high)).mean():.0%} of lesions."
    )


def flattened(gy: xr.DataArray) -> np.ndarray:
    """Draws of shape (n_draws, n_lesions)."""
    return gy.to_numpy().reshape(-1, gy.sizes["site"])


def progression(
    cohort: simulate.ProgressionCohort, gy: xr.DataArray, settings: dict[str, object]
) -> pd.DataFrame:
    """Hazard ratio of PSA progression for a doubling of a man's mean tumour dose."""
    men = cohort.patients
    y = men[["event", "time_months"]].set_axis(["event", "time"], axis=1)
    X = pd.DataFrame(
        {
            "log2 PSMA volume": np.log2(men["psma_tv_ml"]),
            "chemotherapy": men["prior_chemotherapy"].astype(float),
        }
    )
    man, names = pd.factorize(cohort.lesions["patient_id"])
    flat = flattened(gy)
    log2 = np.log2(np.stack([flat[:, man == k].mean(1) for k in range(len(names))], axis=1))
    true = np.log2(cohort.patient_truth["true_tumour_absorbed_dose_gy"])
    fits = {
        TRUE: lambda: bd.CoxModel(WIDE, inference="mode").fit(X.assign(**{DOSE: true}), y),
        JOINT: lambda: bd.CoxModel(WIDE, **settings).fit(X, y, draws={DOSE: log2}),
        PLUGGED: lambda: bd.CoxModel(WIDE, inference="mode").fit(
            X.assign(**{DOSE: np.median(log2, axis=0)}), y
        ),
    }
    rows, said = {}, []
    for name, call in fits.items():
        model, words = heard(call)
        rows[name] = model.summary().loc[DOSE, ["coef", "sd", "lower", "upper", "hazard_ratio"]]
        said += [f"{name}: {word}" for word in words]
    table = pd.DataFrame(rows).T
    stated = cohort.parameters.log_dose_effect * np.log(2)
    print(
        "\n1. PSA progression: log hazard ratio of a doubling of the tumour dose (SIMULATED; "
        f"stated {stated:.2f}),\n   beside PSMA volume and chemotherapy"
    )
    tell(table.round(2), said)
    return table.assign(stated=stated)


def tumour_control(
    cohort: simulate.ProgressionCohort,
    responded: np.ndarray,
    gy: xr.DataArray,
    settings: dict[str, object],
) -> tuple[dict[str, risk.DoseResponse], pd.DataFrame, pd.DataFrame]:
    """Curves of lesion response: slope, D50, gamma50, and the probability at some doses."""
    lesions = cohort.lesions
    given = {
        TRUE: {"dose_gy": cohort.lesion_truth["true_absorbed_dose_gy"]},
        JOINT: {"dose_gy": None, "draws": gy},
        PLUGGED: {"dose_gy": np.median(flattened(gy), axis=0)},
    }
    models, rows, said, read = {}, {}, [], {}
    for name, doses in given.items():
        model, words = heard(
            lambda doses=doses: risk.DoseResponse(**settings).fit(
                y=responded, patients=lesions["patient_id"], **doses
            )
        )
        table = model.summary()
        rows[name] = {
            f"{short} {end}": table.loc[parameter, end]
            for short, parameter in (
                ("slope", "slope"),
                ("D50", "d50_gy"),
                ("gamma50", "gamma50"),
                ("men sd", "patient_sd"),
            )
            for end in ("median", "lower", "upper")
        }
        at = model.predict(READ_AT, kind="new_patient")
        read[name] = {
            f"{row.dose_gy:g} Gy {end}": getattr(row, end)
            for row in at.itertuples()
            for end in ("probability", "lower", "upper")
        }
        notes = [note for note in table["note"] if note]
        models[name] = model
        said += [f"{name}: {word}" for word in words + notes]
    table = pd.DataFrame(rows).T
    print(
        f"\n2. Response of a lesion (SIMULATED; stated slope {SLOPE:g}, D50 {D50_GY:g} Gy, gamma50 "
        f"{SLOPE / 4:g}, men sd {MEN_SD:g}): medians and 95 % intervals"
    )
    tell(intervals(table, "median", ("slope", "D50", "gamma50", "men sd")), said)
    at_doses = pd.DataFrame(read).T
    print("\n   Probability that a lesion of a new man responds at a true dose (SIMULATED)")
    tell(intervals(at_doses, "probability", [f"{gy:g} Gy" for gy in READ_AT]), [])
    print()
    return models, table.assign(stated_slope=SLOPE, stated_d50=D50_GY), at_doses


def intervals(table: pd.DataFrame, middle: str, names: Sequence[str]) -> pd.DataFrame:
    """Columns as "1.23 (0.95 to 1.61)"."""
    return pd.DataFrame(
        {
            name: table[[f"{name} {end}" for end in (middle, "lower", "upper")]].apply(
                lambda row: "{:.3g} ({:.3g} to {:.3g})".format(*row), axis=1
            )
            for name in names
        }
    )


def heard[Result](call: Callable[[], Result]) -> tuple[Result, list[str]]:
    """What a call returns, and its warnings in words, to be printed where they belong."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [f"{one.category.__name__}: {one.message}" for one in caught]


def tell(table: pd.DataFrame, said: list[str]) -> None:
    """Print a table and what was said while it was made."""
    print(table.to_string())
    for line in said:
        print(textwrap.fill(f"* {line}", 98, subsequent_indent="  "))


def conclusions(hazards: pd.DataFrame, curves: pd.DataFrame) -> list[str]:
    """What the tables show, in words."""
    joint, plugged = curves.loc[JOINT], curves.loc[PLUGGED]
    held = {
        name: row["slope lower"] <= SLOPE <= row["slope upper"]
        for name, row in (("joint", joint), ("plugged", plugged))
    }
    words = {True: "holds", False: "does not hold"}
    width = {
        name: row["slope upper"] - row["slope lower"]
        for name, row in (("joint", joint), ("plugged", plugged))
    }
    half = {name: f"{curves.loc[name, 'D50 median']:.3g}" for name in (TRUE, JOINT, PLUGGED)}
    return [
        "A predicted dose is short of what PET cannot know, and plugged in as known it flattens a "
        f"curve on average. Here the slope is {plugged['slope median']:.2f} with medians, "
        f"{joint['slope median']:.2f} with the joint draws and {SLOPE:g} as stated; the interval "
        f"{words[held['plugged']]} the stated slope with medians, and {words[held['joint']]} it "
        "with draws. One cohort cannot say more: docs/dose-response.md has the coverage over many.",
        f"The interval of the slope is {width['joint'] / width['plugged']:.1f} times as wide with "
        "the draws: that is what not knowing the dose costs, and plugging in hides it.",
        f"D50 is {half[PLUGGED]} Gy with medians and {half[JOINT]} Gy with draws, against "
        f"{half[TRUE]} Gy of the true doses: plugging in does little to it where predictions are "
        "right on average. A biased dose model would move it, and no outcome model can see that.",
        "For progression the log hazard ratio is "
        f"{hazards.loc[PLUGGED, 'coef']:.2f} (sd {hazards.loc[PLUGGED, 'sd']:.2f}) plugged in and "
        f"{hazards.loc[JOINT, 'coef']:.2f} (sd {hazards.loc[JOINT, 'sd']:.2f}) with draws; "
        "docs/cox.md has their coverage.",
    ]


def write(
    tables: dict[str, pd.DataFrame], shown: dict[str, risk.DoseResponse], folder: Path
) -> None:
    """Tables as CSV, each saying that it is simulated, and the curves as a picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        partial = folder / f".{name}.csv.partial"
        table.assign(source="simulated").rename_axis("dose").to_csv(partial)
        os.replace(partial, folder / f"{name}.csv")
    ax = report.plot_dose_response(shown)
    ax.axvline(D50_GY, color="#8A8A8A", linewidth=0.8, linestyle="dotted")
    ax.set_ylabel("probability that a lesion responds")
    entitle(ax.figure, f"Response of a lesion; dotted: the stated D50, {D50_GY:g} Gy")
    report.save_figure(ax, folder / "tumour_control.png")
    print(f"\ntables and the picture written to {folder}")


def entitle(figure: Figure, title: str) -> None:
    """Say above a picture what it is of, and that no man in it exists."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color="#222222")
    figure.text(0.99, 0.99, "SIMULATED", ha="right", va="top", fontsize=8, color="#555555")


if __name__ == "__main__":
    main()
