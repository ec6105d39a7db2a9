"""The example of dose and outcome runs, and what it prints agrees with the tables it writes."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

SCRIPT = Path(__file__).parents[1] / "examples" / "dose_outcome.py"


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What the script prints, the script, its tables and the folder they are in."""
    folder = tmp_path_factory.mktemp("dose_outcome")
    spec = importlib.util.spec_from_file_location("dose_outcome", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    printed: list[str] = []
    module.print = lambda *words: printed.append(" ".join(map(str, words)))
    module.main(["--quick", "--out", str(folder)])
    tables = {path.stem: pd.read_csv(path, index_col="dose") for path in folder.glob("*.csv")}
    return "\n".join(printed), module, tables, folder


@pytest.mark.slow
def test_it_says_that_all_is_simulated(ran):
    text, _, tables, folder = ran
    assert text.startswith("All of this is SIMULATED, its effects are chosen: 40 men, 160 lesions")
    assert text.count("SIMULATED") == 4
    assert set(tables) == {"progression", "lesion_response", "probability_at_dose"}
    for name, table in tables.items():
        assert (table["source"] == "simulated").all(), name
    picture = folder / "tumour_control.png"
    assert picture.stat().st_size > 10_000


@pytest.mark.slow
def test_what_is_printed_is_in_the_tables(ran):
    text, module, tables, _ = ran
    for name, row in tables["progression"].iterrows():
        rests = [x.removeprefix(name) for x in text.splitlines() if x.startswith(name)]
        (rest,) = [rest for rest in rests if " to " not in rest]
        shown = [float(value) for value in rest.split()]
        wanted = row[["coef", "sd", "lower", "upper", "hazard_ratio"]].astype(float)
        assert shown == pytest.approx(wanted.tolist(), abs=0.0051)
    for name, row in tables["lesion_response"].iterrows():
        slope = "{:.3g} ({:.3g} to {:.3g})".format(
            *row[["slope median", "slope lower", "slope upper"]].astype(float)
        )
        assert slope in text, name
    assert tables["progression"]["stated"].unique() == pytest.approx([-np.log(2)])
    assert len(tables["probability_at_dose"]) == 3
    assert module.TRUE in tables["lesion_response"].index


@pytest.mark.slow
def test_medians_plugged_in_flatten_the_curve(ran):
    _, module, tables, _ = ran
    curves = tables["lesion_response"]
    joint, plugged = curves.loc[module.JOINT], curves.loc[module.PLUGGED]
    assert plugged["slope median"] < joint["slope median"]
    width = curves["slope upper"] - curves["slope lower"]
    assert width[module.PLUGGED] < width[module.JOINT]
    true = curves.loc[module.TRUE]
    assert true["slope lower"] < module.SLOPE < true["slope upper"]
    assert true["D50 lower"] < module.D50_GY < true["D50 upper"]
