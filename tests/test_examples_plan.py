"""The planning example runs, and what it prints agrees with its tables and its sheets."""

import importlib.util
from pathlib import Path

import pandas as pd
import pytest
from lxml import html

SCRIPT = Path(__file__).parents[1] / "examples" / "plan_a_patient.py"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the script prints, the script, its tables and the folder they are in."""
    folder = tmp_path_factory.mktemp("plan")
    spec = importlib.util.spec_from_file_location("plan_a_patient", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    printed: list[str] = []
    module.print = lambda *words: printed.append(" ".join(map(str, words)))
    module.main(["--out", str(folder)])
    tables = {path.stem: pd.read_csv(path) for path in folder.glob("*.csv")}
    return "\n".join(printed), module, tables, folder


@pytest.mark.slow
def test_it_says_that_all_is_simulated_and_writes_its_files(ran):
    text, _, tables, folder = ran
    assert text.startswith("All of this is SIMULATED: the 9 patients")
    assert set(tables) == {"pet", "value_of_information", "cycle_1", "update", "plans"}
    sheets = {path.stem for path in folder.glob("*.html")}
    assert sheets == {"before_cycle_1", "after_cycle_1"}
    # nothing was measured when the first plan was made
    assert not set(tables["pet"]) & {"absorbed_dose_gy", "administered_activity_gbq"}
    assert "(from memory)" in text
    assert "not validated for 177Lu-PSMA" in text


@pytest.mark.slow
def test_sheets_show_the_plans_that_are_printed(ran):
    text, module, tables, folder = ran
    plans = tables["plans"].set_index("plan")
    assert list(plans["n_cycles"]) == [6, 5]
    for name, row in plans.iterrows():
        activity = f"{row['activity_gbq']:.2f} GBq a cycle"
        assert f"Largest activity for {row['n_cycles']} cycles: {activity}" in text
        page = html.parse(folder / f"{name.replace(' ', '_')}.html").getroot()
        said = " ".join(page.text_content().split())
        assert f"{row['activity_gbq']:.2f} GBq ± " in said
        kept = row["activity_gbq"] >= module.PRESCRIBED_GBQ
        verdict = "is within the limits" if kept else "exceeds the limits"
        assert f"The prescribed activity {verdict}." in said
        # the sheet tells no patient's name
        assert "NEW" not in said
    received = tables["cycle_1"]["absorbed_dose_gy"].max()
    assert f"{received:.1f} Gy received" in " ".join(text.split())
    # what was learnt makes the plan surer
    assert plans["kidney_width"].is_monotonic_decreasing


@pytest.mark.slow
def test_update_and_value_of_information(ran):
    text, module, tables, _ = ran
    update = tables["update"].set_index("site_id")
    measured = tables["cycle_1"].set_index("site_id")["absorbed_dose_gy"]
    found = update["measured_gy"].dropna()
    assert found.to_dict() == pytest.approx(measured.to_dict())
    assert len(update) == len(tables["pet"])
    for site in measured.index:
        (line,) = [x for x in text.splitlines() if x.split()[:1] == [site] and "False" in x]
        assert float(line.split()[4]) == pytest.approx(measured[site], abs=0.0051)
    told = tables["value_of_information"]
    best = told.loc[told["kidney"].idxmax()]
    assert best["measured_tissue"] == "kidney"
    assert module.LIMIT.tissue == "kidney"
    assert told[["kidney", "salivary_gland", "tumour"]].stack().between(0, 1).all()
