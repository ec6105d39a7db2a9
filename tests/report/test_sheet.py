"""The patient sheet: the numbers of planning, nobody's name, text that stays text, one page."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayesdose as bd
from bayesdose.errors import ConfigError, PredictionError
from bayesdose.evaluate import hdi
from bayesdose.measure import bed
from bayesdose.planning import LIMITS, DoseLimit, activity_table, max_activity, update_report
from bayesdose.report.page import between, number
from bayesdose.report.sheet.holding import left_of
from bayesdose.report.sheet.rows import MAX_ROWS
from bayesdose.report.sheet.words import asked, chance, plain
from bayesdose.report.sheet.writing import patient_sheet
from tests.report import browser, structure

KIDNEY = LIMITS["kidney_23_gy"].limit()
GLAND = DoseLimit("salivary_gland", gy=12.0)
BED = {"alpha_beta_gy": 2.6, "repair_half_time_h": 2.8, "effective_half_life_h": 40.0}
GBQ, WIDE = 7.4, (0.01, 1000.0)
MEASURED = ["absorbed_dose_gy", "absorbed_dose_cv", "absorbed_dose_cv_shared"]
ATTACK = "<script>document.title='run'</script>\"'&{{7*7}}<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    return bd.datasets.load_reference_cohort()


@pytest.fixture(scope="module")
def model(cohort: pd.DataFrame) -> bd.DoseModel:
    """Fitted to all patients but two; do not change it."""
    formulas = dict.fromkeys(("tumour", "salivary_gland", "kidney"), "log(suv_mean)")
    uncertainty = {"dose_cv": MEASURED[1], "dose_cv_shared": MEASURED[2]}
    others = cohort[~cohort["patient_id"].isin(["P2", "P4"])]
    return bd.DoseModel(formulas, **uncertainty).fit(others, draws=1000)


@pytest.fixture(scope="module")
def measured(cohort: pd.DataFrame) -> pd.DataFrame:
    """17 sites of a patient who was not in training, measured in cycle 1."""
    return cohort[cohort["patient_id"] == "P2"]


@pytest.fixture(scope="module")
def patient(measured: pd.DataFrame) -> pd.DataFrame:
    """The same before therapy."""
    return measured.drop(columns=[*MEASURED, "administered_activity_gbq"])


@pytest.fixture(scope="module")
def hostile(cohort: pd.DataFrame) -> pd.DataFrame:
    """Twenty sites, every text an attack, measured twelvefold."""
    table = cohort[cohort["patient_id"] == "P4"].iloc[1:]
    assert len(table) == MAX_ROWS
    return table.assign(
        patient_id=f"Zmith{ATTACK}",
        site_id=[f"Zite{i}{ATTACK}" for i in range(len(table))],
        centre=f"Zentre{ATTACK}",
        scanner=f"Zcanner{ATTACK}",
        absorbed_dose_gy=12 * table["absorbed_dose_gy"],
    )


@pytest.fixture
def sheet(model: bd.DoseModel, tmp_path: Path) -> Callable[..., Any]:
    """Write a sheet, check what every page must keep, and return its tree."""

    def write(sites: pd.DataFrame, **changed: Any) -> Any:
        arguments = {"limits": [KIDNEY], "prescribed_gbq": GBQ} | changed
        path = patient_sheet(model, sites, tmp_path / "sheet.html", **arguments)
        assert path == tmp_path / "sheet.html"
        page = structure.check(path.read_text("utf-8"))
        assert "Research use. Not a medical device." in page.find(".//header").text_content()
        return page

    return write


def rows(page: Any, caption: str) -> dict[str, list[str]]:
    """Cells of a table by the name of their row."""
    (table,) = [t for t in page.iter("table") if t.findtext("caption").startswith(caption)]
    return {
        row.find("th").text_content().strip(): [
            " ".join(cell.text_content().split()) for cell in row.findall("td")
        ]
        for row in table.findall("tbody/tr")
    }


def text(page: Any, anchor: str) -> str:
    return " ".join(page.get_element_by_id(anchor).text_content().split())


@pytest.mark.slow
def test_numbers_are_those_of_planning(model, patient, sheet) -> None:
    limits = [KIDNEY, GLAND]
    page = sheet(patient, limits=limits, activity_range_gbq=WIDE, n_cycles=4)
    plan = max_activity(model, patient, limits, n_cycles=4, activity_range_gbq=WIDE)
    settings = {"n_cycles": 4, "fixed_gbq": GBQ, "activity_range_gbq": WIDE}
    beside = activity_table(model, patient, limits, **settings).iloc[0]

    found = rows(page, "The prescribed")
    assert found["Activity a cycle"][0] == "7.4 GBq"
    activity = f"{number(plan.activity_gbq)} GBq ± {number(plan.monte_carlo_error, 2)}"
    assert found["Activity a cycle"][1].startswith(activity)
    assert found["Over 4 cycles"] == ["29.6 GBq", f"{number(4 * plan.activity_gbq)} GBq"]
    together = found["All limits together"]
    assert together == [chance(beside["fixed_within"], 1000), "95.0 %"]
    (target,) = [
        cells for name, cells in found.items() if name.startswith("Mean dose to 11 tumour")
    ]
    for cell, what in zip(target, ("fixed", "planned"), strict=True):
        median, lower, upper = (beside[f"{what}_{end}"] for end in ("median", "lower", "upper"))
        assert cell == f"{number(median)} ({between(lower, upper)}) Gy"
    binds = [name for name, cells in found.items() if cells[1].endswith(": binds")]
    assert len(binds) == 1
    assert binds[0].startswith(plan.binding.replace("_", " "))


@pytest.mark.slow
def test_share_that_keeps_a_limit_is_that_of_the_draws(model, patient, sheet) -> None:
    page = sheet(patient, limits=[KIDNEY, GLAND], activity_range_gbq=WIDE)
    plan = max_activity(model, patient, [KIDNEY, GLAND], activity_range_gbq=WIDE)
    gy = (plan.dose * GBQ / plan.activity_gbq).to_numpy().reshape(-1, len(patient))
    doses = rows(page, "Dose to each site")
    for tissue, limit in (("kidney", 23.0), ("salivary_gland", 12.0)):
        mine = np.flatnonzero(patient["tissue"] == tissue)
        share = (gy[:, mine] <= limit).all(1).mean()
        (cells,) = [
            cells
            for name, cells in rows(page, "The prescribed").items()
            if name.startswith(f"{tissue.replace('_', ' ')}: every site at most {limit:g} Gy")
        ]
        verdict = "held" if share >= 0.95 else "not held"
        assert cells[0] == f"{chance(share, len(gy))}: {verdict}"
        for place, i in enumerate(mine, 1):
            lower, upper = hdi(gy[:, i], 0.95)
            row = doses[f"{tissue.replace('_', ' ')} {place}"]
            assert row[:2] == [number(np.median(gy[:, i])), between(lower, upper)]
            side = "below" if upper <= limit else "crossed"
            assert row[3] == f"{limit:g}: {side if lower < limit else 'above'}"
    # tissues with a limit stand first
    assert list(doses)[:2] == ["kidney 1", "kidney 2"]
    assert len(doses) == len(patient)


@pytest.mark.slow
def test_measured_doses_and_what_they_change(model, measured, patient, sheet) -> None:
    first = measured.iloc[[0, -1]].copy()
    wrong = first["site_id"].iloc[0]
    first.loc[first.index[0], "absorbed_dose_gy"] *= 40
    page = sheet(patient, given=first, include_identifiers=True)
    activity = float(first["administered_activity_gbq"].iloc[0])
    expected = update_report(model, patient, first, activity_gbq=activity).set_index("site_id")
    assert expected["implausible"].sum() == 1
    found = rows(page, "Dose to each site")
    for site, row in expected.iterrows():
        (cells,) = [cells for name, cells in found.items() if name.split(" (")[0] == site]
        for cell, what in zip(cells[5:], ("prior", "updated"), strict=True):
            median, lower, upper = (row[f"{what}_{end}"] for end in ("median", "lower", "upper"))
            assert cell == f"{number(median)} ({between(lower, upper)})"
        shown = "–" if np.isnan(row["measured_gy"]) else number(row["measured_gy"])
        assert cells[4] == shown + (" implausible" if row["implausible"] else "")
    said = text(page, "doses")
    assert re.search(rf"Measured, but implausible: {wrong} \(tumour\) \d+ Gy \(above", said)
    assert f"doses of a cycle of {plain(activity)} GBq" in said
    unknown = text(page, "unknown")
    assert "2 of 17 sites had a measured dose; not measured: " in unknown
    assert "the measured cycle is not taken off unless already_gy states it" in unknown


@pytest.mark.slow
def test_doses_that_need_a_new_fit_give_no_green_light(measured, patient, sheet) -> None:
    absurd = measured.assign(absorbed_dose_gy=12 * measured["absorbed_dose_gy"])
    page = sheet(patient, given=absurd, limits=[DoseLimit("kidney", gy=5000.0)])
    assert not page.xpath("//p[@class='notice good']")
    assert "Not reliable: see the warning below." in text(page, "activity")
    assert "fit the model again with them in the training table" in text(page, "doses")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (
            DoseLimit("kidney", gy=0.5),
            "None from 1 to 12 GBq a cycle does. At 1 GBq: kidney: every",
        ),
        (
            DoseLimit("kidney", gy=23.0, already_gy=23.5),
            "reached before these cycles, with 23.5 Gy",
        ),
    ],
    ids=["range", "reached"],
)
def test_it_is_written_where_no_activity_keeps_the_limits(patient, sheet, limit, words) -> None:
    page = sheet(patient, limits=[limit, GLAND])
    (notice,) = page.xpath("//p[@class='notice stop']")
    assert "No activity keeps the limits." in notice.text_content()
    assert words in notice.text_content()
    assert "At 7.4 GBq a cycle all limits together hold with under 0.1 % (95 % asked)" in (
        notice.text_content()
    )
    assert rows(page, "The prescribed")["Activity a cycle"] == ["7.4 GBq", "none"]


@pytest.mark.slow
def test_all_limits_together_may_be_what_fails(model, patient, sheet) -> None:
    plans = {
        tissue: max_activity(
            model, patient, [DoseLimit(tissue, gy=10.0)], activity_range_gbq=WIDE
        ).activity_gbq
        for tissue in ("kidney", "salivary_gland")
    }
    # each holds with 0.95 at 5 GBq exactly, and so both of them do not
    limits = [DoseLimit(tissue, gy=10.001 * 5 / gbq) for tissue, gbq in plans.items()]
    page = sheet(patient, limits=limits, activity_range_gbq=(5.0, 9.0))
    assert "each limit holds, all of them together with 9" in text(page, "activity")


@pytest.mark.slow
def test_verdict_of_the_prescribed_activity(patient, sheet) -> None:
    page = sheet(patient, limits=[DoseLimit("kidney", gy=500.0)])
    (notice,) = page.xpath("//p[@class='notice good']")
    assert "the limit holds with over 99.9 % (95 % asked)" in notice.text_content()
    assert "12 GBq, the end of the range considered" in text(page, "activity")
    # with different probabilities each limit is judged alone
    loose = DoseLimit("salivary_gland", gy=500.0, probability=0.5)
    page = sheet(patient, limits=[DoseLimit("kidney", gy=1.0), loose], activity_range_gbq=WIDE)
    (notice,) = page.xpath("//p[@class='notice stop']")
    assert "The prescribed activity exceeds the limits." in notice.text_content()
    assert "(each limit has its own share)" in notice.text_content()


@pytest.mark.slow
def test_what_was_not_known_is_said(patient, sheet) -> None:
    limits = [KIDNEY, DoseLimit("kidney", bed_gy=40.0, already_gy=3.0, **BED), GLAND]
    page = sheet(patient, limits=limits, prescribed_gbq=11.0, date="2026-11-22", random_seed=5)
    said = text(page, "unknown")
    for words in (
        "none is validated for 177Lu-PSMA",
        "the figure of kidney_23_gy, Emami 1991, TD5/5 (from memory), not read in its source",
        "the figure of kidney_40_gy_bed",
        "salivary gland: 12 Gy, for which no source is on record here",
        "No dose of this patient was measured",
        "11.0 GBq",
        "outside the activities of the training table",
        "of 7 patients",
        "The uncertainty of the measured doses was stated",
        "taken as the same in every cycle",
        "kidney: effective half-life 40 h, alpha/beta 2.6 Gy, repair half-time 2.8 h",
        "Received before, as stated by the user: kidney up to 3.00 Gy BED.",
    ):
        assert words in said, words
    footer = page.find(".//footer").text_content()
    assert "fitted to 7 patients" in footer
    assert f"bayesdose {bd.__version__}, fit with seed " in footer
    assert "predictions with seed 5, 1000 draws" in footer
    assert "2026-11-22" in text(page, "activity")
    assert re.search(r"\d{4}-\d\d-\d\d", sheet(patient).text_content()) is None


@pytest.mark.slow
def test_known_patient_is_said_to_be_known(cohort, sheet) -> None:
    page = sheet(cohort[cohort["patient_id"] == "P1"], kind="known_patient")
    said = text(page, "unknown")
    assert "The patient's doses in the training table are used" in said
    assert "the measured cycle is not taken off unless already_gy states it" in said


@pytest.mark.slow
def test_labels_are_shown_only_when_asked_for(hostile, sheet) -> None:
    for given in (None, hostile):
        page = sheet(hostile, given=given).text_content()
        for mark in ("Zmith", "Zite", "Zentre", "Zcanner", "7*7"):
            assert mark not in page, mark
    page = sheet(hostile, given=hostile, include_identifiers=True)
    assert page.findtext(".//title") == "Patient sheet: predicted absorbed dose"
    assert "Zmith<script>" in text(page, "activity")
    assert "Zite3<script>" in text(page, "doses")
    assert not list(page.iter("img"))


@pytest.mark.slow
def test_many_lesions_are_a_mean_and_the_page_says_so(sheet) -> None:
    many = bd.simulate.dose_cohort(1, random_seed=3, lesion_counts=[40])
    page = sheet(many, limits=[KIDNEY, DoseLimit("salivary_gland", gy=12.0, sites="mean")])
    found = rows(page, "Dose to each site")
    assert list(found) == [
        "kidney 1",
        "kidney 2",
        *(f"salivary gland {i}" for i in range(1, 5)),
        "salivary gland, mean",
        "tumour, mean of 40",
    ]
    # a limit on the mean is drawn at the mean
    assert found["salivary gland 1"][3] == "–"
    assert found["salivary gland, mean"][3].startswith("12: ")
    (mean,) = [
        c for n, c in rows(page, "The prescribed").items() if n.startswith("Mean dose to 40")
    ]
    median, interval = found["tumour, mean of 40"][:2]
    assert mean[0] == f"{median} ({interval}) Gy"
    assert re.search(r"40 tumour sites stand in one row, as their mean; their", text(page, "doses"))
    # where the limit is for them, the highest stay
    page = sheet(many, limits=[DoseLimit("tumour", gy=500.0, probability=0.5)])
    found = rows(page, "Dose to each site")
    assert len(found) <= MAX_ROWS
    assert "further tumour sites stand in one row" in text(page, "doses")
    own = [float(c[0]) for name, c in found.items() if re.fullmatch(r"tumour \d+", name)]
    assert len(own) >= 4
    highest = text(page, "doses").split("their medians run from ")[1].split(" Gy")[0].split(" to ")
    assert min(own) >= float(highest[1])


@pytest.mark.parametrize("already", [0.0, 7.0])
def test_line_of_a_bed_limit_is_where_equal_cycles_reach_it(already: float) -> None:
    limit = DoseLimit("kidney", bed_gy=40.0, already_gy=already, **BED)
    gy, words = left_of(limit, already, 5)
    assert 5 * bed(gy / 5, 40.0, 2.6, 2.8) == pytest.approx(40.0 - already)
    assert words == ("33.0 of 40 BED" if already else "40 BED")
    assert left_of(KIDNEY, 25.0, 5) == (0.0, "0 of 23")


def test_no_share_of_draws_is_nought_or_all() -> None:
    assert [chance(share, 4000) for share in (0.0, 0.0005, 0.95, 0.9995, 1.0)] == [
        *["under 0.1 %"] * 2,
        "95.0 %",
        *["over 99.9 %"] * 2,
    ]
    # 94.96 % is not the 95 % that was asked
    assert (chance(0.9496, 4000), chance(0.94975, 4000)) == ("94.9 %", "94.9 %")
    assert (chance(0.0, 100), chance(1.0, 100)) == ("under 1 %", "over 99 %")
    assert (asked(0.95), asked(0.999)) == ("95 %", "99.9 %")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "error", "words"),
    [
        ({"limits": []}, ConfigError, "none is stated"),
        ({"limits": [DoseLimit("liver", gy=30.0)]}, PredictionError, "no such tissue"),
        (
            {"limits": [DoseLimit("kidney", gy=float(i)) for i in range(1, 8)]},
            ConfigError,
            "at most 6",
        ),
        ({"prescribed_gbq": 0}, ConfigError, "prescribed_gbq: got 0"),
        ({"prescribed_gbq": "7.4"}, ConfigError, "prescribed_gbq: got '7.4'"),
        ({"hdi_prob": 95}, ConfigError, "hdi_prob: got 95"),
        ({"target": "liver"}, PredictionError, "target: the model has no tissue 'liver'"),
        ({"kind": "typical_patient"}, ConfigError, "no person to plan for"),
    ],
    ids=str,
)
def test_bad_arguments_are_one_error(patient, sheet, changed, error, words) -> None:
    with pytest.raises(error, match=re.escape(words)):
        sheet(patient, **changed)


@pytest.mark.slow
def test_what_is_neither_true_nor_false_shows_no_labels(patient, sheet) -> None:
    with pytest.raises(ConfigError, match="include_identifiers: got 'no'"):
        sheet(patient, include_identifiers="no")
    with pytest.raises(ConfigError, match="is it MBq"):
        sheet(patient, prescribed_gbq=7400)


@pytest.mark.slow
def test_tables_that_are_not_of_one_patient_are_refused(
    model, cohort, patient, measured, sheet, tmp_path
) -> None:
    both = cohort[cohort["patient_id"].isin(["P2", "P4"])]
    with pytest.raises(ConfigError, match="has 2 patients, and a sheet is for one"):
        sheet(both)
    with pytest.raises(PredictionError, match="given: has rows of patient 'P4'"):
        sheet(patient, given=both)
    with pytest.raises(ConfigError, match="has 510 rows"):
        sheet(pd.concat([patient] * 30))
    tumours = patient[patient["tissue"] == "tumour"]
    for already in (0.0, 30.0):  # also where nothing is left of the limit
        with pytest.raises(PredictionError, match="has no site of tissue 'kidney'"):
            sheet(tumours, limits=[DoseLimit("kidney", gy=23.0, already_gy=already)])
    with pytest.raises(ConfigError, match=r"ends in \.html"):
        patient_sheet(model, patient, tmp_path / "a.pdf", limits=[KIDNEY], prescribed_gbq=7.4)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@browser.needs_chromium
def test_it_prints_on_one_page_and_needs_nothing(hostile, sheet, tmp_path) -> None:
    bed_limit = DoseLimit("kidney", bed_gy=40.0, already_gy=3.0, **BED)
    mean = DoseLimit("salivary_gland", gy=12.0, sites="mean")
    limits = [KIDNEY, bed_limit, GLAND, mean]
    sheet(hostile, limits=limits, given=hostile, include_identifiers=True)
    page = tmp_path / "sheet.html"
    assert browser.console(page) == []
    found = browser.look(page, 360, tmp_path)
    assert (found["fetched"], found["violations"]) == ([], [])
    assert found["needed"] <= found["width"]
    assert found["title"] == "Patient sheet: predicted absorbed dose"
    assert n_printed(page, tmp_path / "sheet.pdf") == 1


def n_printed(page: Path, pdf: Path) -> int:
    """Pages that a browser prints."""
    command = [browser.CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu"]
    command += ["--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri()]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf.read_bytes()))
