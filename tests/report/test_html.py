"""The report of a dose model: every section, nobody's name, and text that stays text."""

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.dose.baselines import IN_SAMPLE, LEFT_OUT, POPULATION_MEAN
from bayesdose.dose.diagnostics import Diagnosis
from bayesdose.dose.training import prepare
from bayesdose.errors import ConfigError
from bayesdose.evaluate import hdi, point_scores, site_scores
from bayesdose.report.model_page import chart, findings, priors
from bayesdose.report.model_page.findings import NO_ROWS, Findings, gather
from bayesdose.report.model_page.hiding import Names, names_of
from bayesdose.report.model_page.writing import TITLE, page_of
from bayesdose.report.page import render, write_page
from tests.report import browser, structure
from tests.report.conftest import N_DRAWS, _fitted

ATTACK = "<script>document.title='run'</script>"
#: Marks that must not be found in a page without identifiers, each with markup around it.
PATIENT, SITE, PLACE = f"Zmith{ATTACK}", 'Rib"><img src=x onerror=alert(1)>', f"Bazel{ATTACK}"
#: Without a slash, which xarray refuses in names of variables.
TISSUE = "<img src=x onerror=alert('t')>"


@pytest.fixture(scope="module")
def hostile(sites: pd.DataFrame) -> pd.DataFrame:
    """The table of the pictures, every text of it an attack."""
    return sites.assign(
        patient_id=PATIENT + sites["patient_id"],
        site_id=SITE + sites["site_id"],
        tissue=sites["tissue"].replace("tumour", TISSUE),
        lesion_type="</table>",
        centre=PLACE,
        scanner=f"Zcanner{ATTACK}",
    )


@pytest.fixture(scope="module")
def found_of(hostile: pd.DataFrame) -> Callable[..., Findings]:
    """Make what a report shows without an engine: draws come from numpy."""

    def make(sites: pd.DataFrame = hostile, **changed: Any) -> Findings:
        model = bd.DoseModel("log(suv_mean)")
        fitted = _fitted(prepare(sites, model._spec()), "importance", True)
        info = {"n_sites": len(sites), "n_patients": 8, "engine": "collapsed", "draws": N_DRAWS}
        info |= {"created_at": "2026-01-02T03:04:05+00:00", "version_jax": "1.2"}
        model._fitted = replace(fitted, info={**fitted.info, **info})
        lopo = _validation(sites, model)
        plain = Findings(
            model=model,
            names=names_of(model._fitted, None, False),
            diagnosis=_diagnosis(),
            lopo=lopo,
            no_validation="",
            scores=_scores(lopo),
            predictions=lopo.predictions,
            new=None,
            plan=None,
            limits=(),
            n_cycles=6,
            fixed_gbq=7.4,
        )
        return replace(plain, **changed)

    return make


def _validation(sites: pd.DataFrame, model: bd.DoseModel) -> Any:
    rng = np.random.default_rng(6)
    n = len(sites)
    draws = np.exp(
        np.log(sites["absorbed_dose_gy"].to_numpy())
        + rng.normal(0, 0.4, size=n)
        + 0.5 * rng.normal(size=(N_DRAWS, n))
    )
    lower, upper = hdi(draws, 0.95)
    table = sites[["patient_id", "site_id", "tissue"]].assign(
        cycle=1,
        observed=sites["absorbed_dose_gy"],
        median=np.median(draws, axis=0),
        lower=lower,
        upper=upper,
    )
    patients = pd.DataFrame(
        {"elpd": -3.0, "pareto_k": 0.2, "n_scored": 5, "status": "ok"},
        index=list(dict.fromkeys(sites["patient_id"])),
    )
    patients.iloc[0, 3] = f"lost {patients.index[0]!r}"
    return SimpleNamespace(
        predictions=table,
        draws=draws,
        hdi_prob=0.95,
        by="patient_id",
        patients=patients,
        elpd=-24.0,
        elpd_se=3.0,
        _fitted=model._fitted,
        summary=lambda: site_scores(table["observed"], draws, sites["patient_id"], sites["tissue"]),
    )


def _scores(lopo: Any) -> pd.DataFrame:
    table, parts = lopo.predictions, []
    for model, factor in ((IN_SAMPLE, 1.1), (LEFT_OUT, 1.2), (POPULATION_MEAN, 1.5)):
        found = point_scores(
            table["observed"], factor * table["median"], table["patient_id"], table["tissue"]
        )
        known = model != POPULATION_MEAN
        ends = {
            f"hdi_coverage_95{end}": 0.9 if known else np.nan for end in ("", "_lower", "_upper")
        }
        parts.append(found.assign(model=model, **ends))
    out = pd.concat(parts, ignore_index=True)
    out.attrs = {"notes": [f"log SUV: kidney of {table['patient_id'].iloc[0]!r} is not scored"]}
    return out


def _diagnosis() -> Diagnosis:
    row = {"check": "R-hat", "what": f"beta_{TISSUE}", "value": 1.2, "limit": "<= 1.01"}
    rows = [row | {"ok": ok, "severity": "model", "advice": "sample more"} for ok in (True, False)]
    return Diagnosis("caution", pd.DataFrame(rows))


def report(found: Findings) -> str:
    return render(page_of(found, None))


def without_pixels(text: str) -> str:
    """The page without its pictures, whose code may hold any three letters."""
    return re.sub(r"base64,[A-Za-z0-9+/=]+", "", text)


def test_the_report_has_every_section(found_of: Callable[..., Findings]) -> None:
    page = structure.check(report(found_of()))
    assert [node.get("id") for node in page.iter("section")] == [
        *("at-a-glance", "data", "model", "priors", "diagnostics", "posterior", "validation"),
        *("predictions", "plan", "limitations", "provenance"),
    ]
    text = page.text_content()
    for words in (TITLE, "Not a medical device", "No limit on the dose was stated", "(none|is) a"):
        assert re.search(words, text), words
    assert "log(Dij / Ai) = β0 + β1 · log(suv_mean) + ui + eij" in text
    assert "2026-01-02" in text
    assert "Random seed" in text


def test_nobody_is_named_unless_asked_for(found_of: Callable[..., Findings]) -> None:
    found = found_of()
    page = without_pixels(report(found))
    for mark in ("Zmith", "Rib", "Bazel", "Zcanner"):
        assert mark not in page
    assert "Patient 1" in page
    assert "kidney 2" in page
    named = report(replace(found, names=names_of(found.fitted, None, True)))
    tree = structure.check(named)
    assert f"Predicted absorbed dose: {PATIENT}P0" in tree.text_content()
    assert "<script>document.title" not in named
    assert "treat it as patient data" in named


def test_text_of_tables_is_text(found_of: Callable[..., Findings]) -> None:
    found = found_of()
    page = structure.check(report(replace(found, names=names_of(found.fitted, None, True))))
    shown = f"{TISSUE}"
    assert shown in page.xpath("//section[@id='data']//tbody/tr/th/text()")
    labels = page.xpath("//*[contains(@class, 'point')]/@aria-label")
    assert any(label.startswith(f"{PATIENT}P0, {SITE}") for label in labels)
    assert all(shown in page.xpath("//*[local-name()='svg']//text()") for _ in labels[:1])
    assert len(list(page.iter("script"))) == 1
    alts = "".join(page.xpath("//img/@alt"))
    assert shown in alts


@browser.needs_chromium
@pytest.mark.parametrize("width", [1280, 360])
def test_the_report_is_accessible(
    width: int, found_of: Callable[..., Findings], tmp_path: Path
) -> None:
    found = found_of()
    page = page_of(replace(found, names=names_of(found.fitted, None, True)), ATTACK)
    seen = browser.look(write_page(page, tmp_path / "page.html"), width, tmp_path)
    assert seen["violations"] == []
    assert seen["needed"] <= seen["width"]
    assert seen["fetched"] == []
    assert seen["title"] == ATTACK


@browser.needs_chromium
def test_the_chart_is_worked_with_keys(found_of: Callable[..., Findings], tmp_path: Path) -> None:
    place = write_page(page_of(found_of(), None), tmp_path / "page.html")
    assert browser.console(place) == []
    seen = browser.act(
        place,
        """
        const points = [...document.querySelectorAll(".point")];
        const tip = document.querySelector(".tip");
        const press = (key) => document.activeElement.dispatchEvent(
          new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
        found.stops = points.filter((point) => point.getAttribute("tabindex") === "0").length;
        points[0].focus();
        found.tip = tip.textContent;
        press("ArrowRight");
        found.moved = document.activeElement === points[1];
        press("Enter");
        const patient = document.activeElement.dataset.patient;
        const mine = (point) => point.dataset.patient === patient;
        found.on = points.every((point) => point.classList.contains("on") === mine(point));
        found.chosen = document.querySelector(".chart select").value === patient;
        press("Escape");
        found.hidden = tip.hidden;
        found.tools = !document.querySelector(".tools").hidden;
        """,
        tmp_path,
    )
    assert seen.pop("stops") == 2
    assert re.fullmatch(
        r"Patient \d, .*\nmeasured [\d.]+ Gy\npredicted [\d.]+ Gy\n95 % interval .*",
        seen.pop("tip"),
    )
    assert seen == {"moved": True, "on": True, "chosen": True, "hidden": True, "tools": True}


def test_the_chart_shows_the_numbers(found_of: Callable[..., Findings]) -> None:
    found = found_of()
    table = found.names.trained.table(found.lopo.predictions)
    drawn = chart.chart(table, 0.95)
    assert sum(len(panel["points"]) for panel in drawn.values["panels"]) == len(table)
    for panel in drawn.values["panels"]:
        mine = table[table["tissue"] == panel["name"]]
        inside = mine["observed"].between(mine["lower"], mine["upper"]).sum()
        assert panel["note"] == f"95 % interval holds {inside} of {len(mine)} sites"
        # both axes have one scale: on the dashed line, measured is predicted
        first = mine.sort_values("observed").iloc[0]
        point = panel["points"][0]
        x, y = float(point["x"]) - panel["left"], panel["top"] + panel["side"] - float(point["y"])
        ticks = [(float(a) - panel["left"], float(text)) for a, _, text in panel["ticks"]]
        (x0, gy0), (x1, gy1) = ticks[0], ticks[-1]
        per_log = (x1 - x0) / np.log(gy1 / gy0)
        assert x == pytest.approx(x0 + per_log * np.log(first["observed"] / gy0), abs=0.3)
        assert y == pytest.approx(x0 + per_log * np.log(first["median"] / gy0), abs=0.3)


def test_many_sites_are_drawn_as_pixels(
    found_of: Callable[..., Findings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bayesdose.report.model_page.validation.MAX_POINTS", 10)
    page = structure.check(report(found_of()))
    assert not page.xpath("//*[contains(@class, 'point')]")
    assert "more than 10 sites" in page.text_content()


@pytest.mark.parametrize(("low", "high"), [(0.3, 90), (1.1, 1.9), (2, 12), (0.01, 1000), (1, 10)])
def test_ticks_are_few_and_round(low: float, high: float) -> None:
    found = chart.ticks(low, high)
    assert len(found) <= 7
    assert all(low <= value <= high for value in found)
    assert all(f"{value:.1g}" == f"{value:g}" or value >= 10 for value in found)


def test_priors_are_told_as_factors() -> None:
    """Numbers of docs/choosing-priors.md."""
    unit = "Gy/GBq"
    said = priors.meaning("intercept", bd.Normal(-0.75, 0.4), unit)
    assert said == "0.47 Gy/GBq, 95 % between 0.22 and 1.0".replace(" and ", " to ")
    assert "by 0.38 to 2.7 (95 %)" in priors.meaning("slope", bd.Normal(0, 0.5), unit)
    said = priors.meaning("patient_sd", bd.HalfNormal(0.5), unit)
    assert said == "differ by a factor of 1.4 (median), at most 2.7 (95 %)"
    said = priors.meaning("residual_sd", bd.HalfNormal(0.8), unit)
    assert said == "differ by a factor of 1.7 (median), at most 4.8 (95 %)"
    half_t = priors.meaning("patient_sd", bd.StudentT(1e6, 0, 0.5), unit)
    assert half_t == "differ by a factor of 1.4 (median), at most 2.7 (95 %)"
    assert "improper" in priors.meaning("slope", bd.Flat(), unit)


def test_centres_have_other_names_in_parameters_too() -> None:
    nobody = SimpleNamespace(patients={"P.1": "Patient 1"})
    labels = ("Basel", "Basel Ost", "centre 1", "23", "kidney")
    levels = {("centre", label): f"centre {i}" for i, label in enumerate(labels, 1)}
    names = Names(False, nobody, nobody, levels)
    for text in ("kidney: every site at most 23 Gy", "patient_sd[kidney:Intercept] < 23"):
        assert names.text(text) == text
    assert names.text("effect_centre[kidney, 23]") == "effect_centre[kidney, centre 4]"
    assert names.text("x = 23 outside 1 to 2; centre 23 not in training") == (
        "x = 23 outside 1 to 2; centre 4 not in training"
    )
    assert names.text("effect_centre[kidney, Basel Ost]") == "effect_centre[kidney, centre 2]"
    assert names.text("C(centre)[T.Basel]; Baselland") == "C(centre)[T.centre 1]; Baselland"
    assert names.text("fold 'P.1' lost") == "fold Patient 1 lost"
    assert replace(names, identifiers=True).text("Basel") == "Basel"


def test_new_patients_are_predicted_and_flagged(
    found_of: Callable[..., Findings], hostile: pd.DataFrame
) -> None:
    found = found_of()
    new = hostile.head(5).drop(columns="absorbed_dose_gy").assign(centre="Zürih", suv_mean=900.0)
    with pytest.warns(match="sd is infinite"):
        table = found.model.predict(new)
    assert "centre Zürih not in training" in table["extrapolation"].iloc[0]
    page = report(
        replace(found, new=new, predictions=table, names=names_of(found.fitted, new, False))
    )
    text = structure.check(page).text_content()
    assert "Zürih" not in page
    assert "Zmith" not in page
    assert "Predicted absorbed dose: New patient 1" in text
    assert "Outside the training data" in text
    assert "here 5 of 5 rows" in text


def test_a_model_without_rows_says_what_is_absent(found_of: Callable[..., Findings]) -> None:
    found = found_of()
    found.model._fitted = replace(found.fitted, training=None)
    bare = replace(found, lopo=None, scores=None, predictions=None, no_validation=NO_ROWS)
    text = structure.check(report(bare)).text_content()
    assert text.count("--table TABLE") >= 3
    assert "Patient 1" not in text


def test_what_is_too_much_is_refused(
    found_of: Callable[..., Findings], hostile: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = found_of().model
    with pytest.raises(ConfigError, match="at most 50"):
        gather(model, limits=[None] * 51)
    with pytest.raises(ConfigError, match="new is a str"):
        gather(model, new="table.csv")
    monkeypatch.setattr(findings, "MAX_ROWS", 30)
    with pytest.raises(ConfigError, match=r"the training table has 40 rows.*as new"):
        gather(model)
    with pytest.raises(ConfigError, match=r"new has 40 rows.*in parts"):
        gather(model, new=hostile)


def test_a_foreign_validation_is_refused(found_of: Callable[..., Findings]) -> None:
    found, other = found_of(), found_of()
    with pytest.raises(ConfigError, match="another fit"):
        gather(found.model, lopo=other.lopo)
    found.lopo.by = "centre"
    with pytest.raises(ConfigError, match="leaves 'centre' out"):
        gather(found.model, lopo=found.lopo)


@pytest.mark.slow
def test_a_fit_is_reported_from_end_to_end(tmp_path: Path) -> None:
    sites = bd.datasets.load_reference_cohort().query("tissue != 'salivary_gland'")
    sites = sites[sites["patient_id"].isin(["P3", "P5", "P7", "P8"])]
    sites = sites.assign(patient_id="Zmith" + sites["patient_id"], site_id="Rib" + sites["site_id"])
    model = bd.DoseModel("log(suv_mean)").fit(sites, draws=400, random_seed=2)
    limits = [
        bd.planning.DoseLimit("kidney", 23.0),
        bd.planning.DoseLimit("kidney", 0.5, probability=0.9),
    ]
    place = bd.report.html(model, tmp_path / "report.html", limits=limits, title="Pilot")
    text = without_pixels(place.read_text("utf-8"))
    page = structure.check(place.read_text("utf-8"))
    assert place.stat().st_size < 5e6
    assert "Zmith" not in text
    assert "Rib" not in text
    assert str(tmp_path) not in text
    assert "kidney: every site at most 23 Gy, with probability 0.95" in page.text_content()
    lopo = model.leave_one_patient_out()
    row = lopo.predictions.iloc[0]
    assert f"{row['median']:.3g}" in page.text_content()
    files = bd.report.paper_tables(
        model, tmp_path / "tables", lopo=lopo, limits=limits[:1], include_identifiers=True
    )
    assert all(path.is_file() for path in files)
    plan = pd.read_csv(tmp_path / "tables" / "plan.csv")
    assert list(plan["patient_id"]) == list(dict.fromkeys(sites["patient_id"]))


def test_importing_the_room_loads_no_templates_and_no_word() -> None:
    script = "import sys, bayesdose.report; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert loaded.isdisjoint({"jinja2", "docx", "sklearn", "sksurv", "lifelines", "jax"})
