import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd

REFERENCES = Path(__file__).resolve().parent.parent / "references"

#: Monte-Carlo standard errors that an estimate may lie from the truth.
N_ERRORS = 4.0


@pytest.fixture(scope="session")
def reference() -> Callable[[str], dict[str, Any]]:
    """Answers from `tests/references`, by path without suffix."""
    return lambda name: json.loads((REFERENCES / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def cohort() -> pd.DataFrame:
    return bd.datasets.load_reference_cohort()


@pytest.fixture(scope="session")
def tumours(cohort: pd.DataFrame) -> pd.DataFrame:
    return cohort[cohort["tissue"] == "tumour"]


@pytest.fixture(scope="session")
def tumour_priors() -> bd.Priors:
    """Those of the quadrature and brms references."""
    return bd.Priors(
        intercept=bd.Normal(1.2, 0.9),
        slope=bd.Normal(0, 0.5),
        patient_sd=bd.HalfNormal(0.5),
        residual_sd=bd.HalfNormal(0.8),
    )


@pytest.fixture(scope="session")
def tumour_model(tumours: pd.DataFrame, tumour_priors: bd.Priors) -> bd.DoseModel:
    """One tissue, no measurement error; do not change it."""
    return bd.DoseModel("log(suv_mean) + log(volume_ml)", priors=tumour_priors).fit(tumours)


@pytest.fixture(scope="session")
def monte_carlo() -> SimpleNamespace:
    """Estimates with their Monte-Carlo standard errors, and comparisons that use them."""
    return SimpleNamespace(
        draws_worth=draws_worth,
        mean=mean,
        sd=sd,
        same=same,
        same_summary=same_summary,
        at_quantile=at_quantile,
    )


def draws_worth(model: bd.DoseModel) -> float:
    """Independent draws that the posterior is worth, resampling included."""
    draws = model.fit_info_["draws"]
    return 1 / (1 / model.fit_info_["weight_ess"] + 1 / draws)


def mean(values: np.ndarray, ess: float) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / np.sqrt(ess))


def sd(values: np.ndarray, ess: float) -> tuple[float, float]:
    spread = values.std()
    # delta method: sd of (x - m)² / 2s
    return float(spread), float(((values - values.mean()) ** 2).std() / (2 * spread * np.sqrt(ess)))


def same(
    estimate: tuple[float, float], truth: float, truth_error: float = 0.0, what: str = ""
) -> None:
    value, error = estimate
    distance = abs(value - truth) / np.hypot(error, truth_error)
    assert distance < N_ERRORS, f"{what}: {value} ± {error}, expected {truth} ({distance:.1f} away)"


def same_summary(values: np.ndarray, ess: float, truth: dict[str, Any], what: str = "") -> None:
    """Mean, sd and, where given, quantiles of draws against an exact or sampled summary."""
    values = np.asarray(values).reshape(-1)
    same(mean(values, ess), truth["mean"], truth.get("mcse_mean", 0.0), f"mean of {what}")
    same(sd(values, ess), truth["sd"], truth.get("mcse_sd", 0.0), f"sd of {what}")
    for level, quantile in truth.get("quantiles", {}).items():
        error = truth.get("mcse_quantiles", {}).get(level, 0.0)
        at_quantile(values, ess, float(level), quantile, error, what)


def at_quantile(
    values: np.ndarray, ess: float, level: float, quantile: float, error: float, what: str = ""
) -> None:
    """Share of draws below a quantile; needs no density for its standard error."""
    share = float((values <= quantile).mean())
    # what the reference's own error moves the share by
    moved = float(((values > quantile - error) & (values <= quantile + error)).mean() / 2)
    own = float(np.sqrt(level * (1 - level) / ess))
    same((share, own), level, moved, f"share below the {level} quantile of {what}")


@pytest.fixture(scope="session")
def tumour_fits(
    tumours: pd.DataFrame, tumour_priors: bd.Priors, tumour_model: bd.DoseModel
) -> dict[tuple[str, str], bd.DoseModel]:
    """The four cases of the quadrature reference: (cohort, measurement error) → model."""
    times_four = tumours.copy()
    times_four.loc[times_four["patient_id"] == "P1", "absorbed_dose_gy"] *= 4
    error = {"dose_cv": "absorbed_dose_cv", "dose_cv_shared": "absorbed_dose_cv_shared"}
    out = {}
    for case, table in (("as_measured", tumours), ("one_patient_times_four", times_four)):
        for name, columns in (("without_error", {}), ("with_error", error)):
            model = bd.DoseModel("log(suv_mean) + log(volume_ml)", priors=tumour_priors, **columns)
            shared = case == "as_measured" and not columns
            out[case, name] = tumour_model if shared else model.fit(table)
    return out


@pytest.fixture(scope="session")
def refit() -> Callable[..., tuple[float, float]]:
    return refit_without


def refit_without(
    model: bd.DoseModel, train: pd.DataFrame, held: pd.DataFrame, random_seed: int = 11
) -> tuple[float, float]:
    """Fit without a patient, score the patient: elpd and its Monte-Carlo standard error."""
    from bayesdose.dose.conditional import log_density, patient_gram
    from bayesdose.dose.training import encode_new

    again = bd.DoseModel(**model.get_params()).fit(train, random_seed=random_seed)
    (value,) = again.log_predictive_density(held)
    # the error needs the density by draw, which the public face does not show
    _, rows = encode_new(again._fitted, held, response_required=True)
    draws = again._fitted.draws
    gram, log_det = patient_gram(again._fitted.encoding, draws, rows)
    by_draw = log_density(draws.precision, draws.shift, gram, log_det, len(held))
    relative = np.exp(by_draw - by_draw.max())
    relative /= relative.mean()
    return float(value), float(relative.std() / np.sqrt(draws_worth(again)))


@pytest.fixture(scope="session")
def three_tissues(cohort: pd.DataFrame) -> bd.DoseModel:
    """The model of the package's first page."""
    return bd.DoseModel(
        {
            "tumour": "log(total_lesion_uptake) + log(tumour_to_parotid) + glcm_joint_entropy",
            "salivary_gland": "log(suv_mean)",
            "kidney": "log(suv_mean) + egfr_ml_min_1p73m2",
        }
    ).fit(cohort)


@pytest.fixture(scope="session")
def kidneys(cohort: pd.DataFrame) -> pd.DataFrame:
    """18 kidneys with a standardised covariate z."""
    return with_z(cohort[cohort["tissue"] == "kidney"])


@pytest.fixture(scope="session")
def centres(kidneys: pd.DataFrame) -> pd.DataFrame:
    """Centres A and B with four patients each, C with one."""
    place = {f"P{i}": "AABBAABBC"[i - 1] for i in range(1, 10)}
    return kidneys.assign(centre=kidneys["patient_id"].map(place))


@pytest.fixture(scope="session")
def centres_model(centres: pd.DataFrame) -> bd.DoseModel:
    return bd.DoseModel("log(suv_mean)", group_effects=["centre"]).fit(centres)


@pytest.fixture(scope="session")
def cycles() -> pd.DataFrame:
    """Five patients with two tumours and two kidneys, each measured in two cycles."""
    table = bd.simulate.dose_cohort(
        5, generator="regression", random_seed=4, n_cycles=2, lesion_counts=[2] * 5
    )
    return with_z(table[table["tissue"].isin(["tumour", "kidney"])].reset_index(drop=True))


@pytest.fixture(scope="session")
def cycles_model(cycles: pd.DataFrame) -> bd.DoseModel:
    """With patient-by-cycle, site and cycle terms."""
    return bd.DoseModel("log(suv_mean)").fit(cycles)


def with_z(table: pd.DataFrame) -> pd.DataFrame:
    log = np.log(table["suv_mean"])
    grouped = log.groupby(table["tissue"])
    return table.assign(z=(log - grouped.transform("mean")) / grouped.transform("std"))


@pytest.fixture(scope="session")
def closed_form(reference: Callable[[str], dict[str, Any]]) -> Callable[[str], SimpleNamespace]:
    """A case of `closed_form.json` in the package's own arrays, at its fixed hyperparameters."""
    answers = reference("quadrature/closed_form")
    return lambda case: closed_form_case(answers[case])


def closed_form_case(answer: dict[str, Any]) -> SimpleNamespace:
    from bayesdose.dose import design
    from bayesdose.dose.spec import ModelSpec

    inputs = answer["inputs"]
    tables = {
        name: pd.DataFrame(rows).astype({"absorbed_dose_gy": float})
        for name, rows in inputs["tables"].items()
    }
    training = tables["rows"]
    tissues = list(dict.fromkeys(training["tissue"]))
    prior = inputs["beta_prior"]
    means = dict(zip(inputs["x_columns"], prior["mean"], strict=True))
    sds = dict(zip(inputs["x_columns"], prior["sd"], strict=True))
    intercepts = [n for n in inputs["x_columns"] if n.endswith("Intercept")]
    spec = ModelSpec(
        # a 0/1 column for the second cycle, in place of the term for the cycle that is automatic
        formula="x1 + C(cycle)",
        dose_cv="absorbed_dose_cv",
        dose_cv_shared="absorbed_dose_cv_shared",
        patient_effects="1 + x1",
        standardise=False,
        priors=bd.Priors(
            intercept={
                t: bd.Normal(means[n], sds[n]) for t, n in zip(tissues, intercepts, strict=True)
            },
            slope=bd.Normal(0, 0.5),
        ),
    )
    encoding, rows = design.learn(training, spec)
    columns = [
        (f"{t}:" if len(tissues) > 1 else "") + {"C(cycle)[T.2]": "cycle_2"}.get(name, name)
        for k, t in enumerate(tissues)
        for name in encoding.columns(k)
    ]
    order = [columns.index(name) for name in inputs["x_columns"]]
    return SimpleNamespace(
        spec=spec,
        encoding=encoding,
        rows=rows,
        tables=tables,
        tissues=tissues,
        truth=answer["result"],
        theta=closed_form_theta(inputs, encoding.patient_effects),
        order=order,  # package's coefficients in the order of the reference
        effects=[encoding.patient_effects.index(name) for name in effect_names(inputs)],
        v_given_beta=np.array(inputs["designs"]["rows"]["V_conditional_on_beta"]),
    )


def effect_names(inputs: dict[str, Any]) -> list[str]:
    names = inputs["z_columns"]
    return [name if ":" in name else f"tumour:{name}" for name in names]


def closed_form_theta(inputs: dict[str, Any], effects: list[str]) -> SimpleNamespace:
    """Hyperparameters for the package's patient effects; those the reference lacks are about 0."""
    theta, names = inputs["theta"], effect_names(inputs)
    place = [effects.index(name) for name in names]
    patient_sd, corr = np.full(len(effects), 1e-12), np.eye(len(effects))
    patient_sd[place] = theta["patient_sd"]
    corr[np.ix_(place, place)] = theta["patient_corr"]
    by_tissue = {k: np.array(list(theta[k].values())) for k in ("residual_sd", "site_sd")}
    cycle_sd = np.array(list(theta["cycle_sd"].values()))
    return SimpleNamespace(patient_sd=patient_sd, patient_corr=corr, cycle_sd=cycle_sd, **by_tissue)
