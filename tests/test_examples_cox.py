"""The Cox examples run, and what they print agrees with the tables that they write."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(
    name: str, folder: Path, *arguments: str
) -> tuple[str, ModuleType, dict[str, pd.DataFrame]]:
    """What a script prints, the script, and the tables that it writes; each picture is drawn."""
    printed: list[str] = []
    module = example(name)
    module.print = lambda *words: printed.append(" ".join(map(str, words)))
    module.main(["--quick", "--out", str(folder), *arguments])
    for picture in folder.glob("*.png"):
        assert picture.stat().st_size > 10_000, picture
    tables = {path.stem: pd.read_csv(path, index_col=0) for path in folder.glob("*.csv")}
    return "\n".join(printed), module, tables


@pytest.fixture(scope="module")
def psma(tmp_path_factory):
    folder = tmp_path_factory.mktemp("psma")
    return *run("psma_pfs_cox", folder), folder


@pytest.mark.slow
def test_psma_says_what_it_must(psma):
    text, _, _, folder = psma
    for words in (
        "SIMULATED",
        "99 men, 396 lesions",
        "The image network is not part of this",
        "FewEventsWarning: 63 events for 9 covariates",
        "naive: OptimismWarning: the cut-offs at",
        "Times scored: from",
        "5 rows are followed beyond",
        "Proportional hazards: ",
        "What 99 men can show:",
        "What 99 men cannot show:",
    ):
        assert words in text, words
    assert {path.name for path in folder.glob("*.png")} == {
        "hazard_ratios.png",
        "calibration.png",
        "decision_curve.png",
        "kaplan_meier.png",
        "kaplan_meier_naive.png",
    }


@pytest.mark.slow
def test_psma_has_the_published_figures_beside_its_own(psma):
    text, _, tables, _ = psma
    scores = tables["discrimination"]
    assert list(scores.index) == ["clinical", "PET and dose", "both"]
    assert list(scores["published from"]) == [0.53, 0.70, 0.75]
    assert list(scores["published to"]) == [0.65, 0.89, 0.94]
    assert "published medians: 19.7 and 26" in text
    for column in ("published to", "five folds to", "apparent", "cross-validated", "lower"):
        (line,) = [line for line in text.splitlines() if line.startswith(column + "  ")]
        shown = [float(value) for value in line.removeprefix(column).split()]
        assert shown == pytest.approx(list(scores[column]), abs=0.0051)
    # optimism: a model looks better on the men that it was fitted to
    assert (scores["apparent"] > scores["cross-validated"]).all()
    assert scores["cross-validated"].between(scores["lower"], scores["upper"]).all()


@pytest.mark.slow
def test_psma_effect_of_the_dose(psma):
    text, module, tables, _ = psma
    effect = tables["effect_of_dose"]
    assert effect["stated"].unique() == pytest.approx([-np.log(2)])
    # maximum likelihood of the same covariates, by lifelines
    from lifelines import CoxPHFitter

    cohort = bd.simulate.psa_pfs_cohort(random_seed=module.SEED)
    X = module.covariates(cohort)
    frame = X[module.SETS["both"]].join(module.outcome(cohort))
    reference = CoxPHFitter().fit(frame.astype(float), "time", "event")
    ratios = tables["hazard_ratios"].query("model == 'both, maximum likelihood'")
    found = ratios.set_index("term")["hazard_ratio"]
    assert found.to_dict() == pytest.approx(np.exp(reference.params_).to_dict(), rel=1e-4)
    for name, row in effect.iterrows():
        assert row["lower"] < row["stated"] < row["upper"] or "taken as true" in name, name
        assert f"{row['coef']:.2f}" in text
    raw, known = (
        effect.loc[f"measured coarsely, {how}"] for how in ("taken as true", "known error")
    )
    # an interval of what is attenuated does not hold the truth, and is too narrow
    assert raw["lower"] > raw["stated"]
    assert raw["sd"] < known["sd"]


@pytest.mark.slow
def test_psma_risk_groups_learnt_in_folds_part_less(psma):
    text, _, tables, _ = psma
    groups = tables["risk_groups"]
    learnt, naive = groups.loc["learnt in folds"], groups.loc["naive"]
    assert naive["log-rank p"] < learnt["log-rank p"]
    assert abs(naive["restricted mean high - low"]) > abs(learnt["restricted mean high - low"])
    assert f"{learnt['log-rank p']:.2g}" in text
    curves = tables["kaplan_meier"].groupby("group")
    assert (curves["n_events"].sum() + curves["n_censored"].sum()).sum() == 99
    scored = tables["calibration"]
    assert list(scored.index) == ["clinical", "PET and dose", "both"]
    assert scored["scaled"].to_dict() == pytest.approx(
        (1 - scored["integrated Brier"] / scored["null"]).to_dict()
    )


@pytest.mark.slow
def test_psma_tables_hold_the_risks_and_say_that_they_are_simulated(psma):
    text, _, tables, _ = psma
    risks = tables["absolute_risk"]
    assert list(risks.index) == ["10 Gy", "20 Gy", "40 Gy"]
    assert risks["risk"].is_monotonic_decreasing
    assert (risks["by_months"] == 12).all()
    for dose, row in risks.iterrows():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{dose} ")]
        shown = [float(value) for value in line.split()[2:]]
        assert shown == pytest.approx(list(row[["risk", "lower", "upper"]]), abs=0.0051)
    for name, table in tables.items():
        assert table["source"].str.contains("simulated").all(), name
    assert tables["discrimination"]["source"].str.startswith("published").all()


@pytest.fixture(scope="module")
def prostate(test_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prostate")
    return *run("prostate_survival", folder, "--data", str(test_data)), folder


@pytest.mark.slow
def test_prostate_agrees_with_r(prostate, test_data):
    text, module, tables, _ = prostate
    table = tables["beside_r"]
    parts = (test_data / "byar_greene_prostate" / "reference_cox.txt").read_text().split("##")
    headings = {
        "any death": " byar all-cause multivariable Efron",
        "death of the cancer": " byar prostate-cancer death cause-specific Efron",
    }
    for cause, heading in headings.items():
        (part,) = [part for part in parts if part.startswith(heading)]
        reference = [float(line.split()[1]) for line in part.splitlines()[2:12]]
        assert list(module.REFERENCE[cause]) == reference
        assert list(table[f"{cause}, R"]) == reference
        assert list(table[f"{cause}, bayesdose"]) == pytest.approx(reference, abs=1e-6)
    assert "502 men, 354 deaths, 130 of them of prostate cancer" in text
    assert "483 men and 344 deaths have all covariates; 19 men are left out" in text
    assert "Overall survival is what is modelled" in text


@pytest.mark.slow
def test_prostate_prints_its_tables_and_no_patient(prostate):
    text, _, tables, folder = prostate
    assert {path.name for path in folder.glob("*.png")} == {
        "hazard_ratios.png",
        "calibration.png",
        "kaplan_meier.png",
    }
    c = tables["concordance"].loc["harrell_c"]
    assert c["apparent"] > c["mean"]
    assert f"{c['mean']:.2f} ({c['lower']:.2f} to {c['upper']:.2f})" in text
    for name, row in tables["calibration"].iterrows():
        (line,) = [line for line in text.splitlines() if line.startswith(name)]
        shown = [float(value) for value in line.removeprefix(name).split()]
        assert shown == pytest.approx(list(row), abs=0.00051)
    groups = tables["risk_groups"]
    assert list(groups.index) == ["low", "intermediate", "high"]
    assert groups["n"].sum() == 483
    assert groups["n_events"].sum() == 344
    assert groups["rmst"].is_monotonic_decreasing
    # nothing has a row a man
    assert all(len(table) < 100 for table in tables.values())


@pytest.mark.parametrize("named", [[], ["--data", "nowhere"]])
def test_prostate_says_how_to_name_the_folder(named, monkeypatch):
    monkeypatch.delenv("BAYESDOSE_TEST_DATA", raising=False)
    with pytest.raises(SystemExit, match="--data"):
        example("prostate_survival").main(named)
